"""Memory that a process may take, that of the machine or of its control groups; and the cores of a thread."""

import threading
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from skfm import DeepFMClassifier, FieldEncoder, FMClassifier, FMRegressor
from skfm.runtime import check_fits, in_threads, physical_memory, some_cores


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """Writes control groups: the line of the process's own, and limits by their path."""

    def write(own, limits):
        listed = tmp_path / "own"
        listed.write_text(own)
        for path, limit in limits.items():
            file = tmp_path / "groups" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{limit}\n")
        monkeypatch.setattr("skfm.runtime._OWN_GROUPS", listed)
        monkeypatch.setattr("skfm.runtime._GROUPS", tmp_path / "groups")

    return write


@pytest.mark.parametrize(
    ("own", "limits"),
    [
        ("0::/\n", {"memory.max": 10**6}),
        ("0::/pod/one\n", {"pod/one/memory.max": 10**6, "memory.max": "max"}),
        ("0::/pod/one\n", {"pod/one/memory.max": "max", "pod/memory.max": 10**6}),
        # The path is that of the host, and the container sees its own group alone.
        ("0::/docker/1f\n", {"memory.max": 10**6}),
        ("5:memory:/docker/1f\n4:cpu,cpuacct:/\n", {"memory/memory.limit_in_bytes": 10**6}),
        ("5:memory:/a/b\n0::/x\n", {"memory/a/memory.limit_in_bytes": 10**6, "x/memory.max": 10**7}),
    ],
)
def test_the_limit_of_a_container_counts(own, limits, groups):
    groups(own, limits)
    assert physical_memory() == 10**6


@pytest.mark.parametrize(
    ("own", "limits"),
    [
        ("0::/\n", {"memory.max": "max"}),
        ("5:memory:/\n", {"memory/memory.limit_in_bytes": 2**63 - 4096}),
        ("4:cpu:/\n", {"cpu/memory.limit_in_bytes": 1}),
        ("0::/gone\n", {}),
        ("0::/\n", {"memory.max": ""}),
    ],
)
def test_without_a_limit_the_machine_counts(own, limits, groups, monkeypatch):
    groups(own, limits)
    machine = physical_memory()
    monkeypatch.setattr("skfm.runtime._OWN_GROUPS", Path("/no/such/file"))
    assert physical_memory() == machine


def test_what_does_not_fit_is_refused_in_words(groups):
    groups("0::/\n", {"memory.max": 2 * 10**9})
    check_fits(10**9, "Tables take", "Give fewer columns.")
    with pytest.raises(
        ValueError, match=r"^Tables take 3 GB at least, and .* has 2 GB. Give fewer columns.$"
    ):
        check_fits(3 * 10**9, "Tables take", "Give fewer columns.")


# -- outputs larger than memory ----------------------------------------------------------------------------

RNG = np.random.default_rng(0)
X = sparse.csr_array(np.eye(4)[RNG.integers(4, size=3000)])
LABELS = np.arange(3000) % 3


@pytest.fixture
def small(groups):
    """Memory for the weights of a model, and no more."""
    return lambda: groups("0::/\n", {"memory.max": 30_000})


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        (FMClassifier, "predict"),
        (FMClassifier, "predict_proba"),
        (FMClassifier, "decision_function"),
        (FMClassifier, "transform"),
        (DeepFMClassifier, "predict_proba"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*Increase max_iter:sklearn.exceptions.ConvergenceWarning")
def test_predictions_larger_than_memory_are_refused(kind, method, small):
    model = kind(n_factors=3, random_state=0, max_iter=2).fit(X, LABELS)
    expected = getattr(model, method)(X[:200])
    small()
    np.testing.assert_array_equal(getattr(model, method)(X[:200]), expected)
    with pytest.raises(
        ValueError, match=r"^The output for 3000 rows, \d numbers each, takes .* Give X in parts"
    ):
        getattr(model, method)(X)


@pytest.mark.filterwarnings("ignore:.*Increase max_iter:sklearn.exceptions.ConvergenceWarning")
def test_single_numbers_fit(small):
    model = FMRegressor(n_factors=3, random_state=0, max_iter=2).fit(X, LABELS)
    small()
    assert model.predict(X).shape == (3000,)


def test_a_dense_encoding_larger_than_memory_is_refused(groups):
    rows = np.array([["x"], ["y"]] * 100)
    dense, thin = (FieldEncoder(hash=10**4, sparse_output=answer).fit(rows) for answer in (False, True))
    groups("0::/\n", {"memory.max": 7 * 10**6})
    assert thin.transform(rows).nnz == 200
    with pytest.raises(
        ValueError, match=r"^200 rows of 10001 columns that are not sparse take 0.008 GB .*True"
    ):
        dense.transform(rows)


# -- threads ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_jobs", [1, 2, 3])
def test_as_many_threads_as_cores_were_asked_for(n_jobs):
    together = threading.Barrier(n_jobs, timeout=20)
    seen = set()

    def work(item):
        if item < n_jobs:
            together.wait()
        seen.add(threading.get_ident())
        return item * item

    with some_cores.use(n_jobs):
        assert some_cores.n == n_jobs
        with some_cores.use(5):
            assert some_cores.n == n_jobs
        assert in_threads(work, range(20)) == [item * item for item in range(20)]
    assert len(seen) <= n_jobs
    assert (threading.get_ident() in seen) == (n_jobs == 1)


def test_an_error_in_a_thread_is_raised():
    with some_cores.use(2), pytest.raises(ZeroDivisionError):
        in_threads(lambda item: 1 // item, [1, 0, 2])
