"""Programs that an earlier process has compiled: the same bits, without tracing, whatever is kept."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from skfm.train import programs, store

REPOSITORY = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(not programs.CAN_BE_KEPT, reason="this JAX cannot keep them quietly")

# Fits by L-BFGS, by a solver of users and by the given one, in float32 and float64, and on few cores.
FIT = """
import hashlib, json, warnings
import numpy as np
import optax
import jax
import skfm
from skfm.train import lbfgs, step

warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
X, y = rng.integers(3, size=(60, 4)).astype(float), rng.integers(2, size=60)
settings = dict(max_iter=2, random_state=0)
found = {}
for name, model in {
    "adagrad": skfm.FMClassifier(solver="adagrad", **settings),
    "lbfgs": skfm.FMClassifier(solver="lbfgs", **settings),
    "float64": skfm.FMRegressor(solver="adam", dtype=np.float64, **settings),
    "held out": skfm.DeepFMClassifier(
        solver="adam", early_stopping=True, hidden_layer_sizes=(3,), dropout=0.5, **settings
    ),
    "one core": skfm.FMClassifier(solver="adagrad", n_jobs=1, **settings),
}.items():
    model.fit(X, y)
    raw = model.predict(np.concatenate([X] * 20)), model.predict(X[:1]), model.coef_, model.intercept_
    found[name] = hashlib.sha256(b"".join(np.asarray(each).tobytes() for each in raw)).hexdigest()
found["traces"] = lbfgs.n_traces + step.n_traces
before = step.n_traces
skfm.FMClassifier(solver=optax.adam(0.1), **settings).fit(X, y)
found["traces of what a user gave"] = step.n_traces - before
found["settings"] = [jax.config.jax_compilation_cache_dir, jax.config.jax_enable_x64]
print(json.dumps(found))
"""


def start(folder, **variables):
    """A new process; what it printed, and nothing on stderr."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    # Programs are as users have them.
    environment = {
        **kept,
        "PYTHONPATH": str(REPOSITORY),
        "SKFM_CACHE": str(folder),
        "XLA_FLAGS": "",
        **variables,
    }
    done = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", FIT],
        env=environment, capture_output=True, text=True, cwd=REPOSITORY,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A folder that a process has filled, and what that found."""
    folder = tmp_path_factory.mktemp("cache")
    return folder, start(folder)


def test_the_next_process_finds_the_same_bits_without_tracing(filled):
    folder, cold = filled
    names = set(os.listdir(folder / "programs"))
    warm = start(folder)
    off = start("0")
    # Where few cores have a pool of their own, its program is that of all cores.
    assert off["traces"] >= cold["traces"] > 0
    assert warm["traces"] == 0
    # Its function has no name.
    assert warm["traces of what a user gave"] == 1
    assert {**warm, "traces": 0} == {**cold, "traces": 0} == {**off, "traces": 0}
    assert warm["settings"] == [None, False]
    assert set(os.listdir(folder / "programs")) == names


def test_payloads_that_are_no_programs_are_replaced(filled, monkeypatch):
    folder, cold = filled
    monkeypatch.setenv("SKFM_CACHE", str(folder))
    for number, name in enumerate(sorted(os.listdir(store.folder()))):
        whole = store.load(name)
        store.save(name, [b"no pickle", whole[: len(whole) // 2], whole[:-9]][number % 3])
    assert {**start(folder), "traces": 0} == {**cold, "traces": 0}
    assert start(folder)["traces"] == 0


def test_jax_keeps_programs_itself_where_its_own_cache_is_on(tmp_path):
    own = {
        # What JAX keeps may be compiled as quickly as elsewhere in the tests.
        "XLA_FLAGS": os.environ.get("XLA_FLAGS", ""),
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    found = [start(tmp_path / "skfm", **own) for _ in range(2)]
    assert found[0] == found[1]
    assert os.listdir(tmp_path / "jax")
    assert not (tmp_path / "skfm").exists() or not os.listdir(tmp_path / "skfm" / "programs")
