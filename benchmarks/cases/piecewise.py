"""Two regions with opposite interactions: MixtureFM with two pieces against FM.

The problem is ``benchmarks.synthetic.make_piecewise``: 20,000 training rows, 10,000 test rows; each seed
makes another law, other rows and another start. Targets, each for every seed: MixtureFM reaches AUC 0.95, FM
stays at 0.75 or below, and ``gate_proba`` names the region of 90 % of the test rows (in the better order of
the pieces). The law is known, and so is the best AUC that any model can reach.
"""

import time

import numpy as np
from sklearn.metrics import roc_auc_score

from benchmarks import report, synthetic

N_TRAIN, N_TEST = 20_000, 10_000
TRAINING = {
    "n_factors": 8,
    "solver": "adam",
    "learning_rate": 0.01,
    "batch_size": 512,
    "learning_rate_schedule": "constant",
    "l2_linear": 1e-6,
    "l2_factors": 1e-6,
    "init_scale": 0.3,
    "max_iter": 30,
    "early_stopping": False,
}
MODELS = {
    "FM": ("FMClassifier", {}),
    "MixtureFM, mixing=score": (
        "MixtureFMClassifier",
        {"n_components": 2, "gate": "linear", "mixing": "score"},
    ),
    "MixtureFM, mixing=probability": (
        "MixtureFMClassifier",
        {"n_components": 2, "gate": "linear", "mixing": "probability"},
    ),
}
LEAST_MIXTURE_AUC, GREATEST_FM_AUC, LEAST_AGREEMENT = 0.95, 0.75, 0.90


def add_arguments(parser):
    """No options of its own."""


def gate_agreement(gate_proba, region):
    """Share of rows whose likelier piece is their region, in the better order of the pieces."""
    agreement = float(np.mean(gate_proba.argmax(axis=1) == region))
    return max(agreement, 1 - agreement)


def evaluate(name, problem, n_train, seed, overrides):
    """Fit one model on the first rows and score it on the others."""
    import skfm

    class_name, parameters = MODELS[name]
    estimator = getattr(skfm, class_name)(**(TRAINING | parameters | overrides), random_state=seed)
    X_test, y_test = problem.X[n_train:], problem.y[n_train:]
    start = time.perf_counter()
    estimator.fit(problem.X[:n_train], problem.y[:n_train])
    run = {"seed": seed, "fit_seconds": time.perf_counter() - start}
    run["AUC"] = roc_auc_score(y_test, estimator.predict_proba(X_test)[:, 1])
    run["best_AUC"] = roc_auc_score(y_test, problem.log_odds[n_train:])
    if hasattr(estimator, "gate_proba"):
        run["gate_agreement"] = gate_agreement(estimator.gate_proba(X_test), problem.region[n_train:])
    return run


def run(options, results, save):
    """Fit each model with each seed; a result's key is the model."""
    n_train, n_test = (4000, 1000) if options.quick else (N_TRAIN, N_TEST)
    overrides = {"max_iter": 2} if options.quick else {}
    for name in MODELS:
        runs = []
        for seed in options.seeds:
            problem = synthetic.make_piecewise(n_train + n_test, random_state=seed)
            runs.append(evaluate(name, problem, n_train, seed, overrides))
            report.log(f"{name}, seed {seed}: AUC {runs[-1]['AUC']:.4f} in {runs[-1]['fit_seconds']:.1f} s")
        results[name] = {"parameters": TRAINING | MODELS[name][1] | overrides, "runs": runs}
        save()


def render(results):
    """One row a model: the worst seed decides."""
    rows = []
    for name, entry in results.items():
        aucs = [run["AUC"] for run in entry["runs"]]
        gates = [run["gate_agreement"] for run in entry["runs"] if "gate_agreement" in run]
        if gates:
            target = report.format_target(min(aucs), LEAST_MIXTURE_AUC, at_least=True)
            gate_target = report.format_target(min(gates), LEAST_AGREEMENT, at_least=True)
        else:
            target, gate_target = report.format_target(max(aucs), GREATEST_FM_AUC, at_least=False), None
        best = float(np.mean([run["best_AUC"] for run in entry["runs"]]))
        seconds = float(np.mean([run["fit_seconds"] for run in entry["runs"]]))
        gate = report.format_spread(gates) if gates else None
        rows.append([name, report.format_spread(aucs), target, best, gate, gate_target, seconds])
    header = ["model", "test AUC", "every seed", "best possible AUC", "region named", "every seed", "fit s"]
    return report.format_table(header, rows)
