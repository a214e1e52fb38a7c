"""Factorization machines beside scikit-learn's own classifiers on the Adult census data.

Cross-validates five classifiers on the official training rows, searches a grid over the factorization
machine, scores its best setting on the official test rows, and draws learning curves. ``make demo`` runs it.
"""

import argparse
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # writes a file; no window
import matplotlib.pyplot as plt
import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, SplineTransformer
from tqdm import tqdm

from skfm import DeepFMClassifier, FMClassifier, MixtureFMClassifier
from skfm.datasets import load_adult

CATEGORIES = [
    "workclass",
    "education",
    "marital_status",
    "occupation",
    "relationship",
    "race",
    "sex",
    "native_country",
]
NUMBERS = ["age", "capital_gain", "capital_loss", "hours_per_week"]
GRID = {"model__n_factors": [4, 16], "model__l2_factors": [2e-5, 1e-4]}


def encoded(model):
    """Put an encoding for factorization machines before `model`: every column becomes a field.

    Amounts of capital are categories too: few different ones occur, and each tells what was sold. Age and
    hours become soft bins (linear splines): a number has a share in its two nearest knots, so a model of
    products of columns is then free to bend, and near ages still get near predictions.
    """
    values = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=3)
    soft_bins = SplineTransformer(n_knots=6, degree=1, sparse_output=True)
    encode = ColumnTransformer(
        [
            ("values", values, [*CATEGORIES, "capital_gain", "capital_loss"]),
            ("soft_bins", soft_bins, ["age", "hours_per_week"]),
        ]
    )
    return Pipeline([("encode", encode), ("model", model)])


def boosted_trees():
    """Make boosted trees with native categories, the strongest usual choice for such a table."""
    encode = ColumnTransformer(
        [
            ("codes", OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan), CATEGORIES),
            ("numbers", "passthrough", NUMBERS),
        ]
    )
    trees = HistGradientBoostingClassifier(categorical_features=range(len(CATEGORIES)), random_state=0)
    return make_pipeline(encode, trees)


def make_models():
    return {
        "LogisticRegression": encoded(LogisticRegression(max_iter=1000)),
        "HistGradientBoosting": boosted_trees(),
        "FM": encoded(FMClassifier(random_state=0)),
        "MixtureFM": encoded(MixtureFMClassifier(random_state=0)),
        "DeepFM": encoded(DeepFMClassifier(random_state=0)),
    }


def plot_learning_curves(histories, path):
    """Draw losses, and validation scores where kept; `histories` maps a model's name to its ``history_``."""
    panels = {"loss": {"loss": "--", "validation_loss": "-"}, "score": {"validation_score": "-"}}
    kept = set().union(*histories.values())
    panels = {label: styles for label, styles in panels.items() if kept & styles.keys()}
    figure, axes = plt.subplots(
        1, len(panels), figsize=(6 * len(panels), 4), layout="constrained", squeeze=False
    )
    for panel, (label, styles) in zip(axes[0], panels.items(), strict=True):
        for color, (name, history) in enumerate(histories.items()):
            for key in [key for key in styles if key in history]:
                epochs = np.arange(1, len(history[key]) + 1)
                panel.plot(epochs, history[key], styles[key], color=f"C{color}", label=f"{name}, {key}")
        panel.set(xlabel="epoch", ylabel=label)
        panel.legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, metavar="N", help="use N rows drawn at random (default: all)")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "output", metavar="DIR")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    adult = load_adult()
    rows = np.arange(len(adult.target))
    if arguments.rows:
        rows = np.sort(np.random.default_rng(0).choice(rows, arguments.rows, replace=False))
    X, y, is_train = adult.data.iloc[rows], adult.target.iloc[rows], adult.split[rows] == "train"
    X_train, y_train, X_test, y_test = X[is_train], y[is_train], X[~is_train], y[~is_train]
    folds = StratifiedKFold(3, shuffle=True, random_state=0)

    models = make_models()
    results = {}
    progress = tqdm(total=len(models) + 1, file=sys.stderr, disable=not sys.stderr.isatty())
    for name, model in models.items():
        progress.set_description(name)
        results[name] = cross_validate(
            model, X_train, y_train, cv=folds, scoring=["roc_auc", "neg_log_loss"], return_estimator=True
        )
        progress.update()
    progress.set_description("grid over FM")
    search = GridSearchCV(models["FM"], GRID, cv=folds, scoring="neg_log_loss").fit(X_train, y_train)
    progress.update()
    progress.close()

    print(f"Adult, {len(y_train):,} training rows, mean of 3 folds")
    print(f"{'':22}{'AUC':>8}{'log loss':>10}{'fit time':>10}")
    for name, result in results.items():
        auc, loss = result["test_roc_auc"].mean(), -result["test_neg_log_loss"].mean()
        print(f"{name:22}{auc:8.4f}{loss:10.4f}{result['fit_time'].mean():8.1f} s")

    setting = ", ".join(
        f"{key.removeprefix('model__')}={value:g}" for key, value in search.best_params_.items()
    )
    probability = search.predict_proba(X_test)[:, 1]
    print(f"\nBest FM of {len(search.cv_results_['params'])} settings: {setting}")
    print(
        f"on {len(y_test):,} test rows: "
        f"AUC {roc_auc_score(y_test, probability):.4f}, log loss {log_loss(y_test, probability):.4f}"
    )

    path = arguments.output / "adult_learning_curves.png"
    fitted = {name: result["estimator"][0][-1] for name, result in results.items()}
    plot_learning_curves(
        {name: model.history_ for name, model in fitted.items() if hasattr(model, "history_")}, path
    )
    print(f"\nLearning curves: {path}")


if __name__ == "__main__":
    main()
