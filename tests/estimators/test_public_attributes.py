"""Predictions of every estimator follow from its public attributes by NumPy, by the documented formulas."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.special import expit, logit, softmax
from sklearn.preprocessing import OneHotEncoder

import skfm
from skfm import FieldEncoder
from tests.estimators.problems import make

RNG = np.random.default_rng(0)
N = 200
CITY, DAY = RNG.choice(list("ABCDE"), N), RNG.choice(["mo", "tu", "we"], N)
KELVIN, AMOUNT = RNG.normal(300, 5, N), RNG.normal(size=N)
HISTORY = [list(RNG.choice(list("ABCDE"), RNG.integers(0, 5))) for _ in range(N)]
TABLE = pd.DataFrame({"city": CITY, "day": DAY, "kelvin": KELVIN, "amount": AMOUNT})
HISTORIES = TABLE.assign(history=HISTORY)
MATRIX = np.column_stack(
    [OneHotEncoder(sparse_output=False).fit_transform(TABLE[["city", "day"]]), KELVIN, AMOUNT]
)
SIGNAL = (KELVIN - 300) / 5 * (CITY < "C") + AMOUNT * (DAY == "mo") + RNG.normal(size=N)
NUMBERS = 1e4 + 500 * (SIGNAL - SIGNAL.mean()) / SIGNAL.std()
CHAIN = np.column_stack([SIGNAL > -0.5, SIGNAL > 0.5]).astype(int)
TARGETS = {
    "binary": np.where(SIGNAL > 0.3, "yes", "no"),
    "multiclass": np.array(["low", "mid", "top"])[np.digitize(SIGNAL, [-0.5, 0.7])],
    "multilabel": np.column_stack([SIGNAL > 0, AMOUNT > 0.2, KELVIN > 301]).astype(int),
    "vector": NUMBERS,
    "columns": np.column_stack([NUMBERS, 3 - KELVIN / 7]),
    "counts": np.round(np.exp(1 + 0.3 * SIGNAL)),
    "chain": CHAIN,
}
ACTIVATIONS = {
    "identity": lambda z: z,
    "relu": lambda z: np.maximum(z, 0),
    "leaky_relu": lambda z: np.where(z > 0, z, 0.01 * z),
    "elu": lambda z: np.where(z > 0, z, np.expm1(z)),
    "gelu": lambda z: z / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))),
    "silu": lambda z: z * expit(z),
    "logistic": expit,
    "tanh": np.tanh,
}


class Public:
    """Parameters and fitted attributes of an estimator whose names are public."""

    def __init__(self, model):
        self.__model = model

    def __getattr__(self, name):
        value = getattr(self.__model, name)
        assert not name.startswith("_"), f"{name} is private"
        assert not callable(value), f"{name} is a method"
        return value


# ------------------------------------------------------------------------------------------------ formulas


def rows_of(model, X):
    """Rows in the columns of the fitted attributes."""
    rows = X if model.encoder_ is None else model.encoder_.encode(X)
    rows = np.asarray(rows.toarray() if sparse.issparse(rows) else rows, dtype=float)
    if getattr(model, "normalize_rows", False):
        rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-300)
    return rows - model.center_


def embeddings(model, rows):
    """(n, F, k)."""
    fields = range(model.fields_.max() + 1)
    return np.stack(
        [rows[:, model.fields_ == f] @ model.factors_[model.fields_ == f] for f in fields], axis=1
    )


def side_by_side(model, rows):
    return embeddings(model, rows).reshape(len(rows), -1)


def second_order_vector(rows, factors):
    return ((rows @ factors) ** 2 - rows**2 @ factors**2) / 2


def layers(h, coefs, intercepts, activation, slopes=None, dice=None):
    """All layers whose activation is that of hidden layers, then the last one."""
    for layer, (coef, intercept) in enumerate(zip(coefs, intercepts, strict=True)):
        h = h @ coef + intercept
        if layer == len(coefs) - 1:
            return h
        if activation == "prelu":
            h = np.where(h > 0, h, slopes[layer] * h)
        elif activation == "dice":
            on = expit((h - dice[0][layer]) / dice[1][layer])
            h = h * (on + (1 - on) * slopes[layer])
        else:
            h = ACTIVATIONS[activation](h)
    return h


def mlp(weights, model, h):
    return layers(h, weights.coefs_, weights.intercepts_, model.activation)


def pairs_of(n):
    return [(i, j) for i in range(n) for j in range(i + 1, n)]


def per_output(factors, n_axes):
    """Factors with the axis of outputs."""
    return factors if factors.ndim == n_axes + 1 else factors[None]


def fm(weights, model, rows):
    outputs = per_output(model.factors_, 2)
    raw = np.stack([second_order_vector(rows, factors).sum(axis=1) for factors in outputs], axis=1)
    for order, higher in enumerate(model.higher_factors_, start=3):
        assert order == 3
        for output, factors in enumerate(per_output(higher, 2)):
            e = rows[:, :, None] * factors
            s1, s2, s3 = (e**power for power in (1, 2, 3))
            s1, s2, s3 = s1.sum(axis=1), s2.sum(axis=1), s3.sum(axis=1)
            raw[:, output] += ((s1**3 - 3 * s1 * s2 + 2 * s3) / 6).sum(axis=1)
    return raw


def ffm(weights, model, rows):
    fields, raw = model.fields_, []
    for factors in per_output(model.factors_, 3):
        total = 0
        for i, j in pairs_of(rows.shape[1]):
            total = total + rows[:, i] * rows[:, j] * (factors[i, fields[j]] @ factors[j, fields[i]])
        raw.append(total)
    return np.stack(raw, axis=1)


def fwfm(weights, model, rows):
    fields, raw = model.fields_, []
    for factors, r in zip(per_output(model.factors_, 2), per_output(model.pair_weights_, 2), strict=True):
        total = 0
        for i, j in pairs_of(rows.shape[1]):
            total = total + r[fields[i], fields[j]] * rows[:, i] * rows[:, j] * (factors[i] @ factors[j])
        raw.append(total)
    return np.stack(raw, axis=1)


def afm(weights, model, rows):
    e = embeddings(model, rows)
    if not len(model.field_pairs_):
        return 0
    products = e[:, model.field_pairs_[:, 0]] * e[:, model.field_pairs_[:, 1]]
    return (attention(model, products)[:, :, None] * products).sum(axis=1) @ model.output_coef_


def attention(model, products):
    hidden = np.maximum(products @ model.attention_coef_ + model.attention_intercept_, 0)
    return softmax(hidden @ model.attention_output_coef_, axis=1)


def deepfm(weights, model, rows):
    cross = second_order_vector(rows, model.factors_) @ weights.cross_coef_
    return cross + mlp(weights, model, side_by_side(model, rows))


def wide_deep(weights, model, rows):
    if not hasattr(weights, "coefs_"):
        return 0
    inputs = side_by_side(model, rows)[:, : len(weights.coefs_[0])]  # fields of crosses come last
    return mlp(weights, model, inputs)


def nfm(weights, model, rows):
    return mlp(weights, model, second_order_vector(rows, model.factors_))


def fnn(weights, model, rows):
    parts = []
    for f, embedding in enumerate(np.moveaxis(embeddings(model, rows), 1, 0)):
        columns = model.fields_ == f
        parts += [rows[:, columns] @ model.weights_[columns], embedding]
    return mlp(weights, model, np.concatenate(parts, axis=1))


def pnn(weights, model, rows):
    e, products = embeddings(model, rows), []
    product = getattr(model, "product", "inner")
    if product in ("inner", "both"):
        products += [(e[:, f] * e[:, g]).sum(axis=1) for f, g in pairs_of(e.shape[1])]
    if product in ("outer", "both"):
        for (f, g), kernel in zip(pairs_of(e.shape[1]), weights.kernels_, strict=True):
            products.append((e[:, f] @ kernel * e[:, g]).sum(axis=1))
    products = np.stack(products, axis=1)
    if getattr(model, "layer_norm", False):
        products = products - products.mean(axis=1, keepdims=True)
        products = products / np.sqrt((products**2).mean(axis=1, keepdims=True) + 1e-5)
    return mlp(weights, model, np.concatenate([e.reshape(len(rows), -1), products], axis=1))


def dcn(weights, model, rows):
    x = x0 = side_by_side(model, rows)
    for layer, intercept in enumerate(weights.cross_intercepts_):
        if getattr(model, "version", 2) == 1:
            x = x0 * (x @ weights.cross_coefs_[layer])[:, None] + intercept + x
        elif getattr(model, "rank", None) is None:
            x = x0 * (x @ weights.cross_coefs_[layer] + intercept) + x
        else:
            share = np.ones((len(x), 1))
            if model.n_experts > 1:
                share = softmax(x @ weights.cross_gate_coefs_[layer], axis=1)
            experts = zip(weights.cross_left_coefs_[layer], weights.cross_right_coefs_[layer], strict=True)
            mapped = sum(share[:, [e]] * (x @ (u @ v.T).T) for e, (u, v) in enumerate(experts))
            x = x0 * (mapped + intercept) + x
    if getattr(model, "structure", "parallel") == "stacked":
        return mlp(weights, model, x)
    return x @ weights.cross_output_coef_ + mlp(weights, model, x0)


def xdeepfm(weights, model, rows):
    x = e = embeddings(model, rows)
    sums = [np.zeros((len(rows), 0))]
    for coef in weights.cin_coefs_:
        x = np.einsum("hif,nik,nfk->nhk", coef, x, e)
        x = ACTIVATIONS[getattr(model, "cin_activation", "identity")](x)
        sums.append(x.sum(axis=2))
    cin = np.concatenate(sums, axis=1) @ weights.cin_output_coef_
    return cin + mlp(weights, model, e.reshape(len(rows), -1))


def deep_crossing(weights, model, rows):
    x, activation = side_by_side(model, rows), ACTIVATIONS[model.activation]
    both = list(zip(weights.coefs_, weights.intercepts_, strict=True))
    for (inner, c), (outer, d) in zip(both[:-1:2], both[1:-1:2], strict=True):
        x = activation(x + activation(x @ inner + c) @ outer + d)
    return x @ both[-1][0] + both[-1][1]


def final_mlp(weights, model, rows):
    x, raw, ends = side_by_side(model, rows), 0, []
    for prefix in ("", "second_"):

        def of(name, prefix=prefix):
            return getattr(weights, prefix + name)

        h = x
        if hasattr(weights, "gate_intercept_"):
            scores = of("gate_intercept_")
            if hasattr(weights, "gate_coef_"):
                scores = scores + x @ of("gate_coef_")
            h = 2 * expit(scores) * x
        for coef, intercept in zip(of("coefs_"), of("intercepts_"), strict=True):
            h = ACTIVATIONS[model.activation](h @ coef + intercept)
        raw = raw + h @ of("output_coef_")
        ends.append(h.reshape(len(x), weights.fusion_coef_.shape[1], -1))
    return raw + np.einsum("nhi,ohij,nhj->no", ends[0], weights.fusion_coef_, ends[1])


def din(weights, model, rows):
    e = embeddings(model, rows)

    def dice(prefix, n=None):
        if model.activation != "dice":
            return None
        values = [getattr(model, f"{prefix}dice_{what}_") for what in ("means", "scales")]
        return values if n is None else [value[n] for value in values]

    learns = model.activation in ("prelu", "dice")
    for n, (history, target) in enumerate(model.sequence_fields_):
        columns = np.flatnonzero(model.fields_ == history)
        for row in range(len(rows)):
            entries = columns[rows[row, columns] != 0]
            count, h, t = rows[row, entries], model.factors_[entries], e[row, [target]]
            t = np.repeat(t, len(entries), axis=0)
            score = layers(
                np.concatenate([h, t, h - t, h * t], axis=1),
                model.attention_coefs_[n],
                model.attention_intercepts_[n],
                model.activation,
                model.attention_slopes_[n] if learns else None,
                dice("attention_", n),
            )[:, 0]
            if model.attention_softmax:
                score = np.exp(score) / (count * np.exp(score)).sum()
            e[row, history] = (count * score) @ h
    slopes = model.slopes_ if learns else None
    return layers(
        e.reshape(len(rows), -1), model.coefs_, model.intercepts_, model.activation, slopes, dice("")
    )


def nothing(weights, model, rows):
    return 0


# What each model adds to intercept and linear term, on the standardised scale, (n, n_outputs).
TERMS = {
    "AFM": afm,
    "DCN": dcn,
    "DIN": din,
    "DeepCrossing": deep_crossing,
    "DeepFM": deepfm,
    "FFM": ffm,
    "FM": fm,
    "FNN": fnn,
    "FinalMLP": final_mlp,
    "FwFM": fwfm,
    "Linear": nothing,
    "NFM": nfm,
    "PNN": pnn,
    "WideDeep": wide_deep,
    "XDeepFM": xdeepfm,
}
TOWERS = {
    "mlp": wide_deep,
    "fm": deepfm,
    "deepfm": deepfm,
    "wide_deep": wide_deep,
    "nfm": nfm,
    "pnn": pnn,
    "dcn": dcn,
    "xdeepfm": xdeepfm,
    "deep_crossing": deep_crossing,
    "final_mlp": final_mlp,
}


def raw_of(stem, model, X):
    """Raw predictions (n, n_outputs), in units of y."""
    rows = rows_of(model, X)
    raw = np.reshape(model.intercept_, (1, -1))
    if hasattr(model, "coef_"):
        raw = raw + rows @ np.atleast_2d(model.coef_).T
    scale = getattr(model, "target_scale_", 1)
    if stem != "ESMM":
        return raw + scale * TERMS[stem](model, model, rows)
    towers = [TOWERS[model.tower](SimpleNamespace(**tower), model, rows) for tower in model.towers_]
    return raw + (towers[0] if len(towers) == 1 else np.column_stack([towers[0][:, 0], towers[1][:, 1]]))


def mixture_of(model, X):
    """Probabilities (n, M) of the gate, and raw predictions (n, M, n_outputs) of the experts."""
    rows = rows_of(model, X)
    gates = np.tile(model.gate_intercept_, (len(rows), 1))
    if hasattr(model, "gate_coef_"):
        gates = gates + rows @ model.gate_coef_.T
    if hasattr(model, "gate_factors_"):
        vectors = [second_order_vector(rows, factors) for factors in model.gate_factors_]
        gates = gates + np.stack(vectors, axis=1).sum(axis=2)
    experts = []
    for m in range(model.n_components):
        expert = np.reshape(model.intercept_[m], (1, -1))
        if hasattr(model, "expert_coef_"):
            expert = expert + rows @ np.atleast_2d(model.expert_coef_[m]).T
        if hasattr(model, "expert_factors_"):
            outputs = per_output(model.expert_factors_[m], 2)
            terms = np.stack([second_order_vector(rows, factors).sum(axis=1) for factors in outputs], axis=1)
            expert = expert + getattr(model, "target_scale_", 1) * terms
        experts.append(np.broadcast_to(expert, (len(rows), expert.shape[1])))
    return softmax(gates, axis=1), np.stack(experts, axis=1)


def expected(name, target, model, X):
    """Predictions by name of the method."""
    stem = name.removesuffix("Classifier").removesuffix("Regressor")
    links = {"binary": expit, "multilabel": expit, "multiclass": lambda raw: softmax(raw, axis=-1)}
    link = links.get(target, np.exp if target == "counts" else lambda raw: raw)
    if stem == "MixtureFM":
        gate, experts = mixture_of(model, X)
        if model.mixing == "score":
            raw = (gate[:, :, None] * experts).sum(axis=1)
            value = link(raw)
        else:
            value = (gate[:, :, None] * link(experts)).sum(axis=1)
            raw = np.log(value) if target == "multiclass" else logit(value) if target in links else None
    else:
        raw = raw_of(stem, model, X)
        value = link(raw)
    if target == "chain":
        click, conversion = expit(raw).T
        decision = np.column_stack([raw[:, 0], logit(click * conversion)])
        probability = np.column_stack([click, conversion, click * conversion])
        return {"decision_function": decision, "predict_proba": probability, "predict": (decision > 0) * 1}
    if target == "binary":
        labels, raw, value = (
            model.classes_[(raw[:, 0] > 0) * 1],
            raw[:, 0],
            np.column_stack([1 - value, value]),
        )
    elif target == "multiclass":
        labels = model.classes_[raw.argmax(axis=1)]
    elif target == "multilabel":
        labels = (raw > 0) * 1
    else:
        return {"predict": value[:, 0] if value.shape[1] == 1 else value}
    return {"decision_function": raw, "predict_proba": value, "predict": labels}


# ------------------------------------------------------------------------------------------------ tests


def check(name, target, model, X):
    """Predictions of a fitted model are those of the formula."""
    found = expected(name, target, Public(model), X)
    for method, values in found.items():
        predicted = getattr(model, method)(X)
        assert predicted.shape == values.shape
        if method == "predict" and "predict_proba" in found:
            # A row on the border may be on either side of it.
            assert np.mean(predicted == values) > 0.99
        else:
            deviation = predicted.std(axis=0)
            assert (deviation > 0).all()
            assert_allclose((values - predicted) / deviation, 0, atol=1e-4, err_msg=method)


def fit(name, target, X, **parameters):
    settings = {
        "max_iter": 5,
        "init_scale": 0.3,
        "hidden_layer_sizes": (5, 4),
        "solver": "adam",
        "batch_size": 50,
    }
    settings |= {"learning_rate": 0.03, "early_stopping": False, "l2_factors": 1e-4, "l2_dense": 1e-4}
    if isinstance(X, pd.DataFrame):
        settings["encoder"] = FieldEncoder(numeric=["kelvin"])
    known = getattr(skfm, name)().get_params()
    settings = {
        key: value for key, value in (settings | parameters).items() if key in known or key in parameters
    }
    return make(name, **settings).fit(X, TARGETS[target])


STOPPED = pytest.mark.filterwarnings("ignore:.*Increase max_iter:sklearn.exceptions.ConvergenceWarning")
LBFGS = {"solver": "lbfgs", "batch_size": "auto", "learning_rate": "auto"}
KINDS = {"Classifier": ("binary", "multiclass", "multilabel"), "Regressor": ("vector", "columns")}
ALL = [
    (name, target)
    for name in skfm.__all__
    for kind, targets in KINDS.items()
    if name.endswith(kind) and name != "ESMMClassifier"
    for target in targets
]


@pytest.mark.parametrize(("name", "target"), ALL)
def test_predictions_follow_from_public_attributes(name, target):
    X = MATRIX if target in ("multilabel", "columns") else TABLE
    model = fit(name, target, X)
    assert (model.encoder_ is None) == (X is MATRIX)
    assert_allclose(model.center_[model.center_ != 0], 300, atol=1)
    check(name, target, model, X)


@STOPPED
@pytest.mark.parametrize(("name", "target"), [one for one in ALL if one[1] in ("multiclass", "vector")])
def test_those_of_the_full_batch_solver_do(name, target):
    check(name, target, fit(name, target, MATRIX, **LBFGS), MATRIX)


FORMS = [
    ("AFMRegressor", "vector", {"fields": None}),
    ("DCNRegressor", "vector", {"version": 1}),
    ("DCNRegressor", "columns", {"rank": 2}),
    ("DCNClassifier", "multiclass", {"rank": 2, "n_experts": 3}),
    ("DCNRegressor", "vector", {"structure": "stacked", "version": 1, "activation": "gelu"}),
    ("DCNRegressor", "vector", {"n_cross_layers": 0, "batch_norm": True}),
    ("DINRegressor", "columns", {"activation": "dice"}),
    ("DINClassifier", "binary", {"activation": "tanh"}),
    ("DeepCrossingRegressor", "vector", {"batch_norm": True, "activation": "elu"}),
    ("DeepCrossingRegressor", "vector", {"hidden_layer_sizes": ()}),
    ("DeepFMRegressor", "columns", {"batch_norm": True, "activation": "silu", "dropout": 0.2}),
    ("DeepFMClassifier", "binary", {"fields": [0, 0, 0, 0, 0, 1, 1, 1, 2, 3]}),
    ("DeepFMRegressor", "vector", {"n_factors": 0}),
    ("DeepFMRegressor", "counts", {"loss": "poisson"}),
    ("FFMRegressor", "vector", {"normalize_rows": True}),
    ("FFMRegressor", "columns", {"fields": [0, 0, 0, 0, 0, 1, 1, 1, 2, 2]}),
    ("FMRegressor", "vector", {"degree": 3}),
    ("FMClassifier", "multiclass", {"degree": 3}),
    ("FMRegressor", "vector", {"fit_linear": False}),
    ("FMRegressor", "columns", {"fit_intercept": False}),
    ("FMRegressor", "counts", {"loss": "poisson"}),
    ("FMRegressor", "vector", {"loss": "huber", "dtype": "float64"}),
    ("FNNRegressor", "vector", {"pretrain": False, "batch_norm": True}),
    (
        "FinalMLPRegressor",
        "columns",
        {"gate": "row", "n_heads": 2, "second_layer_sizes": (6,), "batch_norm": True},
    ),
    ("FinalMLPRegressor", "vector", {"gate": None, "hidden_layer_sizes": ()}),
    ("FwFMRegressor", "vector", {"fields": [0, 0, 0, 0, 0, 1, 1, 1, 2, 2]}),
    ("MixtureFMClassifier", "multiclass", {"gate": "fm", "expert": "linear", "mixing": "score"}),
    ("MixtureFMClassifier", "multilabel", {"gate": "linear+fm", "n_components": 3}),
    ("MixtureFMRegressor", "columns", {"expert": "fm"}),
    ("MixtureFMRegressor", "counts", {"loss": "poisson"}),
    ("MixtureFMRegressor", "counts", {"loss": "poisson", "mixing": "score"}),
    ("NFMRegressor", "vector", {"batch_norm": True, "dropout": 0.1}),
    ("NFMRegressor", "columns", {"batch_norm": True, "hidden_layer_sizes": ()}),
    ("PNNRegressor", "vector", {"product": "outer", "layer_norm": True, "batch_norm": True}),
    ("PNNClassifier", "multiclass", {"product": "both", "layer_norm": True}),
    ("WideDeepRegressor", "vector", {"parts": "wide"}),
    ("WideDeepRegressor", "vector", {"parts": "deep"}),
    ("XDeepFMRegressor", "vector", {"cin_layer_sizes": (), "activation": "leaky_relu"}),
    ("XDeepFMRegressor", "columns", {"cin_layer_sizes": (3, 2), "cin_activation": "tanh"}),
]


@pytest.mark.parametrize(("name", "target", "parameters"), FORMS)
def test_those_of_every_form_do(name, target, parameters):
    check(name, target, fit(name, target, MATRIX, **parameters), MATRIX)


def test_crosses_are_columns_that_the_network_does_not_see():
    model = fit("WideDeepRegressor", "vector", TABLE, crosses=[("city", "day")], cross_slots=16)
    check("WideDeepRegressor", "vector", model, TABLE)


@pytest.mark.parametrize(
    "parameters",
    [{}, {"attention_softmax": False, "activation": "dice"}, {"activation": "relu", "max_length": 2}],
)
def test_histories(parameters):
    X = HISTORIES.assign(other=HISTORY[::-1], history=[[*row, *row[:1]] for row in HISTORY])
    sequences = {"history": "city", "other": "city"}
    for name, target in (("DINRegressor", "vector"), ("DINClassifier", "multiclass")):
        model = fit(name, target, X, sequence_fields=sequences, **parameters)
        check(name, target, model, X)
        if "max_length" in parameters:
            continue
        fields = model.encoder_.fields_[[names.startswith("history") for names in column_names(model)]]
        assert_array_equal(np.unique(fields), [model.sequence_fields_[0, 0]])


def column_names(model):
    return list(model.encoder_.get_feature_names_out())


@pytest.mark.parametrize("tower", TOWERS)
def test_both_towers(tower):
    check(
        "ESMMClassifier", "chain", fit("ESMMClassifier", "chain", TABLE, tower=tower, batch_norm=True), TABLE
    )


@pytest.mark.parametrize("target", ["binary", "multiclass"])
def test_one_tower(target):
    check("ESMMClassifier", target, fit("ESMMClassifier", target, MATRIX), MATRIX)


@pytest.mark.parametrize("name", ["FMRegressor", "DeepFMRegressor", "NFMRegressor", "FFMRegressor"])
def test_calls_of_partial_fit_and_what_starts_from_another_fit(name):
    first, second = TABLE[:100], TABLE[100:]
    model = make(name, init_scale=0.3, solver="adam", batch_size=25, learning_rate=0.03)
    model.partial_fit(first, NUMBERS[:100]).partial_fit(second, 3 * NUMBERS[100:])
    check(name, "vector", model, TABLE)
    check(name, "vector", fit(name, "vector", TABLE, init_from=model, encoder="auto"), TABLE)


@pytest.mark.parametrize("name", ["FFMRegressor", "FMRegressor", "FwFMRegressor", "MixtureFMRegressor"])
def test_a_column_a_million_from_0_in_single_precision(name):
    X = MATRIX + np.where(np.arange(MATRIX.shape[1]) == 8, 1e6, 0)
    model = fit(name, "vector", X, dtype="float32", solver="adagrad")
    assert not model.center_.any()
    check(name, "vector", model, X)


@STOPPED
@pytest.mark.parametrize("target", ["vector", "columns", "binary", "multiclass"])
@pytest.mark.parametrize("parameters", [{}, {"degree": 3}, {"fit_linear": False}, LBFGS])
def test_transform_sums_up_to_the_terms_above_the_linear_one(target, parameters):
    name = "FMRegressor" if target in ("vector", "columns") else "FMClassifier"
    # Exact: where a column is far from 0, terms are large and cancel.
    model = fit(name, target, TABLE, **parameters, dtype="float64")
    n_outputs = np.size(model.intercept_)
    rows, vectors = rows_of(model, TABLE), model.transform(TABLE)
    sums = vectors.reshape(N, n_outputs, -1).sum(axis=2)
    assert_allclose(sums, fm(None, Public(model), rows), rtol=1e-6, atol=1e-9)
    linear = rows @ np.atleast_2d(model.coef_).T if hasattr(model, "coef_") else 0
    raw = model.intercept_ + linear + getattr(model, "target_scale_", 1) * sums
    predicted = model.predict(TABLE) if "Regressor" in name else model.decision_function(TABLE)
    predicted = predicted.reshape(N, -1)
    assert_allclose((raw - predicted) / predicted.std(axis=0), 0, atol=1e-6)


def test_attention_and_gates_follow_too():
    model = fit("AFMRegressor", "columns", TABLE)
    e, pairs = embeddings(model, rows_of(model, TABLE)), model.field_pairs_
    weights = attention(Public(model), e[:, pairs[:, 0]] * e[:, pairs[:, 1]])
    assert weights.std(axis=0).min() > 1e-3
    assert_allclose(model.attention(TABLE), weights, rtol=1e-4)
    model = fit("MixtureFMClassifier", "multiclass", TABLE, gate="linear+fm")
    assert_allclose(model.gate_proba(TABLE), mixture_of(Public(model), TABLE)[0], rtol=1e-4)


def test_attributes_are_copies_and_say_when_there_are_none():
    model = fit("PNNRegressor", "vector", MATRIX, dtype="float64")
    before = model.predict(MATRIX)
    for coef in model.coefs_:
        coef[:] = 0
    assert_array_equal(model.predict(MATRIX), before)
    with pytest.raises(
        AttributeError, match="This PNNRegressor has no kernels_: its parameters ask for none"
    ):
        _ = model.kernels_
    with pytest.raises(AttributeError, match="PNNRegressor has no fitted attributes before fit"):
        _ = skfm.PNNRegressor().coefs_
