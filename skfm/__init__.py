"""skfm: the factorization-machine family as scikit-learn estimators, computed by JAX.

JAX is loaded at the first fit or predict, not at import.
"""

from skfm.data.encode import FieldEncoder
from skfm.estimators.deepfm import DeepFMClassifier, DeepFMRegressor
from skfm.estimators.ffm import FFMClassifier, FFMRegressor
from skfm.estimators.fm import FMClassifier, FMRegressor
from skfm.estimators.fwfm import FwFMClassifier, FwFMRegressor
from skfm.estimators.linear import LinearClassifier, LinearRegressor
from skfm.estimators.mixture import MixtureFMClassifier, MixtureFMRegressor
from skfm.runtime import enable_compile_cache

__version__ = "0.1.0"

__all__ = [
    "DeepFMClassifier",
    "DeepFMRegressor",
    "FFMClassifier",
    "FFMRegressor",
    "FMClassifier",
    "FMRegressor",
    "FieldEncoder",
    "FwFMClassifier",
    "FwFMRegressor",
    "LinearClassifier",
    "LinearRegressor",
    "MixtureFMClassifier",
    "MixtureFMRegressor",
    "enable_compile_cache",
]
