"""What users write: runs, and has no error for type checkers."""

from __future__ import annotations

from typing import Any

import numpy as np
import optax
import pandas as pd
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from skfm import (
    DeepFMClassifier,
    DINClassifier,
    ESMMClassifier,
    FFMRegressor,
    FieldEncoder,
    FMClassifier,
    FMRegressor,
    LinearRegressor,
    MixtureFMClassifier,
    WideDeepClassifier,
)


def table_and_labels() -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"city": rng.choice(["A", "B"], 60), "day": rng.choice(["mo", "tu"], 60)})
    return table, (table["city"] == "A").to_numpy() == (table["day"] == "mo").to_numpy()


def fitted_attributes() -> None:
    X, y = table_and_labels()
    model = FMClassifier(4, l2_factors=0.01, random_state=0).fit(X, y, sample_weight=np.ones(60))
    labels: np.ndarray = model.classes_
    fields: np.ndarray = model.fields_
    weights: np.ndarray = model.coef_
    factors: np.ndarray = model.factors_
    intercept: np.ndarray = model.intercept_
    history: dict[str, list[float]] = model.history_
    encoder: FieldEncoder | None = model.encoder_
    assert labels.tolist() == [False, True]
    assert weights.shape == (intercept.size, fields.size)
    assert factors.shape == (fields.size, model.n_factors)
    assert len(history["loss"]) > 0
    assert encoder is not None
    assert encoder.fields_.size == fields.size
    assert model.n_features_in_ == 2


def pipelines_and_searches() -> None:
    X, y = table_and_labels()
    model = make_pipeline(OneHotEncoder(), FMRegressor(n_factors=3, loss="huber", random_state=0))
    search = GridSearchCV(model, {"fmregressor__l2_factors": [1e-3, 1e-2]}, cv=2)
    search.fit(X, y.astype(float))
    assert search.predict(X).shape == (60,)
    encoder = FieldEncoder(min_frequency=2, hash={"city": 16}, bins=8)
    regressor = LinearRegressor(encoder=encoder)
    assert regressor.fit(X, y).score(X, y) < 1


def parameters() -> list[object]:
    settings: dict[str, Any] = {"l2_factors": 1e-3, "l2_dense": 1e-3}
    return [
        DeepFMClassifier(8, hidden_layer_sizes=(64, 32), activation="gelu", dropout=0.1, **settings),
        DeepFMClassifier(hidden_layer_sizes=64, solver=optax.adam(1e-3), class_weight={0: 1, 1: 5}),
        WideDeepClassifier(crosses=[("city", "day")], wide_solver="ftrl", l1_linear=1, solver="adagrad"),
        DINClassifier(sequence_fields={"seen": "film"}, activation="dice", learning_rate_schedule="cosine"),
        ESMMClassifier(tower="pnn", task_weights=(1, 2), class_weight=[{0: 1, 1: 5}, {}]),
        MixtureFMClassifier(3, expert="linear", class_weight="balanced", early_stopping=False),
        FFMRegressor(fields=[0, 0, 1], dtype=np.float32, random_state=np.random.RandomState(0)),
        FFMRegressor(
            fields=np.array([0, 0, 1]), fit_intercept=False, learning_rate_schedule=lambda step: 0.1
        ),
        FMRegressor(init_from=LinearRegressor(), scoring="r2", batch_size=64, encoder=None),
    ]


def main() -> None:
    fitted_attributes()
    pipelines_and_searches()
    assert all(repr(model) for model in parameters())


if __name__ == "__main__":
    main()
