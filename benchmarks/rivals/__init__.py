"""Other libraries, measured through one small program each, an adapter.

Most live in a virtual environment of their own: ``make rivals`` sets it up in ``.venv-rivals``, and
``SKFM_RIVALS`` may name the Python of another one. An adapter is a module of this package. It is run as
``python -m benchmarks.rivals.ADAPTER TASK PROBLEM.npz OPTIONS``, does one of the tasks below, and prints one
line of JSON last. All adapters answer a task in the same terms:

- ``train``: ``epoch_seconds``, a list, without an epoch that compiles; ``fit_seconds``, and where an adapter
  counts them ``fit_cpu_seconds``, those of all cores.
- ``quality``: ``log_loss`` and ``AUC`` on the rows "test" after each of the numbers of ``epochs``, and
  ``valid_log_loss`` and ``valid_AUC`` where there are rows "valid".
- ``predict``: ``seconds`` of predictions of the rows "test", a list; ``row_seconds`` of one row.
- ``cross_validate``: ``seconds`` of twice five folds in one process, and the mean ``AUC``;
- ``roofline``, of the native kernel alone: what memory and cores can do.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

from benchmarks import memory, report

REPOSITORY = Path(__file__).resolve().parents[2]
TITLES = {
    "skfm": "skfm",
    "native": "native kernel (C++)",
    "xlearn": "xLearn",
    "modern_fm": "modern-fm",
    "myfm": "myFM",
    "deepctr": "DeepCTR-Torch",
    "plain_torch": "plain PyTorch",
    "lightgbm": "LightGBM",
    "logistic": "LogisticRegression",
}
# These run in the environment of skfm.
OWN = ("skfm", "native", "logistic")


class RivalsNotFoundError(Exception):
    """There is no environment with the other libraries."""


class UnavailableError(Exception):
    """An adapter cannot run on this machine, and the others can."""


def add_arguments(parser, names, rounds=3):
    """Options of all cases with rivals: whom to measure beside skfm, and how often, with one seed."""
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.set_defaults(seeds=[0])
    parser.add_argument(
        "--rivals",
        nargs="*",
        choices=["none", *names],
        default=list(names),
        help="whom to measure beside skfm; all by default, none for nobody",
    )


def chosen(options, names):
    """Adapters that a run measures in turn; those that are not there are said before anything is measured."""
    wanted = options.rivals or names
    found = ["skfm", *(name for name in names if name in wanted)]
    for name in found:
        interpreter(name)
    return found


def interpreter(adapter):
    """Python that runs the adapter: this one for skfm, else that of the rivals' environment."""
    if adapter in OWN:
        return sys.executable
    path = Path(os.environ.get("SKFM_RIVALS", REPOSITORY / ".venv-rivals" / "bin" / "python"))
    if not path.exists():
        raise RivalsNotFoundError(f"{path} is not there: run `make rivals`, or name a Python in SKFM_RIVALS.")
    return str(path)


@contextmanager
def problem_file(**parts):
    """Path of a file with sparse matrices and their targets, for `measure`; removed afterwards.

    Parameters
    ----------
    parts : (X, y) by name, such as ``train`` and ``test``
    """
    arrays = {}
    for name, (X, y) in parts.items():
        X = csr_matrix(X)
        stored = {"data": X.data, "indices": X.indices, "indptr": X.indptr, "shape": X.shape, "y": y}
        arrays |= {f"{name}.{key}": value for key, value in stored.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "problem.npz"
        np.savez(path, **arrays)
        yield path


def measure(adapter, task, path, **options):
    """What an adapter answers about the problem at `path`.

    Returns
    -------
    dict
        What the task gives, ``version``, ``peak_mb`` (resident memory of the process) and
        ``process_seconds``, from the start of its Python to its end.

    Raises
    ------
    UnavailableError
        When the adapter says that it cannot run here.
    """
    command = [interpreter(adapter), "-m", f"benchmarks.rivals.{adapter}", task, str(path)]
    # xLearn asks for a user's name.
    environment = dict(os.environ, USER=os.environ.get("USER", "user"))
    start = time.perf_counter()
    process = subprocess.run(
        [*command, json.dumps(options)],
        cwd=REPOSITORY,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - start
    lines = process.stdout.splitlines()
    if process.returncode:
        raise RuntimeError(
            f"{adapter} failed with exit status {process.returncode}:\n" + "\n".join(lines[-20:])
        )
    answer = json.loads(lines[-1])
    if "unavailable" in answer:
        raise UnavailableError(f"{TITLES[adapter]}: {answer['unavailable']}")
    return answer | {"process_seconds": seconds}


def in_turn(adapters, rounds, measure_one, results, key, save):
    """Measure adapters in turn, round after round, so that a machine that gets slower does so for all.

    Parameters
    ----------
    measure_one : function of an adapter that returns a dict, see `measure`
    results : dict to keep the entries in, under ``"ADAPTER KEY"``: ``version`` and ``rounds``, the answers
    save : called after each measurement
    """
    entries = {}
    missing = set()
    for _ in range(rounds):
        for adapter in adapters:
            if adapter in missing:
                continue
            try:
                found = measure_one(adapter)
            except UnavailableError as error:
                missing.add(adapter)
                report.log(f"left out: {error}")
                continue
            entry = entries.setdefault(adapter, {"version": found.pop("version"), "rounds": []})
            entry["rounds"].append(found)
            results[f"{adapter} {key}"] = entry
            report.log(f"{adapter} {key}: " + ", ".join(f"{name} {value}" for name, value in found.items()))
            save()


def title(adapter, entry):
    """Name and version of an adapter's library."""
    return TITLES[adapter] if adapter == "native" else f"{TITLES[adapter]} {entry['version']}"


def rounds_of(entry, value):
    """One number a round: `value` of each answer, the median of those that are lists."""
    return [float(np.median(answer[value])) for answer in entry["rounds"]]


def answer(version, *tasks):
    """Do the task that the command line names; `tasks` are functions of the parts and the options.

    Parameters
    ----------
    version : str, of the library
    tasks : functions ``task(parts, **options)`` that return a dict, called by their names
    """
    name, path, options = sys.argv[1:]
    stored = np.load(path)
    parts = {key.removesuffix(".y"): None for key in stored if key.endswith(".y")}
    for part in parts:
        of = {key: stored[f"{part}.{key}"] for key in ("data", "indices", "indptr", "shape", "y")}
        X = csr_matrix((of["data"], of["indices"], of["indptr"]), shape=tuple(of["shape"]))
        parts[part] = X, of["y"]
    try:
        found = {task.__name__: task for task in tasks}[name](parts, **json.loads(options))
    except UnavailableError as error:
        found = {"unavailable": str(error)}
    print(json.dumps({"version": version, "peak_mb": memory.greatest_of_process() / 1e6} | found))
