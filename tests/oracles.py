"""The oracle of each model: its raw predictions, written naively in `tests.reference` and its like.

A new model is one entry: a function ``(model, X, tables, dense, averages, fields)``.
"""

import numpy as np

from skfm.models.afm import AFM
from skfm.models.dcn import DCN
from skfm.models.deep_crossing import DeepCrossing
from skfm.models.deepfm import DeepFM
from skfm.models.din import DIN
from skfm.models.esmm import ESMM
from skfm.models.ffm import FFM
from skfm.models.final_mlp import FinalMLP
from skfm.models.fm import FM
from skfm.models.fnn import FNN
from skfm.models.fwfm import FwFM
from skfm.models.linear import Linear
from skfm.models.mixture import MixtureFM
from skfm.models.nfm import NFM
from skfm.models.pnn import PNN
from skfm.models.wide_deep import WideDeep
from skfm.models.xdeepfm import XDeepFM
from tests import reference, reference_fields
from tests.cases import FIELDS


def linear(model, X, tables, dense, averages, fields):
    return reference.linear(X, tables, dense)


def fm(model, X, tables, dense, averages, fields):
    return reference.fm(X, tables, dense)


def mixture(model, X, tables, dense, averages, fields):
    return reference.mixture(X, tables, dense, model.n_outputs, model.link)


def deepfm(model, X, tables, dense, averages, fields):
    layers = len(model.network.sizes), model.network.activation
    return reference.deepfm(X, tables, dense, fields, model.n_fields, *layers, averages=averages)


def esmm(model, X, tables, dense, averages, fields):
    """Each tower has dense weights of its own, and says one of two outputs."""
    raw = []
    for output, tower in enumerate(("click_", "conversion_")):
        leaves = {role: reference_fields.leaves_of(tower, leaves) for role, leaves in dense.items()}
        running = reference_fields.leaves_of(tower, averages)
        oracle = ORACLES[type(model.tower)]
        raw.append(oracle(model.tower, X, tables, leaves, running, fields)[:, output])
    return np.stack(raw, axis=1) + dense["offsets"].get("intercept", 0.0)


ORACLES = {
    AFM: reference_fields.afm,
    DCN: reference_fields.dcn,
    DIN: reference_fields.din,
    DeepCrossing: reference_fields.deep_crossing,
    DeepFM: deepfm,
    ESMM: esmm,
    FFM: reference_fields.ffm,
    FM: fm,
    FNN: reference_fields.fnn,
    FinalMLP: reference_fields.final_mlp,
    FwFM: reference_fields.fwfm,
    Linear: linear,
    MixtureFM: mixture,
    NFM: reference_fields.nfm,
    PNN: reference_fields.pnn,
    WideDeep: reference_fields.wide_deep,
    XDeepFM: reference_fields.xdeepfm,
}


def expected_raw(model, tables, dense, averages, X):
    """Raw predictions by the oracle, for columns of the fields of `tests.cases`."""
    fields = FIELDS if model.n_fields > 1 else np.zeros_like(FIELDS)
    return ORACLES[type(model)](model, X, tables, dense, averages, fields)
