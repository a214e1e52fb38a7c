"""Parameters that classes declare become `__init__`, constraints and docstring."""

import copy
import inspect
import pickle
import re

import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.utils._param_validation import InvalidParameterError

import skfm
from skfm.estimators.base.declare import Parameters, estimator, parameter


class Shared(Parameters):
    size: int = parameter(3, "int", "Size\nof it.", int)
    name: str = parameter("x", "str", "Name.", str)


class Own(Shared):
    first: int = parameter(1, "int", "First.", int, kw_only=False)
    name: str = parameter("y", "str", "Another name.", str, None)


@estimator
class Toy(Own, BaseEstimator):
    """A toy.

    {parameters}

    Attributes
    ----------
    {attributes}
    """


def test_own_parameters_come_first_and_replace_those_of_bases():
    assert str(inspect.signature(Toy)) == "(first=1, *, name='y', size=3)"
    assert Toy._parameter_constraints == {"first": [int], "name": [str, None], "size": [int]}
    assert Toy(2).get_params() == {"first": 2, "name": "y", "size": 3}
    with pytest.raises(TypeError):
        Toy(2, 3)
    with pytest.raises(TypeError, match="sizes"):
        Toy(sizes=1)


def test_the_docstring_says_what_placeholders_stand_for():
    doc = inspect.cleandoc(Toy.__doc__)
    assert doc.startswith(
        "A toy.\n\nParameters\n----------\nfirst : int, default=1\n    First.\n"
        'name : str, default="y"\n    Another name.\nsize : int, default=3\n    Size\n    of it.\n\n'
    )
    assert "n_features_in_ : int\n" in doc
    for name in skfm.__all__:
        assert not re.search(r"^\s*\{\w+\}$", getattr(skfm, name).__doc__, re.MULTILINE), name


def test_estimators_are_those_of_scikit_learn():
    toy = Toy(size=7)
    assert repr(toy) == "Toy(size=7)"
    assert clone(toy).size == copy.deepcopy(toy).size == pickle.loads(pickle.dumps(toy)).size == 7
    assert toy != clone(toy)
    assert len({toy, clone(toy)}) == 2
    with pytest.raises(InvalidParameterError, match="'size' parameter of Toy must be an instance of 'int'"):
        toy.set_params(size="x")._validate_params()


def test_a_class_of_a_user_may_have_its_own_parameters():
    class Mine(skfm.FMClassifier):
        def __init__(self, n_factors=4, extra=1):
            super().__init__(n_factors, max_iter=3)
            self.extra = extra

    assert Mine().get_params() == {"n_factors": 4, "extra": 1}
    assert Mine().max_iter == 3
