"""ESMM of DeepCTR-Torch: clicks, and conversions after them."""

import copy
import io
import os
from contextlib import redirect_stdout
from importlib import metadata

import numpy as np
import torch
from deepctr_torch.inputs import SparseFeat
from deepctr_torch.models import ESMM
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from benchmarks.rivals import answer
from benchmarks.rivals.estimators import seconds_of
from benchmarks.rivals.fields import field_ids


def make(sizes, *, seed, threads, settings):
    """Compiled model of fields with so many ids."""
    torch.set_num_threads(threads)
    columns = [
        SparseFeat(name, int(size), embedding_dim=settings["n_factors"])
        for name, size in zip(names_of(len(sizes)), sizes, strict=True)
    ]
    model = ESMM(columns, settings["hidden_layer_sizes"], seed=seed, **settings.get("model", {}))
    model.compile("adam", ["binary_crossentropy", "binary_crossentropy"], metrics=[])
    return model


def names_of(n_fields):
    """Names of the inputs."""
    return [f"field{number}" for number in range(n_fields)]


def chain(parts, *, epochs, patience, batch_size, seed, **options):
    """Chances of a click and of a conversion after it, for the rows "test".

    A tenth of the rows is held out; of at most so many epochs the one with the least loss on them counts,
    and training stops when so many in a row have been no better.
    """
    (X, y), (X_test, _) = parts["train"], parts["test"]
    (ids, test_ids), sizes = field_ids(X, X_test)
    names = names_of(len(sizes))
    model = make(sizes, seed=seed, **options)
    ids, held, y, y_held = train_test_split(
        ids, y.astype(np.float32), test_size=0.1, stratify=y.sum(axis=1), random_state=seed
    )
    best = {"loss": np.inf}
    seconds = 0.0
    with redirect_stdout(io.StringIO()):
        for epoch in range(epochs):
            inputs = dict(zip(names, ids.T, strict=True))
            seconds += seconds_of(fit, model, inputs, y, epoch, batch_size)
            found = model.predict(dict(zip(names, held.T, strict=True)), 4096)
            loss = sum(log_loss(y_held[:, task], found[:, task], labels=[0, 1]) for task in range(2))
            if loss < best["loss"]:
                best = {"loss": loss, "epoch": epoch, "state": copy.deepcopy(model.state_dict())}
            elif epoch - best["epoch"] >= patience:
                break
        model.load_state_dict(best["state"])
        click, both = model.predict(dict(zip(names, test_ids.T, strict=True)), 4096).T
    conversion = both / np.maximum(click, 1e-30)
    return {
        "click": click.tolist(),
        "conversion": conversion.tolist(),
        "epochs": best["epoch"] + 1,
        "fit_seconds": seconds,
    }


def fit(model, inputs, y, epoch, batch_size):
    """One epoch."""
    model.fit(inputs, y, batch_size=batch_size, initial_epoch=epoch, epochs=epoch + 1, verbose=0)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    answer(metadata.version("deepctr-torch"), chain)
