"""Device, cores, precision, memory and the compile cache. JAX is imported when first needed."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

# Where Linux lists the control groups of a process, and the limits of each.
_OWN_GROUPS, _GROUPS = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


@contextmanager
def precision(dtype):
    """Run JAX in the precision of `dtype`; never changes the process-wide setting.

    Matrix products of float32 are computed in float32, not in a faster and coarser format.
    """
    import jax
    import numpy as np

    with jax.enable_x64(np.dtype(dtype) == np.float64), jax.default_matmul_precision("highest"):
        yield


class _BlasThreads:
    """The limit of BLAS is that of the process: the first to come sets it, the last to go puts it back."""

    def __init__(self):
        self._lock, self._n_inside = threading.Lock(), 0
        self._limits: Any = None

    @contextmanager
    def one(self):
        """BLAS has one thread as long as anybody is inside."""
        from threadpoolctl import threadpool_limits

        with self._lock:
            if not self._n_inside:
                self._limits = threadpool_limits(1, user_api="blas")
            self._n_inside += 1
        try:
            yield
        finally:
            with self._lock:
                self._n_inside -= 1
                if not self._n_inside:
                    self._limits.restore_original_limits()


blas_threads = _BlasThreads()


def n_cores(n_jobs: int | None) -> int | None:
    """Number of cores that `n_jobs` means, as in joblib; None is all. The default: a `parallel_config`."""
    from joblib import cpu_count
    from joblib.parallel import get_active_backend

    if n_jobs is None:
        n_jobs = get_active_backend()[1]
        n_jobs = -1 if n_jobs in (None, 1) else n_jobs
    if not isinstance(n_jobs, int | np.integer) or n_jobs == 0:
        raise ValueError(f"n_jobs must be None or an int other than 0, got {n_jobs!r}.")
    if n_jobs == -1:
        return None
    return n_jobs if n_jobs > 0 else max(cpu_count() + 1 + n_jobs, 1)


class _SomeCores:
    """A second CPU of JAX, whose threads are bound to as many cores as its users asked for together.

    XLA fixes the number of threads when JAX starts, for the whole process, and how it shares out a product
    of matrices, and so the last digits, depends on this number. Here it is the same as that of JAX's own.
    """

    def __init__(self):
        self._lock, self._inside = threading.Lock(), threading.local()
        self._device: Any = None
        self._threads: list[int] = []
        self._n_cores = 0

    @property
    def device(self) -> Any:
        """The device that this thread computes on; None where that is JAX's own."""
        return self._device if getattr(self._inside, "yes", False) else None

    @property
    def n(self) -> int:
        """On how many cores this thread computes."""
        from joblib import cpu_count

        return getattr(self._inside, "n", None) or cpu_count()

    @contextmanager
    def use(self, n_jobs: int | None):
        """What this thread computes by JAX, it computes on some cores; on all where the system cannot."""
        wanted, before = n_cores(n_jobs), getattr(self._inside, "n", None)
        self._inside.n = before or wanted
        try:
            with self._bound(wanted):
                yield
        finally:
            self._inside.n = before

    @contextmanager
    def _bound(self, wanted: int | None):
        if wanted is None or self.device is not None or not self._can_limit(wanted):
            yield
            return
        import jax

        self._bind(wanted)
        self._inside.yes = True
        try:
            with jax.default_device(self._device):
                yield
        finally:
            self._inside.yes = False
            self._bind(-wanted)

    def _can_limit(self, wanted: int) -> bool:
        if not hasattr(os, "sched_setaffinity") or wanted >= len(os.sched_getaffinity(0)):
            return False
        import jax

        if jax.default_backend() != "cpu":
            return False
        with self._lock:
            if self._device is None:
                self._start()
        return bool(self._threads)

    def _start(self) -> None:
        tasks = Path("/proc/self/task")
        before = set(os.listdir(tasks))
        try:
            from jaxlib.xla_client import make_cpu_client
        except ImportError:
            return
        client: Any = make_cpu_client()
        self._device = client.local_devices()[0]
        for task in set(os.listdir(tasks)) - before:
            # Other threads may start at the same time.
            with contextlib.suppress(OSError):
                if (tasks / task / "comm").read_text().startswith("tf_"):
                    self._threads.append(int(task))

    def _bind(self, change: int) -> None:
        """Bind the threads to cores, this thread's first: there the system found room for it."""
        with self._lock:
            self._n_cores += change
            allowed = sorted(os.sched_getaffinity(0))
            here = int(Path("/proc/thread-self/stat").read_text().rpartition(")")[2].split()[36])
            first = allowed.index(here) if here in allowed else 0
            cores = [*allowed[first:], *allowed[:first]][: max(self._n_cores, 1)]
            for thread in self._threads:
                os.sched_setaffinity(thread, cores)


some_cores = _SomeCores()


def in_threads(function: Callable[[Any], Any], items: Sequence[Any], n: int | None = None) -> list[Any]:
    """What a function makes of each item, in some threads: for code that frees Python's lock.

    Parameters
    ----------
    n : most threads; None: as many as this thread has cores
    """
    n_threads = min(len(items), n or some_cores.n) if len(items) > 1 else 1
    if n_threads <= 1:
        return [function(item) for item in items]
    with ThreadPoolExecutor(n_threads) as pool:
        return list(pool.map(function, items))


def physical_memory() -> int | None:
    """Bytes of memory that the machine has, or its container may use; None where neither says."""
    found = _container_memory()
    with contextlib.suppress(AttributeError, OSError, ValueError):
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(found, default=None)


def _container_memory() -> list[int]:
    """Limits of this process's control groups of both versions, and of the groups around them."""
    found = []
    with contextlib.suppress(OSError):
        for line in _OWN_GROUPS.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and "memory" not in controllers.split(","):
                continue
            folder = _GROUPS / "memory" if controllers else _GROUPS
            file = "memory.limit_in_bytes" if controllers else "memory.max"
            inside = Path(path.lstrip("/"))
            for group in (inside, *inside.parents):
                # A container may see its own group alone; "max" is no limit.
                with contextlib.suppress(OSError, ValueError):
                    found.append(int((folder / group / file).read_text()))
    return found


def check_fits(needed: int, what: str, remedy: str) -> None:
    """Raise ValueError if bytes that something takes are more than there are."""
    available = physical_memory()
    if available is not None and needed > available:
        raise ValueError(
            f"{what} {needed / 1e9:.3g} GB at least, and the machine has {available / 1e9:.3g} GB. {remedy}"
        )


def enable_compile_cache(path: str | os.PathLike | None = None) -> str:
    """Have JAX keep compiled programs on disk, those of a GPU as well; new processes trace them still.

    On a CPU skfm keeps programs itself, unless the environment variable ``SKFM_CACHE`` is 0, and loads them
    faster. This switches JAX's own cache on in its place, for all that JAX compiles. Call it at the start of
    a script, and in joblib workers.

    Parameters
    ----------
    path : path-like, optional
        Folder of the cache; default ``$XDG_CACHE_HOME/skfm`` or ``~/.cache/skfm``.

    Returns
    -------
    path : str
        The folder used.

    Examples
    --------
    >>> import skfm, tempfile
    >>> folder = skfm.enable_compile_cache(tempfile.mkdtemp())
    """
    import jax

    if path is None:
        path = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "skfm"
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    jax.config.update("jax_compilation_cache_dir", str(path))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    return str(path)
