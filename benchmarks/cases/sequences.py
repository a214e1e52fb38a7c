"""Histories: DIN beside models that sum them, on Amazon's Beauty and Toys and on a log of one deciding entry.

Behaviour: Amazon Beauty and Toys, leave-one-out by `skfm.datasets.make_click_rows`: of each user the last
item is for the test and the one before for validation, each among 99 items drawn evenly; in training there is
one drawn item for each that the user took. Histories hold the latest 50 items. **Training rows are those of
all users, validation and test rows those of 2,000 users drawn once (``--users``).** A log of fewer users
would not do: most of its items would occur once or twice, so that what is held out is what training has not,
and popular items would be the wrong answer. A row has the item, its category (the rarest of its attributes
that 20 items have), and the history of both; not the user. All models have the same rows. Those that sum
histories have one table for a history and its candidate, as DIN does. Popularity counts how often training
rows took the item.

DeepCTR-Torch's DIN has our embedding size, hidden layers, hidden units of attention and batch size; what else
it has is its default, but for its grid. Training stops by the AUC of the validation rows of the item taken
and nine others, after three epochs without a better one; the best epoch counts. For each model the setting of
its grid is chosen by HR@10 of the validation rows with the first seed, and repeated with every seed. Seeds
differ in what the model draws, not in the rows.

Attention: an item has one of 200 categories and is good or bad. A history holds 5 to 15 items of different
categories, the candidate is of one of these categories, and it is clicked where the history's item of that
category is good. 30,000 training rows and 5,000 test rows; default parameters, so the held-out rows are drawn
from training. With 100 categories a DeepFM that sums histories still finds the entry at times (AUC 0.78).
``deciding entry first`` is the share of test rows in which the deciding entry has the weight furthest from
the median of its history; with a softmax, which is the default, the greatest weight.
"""

import tempfile
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import ParameterGrid

from benchmarks import datasets, jobs, report, rivals, runner

PAIRS = {"history": "item", "history_category": "category"}
COLUMNS = ["item", "category", "history", "history_category"]
MAX_LENGTH = 50
N_NEGATIVES, N_TEST_NEGATIVES, N_STOP_NEGATIVES = 1, 99, 9
EPOCHS = {"max_iter": 60, "n_iter_no_change": 3}
# What is chosen on valid, as many settings a model.
GRID = {
    "DIN": {"attention_softmax": [True, False]},
    "DeepFM": {"init_scale": [0.01, 0.1]},
    "FM": {"init_scale": [0.01, 0.1]},
    "deepctr": {"learning_rate": [0.001, 0.003]},
}
DATASETS = ("beauty", "toys")
MODELS = ("DIN", "DeepFM", "FM", "popularity")
RIVALS = ("deepctr",)
SIZES = {"n_factors": 10, "hidden_layer_sizes": [128, 64], "attention_layer_sizes": [32]}
MEASURES = ("HR@10", "NDCG@10", "gAUC")

N_CATEGORIES = 200
LENGTHS = (5, 15)
LEAST_DIN_AUC, GREATEST_POOLED_AUC = 0.95, 0.75
ATTENTION = {
    "DIN": ("DIN", {}),
    "DIN, no softmax": ("DIN", {"attention_softmax": False}),
    "DeepFM": ("DeepFM", {}),
    "FM": ("FM", {}),
}


def add_arguments(parser):
    """What to run, of which models, and of how many users."""
    choices = {"parts": ["behaviour", "attention"], "datasets": [*DATASETS], "models": [*MODELS]}
    for what, names in choices.items():
        parser.add_argument(f"--{what}", type=runner.names_among(names), default=names, help=",".join(names))
    parser.add_argument("--users", type=int, default=2000, help="users whose rows are scored")
    parser.add_argument(
        "--rivals",
        nargs="*",
        choices=["none", *RIVALS],
        default=[*RIVALS],
        help="whom to measure beside skfm; none for nobody",
    )
    jobs.add_argument(parser)


def run(options, results, save):
    """Measure the parts; keys are ``behaviour DATASET/MODEL`` and ``attention MODEL``."""
    if "attention" in options.parts:
        run_attention(options, results, save)
    if "behaviour" not in options.parts:
        return
    data = datasets.find_data(options.data)
    names = [*options.models, *(name for name in RIVALS if name in options.rivals)]
    for name in names:
        if name in RIVALS:
            rivals.interpreter(name)
    n_users = 300 if options.quick else options.users
    for dataset in options.datasets[: 1 if options.quick else None]:
        workers = jobs.Workers(options.jobs, load, data, dataset, n_users, options.quick)
        tasks = {name: partial(search, name, workers, options) for name in names}
        for name, entry in jobs.at_once(1 if options.jobs == 1 else len(names), tasks):
            results[f"behaviour {dataset}/{name}"] = {"users": n_users} | entry
            save()


# --- behaviour


def load(data, dataset, n_users, quick):
    """Rows of a data set, see `make_rows`."""
    log, categories = datasets.load_sequences(data, dataset)
    return make_rows(log[: 20 * n_users] if quick else log, categories, n_users)


def make_rows(log, categories, n_users):
    """Table, target and groups of train, and of valid, stop and test, which have `n_users` drawn users."""
    from skfm.datasets import make_click_rows

    made = make_click_rows(
        log.user,
        log.item,
        n_negatives=N_NEGATIVES,
        n_test_negatives=N_TEST_NEGATIVES,
        max_length=MAX_LENGTH,
        item_features={"category": categories},
        random_state=0,
    )
    chosen = np.random.RandomState(0).permutation(log.user.unique())[:n_users]
    rows = {}
    for part, found in made.items():
        kept = np.isin(found.data["user"], chosen) if part != "train" else np.full(len(found.target), True)
        rows[part] = found.data.loc[kept, COLUMNS], found.target[kept], found.groups[kept]
    X, y, groups = rows["valid"]
    few = np.arange(len(y)) % (1 + N_TEST_NEGATIVES) <= N_STOP_NEGATIVES
    return rows | {"stop": (X[few], y[few], groups[few])}


def problem_file(rows):
    """File of the rows as ids, for rivals."""
    numbers = {}
    for name in PAIRS.values():
        found = pd.concat([X[name] for X, _, _ in rows.values()]).unique()
        numbers[name] = {value: number for number, value in enumerate(found, start=1)}
        for X, _, _ in rows.values():
            for value in X[f"history{'' if name == 'item' else '_' + name}"].explode().unique():
                numbers[name].setdefault(value, len(numbers[name]) + 1)
    return rivals.problem_file(**{part: (as_ids(X, numbers), y) for part, (X, y, _) in rows.items()})


def as_ids(X, numbers):
    """A candidate of each of `numbers`, then the history of each, padded with 0."""
    blocks = [X[name].map(numbers[name]).to_numpy(np.int32)[:, None] for name in numbers]
    lengths = X["history"].map(len).to_numpy()
    filled = np.arange(MAX_LENGTH) < lengths[:, None]
    for history, name in PAIRS.items():
        block = np.zeros(filled.shape, np.int32)
        block[filled] = X[history].explode().dropna().map(numbers[name]).to_numpy()
        blocks.append(block)
    return csr_matrix(np.hstack(blocks))


def fit_and_score(name, setting, seed, quick, rows):
    """What a fit takes, and its scores of valid and test."""
    if name == "popularity":
        found, predicted = fit_popularity(rows)
    else:
        fit = fit_rival if name in RIVALS else fit_ours
        found, predicted = fit(name, rows, setting, seed, quick)
    run = {"seed": seed} | scored(rows, found, predicted)
    scores = ", ".join(f"{part} {m} {run[part][m]:.4f}" for part in ("valid", "test") for m in MEASURES)
    report.log(f"{name}, seed {seed} {setting}: {scores}, {run['epochs']} epochs, {run['fit_seconds']:.0f} s")
    return run


def make_model(stem, pairs, **settings):
    """Classifier of skfm: DIN, or a model that sums histories."""
    import skfm

    if stem == "DIN":
        settings["sequence_fields"] = pairs
    else:
        settings["encoder"] = skfm.FieldEncoder(
            shared={target: [target, history] for history, target in pairs.items()}
        )
    return getattr(skfm, f"{stem}Classifier")(**settings)


def fit_ours(stem, rows, setting, seed, quick):
    """Fit a model of skfm, stopped by the AUC of the rows "stop"."""
    epochs = {"max_iter": 2} if quick else EPOCHS
    model = make_model(
        stem, PAIRS, early_stopping=True, scoring="roc_auc", random_state=seed, **epochs, **setting
    )
    (X, y, _), (X_stop, y_stop, _) = rows["train"], rows["stop"]
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y, X_val=X_stop, y_val=y_stop)
    seconds = time.perf_counter() - start
    scores = {part: model.predict_proba(rows[part][0])[:, 1] for part in ("valid", "test")}
    warned = sorted({warning.category.__name__ for warning in caught})
    return {"epochs": int(model.n_iter_), "fit_seconds": seconds, "warnings": warned}, scores


def fit_rival(name, rows, setting, seed, quick):
    """Fit DeepCTR-Torch's DIN in a process of its own."""
    sizes = {
        "dnn_hidden_units": SIZES["hidden_layer_sizes"],
        "att_hidden_size": SIZES["attention_layer_sizes"],
    }
    settings = {"n_factors": SIZES["n_factors"], "batch_size": batch_size(rows), "model": sizes} | setting
    with tempfile.TemporaryDirectory() as folder, problem_file(rows) as path:
        scores = Path(folder) / "scores.npz"
        found = rivals.measure(
            name,
            "din",
            path,
            names=[*PAIRS.values()],
            max_epochs=2 if quick else EPOCHS["max_iter"],
            patience=EPOCHS["n_iter_no_change"],
            seed=seed,
            threads=1,
            settings=settings,
            scores=str(scores),
        )
        with np.load(scores) as stored:
            return found, {part: stored[part].astype(np.float64) for part in ("valid", "test")}


def batch_size(rows):
    """The size of skfm's batches on these rows."""
    from skfm.train import defaults

    return defaults.batch_size("auto", len(rows["train"][1]))


def fit_popularity(rows):
    """Count how often each item was taken in training."""
    X, y, _ = rows["train"]
    counts = X["item"][y == 1].value_counts()
    scores = {part: rows[part][0]["item"].map(counts).fillna(0).to_numpy() for part in ("valid", "test")}
    return {"epochs": 0, "fit_seconds": 0.0}, scores


def search(name, workers, options):
    """Choose a setting on valid, then repeat it over the seeds.

    Returns
    -------
    dict
        ``chosen`` setting, ``search`` (every setting tried, with its run) and ``runs`` (the chosen one's, one
        a seed; the first is the one of the search).
    """
    candidates = list(ParameterGrid(GRID.get(name, {})))
    first, *others = options.seeds
    if name == "popularity" or options.quick:
        candidates, others = candidates[:1], []
    runs = workers.map(fit_and_score, [(name, setting, first, options.quick) for setting in candidates])
    tried = [{"setting": each, "run": run} for each, run in zip(candidates, runs, strict=True)]
    best = max(tried, key=lambda trial: trial["run"]["valid"]["HR@10"])
    chosen = best["setting"]
    repeated = workers.map(fit_and_score, [(name, chosen, seed, options.quick) for seed in others])
    return {"chosen": chosen, "search": tried, "runs": [best["run"], *repeated]}


def scored(rows, found, scores):
    """What a fit took, and its measures of valid and test."""
    from skfm import metrics

    for part, values in scores.items():
        _, y, groups = rows[part]
        found[part] = {
            "HR@10": metrics.group_hit_rate_score(y, values, groups=groups, k=10),
            "NDCG@10": metrics.group_ndcg_score(y, values, groups=groups, k=10),
            "gAUC": metrics.group_roc_auc_score(y, values, groups=groups),
        }
    return found


# --- attention


def make_attention_rows(n_rows, random_state):
    """Table, target and the place of the deciding entry in each history."""
    rng = np.random.default_rng(random_state)
    lengths = rng.integers(LENGTHS[0], LENGTHS[1] + 1, n_rows)
    categories = rng.permuted(np.tile(np.arange(N_CATEGORIES), (n_rows, 1)), axis=1)[:, : LENGTHS[1]]
    good = rng.integers(2, size=categories.shape)
    place = rng.integers(lengths)
    names = np.char.add(np.char.mod("c%d ", categories), np.where(good, "good", "bad"))
    rows = np.arange(n_rows)
    candidate = np.char.mod("c%d ", categories[rows, place])
    X = pd.DataFrame({"item": np.char.add(candidate, rng.choice(["good", "bad"], n_rows))})
    X["history"] = [row[:length].tolist() for row, length in zip(names, lengths, strict=True)]
    return X, good[rows, place], place


def run_attention(options, results, save):
    """Fit each model with each seed, on rows of that seed."""
    n_train, n_test = (3000, 500) if options.quick else (30_000, 5000)
    epochs = {"max_iter": 2} if options.quick else {}
    for name, (stem, settings) in ATTENTION.items():
        if stem not in options.models:
            continue
        runs = []
        for seed in options.seeds[:1] if options.quick else options.seeds:
            X, y, place = make_attention_rows(n_train + n_test, seed)
            model = make_model(stem, {"history": "item"}, random_state=seed, **epochs, **settings)
            start = time.perf_counter()
            model.fit(X[:n_train], y[:n_train])
            run = {"seed": seed, "epochs": int(model.n_iter_), "fit_seconds": time.perf_counter() - start}
            run["AUC"] = float(roc_auc_score(y[n_train:], model.predict_proba(X[n_train:])[:, 1]))
            if stem == "DIN":
                run["first"] = share_first(model.attention(X[n_train:]), place[n_train:], name == "DIN")
            runs.append(run)
            report.log(f"attention {name}: {run}")
        results[f"attention {name}"] = {"settings": settings, "rows": n_train, "runs": runs}
        save()


def share_first(weights, place, is_softmax):
    """Share of rows whose deciding entry has the weight furthest from the median, or the greatest."""
    found = [np.argmax(w if is_softmax else np.abs(w - np.median(w))) for w in weights]
    return float(np.mean(np.equal(found, place)))


# --- tables


def render(results):
    """A table of the behaviour and one of the attention."""
    return "\n\n".join(filter(None, [render_behaviour(results), render_attention(results)]))


def render_behaviour(results):
    """One row a data set and model."""
    rows = []
    order = [f"behaviour {data}/{name}" for data in DATASETS for name in (*MODELS, *RIVALS)]
    for key in filter(results.get, order):
        dataset, _, name = key.removeprefix("behaviour ").partition("/")
        entry = results[key]
        runs = entry["runs"]
        spreads = [report.format_spread([run["test"][measure] for run in runs]) for measure in MEASURES]
        chosen = ", ".join(f"{k}={v}" for k, v in entry["chosen"].items())
        epochs = " ".join(str(run["epochs"]) for run in runs)
        seconds = float(np.mean([run["fit_seconds"] for run in runs]))
        label = f"{rivals.TITLES[name]} DIN" if name in RIVALS else name
        users = entry["users"]
        rows.append([dataset, users, label, *spreads, runs[0]["valid"]["HR@10"], chosen, epochs, seconds])
    if not rows:
        return ""
    header = ["data", "users", "model", *(f"test {m}" for m in MEASURES), "valid HR@10", "chosen", "epochs"]
    return report.format_table([*header, "fit s"], rows)


def render_attention(results):
    """One row a model; the worst seed decides."""
    rows = []
    for key, entry in results.items():
        part, _, name = key.partition(" ")
        if part != "attention":
            continue
        aucs = [run["AUC"] for run in entry["runs"]]
        if name.startswith("DIN"):
            target = report.format_target(min(aucs), LEAST_DIN_AUC, at_least=True)
        else:
            target = report.format_target(max(aucs), GREATEST_POOLED_AUC, at_least=False)
        first = [run["first"] for run in entry["runs"] if "first" in run]
        epochs = " ".join(str(run["epochs"]) for run in entry["runs"])
        seconds = float(np.mean([run["fit_seconds"] for run in entry["runs"]]))
        shown = report.format_spread(first) if first else None
        rows.append([name, report.format_spread(aucs), target, shown, epochs, seconds])
    if not rows:
        return ""
    header = ["model", "test AUC", "every seed", "deciding entry first", "epochs", "fit s"]
    return report.format_table(header, rows)
