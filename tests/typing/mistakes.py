"""What users mistype: checkers must report the lines that end with a comment, and name what it names."""

from __future__ import annotations

from skfm import DeepFMClassifier, DINClassifier, FieldEncoder, FMClassifier, FMRegressor, WideDeepRegressor


def misspelt_parameters() -> None:
    FMClassifier(n_factor=3)  # n_factor
    FMClassifier(n_factors=3)
    DeepFMClassifier(8, hidden_layers=(64,))  # hidden_layers
    DeepFMClassifier(8, hidden_layer_sizes=(64,))
    FieldEncoder(min_frequence=2)  # min_frequence
    FieldEncoder(min_frequency=2)


def wrong_types() -> None:
    FMClassifier(n_factors="ten")  # n_factors
    FMClassifier(3, 4)  # positional
    FMClassifier(l2_factors="atuo")  # atuo
    FMClassifier(l2_factors="auto")
    FMRegressor(loss="hinge")  # hinge
    DeepFMClassifier(activation="reul")  # reul
    DINClassifier(activation="prelu")
    DeepFMClassifier(activation="prelu")  # prelu
    WideDeepRegressor(parts=None)  # parts
    FieldEncoder(numeric_encoding="bin")  # bin


def wrong_use_of_attributes() -> None:
    model = FMClassifier()
    model.history_["loss"].append("nan")  # append
    model.n_iter_.append(1)  # append
