"""Cores that a fit computes on: as many as asked for, the same bits, and nothing changed for others."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
from jax import monitoring
from threadpoolctl import threadpool_info

import skfm
from skfm.runtime import blas_threads, n_cores, some_cores
from tests.estimators.problems import make

X = np.random.default_rng(0).integers(1, 4, size=(200, 5)).astype(float)
Y = X[:, 0] * X[:, 1] > 4
linux = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads are bound on Linux")
several_cores = pytest.mark.skipif(joblib.cpu_count() < 2, reason="needs two cores")


def affinities():
    """Cores of each thread of this process."""
    found = {}
    for task in os.listdir("/proc/self/task"):
        found[int(task)] = len(os.sched_getaffinity(int(task)))
    return found


def test_n_jobs_means_what_it_means_to_joblib():
    every = joblib.cpu_count()
    assert [n_cores(n) for n in (1, 7, -1, -every - 5)] == [1, 7, None, 1]
    assert n_cores(-2) == max(every - 1, 1)
    assert n_cores(None) is None
    with joblib.parallel_config(n_jobs=3):
        assert n_cores(None) == 3
        assert n_cores(1) == 1
    assert n_cores(None) is None


@pytest.mark.parametrize(
    "name", [name for name in skfm.__all__ if name.endswith(("Classifier", "Regressor"))]
)
def test_every_estimator_has_it(name):
    assert getattr(skfm, name)().n_jobs is None
    for wrong in (0, 1.5, "all", [2], np.nan):
        with pytest.raises(ValueError, match="'n_jobs' parameter"):
            getattr(skfm, name)(n_jobs=wrong).fit(X, Y)


@pytest.mark.parametrize("wrong", [0, 1.5, "all"])
def test_numbers_of_cores_are_checked_in_prediction(wrong):
    model = make("FMClassifier", max_iter=100).fit(X, Y).set_params(n_jobs=wrong)
    with pytest.raises(ValueError, match=r"n_jobs must be None or an int other than 0"):
        model.predict(X)


@linux
@several_cores
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("FMClassifier", {"solver": "lbfgs", "max_iter": 300}),
        ("DeepFMClassifier", {"solver": "adagrad", "batch_size": 64, "max_iter": 2}),
    ],
)
def test_one_core_gives_the_same_bits_and_one_more_program(name, settings):
    compiled = []
    monitoring.register_event_duration_secs_listener(
        lambda event, _, **__: compiled.append(event) if event.endswith("backend_compile_duration") else None
    )
    found, counts = [], []
    for n_jobs in (None, 1, None, 1, -1):
        model = make(name, n_jobs=n_jobs, **settings).fit(X, Y)
        found.append(model.predict_proba(X[:50]))
        counts.append(len(compiled))
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])
    assert counts[1] == counts[-1]


@linux
@several_cores
def test_threads_of_xla_are_bound_together_and_no_others():
    with some_cores.use(1):
        pass
    ours, before = set(some_cores._threads), affinities()
    inside = threading.Barrier(3)

    def fit():
        with some_cores.use(1), some_cores.use(1):
            inside.wait()
            inside.wait()

    with some_cores.use(1):
        assert some_cores.device is not None
        assert {affinities()[thread] for thread in ours} == {1}
        # Of two fits at a time each has a core.
        with ThreadPoolExecutor(2) as pool:
            tasks = [pool.submit(fit) for _ in range(2)]
            inside.wait()
            assert {affinities()[thread] for thread in ours} == {min(3, joblib.cpu_count())}
            inside.wait()
        assert [task.result() for task in tasks] == [None, None]
        assert {affinities()[thread] for thread in ours} == {1}
    assert some_cores.device is None
    after = affinities()
    assert all(after[thread] == before[thread] for thread in set(before) & set(after) - ours)


def test_parameters_move_between_devices():
    model = make("FMClassifier", solver="adagrad").fit(X, Y)
    expected = model.predict_proba(X)
    for n_jobs in (1, None, 1):
        np.testing.assert_array_equal(model.set_params(n_jobs=n_jobs).predict_proba(X), expected)


def test_blas_has_its_threads_again_whoever_goes_first():
    def threads():
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    before, first_in, first_out = threads(), threading.Event(), threading.Event()

    def first():
        with blas_threads.one():
            first_in.set()
            first_out.wait()

    worker = threading.Thread(target=first)
    worker.start()
    first_in.wait()
    with blas_threads.one():
        first_out.set()
        worker.join()
        assert set(threads()) <= {1}
    assert threads() == before
