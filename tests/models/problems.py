"""Every model in several settings, its oracle, and random parameters."""

from itertools import product

import numpy as np

from skfm.data.fields import Fields
from skfm.layers.mlp import MLP
from skfm.models.deepfm import DeepFM
from skfm.models.ffm import FFM
from skfm.models.fm import FM
from skfm.models.fwfm import FwFM
from skfm.models.linear import Linear
from skfm.models.mixture import PARTS, MixtureFM
from tests import reference, reference_fields
from tests.cases import FIELDS, random_dense, random_tables, sparse_rows

GIVEN = Fields(FIELDS, 3)
HIDDEN = (5, 3)
LAYERS, TANH, NORMED, NONE = MLP(HIDDEN), MLP(HIDDEN, "tanh"), MLP(HIDDEN, "tanh", True), MLP(())
MODELS = {
    "linear": Linear(),
    "linear, 3 outputs, no intercept": Linear(3, False),
    "fm": FM(n_factors=3),
    "fm, 3 outputs": FM(3, n_factors=2),
    "fm, no linear term, no intercept": FM(1, False, n_factors=2, fit_linear=False),
    "fm, degree 3": FM(1, n_factors=2, degree=3),
    "fm, degree 4, 2 outputs, no linear term": FM(2, False, n_factors=2, fit_linear=False, degree=4),
    "deepfm": DeepFM(1, True, 3, 2, LAYERS),
    "deepfm, 3 outputs, no intercept": DeepFM(3, False, 3, 2, LAYERS),
    "deepfm, one field": DeepFM(1, True, 1, 2, LAYERS),
    "deepfm, no hidden layer": DeepFM(2, True, 3, 2, NONE),
    "deepfm, batch norm": DeepFM(2, True, 3, 2, NORMED),
    "fwfm": FwFM(1, True, 3, 2),
    "fwfm, 3 outputs, no intercept": FwFM(3, False, 3, 2),
    "fwfm, one field": FwFM(2, True, 1, 2),
    "ffm": FFM(1, True, 3, 2),
    "ffm, 3 outputs, no intercept": FFM(3, False, 3, 2),
    "ffm, one field": FFM(2, True, 1, 2),
}
MODELS |= {
    f"mixture, {gate} gate, {expert} experts": MixtureFM(2, True, 1, 3, 2, gate, expert, link=link)
    for (gate, expert), link in zip(product(PARTS, PARTS), 5 * [None, "logit"], strict=False)
}
LINKS = {
    "score": (None, 2),
    "logit": ("logit", 2),
    "softmax": ("softmax", 3),
    "log": ("log", 2),
    "identity": ("identity", 1),
}
MODELS |= {
    f"mixture, {name}": MixtureFM(n_outputs, True, 1, 3, 2, "linear+fm", "linear+fm", link=link)
    for name, (link, n_outputs) in LINKS.items()
}
MODELS["mixture, no intercept"] = MixtureFM(2, False, 1, 3, 2, link="logit")


def expected_raw(model, tables, dense, averages, X):
    """The oracle of a model's raw predictions."""
    if isinstance(model, Linear):
        return reference.linear(X, tables, dense)
    if isinstance(model, FM):
        return reference.fm(X, tables, dense)
    if isinstance(model, MixtureFM):
        return reference.mixture(X, tables, dense, model.n_outputs, model.link)
    fields = (FIELDS if model.n_fields > 1 else np.zeros_like(FIELDS)), model.n_fields
    if isinstance(model, FwFM):
        return reference_fields.fwfm(X, tables, dense, *fields)
    if isinstance(model, FFM):
        return reference_fields.ffm(X, tables, dense, fields[0])
    layers = len(model.network.sizes), model.network.activation
    return reference.deepfm(X, tables, dense, *fields, *layers, averages=averages)


def problem(model, seed=0):
    rng = np.random.default_rng(seed)
    X = sparse_rows(rng)
    tables = random_tables(model, X.shape[1], rng)
    dense, averages = random_dense(model, rng)
    return X, tables, dense, averages
