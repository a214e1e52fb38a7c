"""Is the working tree slower than another revision? A few small probes of both, in a few minutes.

The probes run in three fresh processes. Both revisions take turns, and the one that goes first changes from
round to round, so that a machine that gets slower or faster does so for both. A probe is flagged where the
median of the rounds' ratios exceeds the tolerance and the working tree was slower in every round.
"""

import argparse
import compileall
import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import report, runner, synthetic

PROBES = {
    "import": "import skfm",
    "cold-fit": "FM, the first fit of a process, 569 dense rows",
    "fm-1e4": "FM, an epoch of 100,000 rows, 10^4 columns",
    "packing": "FM, a fit of 100,000 rows less its epoch",
    "predict": "FM, predict_proba of 200,000 rows",
    "predict-row": "FM, predict_proba of one row",
    "fm-1e6": "FM, an epoch of 100,000 rows, 10^6 columns",
    "deepfm": "DeepFM, an epoch of 50,000 rows, 4 * 10^4 columns",
}
# Probes that share a process, as its start takes longer than most of them; a cold fit has to be the first.
PROCESSES = (
    ("import", "cold-fit"),
    ("fm-1e4", "packing", "predict", "predict-row", "fm-1e6"),
    ("deepfm",),
)
# Rows and columns of the problems that the probes share.
PROBLEMS = {"1e4": (200_000, 10**4), "1e6": (100_000, 10**6), "4e4": (50_000, 4 * 10**4)}
SIDES = ("base", "work")

# Both revisions run this very text, so it may use only what both have: the public API. Of repeated
# measurements it keeps the least, as other work on the machine only ever adds time.
SCRIPT = """
import sys, time
path, checkout, *wanted = sys.argv[1:]
start = time.perf_counter()
import skfm
import_seconds = time.perf_counter() - start

import json
from functools import cache
from pathlib import Path
import numpy as np
from scipy.sparse import csr_matrix
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import scale

if not Path(skfm.__file__).resolve().is_relative_to(Path(checkout).resolve()):
    sys.exit(f"{skfm.__file__} was imported instead of the skfm of the checkout")

def load(problem, n_rows=None):
    stored = np.load(path)
    ids, y = stored[f"{problem}.ids"][:n_rows], stored[f"{problem}.y"][:n_rows]
    indptr = np.arange(0, ids.size + 1, ids.shape[1], dtype=np.int32)
    shape = len(ids), int(stored[f"{problem}.columns"])
    return csr_matrix((np.ones(ids.size, np.float32), ids.ravel(), indptr), shape=shape), y

def make(name, epochs):
    return getattr(skfm, name)(n_factors=16, max_iter=epochs, early_stopping=False, random_state=0)

def seconds_of(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - start

def epoch(name, problem, n_rows):
    # The first epoch compiles.
    return min(make(name, 4).fit(*load(problem, n_rows)).history_["time"][1:])

def packing():
    X, y = load("1e4", 100_000)
    others = []
    for _ in range(3):
        model = make("FMClassifier", 1)
        seconds = seconds_of(model.fit, X, y)
        others.append(seconds - sum(model.history_["time"]))
    return min(others)

def cold_fit():
    X, y = load_breast_cancer(return_X_y=True)
    return seconds_of(skfm.FMClassifier(random_state=0).fit, scale(X), y)

@cache
def fitted():
    return make("FMClassifier", 1).fit(*load("1e4", 100_000))

def predict(n_rows, repeats):
    model = fitted()
    X = load("1e4", n_rows)[0]
    model.predict_proba(X)
    return min(seconds_of(model.predict_proba, X) for _ in range(repeats))

probes = {
    "import": lambda: import_seconds,
    "cold-fit": cold_fit,
    "fm-1e4": lambda: epoch("FMClassifier", "1e4", 100_000),
    "packing": packing,
    "predict": lambda: predict(200_000, 3),
    "predict-row": lambda: predict(1, 300),
    "fm-1e6": lambda: epoch("FMClassifier", "1e6", 100_000),
    "deepfm": lambda: epoch("DeepFMClassifier", "4e4", 50_000),
}
print(json.dumps({probe: float(probes[probe]()) for probe in wanted}))
"""


class CompareError(Exception):
    """The revisions cannot be compared."""


def add_arguments(parser):
    """What to compare with, how often, and what counts as slower."""
    parser.add_argument("base", metavar="BASE", help="git revision that the working tree is compared with")
    parser.add_argument("--rounds", type=read_rounds, default=3)
    parser.add_argument(
        "--tolerance", type=float, default=0.15, help="flag a probe slower by more than this part of the base"
    )
    parser.add_argument(
        "--probes",
        type=runner.names_among(PROBES),
        default=list(PROBES),
        help=f"some of {','.join(PROBES)}; all by default",
    )


def read_rounds(text):
    """Read a number of rounds, at least one."""
    rounds = int(text)
    if rounds < 1:
        raise argparse.ArgumentTypeError("at least one round")
    return rounds


def run(options):
    """Compare, print the table; returns the exit status, 1 where a probe is flagged."""
    repository = runner.REPOSITORY
    commit = find_commit(options.base, repository)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "problems.npz"
        write_problems(data)
        measure = partial(measure_probes, data=data)
        # The first process would read the libraries from disk, the others from memory.
        measure(["cold-fit"], repository)
        seconds = compare(commit, options.probes, options.rounds, measure, repository)
    print(f"Base {commit[:12]}, working tree {runner.git_revision()}, rounds: {options.rounds}\n")
    print(render(seconds, options.tolerance))
    return int(any(is_slower(times, options.tolerance) for times in seconds.values()))


def write_problems(path):
    """Make the problems once, so that both sides get the same rows; ids suffice, as all values are 1."""
    arrays = {}
    for name, (n_rows, n_columns) in PROBLEMS.items():
        X, y = synthetic.make_power_law_rows(n_rows, n_columns)
        arrays |= {f"{name}.ids": X.indices.reshape(n_rows, -1), f"{name}.y": y, f"{name}.columns": n_columns}
    np.savez(path, **arrays)


def compare(commit, probes, rounds, measure, repository):
    """Measure a commit and the working tree in turn.

    Parameters
    ----------
    commit : str
    probes : sequence of str
    rounds : int
    measure : function of names of probes and the path of a checkout
        Returns the seconds of each, a dict.
    repository : pathlib.Path
        Its working tree is the one measured.

    Returns
    -------
    dict of str to dict
        For each probe the seconds of the rounds, ``base`` and ``work``.
    """
    seconds = {probe: {side: [] for side in SIDES} for probe in probes}
    with worktree(commit, repository) as checkout:
        checkouts = {"base": checkout, "work": repository}
        for folder in checkouts.values():
            # A new checkout has no bytecode yet, and its first process would spend time on that.
            compileall.compile_dir(folder / "skfm", quiet=2)
        for i in range(rounds):
            for together in PROCESSES:
                chosen = [probe for probe in together if probe in probes]
                if not chosen:
                    continue
                for side in SIDES if i % 2 == 0 else reversed(SIDES):
                    for probe, value in measure(chosen, checkouts[side]).items():
                        seconds[probe][side].append(value)
                for probe in chosen:
                    base, work = (seconds[probe][side][-1] for side in SIDES)
                    report.log(f"round {i + 1}, {probe}: base {base:.4g} s, working tree {work:.4g} s")
    return seconds


def measure_probes(probes, checkout, data):
    """Seconds of each probe in one fresh process that imports the checkout's skfm.

    Parameters
    ----------
    probes : sequence of str
    checkout : pathlib.Path
    data : pathlib.Path
        Written by `write_problems`.
    """
    # PYTHONPATH goes before an editable install, and the current folder before both.
    paths = [str(checkout), *filter(None, [os.environ.get("PYTHONPATH")])]
    # A cache of compiled programs on disk would spare the later rounds what the first one pays.
    no_cache = {"JAX_ENABLE_COMPILATION_CACHE": "false", "SKFM_CACHE": "0"}
    environment = os.environ | no_cache | {"PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-c", SCRIPT, str(data), str(checkout), *probes]
    answer = subprocess.run(
        command, cwd=checkout, env=environment, capture_output=True, text=True, check=False
    )
    if answer.returncode:
        reason = (answer.stderr.strip().splitlines() or [f"exit status {answer.returncode}"])[-1]
        side = "working tree" if checkout == runner.REPOSITORY else "base"
        raise CompareError(f"{', '.join(probes)} failed in the {side}: {reason}")
    return json.loads(answer.stdout.splitlines()[-1])


def git(*arguments, repository):
    """Standard output of a git command."""
    try:
        answer = subprocess.run(
            ["git", *arguments], cwd=repository, capture_output=True, text=True, check=True
        )
    except OSError as error:
        raise CompareError(f"git cannot be run: {error}") from error
    except subprocess.CalledProcessError as error:
        message = error.stderr.strip().splitlines() or [f"exit status {error.returncode}"]
        raise CompareError(f"git {arguments[0]} failed: {message[-1]}") from error
    return answer.stdout.strip()


def find_commit(revision, repository):
    """Full name of the commit that a revision means."""
    try:
        return git(
            "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}", repository=repository
        )
    except CompareError as error:
        raise CompareError(f"{revision} is no revision of this repository ({error})") from error


@contextmanager
def worktree(commit, repository):
    """Path of a checkout of a commit, in a temporary folder; removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        checkout = Path(folder) / "base"
        try:
            git("worktree", "add", "--detach", str(checkout), commit, repository=repository)
            yield checkout
        finally:
            if checkout.exists():
                git("worktree", "remove", "--force", str(checkout), repository=repository)


def ratios_of(times):
    """Seconds of the working tree over those of the base, round by round."""
    return [work / base for base, work in zip(times["base"], times["work"], strict=True)]


def is_slower(times, tolerance):
    """Whether the median ratio exceeds the tolerance and no round says otherwise.

    Parameters
    ----------
    times : dict
        A value of what `compare` returns.
    tolerance : float
    """
    ratios = ratios_of(times)
    return bool(np.median(ratios) > 1 + tolerance) and min(ratios) > 1


def render(seconds, tolerance):
    """One row a probe: medians over the rounds, and the ratios' median and range."""
    rows = []
    for probe, times in seconds.items():
        ratios = ratios_of(times)
        rows.append(
            [
                probe,
                PROBES[probe],
                *(float(np.median(times[side])) * 1e3 for side in SIDES),
                float(np.median(ratios)),
                f"{min(ratios):.2f} to {max(ratios):.2f}",
                "SLOWER" if is_slower(times, tolerance) else "",
            ]
        )
    header = ["probe", "time of", "base (ms)", "work (ms)", "work / base", "over the rounds", "flag"]
    return report.format_table(header, rows)
