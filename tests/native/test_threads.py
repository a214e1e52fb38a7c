"""The same bits for any number of threads, and in whatever thread or process a fit runs."""

import json
import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skfm import FMClassifier, NFMClassifier
from skfm.layers import native

pytestmark = pytest.mark.skipif(not native.available(), reason="native code is not built here")

REPOSITORY = Path(__file__).resolve().parents[2]


def fit(number=0, n_jobs=None):
    """Predictions of models whose batches are large enough for several threads."""
    rng = np.random.default_rng(number)
    X = rng.integers(0, 4, (600, 20)).astype(float)
    y = X[:, 0] * X[:, 1] > 3
    settings = {"solver": "adagrad", "batch_size": 512, "max_iter": 3, "random_state": 0, "n_jobs": n_jobs}
    pooled = FMClassifier(n_factors=8, **settings).fit(X, y)
    gathered = NFMClassifier(n_factors=4, hidden_layer_sizes=(4,), **settings).fit(X, y)
    return np.stack([model.predict_proba(X[:50])[:, 1] for model in (pooled, gathered)])


def run(code, **variables):
    """What a process of its own prints as JSON; warnings are errors there."""
    command = [sys.executable, "-W", "error", "-c", code]
    settings = os.environ | {"PYTHONPATH": str(REPOSITORY)} | variables
    answer = subprocess.run(command, env=settings, capture_output=True, text=True, check=False, timeout=300)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout.splitlines()[-1])


def test_any_number_of_threads():
    """XLA takes the number of its threads from NPROC."""
    code = (
        "import json, jax; from tests.native import test_threads as t\n"
        "print(json.dumps([t.fit().tolist(), t.native.describe()]))"
    )
    found = [run(code, NPROC=str(n)) for n in (1, 2, 4)]
    assert found[0][1] == native.describe()
    # The network of the second is XLA's, whose products of matrices depend on the number.
    assert found[0][0][0] == found[1][0][0] == found[2][0][0]
    for (_, gathered), _ in found[1:]:
        assert_allclose(gathered, found[0][0][1], rtol=1e-5)


def test_some_cores():
    expected = fit()
    for n_jobs in (1, 2):
        assert_array_equal(fit(n_jobs=n_jobs), expected)


def test_fits_in_several_threads_at_once():
    expected = [fit(number) for number in range(3)]
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(fit, range(3)))
    assert_array_equal(found, expected)


def test_workers_of_joblib():
    expected = [fit(number) for number in range(2)]
    for backend in ("loky", "threading"):
        found = joblib.Parallel(2, backend=backend)(joblib.delayed(fit)(number) for number in range(2))
        assert_array_equal(found, expected)


@pytest.mark.skipif(
    "libtsan" in os.environ.get("LD_PRELOAD", ""), reason="the sanitizer ends a child that starts threads"
)
@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs a fork")
def test_a_fork_before_jax_starts():
    """After it, JAX itself may hang in a child."""
    code = """
import json, multiprocessing
import numpy as np, skfm
from skfm.native import Touching, touching

def work(with_fit):
    ids = np.array([[0, 1], [1, 2]], np.int32)
    touched, starts, order = (np.zeros(n, np.int32) for n in (3, 4, 4))
    out = Touching(touched, np.zeros((2, 2), np.int32), np.zeros(3), starts, order)
    touching(ids, np.ones(2), 2, np.zeros(3, np.int32), out)
    found = out.touched.tolist()
    model = skfm.FMClassifier(solver="adagrad", early_stopping=False, max_iter=9, random_state=0)
    return [found, model.fit(np.eye(4), [0, 0, 1, 1]).predict(np.eye(4)).tolist()] if with_fit else [found]

parent = work(False)
with multiprocessing.get_context("fork").Pool(1) as pool:
    print(json.dumps(parent + pool.map(work, [True])[0]))
"""
    assert run(code) == [[0, 1, 2], [0, 1, 2], [0, 0, 1, 1]]
