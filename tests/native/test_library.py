"""Native code is used where it can be, and where it cannot, it is said why and everything works."""

import _ctypes
import os
from pathlib import Path

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import skfm
from skfm import native
from skfm.layers import native as calls
from tests.native.test_threads import run
from tools import build_native

BUILT = Path(native.__file__).with_name(native.NAME)
built = pytest.mark.skipif(not BUILT.exists(), reason="native code is not built here")
X = np.random.default_rng(0).integers(0, 3, (60, 4)).astype(float)
Y = X[:, 0] == X[:, 1]
# A process of its own, with `{before}` before anything is fitted.
FIT = """
import json
import numpy as np
import skfm, skfm.native
{before}
from tests.native import test_library as t
print(json.dumps([t.calls.describe(), t.fit().tolist()]))
"""


def fit():
    """Predictions of a fit that may use native code."""
    model = skfm.FMClassifier(n_factors=3, solver="adagrad", max_iter=5, early_stopping=False, random_state=0)
    return model.fit(X, Y).predict_proba(X[:9])[:, 1]


@pytest.mark.skipif(not build_native.compiler(), reason="there is no C++ compiler")
@pytest.mark.skipif(os.environ.get("SKFM_NATIVE") == "0", reason="native code is off")
@pytest.mark.skipif(
    not (build_native.PACKAGE / "src").samefile(native.sources.FOLDER), reason="not these sources"
)
def test_it_is_built_where_there_is_a_compiler():
    assert native.library() is not None, native.loaded().what


def test_no_library(tmp_path, monkeypatch):
    monkeypatch.delenv("SKFM_NATIVE", raising=False)
    (tmp_path / "text").write_text("not a library")
    for name, why in (("nothing", "not built"), ("text", "does not load")):
        found = native.load(tmp_path / name)
        assert found.library is None
        assert found.what.startswith(why)


def test_a_library_of_other_sources_is_not_used(monkeypatch):
    monkeypatch.delenv("SKFM_NATIVE", raising=False)
    # One that does not tell its sources.
    assert native.load(Path(_ctypes.__file__)).what.startswith("built from other sources")
    if BUILT.exists():
        monkeypatch.setattr(native, "fingerprint", lambda: "others")
        assert native.load(BUILT).what.startswith("built from other sources")
        assert native.load(BUILT).library is None


def test_each_file_of_the_sources_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(native.sources, "FOLDER", tmp_path)
    found = {native.sources.fingerprint()}
    for name, text in (("a.cc", ""), ("a.cc", "1"), ("b.h", ""), ("b.h", "2")):
        (tmp_path / name).write_text(text)
        found.add(native.sources.fingerprint())
    assert len(found) == 5
    (tmp_path / "note.txt").write_text("")
    assert native.sources.fingerprint() in found


@built
@pytest.mark.parametrize(
    ("variable", "before", "what"),
    [
        ("0", "", "off by SKFM_NATIVE=0"),
        ("plain", "", ("plain", "neon")),
        ("avx2", "", ("avx2", "plain", "neon")),  # where the machine has it
        ("1", "skfm.native.fingerprint = lambda: 'others'", "built from other sources"),
    ],
)
def test_everything_works_without_it_or_with_less(variable, before, what):
    found, predictions = run(FIT.format(before=before), SKFM_NATIVE=variable)
    assert found.startswith(what)
    assert_allclose(predictions, fit(), rtol=1e-5)


@built
def test_jax_refuses_it(monkeypatch):
    def refuse(*_, **__):
        raise jax.errors.JaxRuntimeError("another interface")

    monkeypatch.setattr(jax.ffi, "register_ffi_target", refuse)
    calls._refused.cache_clear()
    try:
        assert not calls.available()
        assert "another interface" in calls.describe() or native.library() is None
    finally:
        calls._refused.cache_clear()


def test_versions_have_a_line_on_it(capsys):
    skfm.show_versions()
    lines = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert lines["native code"] == calls.describe()
    assert lines["jax"] == jax.__version__


def test_memory_in_large_pages_keeps_its_contents():
    values = np.arange(3 << 20, dtype=np.int32)
    native.to_large_pages(values.ctypes.data + 4, values.nbytes - 8)
    assert_array_equal(values, np.arange(3 << 20))
