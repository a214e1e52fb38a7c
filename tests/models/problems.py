"""Every model in several settings, its oracle, and random parameters."""

from itertools import product

import numpy as np

from skfm.data.fields import Fields
from skfm.layers.mlp import MLP
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
from skfm.models.mixture import PARTS, MixtureFM
from skfm.models.nfm import NFM
from skfm.models.pnn import PNN
from skfm.models.wide_deep import WideDeep
from skfm.models.xdeepfm import XDeepFM
from tests import reference, reference_fields
from tests.cases import FIELDS, random_dense, random_tables, sparse_rows

GIVEN = Fields(FIELDS, 3)
HIDDEN = (5, 3)
LAYERS, TANH, NORMED, NONE = MLP(HIDDEN), MLP(HIDDEN, "tanh"), MLP(HIDDEN, "tanh", True), MLP(())
PRELU, DICE = MLP(HIDDEN, "prelu"), MLP(HIDDEN, "dice")
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
    "nfm": NFM(1, True, 1, 2, TANH),
    "nfm, 3 outputs, no intercept": NFM(3, False, 1, 2, LAYERS),
    "nfm, no hidden layer": NFM(2, True, 1, 3, NONE),
    "nfm, batch norm": NFM(2, True, 1, 3, NORMED),
    "fwfm": FwFM(1, True, 3, 2),
    "fwfm, 3 outputs, no intercept": FwFM(3, False, 3, 2),
    "fwfm, one field": FwFM(2, True, 1, 2),
    "ffm": FFM(1, True, 3, 2),
    "ffm, 3 outputs, no intercept": FFM(3, False, 3, 2),
    "ffm, one field": FFM(2, True, 1, 2),
    "fnn": FNN(1, True, 3, 2, TANH),
    "fnn, 3 outputs, no intercept, batch norm": FNN(3, False, 3, 2, NORMED),
    "fnn, one field": FNN(2, True, 1, 2, TANH),
    "pnn": PNN(1, True, 3, 2, TANH),
    "pnn, outer, 3 outputs, no intercept": PNN(3, False, 3, 2, TANH, "outer"),
    "pnn, both, layer norm": PNN(2, True, 3, 2, TANH, "both", True),
    "pnn, one field": PNN(2, True, 1, 2, TANH, "both"),
    "pnn, batch norm": PNN(2, True, 3, 2, NORMED),
    "dcn": DCN(1, True, 3, 2, TANH),
    "dcn, 3 outputs, no intercept": DCN(3, False, 3, 2, TANH, 3),
    "dcn, version 1": DCN(2, True, 3, 2, TANH, 2, 1),
    "dcn, version 1, stacked": DCN(1, True, 3, 2, TANH, 2, 1, "stacked"),
    "dcn, stacked, batch norm": DCN(2, True, 3, 2, NORMED, 2, 2, "stacked"),
    "dcn, low rank": DCN(1, True, 3, 2, TANH, 2, 2, "parallel", 2),
    "dcn, experts": DCN(2, True, 3, 2, TANH, 2, 2, "parallel", 2, 3),
    "dcn, one field": DCN(1, True, 1, 3, TANH),
    "afm": AFM(1, True, 3, 2, 4),
    "afm, 3 outputs, no intercept": AFM(3, False, 3, 2, 4),
    "afm, one field": AFM(2, True, 1, 2, 4),
    "xdeepfm": XDeepFM(1, True, 3, 2, TANH, (4, 3)),
    "xdeepfm, relu, 3 outputs, no intercept": XDeepFM(3, False, 3, 2, TANH, (3, 4), "relu"),
    "xdeepfm, 3 outputs, three layers": XDeepFM(3, True, 3, 2, TANH, (4, 3, 5)),
    "xdeepfm, as many outputs as rows": XDeepFM(3, True, 3, 2, TANH, (4, 3)),
    "xdeepfm, batch norm": XDeepFM(2, True, 3, 2, NORMED, (3,)),
    "xdeepfm, one field": XDeepFM(1, True, 1, 3, TANH, (2,)),
    "xdeepfm, no interactions": XDeepFM(1, True, 3, 2, TANH, ()),
    "final mlp": FinalMLP(1, True, 3, 2, TANH, MLP((4,), "tanh")),
    "final mlp, heads, rows, 3 outputs, no intercept": FinalMLP(
        3, False, 3, 2, MLP((5, 4), "tanh"), MLP((6,), "tanh"), 2, "row"
    ),
    "final mlp, batch norm, no gate": FinalMLP(2, True, 3, 2, NORMED, NORMED, 1, None),
    "final mlp, no hidden layers": FinalMLP(2, True, 3, 2, NONE, NONE),
    "wide and deep": WideDeep(1, True, 3, 2, TANH),
    "wide and deep, 3 outputs, no intercept, batch norm": WideDeep(3, False, 3, 2, NORMED),
    "wide": WideDeep(2, True, 3, 2, TANH, "wide"),
    "deep": WideDeep(2, True, 3, 2, TANH, "deep"),
    "wide and deep, a field for the wide part": WideDeep(1, True, 3, 2, TANH, "both", 1),
    "deep crossing": DeepCrossing(1, True, 3, 2, TANH),
    "deep crossing, 3 outputs, no intercept": DeepCrossing(3, False, 3, 2, LAYERS),
    "deep crossing, batch norm": DeepCrossing(2, True, 3, 2, NORMED),
    "din, no history": DIN(1, True, 3, 2, PRELU),
    "din": DIN(1, True, 3, 2, PRELU, ((0, 1),), MLP((4,), "prelu")),
    "din, two histories, 3 outputs, no intercept": DIN(
        3, False, 3, 2, TANH, ((1, 0), (2, 0)), MLP((4, 2), "tanh")
    ),
    "din, softmax": DIN(2, True, 3, 2, TANH, ((1, 2),), MLP((4,), "tanh"), True),
    "din, dice": DIN(1, True, 3, 2, DICE, ((0, 2),), MLP((4,), "dice")),
    "din, dice, batch norm": DIN(1, True, 3, 2, MLP(HIDDEN, "dice", True), ((0, 2),), MLP((), "dice")),
    "esmm": ESMM(2, True, 3, DeepFM(2, False, 3, 2, TANH)),
    "esmm, no intercept, batch norm": ESMM(2, False, 3, WideDeep(2, False, 3, 2, NORMED, "deep")),
    "deep crossing, no unit": DeepCrossing(2, True, 3, 2, NONE),
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
    if isinstance(model, DCN):
        return reference_fields.dcn(X, tables, dense, *fields, model, averages)
    if isinstance(model, DIN):
        return reference_fields.din(X, tables, dense, *fields, model, averages)
    if isinstance(model, ESMM):
        towers = []
        for output, name in enumerate(("click_", "conversion_")):
            own = {kind: part_of(name, leaves) for kind, leaves in dense.items()}
            raw = expected_raw(model.tower, tables, own, part_of(name, averages), X)
            towers.append(raw[:, output])
        return np.stack(towers, axis=1) + dense["offsets"].get("intercept", 0.0)
    if isinstance(model, AFM):
        return reference_fields.afm(X, tables, dense, *fields)
    if isinstance(model, XDeepFM):
        return reference_fields.xdeepfm(X, tables, dense, *fields, model, averages)
    if isinstance(model, FinalMLP):
        return reference_fields.final_mlp(X, tables, dense, *fields, model, averages)
    if isinstance(model, WideDeep):
        return reference_fields.wide_deep(X, tables, dense, *fields, model, averages)
    if isinstance(model, DeepCrossing):
        return reference_fields.deep_crossing(X, tables, dense, *fields, model, averages)
    layers = len(model.network.sizes), model.network.activation
    if isinstance(model, NFM):
        return reference_fields.nfm(X, tables, dense, *layers, averages)
    if isinstance(model, FNN):
        return reference_fields.fnn(X, tables, dense, *fields, *layers, averages)
    if isinstance(model, PNN):
        products = model.kinds, model.layer_norm
        return reference_fields.pnn(X, tables, dense, *fields, *products, *layers, averages)
    return reference.deepfm(X, tables, dense, *fields, *layers, averages=averages)


def part_of(prefix, leaves):
    """Leaves whose names begin so, without that."""
    return {name.removeprefix(prefix): leaf for name, leaf in leaves.items() if name.startswith(prefix)}


def problem(model, seed=0):
    rng = np.random.default_rng(seed)
    X = sparse_rows(rng)
    tables = random_tables(model, X.shape[1], rng)
    dense, averages = random_dense(model, rng)
    return X, tables, dense, averages
