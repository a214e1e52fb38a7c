"""Small problems and fast settings that the tests of the estimators share, and with them the programs."""

import inspect

import numpy as np

import skfm

# One of each kind: these go through everything, the others through scikit-learn's checks and `test_family`.
KINDS = ("DeepFM", "FM", "Linear", "MixtureFM")
CLASSIFIERS = [f"{kind}Classifier" for kind in KINDS]
REGRESSORS = [f"{kind}Regressor" for kind in KINDS]
NAMES = CLASSIFIERS + REGRESSORS
FAMILY = sorted(
    {name.removesuffix("Regressor") for name in skfm.__all__ if name.endswith("Regressor")} - {*KINDS}
)

RNG = np.random.default_rng(0)
N, D = 64, 6
# Halves and zeros: the same numbers in float32 and float64. Row 3 is empty.
X = RNG.integers(-2, 5, size=(N, D)) / 2.0
X[RNG.random((N, D)) < 0.4] = 0
X[3] = 0
X[0] = [0.5, 1, 1.5, 2, -0.5, -1]
RAW = X[:, 0] * X[:, 1] - X[:, 2] + 0.5 * X[:, 3] + 0.3 * RNG.normal(size=N)
Y = RAW * 3 + 10
LABELS = (np.median(RAW) < RAW).astype(int)


def make(name, **parameters):
    """An unfitted estimator that is small and fast to train."""
    estimator = getattr(skfm, name)
    small = {"n_factors": 3, "init_scale": 0.1, "hidden_layer_sizes": (4,)}
    known = inspect.signature(estimator).parameters
    settings = {"max_iter": 3, "random_state": 0}
    settings |= {parameter: value for parameter, value in small.items() if parameter in known}
    return estimator(**(settings | parameters))


def like_partial_fit(name):
    """What stands for "auto" in calls of partial_fit, which do not know all rows yet."""
    return {"l2_linear": 1 / N} if hasattr(getattr(skfm, name)(), "l2_linear") else {}


def target(name):
    """Labels for a classifier, numbers for a regressor."""
    return LABELS if name.endswith("Classifier") else Y


def predictions(model, X=X):
    """Predicted probabilities or numbers."""
    return model.predict_proba(X) if hasattr(model, "predict_proba") else model.predict(X)
