"""skfm: the factorization-machine family as scikit-learn estimators, computed by JAX.

JAX is loaded at the first fit or predict, not at import.
"""

from skfm.data.encode import FieldEncoder
from skfm.estimators.afm import AFMClassifier, AFMRegressor
from skfm.estimators.dcn import DCNClassifier, DCNRegressor
from skfm.estimators.deep_crossing import DeepCrossingClassifier, DeepCrossingRegressor
from skfm.estimators.deepfm import DeepFMClassifier, DeepFMRegressor
from skfm.estimators.din import DINClassifier, DINRegressor
from skfm.estimators.esmm import ESMMClassifier
from skfm.estimators.ffm import FFMClassifier, FFMRegressor
from skfm.estimators.final_mlp import FinalMLPClassifier, FinalMLPRegressor
from skfm.estimators.fm import FMClassifier, FMRegressor
from skfm.estimators.fnn import FNNClassifier, FNNRegressor
from skfm.estimators.fwfm import FwFMClassifier, FwFMRegressor
from skfm.estimators.linear import LinearClassifier, LinearRegressor
from skfm.estimators.mixture import MixtureFMClassifier, MixtureFMRegressor
from skfm.estimators.nfm import NFMClassifier, NFMRegressor
from skfm.estimators.pnn import PNNClassifier, PNNRegressor
from skfm.estimators.wide_deep import WideDeepClassifier, WideDeepRegressor
from skfm.estimators.xdeepfm import XDeepFMClassifier, XDeepFMRegressor
from skfm.runtime import enable_compile_cache
from skfm.versions import show_versions

__version__ = "0.1.0"

__all__ = [
    "AFMClassifier",
    "AFMRegressor",
    "DCNClassifier",
    "DCNRegressor",
    "DINClassifier",
    "DINRegressor",
    "DeepCrossingClassifier",
    "DeepCrossingRegressor",
    "DeepFMClassifier",
    "DeepFMRegressor",
    "ESMMClassifier",
    "FFMClassifier",
    "FFMRegressor",
    "FMClassifier",
    "FMRegressor",
    "FNNClassifier",
    "FNNRegressor",
    "FieldEncoder",
    "FinalMLPClassifier",
    "FinalMLPRegressor",
    "FwFMClassifier",
    "FwFMRegressor",
    "LinearClassifier",
    "LinearRegressor",
    "MixtureFMClassifier",
    "MixtureFMRegressor",
    "NFMClassifier",
    "NFMRegressor",
    "PNNClassifier",
    "PNNRegressor",
    "WideDeepClassifier",
    "WideDeepRegressor",
    "XDeepFMClassifier",
    "XDeepFMRegressor",
    "enable_compile_cache",
    "show_versions",
]
