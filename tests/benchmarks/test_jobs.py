"""Fits side by side, and other libraries' models chosen as ours are."""

import argparse
import os

import numpy as np
import pytest

from benchmarks import jobs, rivals
from benchmarks.cases import frappe
from benchmarks.rivals.estimators import Scores


def load(number):
    return {"number": number, "process": os.getpid()}


def add(a, b, data):
    return a + b + data["number"], data["process"]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_calls_are_answered_in_their_order_with_the_data(n_jobs):
    workers = jobs.Workers(n_jobs, load, 100)
    found = workers.map(add, [(1, 2), (3, 4), (5, 6)])
    assert [value for value, _ in found] == [103, 107, 111]
    assert all((process == os.getpid()) == (n_jobs == 1) for _, process in found)


def test_tasks_in_threads():
    tasks = {name: name.upper for name in ("a", "b", "c")}
    assert dict(jobs.at_once(2, tasks)) == {"a": "A", "b": "B", "c": "C"}


def test_scores_of_the_rows_that_there_are():
    y, probability = np.array([0, 0, 1, 1]), np.array([0.1, 0.6, 0.4, 0.9])
    scores = Scores({"train": None, "test": (None, y), "valid": (None, 1 - y)})
    scores.add(2.5, lambda part, X: probability)
    assert scores.found["fit_seconds"] == [2.5]
    assert scores.found["AUC"] == [0.75]
    assert scores.found["valid_AUC"] == [0.25]
    assert scores.found["log_loss"][0] == pytest.approx(-np.log([0.9, 0.4, 0.4, 0.9]).mean())
    assert set(Scores({"test": (None, y)}).found) == {"fit_seconds"}


def test_a_rival_is_chosen_and_stopped_on_valid(monkeypatch):
    """By each measure its own setting and number of epochs; the test scores have no part in it."""
    monkeypatch.setitem(frappe.RIVALS, ("xlearn", "ffm"), [{"lr": 0.5}, {"lr": 2.0}])
    monkeypatch.setitem(frappe.RIVAL_EPOCHS, "xlearn", [1, 2, 3])
    asked = []

    def measure(adapter, task, path, *, settings, seed, **options):
        asked.append((settings["lr"], seed))
        better = settings["lr"] == 2.0
        return {
            "fit_seconds": [1.0, 2.0, 3.0],
            "valid_AUC": [0.7, 0.9 + 0.01 * better, 0.8],
            "valid_log_loss": [0.3 + 0.1 * better, 0.5, 0.4],
            "AUC": [0.99, 0.5, 0.6],
            "log_loss": [0.9, 0.8, 0.1],
        }

    monkeypatch.setattr(rivals, "measure", measure)
    options = argparse.Namespace(seeds=[0, 1], quick=False, jobs=1, measures=["AUC", "log_loss"])
    entries = frappe.search_rival("xlearn", "ffm", "path", options)
    assert sorted(asked) == [(0.5, 0), (0.5, 1), (2.0, 0), (2.0, 1)]
    by_auc, by_loss = entries["AUC"], entries["log_loss"]
    assert (by_auc["chosen"], by_loss["chosen"]) == ({"lr": 2.0}, {"lr": 0.5})
    assert [run["epochs"] for run in by_auc["runs"]] == [2, 2]
    assert [run["epochs"] for run in by_loss["runs"]] == [1, 1]
    assert [run["test"]["AUC"] for run in by_auc["runs"]] == [0.5, 0.5]
    assert [run["seed"] for run in by_loss["runs"]] == [0, 1]
