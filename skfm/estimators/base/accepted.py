"""What parameters accept, by name: constraints as in scikit-learn's `_parameter_constraints`."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
from sklearn.metrics import get_scorer_names
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions

from skfm.names import ELEMENT_WISE_SOLVERS, SOLVERS
from skfm.train.method import is_method


class _TrainingMethod(HasMethods):
    """See `skfm.train.method.Method`."""

    def __init__(self):
        super().__init__("fit")

    def is_satisfied_by(self, val):
        return super().is_satisfied_by(val) and is_method(val)

    def __str__(self):
        return "a training method, which has `abilities` and 'fit'"


class _WholeNumbers(Interval):
    """Whole numbers between two, these included; True and False are none."""

    def __init__(self, least: int | None, most: int | None, reason: str = ""):
        closed = "both" if None not in (least, most) else "right" if least is None else "left"
        super().__init__(Integral, least, most, closed=closed)
        self.reason = reason

    def is_satisfied_by(self, val):
        return not isinstance(val, bool) and super().is_satisfied_by(val)

    def __str__(self):
        return f"{super().__str__()}{self.reason}"


class _Names(StrOptions):
    """Names that a message lists in order, the same in every process."""

    def __str__(self):
        return f"a str among {{{', '.join(map(repr, sorted(self.options)))}}}"


COUNT = _WholeNumbers(1, None)
CORES = _WholeNumbers(1, None)
CORES_LEFT_OUT = _WholeNumbers(None, -1)
COUNT_OR_ZERO = _WholeNumbers(0, None)
# First factors are near 0.01, and products of 20 of them are below the range of float32.
DEGREE = _WholeNumbers(2, 20, " (products of more columns are too small to learn)")
POSITIVE = Interval(Real, 0, None, closed="neither")
NOT_NEGATIVE = Interval(Real, 0, None, closed="left")
BETWEEN_0_AND_1 = Interval(Real, 0, 1, closed="neither")
FROM_0_BELOW_1 = Interval(Real, 0, 1, closed="left")
FROM_0_TO_1 = Interval(Real, 0, 1, closed="both")

SOLVER = _Names({"auto", *SOLVERS})
ELEMENT_WISE_SOLVER = _Names({"auto", *ELEMENT_WISE_SOLVERS})
GRADIENT_TRANSFORMATION = HasMethods(["init", "update"])
TRAINING_METHOD = _TrainingMethod()
SCORING = _Names({"loss", *get_scorer_names()})
ESTIMATOR = HasMethods(["fit"])
FLOAT_TYPE = Options(type, {float, np.float32, np.float64})
FLOAT_DTYPE = Options(np.dtype, {np.dtype("float32"), np.dtype("float64")})
