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
LAYERS, NONE, TANH = MLP(sizes=HIDDEN), MLP(sizes=()), MLP(sizes=HIDDEN, activation="tanh")
NORMED = MLP(sizes=HIDDEN, activation="tanh", batch_norm=True)
PRELU, DICE = MLP(sizes=HIDDEN, activation="prelu"), MLP(sizes=HIDDEN, activation="dice")
MODELS = {
    "linear": Linear(),
    "linear, 3 outputs, no intercept": Linear(n_outputs=3, fit_intercept=False),
    "fm": FM(n_factors=3),
    "fm, 3 outputs": FM(n_outputs=3, n_factors=2),
    "fm, no linear term, no intercept": FM(fit_intercept=False, n_factors=2, fit_linear=False),
    "fm, degree 3": FM(n_factors=2, degree=3),
    "fm, degree 4, 2 outputs, no linear term": FM(
        n_outputs=2, fit_intercept=False, n_factors=2, fit_linear=False, degree=4
    ),
    "deepfm": DeepFM(n_fields=3, n_factors=2, network=LAYERS),
    "deepfm, 3 outputs, no intercept": DeepFM(
        n_outputs=3, fit_intercept=False, n_fields=3, n_factors=2, network=LAYERS
    ),
    "deepfm, one field": DeepFM(n_factors=2, network=LAYERS),
    "deepfm, no hidden layer": DeepFM(n_outputs=2, n_fields=3, n_factors=2, network=NONE),
    "deepfm, batch norm": DeepFM(n_outputs=2, n_fields=3, n_factors=2, network=NORMED),
    "nfm": NFM(n_factors=2, network=TANH),
    "nfm, 3 outputs, no intercept": NFM(n_outputs=3, fit_intercept=False, n_factors=2, network=LAYERS),
    "nfm, no hidden layer": NFM(n_outputs=2, n_factors=3, network=NONE),
    "nfm, batch norm": NFM(n_outputs=2, n_factors=3, network=NORMED),
    "fwfm": FwFM(n_fields=3, n_factors=2),
    "fwfm, 3 outputs, no intercept": FwFM(n_outputs=3, fit_intercept=False, n_fields=3, n_factors=2),
    "fwfm, one field": FwFM(n_outputs=2, n_factors=2),
    "ffm": FFM(n_fields=3, n_factors=2),
    "ffm, 3 outputs, no intercept": FFM(n_outputs=3, fit_intercept=False, n_fields=3, n_factors=2),
    "ffm, one field": FFM(n_outputs=2, n_factors=2),
    "fnn": FNN(n_fields=3, n_factors=2, network=TANH),
    "fnn, 3 outputs, no intercept, batch norm": FNN(
        n_outputs=3, fit_intercept=False, n_fields=3, n_factors=2, network=NORMED
    ),
    "fnn, one field": FNN(n_outputs=2, n_factors=2, network=TANH),
    "pnn": PNN(n_fields=3, n_factors=2, network=TANH),
    "pnn, outer, 3 outputs, no intercept": PNN(
        n_outputs=3, fit_intercept=False, n_fields=3, n_factors=2, network=TANH, product="outer"
    ),
    "pnn, both, layer norm": PNN(
        n_outputs=2, n_fields=3, n_factors=2, network=TANH, product="both", layer_norm=True
    ),
    "pnn, one field": PNN(n_outputs=2, n_factors=2, network=TANH, product="both"),
    "pnn, batch norm": PNN(n_outputs=2, n_fields=3, n_factors=2, network=NORMED),
    "dcn": DCN(n_fields=3, n_factors=2, network=TANH),
    "dcn, 3 outputs, no intercept": DCN(
        n_outputs=3, fit_intercept=False, n_fields=3, n_factors=2, network=TANH, n_cross_layers=3
    ),
    "dcn, version 1": DCN(n_outputs=2, n_fields=3, n_factors=2, network=TANH, version=1),
    "dcn, version 1, stacked": DCN(n_fields=3, n_factors=2, network=TANH, version=1, structure="stacked"),
    "dcn, stacked, batch norm": DCN(
        n_outputs=2, n_fields=3, n_factors=2, network=NORMED, structure="stacked"
    ),
    "dcn, low rank": DCN(n_fields=3, n_factors=2, network=TANH, rank=2),
    "dcn, experts": DCN(n_outputs=2, n_fields=3, n_factors=2, network=TANH, rank=2, n_experts=3),
    "dcn, one field": DCN(n_factors=3, network=TANH),
    "afm": AFM(n_fields=3, n_factors=2, n_attention=4),
    "afm, 3 outputs, no intercept": AFM(
        n_outputs=3, fit_intercept=False, n_fields=3, n_factors=2, n_attention=4
    ),
    "afm, one field": AFM(n_outputs=2, n_factors=2, n_attention=4),
    "xdeepfm": XDeepFM(n_fields=3, n_factors=2, network=TANH, cin_layer_sizes=(4, 3)),
    "xdeepfm, relu, 3 outputs, no intercept": XDeepFM(
        n_outputs=3,
        fit_intercept=False,
        n_fields=3,
        n_factors=2,
        network=TANH,
        cin_layer_sizes=(3, 4),
        cin_activation="relu",
    ),
    "xdeepfm, 3 outputs, three layers": XDeepFM(
        n_outputs=3, n_fields=3, n_factors=2, network=TANH, cin_layer_sizes=(4, 3, 5)
    ),
    "xdeepfm, as many outputs as rows": XDeepFM(
        n_outputs=3, n_fields=3, n_factors=2, network=TANH, cin_layer_sizes=(4, 3)
    ),
    "xdeepfm, batch norm": XDeepFM(
        n_outputs=2, n_fields=3, n_factors=2, network=NORMED, cin_layer_sizes=(3,)
    ),
    "xdeepfm, one field": XDeepFM(n_factors=3, network=TANH, cin_layer_sizes=(2,)),
    "xdeepfm, no interactions": XDeepFM(n_fields=3, n_factors=2, network=TANH, cin_layer_sizes=()),
    "final mlp": FinalMLP(n_fields=3, n_factors=2, first=TANH, second=MLP(sizes=(4,), activation="tanh")),
    "final mlp, heads, rows, 3 outputs, no intercept": FinalMLP(
        n_outputs=3,
        fit_intercept=False,
        n_fields=3,
        n_factors=2,
        first=MLP(sizes=(5, 4), activation="tanh"),
        second=MLP(sizes=(6,), activation="tanh"),
        n_heads=2,
        gate="row",
    ),
    "final mlp, batch norm, no gate": FinalMLP(
        n_outputs=2, n_fields=3, n_factors=2, first=NORMED, second=NORMED, gate=None
    ),
    "final mlp, no hidden layers": FinalMLP(n_outputs=2, n_fields=3, n_factors=2, first=NONE, second=NONE),
    "wide and deep": WideDeep(n_fields=3, n_factors=2, network=TANH),
    "wide and deep, 3 outputs, no intercept, batch norm": WideDeep(
        n_outputs=3, fit_intercept=False, n_fields=3, n_factors=2, network=NORMED
    ),
    "wide": WideDeep(n_outputs=2, n_fields=3, n_factors=2, network=TANH, parts="wide"),
    "deep": WideDeep(n_outputs=2, n_fields=3, n_factors=2, network=TANH, parts="deep"),
    "wide and deep, a field for the wide part": WideDeep(
        n_fields=3, n_factors=2, network=TANH, n_wide_fields=1
    ),
    "deep crossing": DeepCrossing(n_fields=3, n_factors=2, network=TANH),
    "deep crossing, 3 outputs, no intercept": DeepCrossing(
        n_outputs=3, fit_intercept=False, n_fields=3, n_factors=2, network=LAYERS
    ),
    "deep crossing, batch norm": DeepCrossing(n_outputs=2, n_fields=3, n_factors=2, network=NORMED),
    "din, no history": DIN(n_fields=3, n_factors=2, network=PRELU),
    "din": DIN(
        n_fields=3, n_factors=2, network=PRELU, sequences=((0, 1),), unit=MLP(sizes=(4,), activation="prelu")
    ),
    "din, two histories, 3 outputs, no intercept": DIN(
        n_outputs=3,
        fit_intercept=False,
        n_fields=3,
        n_factors=2,
        network=TANH,
        sequences=((1, 0), (2, 0)),
        unit=MLP(sizes=(4, 2), activation="tanh"),
    ),
    "din, softmax": DIN(
        n_outputs=2,
        n_fields=3,
        n_factors=2,
        network=TANH,
        sequences=((1, 2),),
        unit=MLP(sizes=(4,), activation="tanh"),
        softmax=True,
    ),
    "din, dice": DIN(
        n_fields=3, n_factors=2, network=DICE, sequences=((0, 2),), unit=MLP(sizes=(4,), activation="dice")
    ),
    "din, dice, batch norm": DIN(
        n_fields=3,
        n_factors=2,
        network=MLP(sizes=HIDDEN, activation="dice", batch_norm=True),
        sequences=((0, 2),),
        unit=MLP(sizes=(), activation="dice"),
    ),
    "esmm": ESMM(
        n_outputs=2,
        n_fields=3,
        tower=DeepFM(n_outputs=2, fit_intercept=False, n_fields=3, n_factors=2, network=TANH),
    ),
    "esmm, no intercept, batch norm": ESMM(
        n_outputs=2,
        fit_intercept=False,
        n_fields=3,
        tower=WideDeep(
            n_outputs=2, fit_intercept=False, n_fields=3, n_factors=2, network=NORMED, parts="deep"
        ),
    ),
    "deep crossing, no unit": DeepCrossing(n_outputs=2, n_fields=3, n_factors=2, network=NONE),
}
MODELS |= {
    f"mixture, {gate} gate, {expert} experts": MixtureFM(
        n_outputs=2, n_components=3, n_factors=2, gate=gate, expert=expert, link=link
    )
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
    f"mixture, {name}": MixtureFM(
        n_outputs=n_outputs, n_components=3, n_factors=2, gate="linear+fm", link=link
    )
    for name, (link, n_outputs) in LINKS.items()
}
MODELS["mixture, no intercept"] = MixtureFM(
    n_outputs=2, fit_intercept=False, n_components=3, n_factors=2, link="logit"
)


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
