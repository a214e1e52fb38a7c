"""DeepCTR-Torch: Adam with gradients of whole tables; it takes one id a field."""

import contextlib
import os
import sys
from importlib import metadata

import numpy as np
import torch
from deepctr_torch.inputs import SparseFeat
from deepctr_torch.models import AFM, DCN, NFM, PNN, WDL, DeepFM, xDeepFM
from sklearn.metrics import log_loss, roc_auc_score

from benchmarks.rivals import answer
from benchmarks.rivals.estimators import seconds_of
from benchmarks.rivals.fields import field_ids

MODELS = {
    "afm": AFM,
    "dcn": DCN,
    "deepfm": DeepFM,
    "nfm": NFM,
    "pnn": PNN,
    "wide_deep": WDL,
    "xdeepfm": xDeepFM,
}


def make(sizes, *, model, seed, threads, settings):
    """Compiled model of fields with so many ids."""
    torch.set_num_threads(threads)
    columns = [
        SparseFeat(f"field{number}", int(size), embedding_dim=settings["n_factors"])
        for number, size in enumerate(sizes)
    ]
    # Without a linear part, a product network takes the columns once.
    inputs = [columns] if model == "pnn" else [columns, columns]
    created = MODELS[model](*inputs, seed=seed, **settings.get("model", {}))
    created.compile("adam", "binary_crossentropy", metrics=[])
    for group in created.optim.param_groups:
        group["lr"] = settings.get("learning_rate", group["lr"])
    return created


def train(parts, *, epochs, settings, **options):
    """An epoch is the difference between a fit of many and one of one."""
    X, y = parts["train"]
    (ids,), sizes = field_ids(X)
    model = make(sizes, settings=settings, **options)
    with quiet():
        one, many = (seconds_of(fit, model, ids, y, 0, n, settings) for n in (1, 1 + epochs))
    return {"epoch_seconds": [(many - one) / epochs], "fit_seconds": many}


def quality(parts, *, epochs, settings, **options):
    """Scores after each of the ascending numbers of epochs of one fit."""
    (X, y), (X_test, y_test) = parts["train"], parts["test"]
    (ids, test_ids), sizes = field_ids(X, X_test)
    found = {"log_loss": [], "AUC": [], "fit_seconds": []}
    with quiet():
        model = make(sizes, settings=settings, **options)
        done, seconds = 0, 0.0
        for number in epochs:
            seconds += seconds_of(fit, model, ids, y, done, number, settings)
            done = number
            found["fit_seconds"].append(seconds)
            probability = model.predict(by_field(test_ids), 4096)[:, 0].astype(np.float64)
            found["log_loss"].append(float(log_loss(y_test, probability)))
            found["AUC"].append(float(roc_auc_score(y_test, probability)))
    return found


def fit(model, ids, y, first, last, settings):
    """Epochs `first` to `last`."""
    model.fit(
        by_field(ids),
        y.astype(np.float32),
        batch_size=settings["batch_size"],
        initial_epoch=first,
        epochs=last,
        verbose=0,
    )


def by_field(ids):
    """Inputs by the names of the fields."""
    return {f"field{number}": column for number, column in enumerate(ids.T)}


def quiet():
    """Its messages go to standard error: standard output is for the answer."""
    return contextlib.redirect_stdout(sys.stderr)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    answer(metadata.version("deepctr-torch"), train, quality)
