"""`tools.signatures` writes declared parameters and shared texts into classes as literal code."""

import copy
import importlib
import inspect
import pickle
import re
import sys
from typing import Literal, get_type_hints

import pytest
from sklearn.base import clone
from sklearn.utils._param_validation import InvalidParameterError, StrOptions

import skfm
from tools import signatures

CLASSES = [getattr(skfm, name) for name in skfm.__all__ if name.endswith(("Classifier", "Regressor"))]
TOY = '''
"""A file of estimators as an author writes it."""

from __future__ import annotations

from typing import Literal

from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils._param_validation import StrOptions

from skfm.estimators.base.parameters import parameter

Colour = Literal["red", "blue"]


class Shared:
    size: int = parameter(
        3,
        """
        Size
        of it.
        """,
        int,
    )
    name: str = parameter("x", "Name.", str)


class _Toy(Shared):
    """What both share.

    {if classifier}
    Tells classes.
    {end if}
    {if regressor}
    Tells numbers.
    {end if}

    Attributes
    ----------
    {attributes}

    Notes
    -----
    None.
    """

    first: int = parameter(1, "First.", int, positional=True)
    colour: Colour | None = parameter("red", "Colour.", None)
    name: str = parameter("y", "Another name.", str, None)
    limits: tuple[int, int] | Literal["auto"] = parameter((0, 2**4), "Limits.", tuple, kind="pair of int")
    loud: bool = parameter(False, "Whether it is loud.")


class ToyClassifier(_Toy, ClassifierMixin, BaseEstimator):
    """A toy.

    Examples
    --------
    >>> ToyClassifier(2)
    ToyClassifier(first=2)
    """

    kept = 1

    def fit(self):
        return self


class ToyRegressor(_Toy, RegressorMixin, BaseEstimator):
    """A toy for numbers."""
'''


@pytest.fixture
def toys(tmp_path, monkeypatch):
    """A package of one stale file, with which the script works."""
    pytest.importorskip("ruff")
    folder = tmp_path / "toys"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "toy.py").write_text(TOY.lstrip())
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(signatures, "PACKAGE", "toys")
    yield folder / "toy.py"
    signatures._declared.cache_clear()
    for name in ("toys", "toys.toy"):
        sys.modules.pop(name, None)


@pytest.fixture
def toy(toys):
    """The file once it is rewritten."""
    assert signatures.main([]) == 0
    return importlib.reload(sys.modules["toys.toy"])


def test_the_files_of_the_package_are_up_to_date():
    pytest.importorskip("ruff")
    assert signatures.main(["--check"]) == 0


def test_the_check_names_a_stale_file_and_changes_nothing(toys, capsys):
    before = toys.read_text()
    assert signatures.main(["--check"]) == 1
    assert str(toys) in capsys.readouterr().out
    assert toys.read_text() == before


def test_rewriting_twice_changes_nothing(toys, toy, capsys):
    once = toys.read_text()
    assert signatures.main(["--check"]) == 0
    assert signatures.main([]) == 0
    assert toys.read_text() == once
    assert signatures._formatted(once) == once


@pytest.mark.parametrize(
    ("written", "edited"),
    [
        ("size: int = 3,", "size: int = 4,"),
        ("self.loud = loud", "self.loud = bool(loud)"),
        ('"size": [int]', '"size": [float]'),
        ("    size : int, default=3", "    size : number, default=3"),
        ("    Tells numbers.\n\n    Parameters", "    Tells figures.\n\n    Parameters"),
    ],
)
def test_what_is_edited_by_hand_is_found_and_written_anew(toys, toy, written, edited):
    once = toys.read_text()
    assert written in once
    toys.write_text(once.replace(written, edited, 1))
    importlib.reload(toy)
    assert signatures.main(["--check"]) == 1
    assert signatures.main([]) == 0
    assert toys.read_text() == once


def test_own_parameters_come_first_and_replace_those_of_bases(toy):
    signature = inspect.signature(toy.ToyClassifier, eval_str=True)
    defaults = {name: parameter.default for name, parameter in signature.parameters.items()}
    assert list(defaults.items()) == [
        ("first", 1),
        ("colour", "red"),
        ("name", "y"),
        ("limits", (0, 16)),
        ("loud", False),
        ("size", 3),
    ]
    assert toy.ToyClassifier(2).get_params() == defaults | {"first": 2}
    with pytest.raises(TypeError):
        toy.ToyClassifier(2, 3)
    with pytest.raises(TypeError, match="sizes"):
        toy.ToyClassifier(sizes=1)


def test_types_and_constraints_follow_from_annotations(toy):
    hints = get_type_hints(toy.ToyClassifier.__init__)
    assert hints["colour"] == Literal["red", "blue"] | None
    assert hints["limits"] == tuple[int, int] | Literal["auto"]
    assert hints["return"] is type(None)
    constraints = toy.ToyClassifier._parameter_constraints
    assert list(constraints) == ["first", "colour", "name", "limits", "loud", "size"]
    assert isinstance(constraints["colour"][0], StrOptions)
    assert constraints["colour"][0].options == {"red", "blue"}
    assert constraints["colour"][1:] == [None]
    assert constraints["name"] == [str, None]
    assert constraints["loud"] == ["boolean"]
    with pytest.raises(InvalidParameterError, match="'size' parameter of ToyClassifier must be an instance"):
        toy.ToyClassifier(size="x")._validate_params()


def test_the_docstring_has_own_and_shared_parts(toy):
    doc = inspect.cleandoc(toy.ToyClassifier.__doc__)
    assert doc.startswith(
        "A toy.\n\nTells classes.\n\nParameters\n----------\nfirst : int, default=1\n    First.\n"
        'colour : {"red", "blue"} or None, default="red"\n    Colour.\n'
        'name : str, default="y"\n    Another name.\n'
        "limits : pair of int, default=(0, 16)\n    Limits.\n"
        "loud : bool, default=False\n    Whether it is loud.\n"
        "size : int, default=3\n    Size\n    of it.\n\n"
        "Attributes\n----------\nn_features_in_ : int\n"
    )
    assert doc.endswith(
        "Notes\n-----\nNone.\n\nExamples\n--------\n>>> ToyClassifier(2)\nToyClassifier(first=2)"
    )
    assert toy.ToyRegressor.__doc__.startswith("A toy for numbers.\n\n    Tells numbers.\n")
    assert toy.ToyClassifier.kept == 1
    assert toy.ToyClassifier().fit().size == 3


def test_a_type_that_a_docstring_cannot_show_is_refused(toys):
    toys.write_text(toys.read_text().replace(', kind="pair of int"', ""))
    with pytest.raises(ValueError, match=r"limits: say in kind= what tuple\[int, int\] is called"):
        signatures.main([])


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_constructor_is_literal_and_typed(cls):
    assert {"__init__", "_parameter_constraints", "__doc__"} <= set(vars(cls))
    assert not re.search(r"^\s*\{[\w ]+\}$", cls.__doc__, re.MULTILINE)
    hints = get_type_hints(cls.__init__)
    source = inspect.getsource(cls.__init__)
    for name in cls().get_params():
        assert f"        self.{name} = {name}\n" in source
        assert name in hints
        assert name in cls._parameter_constraints


def test_estimators_are_those_of_scikit_learn():
    model = skfm.FMClassifier(7, l2_factors=0.5)
    assert repr(model) == "FMClassifier(l2_factors=0.5, n_factors=7)"
    for other in (clone(model), copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert other.get_params() == model.get_params()
    assert model != clone(model)
    assert len({model, clone(model)}) == 2
    with pytest.raises(InvalidParameterError, match="'l2_factors' parameter of FMClassifier must be"):
        model.set_params(l2_factors="x").fit([[0.0], [1.0]], [0, 1])


def test_a_class_of_a_user_may_have_its_own_parameters():
    class Mine(skfm.FMClassifier):
        def __init__(self, n_factors=4, extra=1):
            super().__init__(n_factors, max_iter=3)
            self.extra = extra

    assert Mine().get_params() == {"n_factors": 4, "extra": 1}
    assert Mine().max_iter == 3
