"""Values that the parameters may have; each estimator checks those that it has."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
from sklearn.metrics import get_scorer_names
from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions

from skfm.data.encode import FieldEncoder

_POSITIVE = Interval(Real, 0, None, closed="neither")
_NOT_NEGATIVE = Interval(Real, 0, None, closed="left")

PARAMETERS = {
    "fields": [StrOptions({"auto"}), "array-like", None],
    "encoder": [StrOptions({"auto"}), FieldEncoder, None],
    "solver": [
        StrOptions({"auto", "adagrad", "adam", "ftrl", "sgd", "lbfgs"}),
        HasMethods(["init", "update"]),
    ],
    "learning_rate": [StrOptions({"auto"}), _POSITIVE],
    "learning_rate_schedule": [StrOptions({"constant", "plateau", "cosine"}), callable],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
    "fit_intercept": ["boolean"],
    "l1_linear": [_NOT_NEGATIVE],
    "l2_linear": [StrOptions({"auto"}), _NOT_NEGATIVE],
    "l2_factors": [StrOptions({"auto"}), _NOT_NEGATIVE],
    "l2_frequency_power": [Interval(Real, 0, 1, closed="both")],
    "l2_dense": [StrOptions({"auto"}), _NOT_NEGATIVE],
    "init_scale": [_NOT_NEGATIVE],
    "n_factors": [Interval(Integral, 0, None, closed="left")],
    "early_stopping": [StrOptions({"auto"}), "boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "tol": [_NOT_NEGATIVE],
    "scoring": [StrOptions({"loss"} | set(get_scorer_names())), callable],
    "warm_start": ["boolean"],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
    "dtype": [
        StrOptions({"auto", "float32", "float64"}),
        Options(type, {float, np.float32, np.float64}),
        Options(np.dtype, {np.dtype("float32"), np.dtype("float64")}),
    ],
    "init_from": [HasMethods(["fit"]), None],
}
