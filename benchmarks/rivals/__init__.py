"""Other libraries, measured through one small program each in a virtual environment of their own.

``make rivals`` sets the environment up in ``.venv-rivals``; ``SKFM_RIVALS`` may name the Python of another
one. An adapter is run as ``python -m benchmarks.rivals.NAME PROBLEM.npz OPTIONS`` and prints one line of
JSON last.
"""

import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix

REPOSITORY = Path(__file__).resolve().parents[2]


class RivalsNotFoundError(Exception):
    """There is no environment with the other libraries."""


def interpreter(name):
    """Python that runs the adapter `name`: this one for skfm, else that of the rivals' environment."""
    if name == "skfm_fm":
        return sys.executable
    path = Path(os.environ.get("SKFM_RIVALS", REPOSITORY / ".venv-rivals" / "bin" / "python"))
    if not path.exists():
        raise RivalsNotFoundError(f"{path} is not there: run `make rivals`, or name a Python in SKFM_RIVALS.")
    return str(path)


@contextmanager
def problem_file(X, y):
    """Path of a file with a sparse matrix and its targets, for `measure`; removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "problem.npz"
        np.savez(path, data=X.data, indices=X.indices, indptr=X.indptr, shape=X.shape, y=y)
        yield path


def measure(name, path, **options):
    """What the adapter `name` prints about the problem at `path`.

    Returns
    -------
    dict
        With ``version``, ``epoch_seconds`` (a list) and what else the adapter measures.
    """
    command = [interpreter(name), "-m", f"benchmarks.rivals.{name}", str(path), json.dumps(options)]
    # xlearn asks for a user's name.
    environment = dict(os.environ, USER=os.environ.get("USER", "user"))
    answer = subprocess.run(
        command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True, check=False
    )
    if answer.returncode:
        raise RuntimeError(f"{name} failed with exit status {answer.returncode}:\n{answer.stdout[-2000:]}")
    return json.loads(answer.stdout.splitlines()[-1])


def read_arguments():
    """Matrix, targets and options of an adapter's command line."""
    stored = np.load(sys.argv[1])
    X = csr_matrix((stored["data"], stored["indices"], stored["indptr"]), shape=tuple(stored["shape"]))
    return X, stored["y"], json.loads(sys.argv[2])
