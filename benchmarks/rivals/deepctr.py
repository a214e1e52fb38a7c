"""DeepCTR-Torch: Adam with gradients of whole tables; it takes one id a field."""

import contextlib
import copy
import os
import sys
import time
from importlib import metadata

import numpy as np
import torch
from deepctr_torch.inputs import SparseFeat, VarLenSparseFeat
from deepctr_torch.models import AFM, DCN, DIN, NFM, PNN, WDL, DeepFM, xDeepFM
from sklearn.metrics import roc_auc_score

from benchmarks.rivals import answer
from benchmarks.rivals.estimators import Scores, seconds_of
from benchmarks.rivals.fields import field_ids

# Where it trains; seconds of a GPU are not comparable with those of other adapters.
DEVICE = os.environ.get("SKFM_RIVALS_DEVICE", "cpu")
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
    created = MODELS[model](*inputs, seed=seed, device=DEVICE, **settings.get("model", {}))
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
    y = parts["train"][1]
    found, sizes = field_ids(*(X for X, _ in parts.values()))
    ids = dict(zip(parts, found, strict=True))
    scores = Scores(parts)
    with quiet():
        model = make(sizes, settings=settings, **options)
        done, seconds = 0, 0.0
        for number in epochs:
            seconds += seconds_of(fit, model, ids["train"], y, done, number, settings)
            done = number
            scores.add(seconds, lambda part, _: model.predict(by_field(ids[part]), 4096)[:, 0])
    return scores.found


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


def din(parts, *, names, max_epochs, patience, seed, threads, settings, scores):
    """Train DIN and keep the epoch that has the best AUC on the rows "stop".

    A row holds ids: one for each of `names`, then the history of each, all as long, padded with 0.

    Parameters
    ----------
    names : list of str
        What a row has a candidate and a history of.
    patience : int
        Epochs without a better AUC that end the training.
    scores : str
        Where the probabilities of the rows "valid" and "test" are written.
    """
    torch.set_num_threads(threads)
    inputs = {part: history_inputs(X, names) for part, (X, _) in parts.items()}
    model = make_din(inputs, names, seed, settings)
    y, y_stop = parts["train"][1].astype(np.float32), parts["stop"][1]
    best, weights, aucs, start = -np.inf, None, [], time.perf_counter()
    with quiet():
        while len(aucs) < max_epochs and len(aucs) - np.argmax([*aucs, -np.inf]) <= patience:
            model.fit(inputs["train"], y, batch_size=settings["batch_size"], epochs=1, verbose=0)
            aucs.append(float(roc_auc_score(y_stop, model.predict(inputs["stop"], 4096)[:, 0])))
            if aucs[-1] > best:
                best, weights = aucs[-1], copy.deepcopy(model.state_dict())
        seconds = time.perf_counter() - start
        model.load_state_dict(weights)
        found = {part: model.predict(inputs[part], 4096)[:, 0] for part in ("valid", "test")}
    np.savez(scores, **found)
    return {"epochs": len(aucs), "fit_seconds": seconds}


def history_inputs(X, names):
    """Inputs of DIN by name, of rows as `din` takes them."""
    columns = np.split(X.toarray(), np.arange(len(names), X.shape[1], X.shape[1] // len(names) - 1), axis=1)
    candidates, histories = columns[0], columns[1:]
    inputs = {"length": np.count_nonzero(histories[0], axis=1)}
    for number, name in enumerate(names):
        inputs |= {name: candidates[:, number], f"hist_{name}": histories[number]}
    return inputs


def make_din(inputs, names, seed, settings):
    """Compiled DIN; a history and its candidate share a table."""
    columns, histories = [], []
    for name in names:
        both = [name, f"hist_{name}"]
        size = 1 + max(int(found[column].max()) for found in inputs.values() for column in both)
        one, entry = (SparseFeat(c, size, settings["n_factors"], embedding_name=name) for c in both)
        columns.append(one)
        maxlen = inputs["train"][f"hist_{name}"].shape[1]
        histories.append(VarLenSparseFeat(entry, maxlen=maxlen, length_name="length"))
    created = DIN([*columns, *histories], names, seed=seed, device=DEVICE, **settings.get("model", {}))
    created.compile(
        torch.optim.Adam(created.parameters(), lr=settings["learning_rate"]), "binary_crossentropy"
    )
    return created


def quiet():
    """Its messages go to standard error: standard output is for the answer."""
    return contextlib.redirect_stdout(sys.stderr)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    answer(metadata.version("deepctr-torch"), train, quality, din)
