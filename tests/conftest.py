"""Settings and fixtures of the whole test suite."""

import gc
import os
from importlib.metadata import version
from pathlib import Path

import pytest

_MANY_MAPS = 30_000  # of 65,530 on Linux; a program has 25 to 70
REPOSITORY = Path(__file__).resolve().parents[1]

# Compiling takes most of the suite's time. Hence programs are compiled without optimisation, in a tenth
# of the time, and kept between runs. SKFM_TEST_THOROUGH=1 compiles as users do, and checks networks of
# default size. JAX reads these variables when it is imported, hence before any test module.
THOROUGH = bool(os.environ.get("SKFM_TEST_THOROUGH"))
if not THOROUGH:
    quick = ["backend_optimization_level=0", "cpu_parallel_codegen_split_count=1"]
    # A flag that XLA does not know ends the process: newer releases always use these emitters.
    if tuple(map(int, version("jaxlib").split(".")[:2])) <= (0, 10):
        quick.append("cpu_use_fusion_emitters=false")
    os.environ["XLA_FLAGS"] = " ".join(
        [os.environ.get("XLA_FLAGS", ""), *(f"--xla_{flag}" for flag in quick)]
    )
if not os.environ.get("SKFM_TEST_NO_CACHE"):
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(REPOSITORY / ".cache" / "jax"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

# Tests neither read nor fill what the user keeps; those of keeping programs name folders of their own.
os.environ["SKFM_CACHE"] = "0"

# Test files share programs: one that was let go in between would be compiled anew.
os.environ.setdefault("SKFM_PROGRAMS", "512")

# pytest-xdist already has a process for each core: more OpenMP threads would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser):
    parser.addoption(
        "--data",
        type=Path,
        default=Path(os.environ.get("SKFM_DATA", REPOSITORY.parent / "shared" / "data")),
        metavar="PATH",
        help="folder of the data sets that cannot be shipped (default: $SKFM_DATA or ../shared/data)",
    )


@pytest.fixture(scope="session")
def data_path(request):
    """Folder of the data sets that cannot be shipped; the test is skipped where there is none."""
    path = request.config.getoption("--data")
    if not path.is_dir():
        pytest.skip(f"no data sets in {path}: name their folder with --data PATH or SKFM_DATA")
    return path


def pytest_collection_finish():
    """Spare collections of garbage what was there before the first test: a twentieth of the time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def few_programs_at_once():
    """Forget compiled programs before they use up the memory maps that a process may have."""
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and len(maps.read_text().splitlines()) > _MANY_MAPS:
        import jax

        jax.clear_caches()


@pytest.fixture
def several_widths(monkeypatch):
    """Rows of uneven length go to several blocks, however few they are."""
    monkeypatch.setattr("skfm.data.pack._FREE_SLOTS", 0)
    monkeypatch.setattr("skfm.data.pack._MAX_PADDING", 1.0)
