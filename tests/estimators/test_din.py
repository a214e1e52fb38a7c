"""Histories in tables: which entries count, what attention says, and what is refused."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from skfm import DINClassifier, DINRegressor, FieldEncoder
from skfm.datasets import ParquetStream

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

pytestmark = pytest.mark.filterwarnings("ignore:.*Increase max_iter:sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(3)
N, N_ITEMS = 120, 6
HISTORIES = [[f"i{item}" for item in RNG.integers(N_ITEMS, size=RNG.integers(0, 6))] for _ in range(N)]
ITEMS = [f"i{item}" for item in RNG.integers(N_ITEMS, size=N)]
TABLE = pd.DataFrame({"item": ITEMS, "history": HISTORIES, "hour": RNG.normal(size=N)})
SEEN = np.array([item in history for item, history in zip(ITEMS, HISTORIES, strict=True)])
PAIR = {"history": "item"}
SMALL = {
    "n_factors": 3,
    "hidden_layer_sizes": (4,),
    "attention_layer_sizes": (4,),
    "max_iter": 5,
    "init_scale": 0.3,
    "random_state": 0,
}


def din(**settings):
    return DINClassifier(**{**SMALL, "sequence_fields": PAIR, **settings})


def changed(**columns):
    return TABLE.assign(**columns)


def test_attention_finds_the_entry_that_decides():
    """The entry of the candidate's kind says yes or no, whatever the others say."""
    rng = np.random.default_rng(0)
    kinds = np.array([rng.permutation(5)[:3] for _ in range(600)])
    answers = rng.integers(2, size=(600, 3))
    place = rng.integers(3, size=600)
    rows = np.arange(600)
    table = pd.DataFrame({"item": [f"{kind}?" for kind in kinds[rows, place]]})
    table["history"] = [
        [f"{kind}{answer}" for kind, answer in zip(*both, strict=True)]
        for both in zip(kinds, answers, strict=True)
    ]
    y = answers[rows, place]
    settings = {"solver": "adam", "learning_rate": 0.02, "max_iter": 60, "l2_factors": 1e-5, "l2_dense": 1e-5}
    model = din(attention_softmax=True, attention_layer_sizes=(16,), batch_size=64, **settings)
    model.fit(table[:500], y[:500])
    assert model.score(table[500:], y[500:]) > 0.95
    weights = np.array(model.attention(table[500:]))
    assert weights.shape == (100, 3)
    assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)
    assert np.mean(weights.argmax(axis=1) == place[500:]) > 0.9


@pytest.mark.parametrize("activation", ["prelu", "dice", "tanh"])
@pytest.mark.parametrize("softmax", [False, True])
def test_predictions_do_not_depend_on_the_rows_beside_them(activation, softmax):
    model = din(activation=activation, attention_softmax=softmax).fit(TABLE, SEEN)
    alone = np.concatenate([model.predict_proba(TABLE[row : row + 1]) for row in range(12)])
    assert_allclose(alone, model.predict_proba(TABLE)[:12], rtol=1e-5)


@pytest.mark.parametrize("softmax", [False, True])
def test_the_order_of_a_history_is_of_no_account_but_how_often_is(softmax):
    model = din(attention_softmax=softmax, max_iter=40, l2_factors=1e-4, l2_dense=1e-4).fit(TABLE, SEEN)
    turned = changed(history=[history[::-1] for history in HISTORIES])
    assert_allclose(model.predict_proba(turned), model.predict_proba(TABLE), rtol=1e-6)
    once, twice = changed(history=[["i0", "i1"]] * N), changed(history=[["i0", "i1", "i0"]] * N)
    assert np.abs(model.predict_proba(once) - model.predict_proba(twice)).max() > 1e-4
    doubled = changed(history=[["i0", "i1", "i0", "i1"]] * N)
    alike = np.allclose(model.predict_proba(once), model.predict_proba(doubled), rtol=1e-6)
    assert alike == softmax


def test_attention_is_what_the_model_uses():
    """The raw prediction, by hand: pooled embeddings through the network."""
    model = din(activation="tanh", max_iter=20, attention_softmax=False).fit(TABLE, SEEN)
    encoder, dense = model.encoder_, model._learned.parameters.dense
    weights = model.attention(TABLE)
    names = encoder.get_feature_names_out().tolist()
    factors = model.factors_.astype(np.float64)
    encoded = encoder.transform(TABLE).toarray()
    raw = []
    for row in range(N):
        embedding = np.array(
            [(encoded[row] * (model.fields_ == field)) @ factors for field in range(model.fields_.max() + 1)]
        )
        entries = [factors[names.index(f"history={entry}")] for entry in HISTORIES[row]]
        history = model.fields_[names.index("history=i0")]
        embedding[history] = weights[row] @ np.reshape(entries, (-1, 3))
        hidden = np.tanh(embedding.ravel() @ dense["weights"]["layer_0"] + dense["offsets"]["bias_0"])
        raw.append((hidden @ dense["weights"]["layer_1"])[0] + model.intercept_[0])
    assert_allclose(model.decision_function(TABLE), raw, rtol=1e-5, atol=1e-6)


def test_a_history_shares_the_table_of_its_column():
    model = din().fit(TABLE, SEEN)
    names = model.encoder_.get_feature_names_out().tolist()
    for item in range(N_ITEMS):
        own, other = names.index(f"item=i{item}"), names.index(f"history=i{item}")
        assert_array_equal(model.factors_[own], model.factors_[other])


def test_the_latest_entries_are_kept():
    latest = changed(history=[history[-2:] for history in HISTORIES])
    kept = din(max_length=2).fit(TABLE, SEEN)
    assert_allclose(kept.predict_proba(TABLE), kept.predict_proba(latest), rtol=1e-6)
    for weights, history in zip(kept.attention(TABLE), HISTORIES, strict=True):
        assert weights.size == len(history)
        assert (weights[:-2] == 0).all()
        assert (weights[-2:] != 0).all()


def test_empty_missing_and_unknown_histories():
    model = din().fit(changed(history=[*HISTORIES[:-3], None, None, None]), SEEN)
    odd = changed(history=[[], None, ["new"], ["new", "i1"]] * (N // 4))
    assert np.isfinite(model.predict_proba(odd)).all()
    assert [weights.size for weights in model.attention(odd[:4])] == [0, 1, 1, 2]
    assert [weights.size for weights in model.attention(changed(history=[[]] * N))] == [0] * N
    for activation in ("prelu", "dice"):
        empty = din(activation=activation, attention_softmax=True)
        empty.fit(changed(history=[[]] * N), SEEN)
        assert np.isfinite(empty.predict_proba(TABLE)).all()


def test_entries_that_were_never_candidates():
    model = din().fit(changed(item=["i0", "i1"] * (N // 2)), SEEN)
    other = changed(item=["i5"] * N)
    assert np.ptp(model.predict_proba(other)[:, 1]) > 0
    assert "item=i5" in model.encoder_.get_feature_names_out()


@pytest.mark.parametrize("library", [pl.DataFrame, pa.table])
def test_lists_of_every_library(library):
    frame = library({name: TABLE[name].tolist() for name in TABLE})
    expected = din().fit(TABLE, SEEN)
    model = din().fit(frame, SEEN)
    assert_array_equal(model.predict_proba(frame), expected.predict_proba(TABLE))
    for own, other in zip(model.attention(frame), expected.attention(TABLE), strict=True):
        assert_array_equal(own, other)


def test_text_with_a_separator_and_arrays():
    expected = din().fit(TABLE, SEEN).predict_proba(TABLE)
    text = changed(history=["|".join(history) for history in HISTORIES])
    model = din(sequence_separator="|").fit(text, SEEN)
    assert_array_equal(model.predict_proba(text), expected)
    arrays = changed(history=[np.array(history, dtype=object) for history in HISTORIES])
    assert_array_equal(din().fit(arrays, SEEN).predict_proba(arrays), expected)


def test_a_column_beside_a_history_in_its_table():
    """Training and prediction agree on a third column of the table, where histories repeat entries."""
    encoder = FieldEncoder(shared={"goods": ["last", "item"]})
    table = changed(
        last=ITEMS[::-1],
        history=[[item, *history, item] for item, history in zip(ITEMS, HISTORIES, strict=True)],
    )
    free = {"max_iter": 40, "l2_factors": 1e-4, "l2_dense": 1e-4}
    model = din(encoder=encoder, **free).fit(table, SEEN)
    chance = model.predict_proba(table)
    loss = -np.log(chance[np.arange(N), SEEN.astype(int)]).mean()
    assert_allclose(model.history_["loss"][-1], loss, rtol=1e-5)


def test_several_histories():
    kinds = {f"i{item}": f"k{item % 2}" for item in range(N_ITEMS)}
    both = changed(
        kind=TABLE.item.map(kinds), history_kind=[[kinds[item] for item in history] for history in HISTORIES]
    )
    pairs = {"history": "item", "history_kind": "kind"}
    model = din(sequence_fields=pairs, max_iter=20, attention_softmax=False).fit(both, SEEN)
    first, second = model.attention(both, "history"), model.attention(both, history="history_kind")
    assert [weights.size for weights in first] == [weights.size for weights in second]
    assert any(not np.allclose(one, other) for one, other in zip(first, second, strict=True))
    with pytest.raises(ValueError, match=r"histories \['history', 'history_kind'\]: name one"):
        model.attention(both)
    with pytest.raises(ValueError, match="'item' is none of the histories"):
        model.attention(both, "item")
    same = {"history": "item", "wishes": "item"}
    two = changed(wishes=HISTORIES[::-1])
    assert len(din(sequence_fields=same).fit(two, SEEN).attention(two, "wishes")) == N


def test_an_encoder_of_ones_own_keeps_its_settings():
    encoder = FieldEncoder(shared={"goods": ["item", "last"]}, min_frequency=1, max_length=1)
    table = changed(last=ITEMS[::-1], tags=HISTORIES)
    model = din(encoder=encoder, max_length=3).fit(table, SEEN)
    assert model.encoder_.shared == {"goods": ["item", "last", "history"]}
    assert encoder.shared == {"goods": ["item", "last"]}
    assert model.encoder_.min_frequency == 1
    # The estimator's limit is for its histories alone.
    assert model.encoder_.max_length == {"tags": 1, "history": 3}


def test_regression_partial_fit_and_streams(tmp_path):
    y = np.where(SEEN, 4.0, 2.0)
    settings = {**SMALL, "sequence_fields": PAIR}
    model = DINRegressor(**settings).fit(TABLE, y)
    assert model.predict(TABLE).shape == (N,)
    several = DINRegressor(**settings).fit(TABLE, np.column_stack([y, -y]))
    assert several.predict(TABLE).shape == (N, 2)
    going_on = din().partial_fit(TABLE, SEEN).partial_fit(changed(item=["i9"] * N), SEEN)
    assert "item=i9" in going_on.encoder_.get_feature_names_out()
    TABLE.assign(y=SEEN.astype(int)).to_parquet(tmp_path / "rows.parquet")
    stream = ParquetStream(tmp_path / "rows.parquet", target="y")
    streamed = din().fit(stream)
    assert_allclose(streamed.predict_proba(TABLE), din().fit(TABLE, SEEN).predict_proba(TABLE), rtol=1e-4)


def test_a_weight_of_two_is_the_row_twice():
    weight = np.random.default_rng(1).integers(0, 3, N)
    repeated = TABLE.loc[np.repeat(np.arange(N), weight)]
    one = din().fit(TABLE, SEEN, sample_weight=weight)
    other = din().fit(repeated, np.repeat(SEEN, weight))
    assert_allclose(one.predict_proba(TABLE), other.predict_proba(TABLE), rtol=1e-6)


def test_without_histories_it_takes_any_numbers():
    model = DINClassifier(**SMALL).fit(np.eye(4)[[0, 1, 2, 3] * 10], [0, 1, 0, 1] * 10)
    with pytest.raises(ValueError, match="has no histories"):
        model.attention(np.eye(4))


@pytest.mark.parametrize(
    ("table", "pairs", "message"),
    [
        (TABLE, {"past": "item"}, r"sequence_fields= names 'past', which is no column"),
        (TABLE, {"history": "thing"}, r"sequence_fields= names 'thing', which is no column"),
        (TABLE, {"history": "history"}, r"compares 'history' with 'history', which is a history itself"),
        (TABLE, {"item": "hour"}, r"'item' as a history, but it does not hold lists"),
        (np.eye(3)[[0, 1, 2] * 40], PAIR, r"but X is a matrix of numbers"),
        (changed(history=ITEMS[::-1]), PAIR, r"'history' as a history, but it does not hold lists"),
        (
            changed(history=[[1, 2]] * N),
            PAIR,
            r"'history' holds numbers.*'item'.*text|holds .* but the table",
        ),
    ],
)
def test_what_is_no_history_is_refused(table, pairs, message):
    with pytest.raises(ValueError, match=message):
        din(sequence_fields=pairs).fit(table, SEEN)


def test_joined_fields_are_refused():
    with pytest.raises(ValueError, match="fields= joins a column"):
        din(fields=[0, 0, 1]).fit(TABLE, SEEN)
    pair = TABLE[["item", "history"]]
    given = din(fields=["b", "a"]).fit(pair, SEEN)
    assert_allclose(given.predict_proba(pair), din().fit(pair, SEEN).predict_proba(pair), rtol=1e-5)


def test_dice_needs_mini_batches():
    assert din(activation="dice").fit(TABLE, SEEN).solver_ == "adagrad"
    with pytest.raises(ValueError, match="solver='lbfgs' cannot train"):
        din(activation="dice", solver="lbfgs").fit(TABLE, SEEN)


def test_clones_share_a_program_and_the_parameter_is_left_alone():
    pairs = dict(PAIR)
    model = clone(din(sequence_fields=pairs)).fit(TABLE, SEEN)
    assert pairs == PAIR
    assert clone(model).fit(TABLE, SEEN).predict(TABLE).tolist() == model.predict(TABLE).tolist()
