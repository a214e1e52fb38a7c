"""Clicks and conversions after them: ESMM against a model of conversions that sees clicked rows alone.

"hillstrom": 64,000 customers of an e-mail test, visit (15 %) and conversion (578 rows); nine columns as they
are, without spend. Stratified folds, shuffled anew by every seed. ESMMClassifier with default parameters and
with tower="fm"; "clicked rows only" is a DeepFMClassifier for visits and one for conversions that is fitted
on visits; "LogisticRegression" the same with LogisticRegression(max_iter=1000) on one-hot text and
standardised numbers. CVR AUC is that of the conversion after a visit on the visits of the test rows, CTCVR
AUC that of visit and conversion on all of them.

"selection": logs of 60,000 impressions of 500 items to 500 users in 10 places, 7 % clicked, a quarter of the
clicks converted (`make_log`). The law is known, so the 30,000 test impressions have conversions drawn whether
clicked or not, and CVR AUC is over all of them. How conversions relate to clicks is what decides, so there
are three laws (`LAWS`):

- shared: the taste, users and items that make clicks make conversions too; places that are clicked convert
  less;
- opposed: the same, but items that are clicked more convert less;
- unrelated: conversions have effects of their own.

The target is judged by the first. "Defaults" have default parameters; "chosen" have the settings of `GRID`,
as many for either side, that have the best CVR AUC over all impressions in a log that is not reported, drawn
with seed 100. That choice needs what nobody knows in practice, and is given to both sides. The other logs
are drawn with ``--seeds``.

DeepCTR-Torch's ESMM has 10 factors and layers of 128 and 64 units as well, Adam, batches of 512, and of at
most 30 epochs the best on a tenth of the rows, held out; else its defaults. It takes one id a field, which
FieldEncoder makes of numbers by bins. Of "hillstrom" it gets the folds of the first seed alone, and its gain
is over these.
"""

import time
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit
from sklearn.base import clone
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks import datasets, report, rivals, runner

PARTS = ("hillstrom", "selection")
TARGET = 0.02
SEARCH_SEED = 100
PLAIN = "clicked rows only"
RIVAL = "DeepCTR-Torch"
RIVAL_OPTIONS = {
    "epochs": 30,
    "patience": 2,
    "batch_size": 512,
    "threads": 1,
    "settings": {"n_factors": 10, "hidden_layer_sizes": [128, 64]},
}
# Penalties are given as the strength of the prior: over the number of rows that a model is fitted on.
VARIANTS = [{}, {"n_factors": 4}, {"prior": 2.0}, {"prior": 5.0}, {"solver": "adam"}]
GRID = [{"tower": tower, **variant} for tower in ("deepfm", "fm") for variant in VARIANTS]


def add_arguments(parser):
    """What to measure."""
    every = list(PARTS)
    parser.add_argument("--parts", type=runner.names_among(every), default=every, help=",".join(PARTS))
    parser.add_argument("--folds", type=int, default=5, help="folds of every seed, at least 2")
    parser.add_argument("--rivals", nargs="*", choices=["none", "deepctr"], default=["deepctr"])


# --- models: from X and the columns click and conversion to the chances of both on other rows


def esmm(X, y, X_test, seed, tower="deepfm", **settings):
    """ESMMClassifier."""
    from skfm import ESMMClassifier

    model = ESMMClassifier(tower=tower, random_state=seed, **with_penalties(settings, len(X), True))
    click, conversion, _ = model.fit(X, y).predict_proba(X_test).T
    return click, conversion


def of_clicked_rows(X, y, X_test, seed, tower="deepfm", **settings):
    """Chance of a conversion by a DeepFM or FM that is fitted on clicked rows; that of a click is missing."""
    from skfm import DeepFMClassifier, FMClassifier

    rows = np.flatnonzero(y[:, 0])
    made = {"deepfm": DeepFMClassifier, "fm": FMClassifier}[tower]
    model = made(random_state=seed, **with_penalties(settings, len(rows), tower == "deepfm"))
    return None, model.fit(X.iloc[rows], y[rows, 1]).predict_proba(X_test)[:, 1]


def two_models(X, y, X_test, seed):
    """DeepFMs for clicks and for conversions of clicked rows, both with default parameters."""
    from skfm import DeepFMClassifier

    model = DeepFMClassifier(random_state=seed).fit(X, y[:, 0])
    return model.predict_proba(X_test)[:, 1], of_clicked_rows(X, y, X_test, seed)[1]


def logistic(X, y, X_test, seed):
    """LogisticRegression for clicks, and for conversions of clicked rows."""
    text = make_column_selector(dtype_exclude="number")
    numbers = make_column_selector(dtype_include="number")
    encoder = make_column_transformer((datasets.one_hot(), text), (StandardScaler(), numbers))
    model = make_pipeline(encoder, LogisticRegression(max_iter=1000))
    rows = np.flatnonzero(y[:, 0])
    click = clone(model).fit(X, y[:, 0])
    conversion = clone(model).fit(X.iloc[rows], y[rows, 1])
    return click.predict_proba(X_test)[:, 1], conversion.predict_proba(X_test)[:, 1]


def deepctr(X, y, X_test, seed):
    """ESMM of DeepCTR-Torch, in the rivals' environment, on one id a field."""
    from skfm import FieldEncoder

    encoder = FieldEncoder(numeric_encoding="bins").fit(X)
    rows = {"train": (encoder.transform(X), y), "test": (encoder.transform(X_test), np.zeros(len(X_test)))}
    with rivals.problem_file(**rows) as path:
        found = rivals.measure("deepctr_esmm", "chain", path, seed=seed, **RIVAL_OPTIONS)
    return np.array(found["click"]), np.array(found["conversion"])


def with_penalties(settings, n_rows, has_network):
    """Parameters of an estimator: the strength "prior" becomes penalties of factors and network."""
    settings = dict(settings)
    if "prior" in settings:
        penalty = settings.pop("prior") / n_rows
        settings |= {"l2_factors": penalty} | ({"l2_dense": penalty} if has_network else {})
    return settings


def timed(model, *given, **settings):
    """Chances that a model gives, the seconds that it takes with them, and the categories of its warnings."""
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        chances = model(*given, **settings)
    return chances, time.perf_counter() - start, {warning.category.__name__ for warning in caught}


def collect(runs, warned, **others):
    """An entry of a list of one value a run for every figure of the runs."""
    return others | {name: [run[name] for run in runs] for name in runs[0]} | {"warnings": sorted(warned)}


def run(options, results, save):
    """Measure the parts; keys are ``hillstrom/MODEL`` and ``selection LAW/MODEL``."""
    with_rival = "deepctr" in options.rivals
    if with_rival:
        rivals.interpreter("deepctr_esmm")
    if "hillstrom" in options.parts:
        run_hillstrom(options, with_rival, results, save)
    if "selection" in options.parts:
        for law in LAWS:
            run_selection(law, options, with_rival, results, save)


# --- customers of an e-mail test


def run_hillstrom(options, with_rival, results, save):
    """Every model on the folds of every seed."""
    X, y = datasets.load_hillstrom(datasets.find_data(options.data))
    models = {
        "ESMM": esmm,
        "ESMM, tower fm": lambda *given: esmm(*given, tower="fm"),
        PLAIN: two_models,
        "LogisticRegression": logistic,
    }
    models |= {RIVAL: deepctr} if with_rival else {}
    seeds = options.seeds[:1] if options.quick else options.seeds
    folds = [
        (seed, train, test)
        for seed in seeds
        for train, test in StratifiedKFold(options.folds, shuffle=True, random_state=seed).split(X, y.sum(1))
    ]
    if options.quick:
        folds = [(seed, train[:8000], test) for seed, train, test in folds[:2]]
    for name, model in models.items():
        runs, warned = [], set()
        # The rival takes a process and half a minute for each fold.
        for seed, train, test in folds[: options.folds] if name == RIVAL else folds:
            chances, seconds, found = timed(model, X.iloc[train], y[train], X.iloc[test], seed)
            runs.append(score_chain(y[test], *chances) | {"seconds": seconds})
            warned |= found
        results[f"hillstrom/{name}"] = entry = collect(runs, warned)
        report.log(
            f"hillstrom: {name}: CVR AUC {report.format_spread(entry['CVR AUC'])}, "
            f"CTCVR AUC {report.format_spread(entry['CTCVR AUC'])} in {sum(entry['seconds']):.0f} s"
        )
        save()


def score_chain(y, click, conversion):
    """AUC of the click, of the conversion on clicked rows, and of both on all rows."""
    clicked = y[:, 0] == 1
    return {
        "CTR AUC": float(roc_auc_score(y[:, 0], click)),
        "CVR AUC": float(roc_auc_score(y[clicked, 1], conversion[clicked])),
        "CTCVR AUC": float(roc_auc_score(y[:, 1], click * conversion)),
    }


# --- logs with a known bias of selection


@dataclass(frozen=True)
class Law:
    """What makes conversions: weights of the effects that make clicks, and the size of effects of their own.

    Attributes
    ----------
    taste, user, item, place : float
    own : float
    """

    taste: float
    user: float
    item: float
    place: float
    own: float


LAWS = {
    "shared": Law(taste=1.0, user=1.0, item=1.0, place=-0.5, own=0.3),
    "opposed": Law(taste=1.0, user=1.0, item=-1.0, place=-0.5, own=0.3),
    "unrelated": Law(taste=0.0, user=0.0, item=0.0, place=0.0, own=0.8),
}


@dataclass(frozen=True)
class Log:
    """Impressions, and what is known of them.

    Attributes
    ----------
    X : DataFrame of shape (n_samples, 3)
        User, item and place.
    click, conversion : ndarray of int, shape (n_samples,)
        Conversions are drawn for all impressions; a log has those of the clicked ones alone.
    click_chance, conversion_chance : ndarray of shape (n_samples,)
    """

    X: pd.DataFrame
    click: np.ndarray
    conversion: np.ndarray
    click_chance: np.ndarray
    conversion_chance: np.ndarray

    def rows(self, rows):
        """Some of the impressions."""
        return Log(*(datasets.take_rows(part, rows) for part in vars(self).values()))


def make_log(law, n_samples, random_state, *, n_names=500, n_places=10, n_factors=3):
    """Draw impressions of items to users, clicks, and conversions.

    The log odds of a click are ``1.5 <u, v> / sqrt(3) + 0.7 (a_user + b_item) + c_place`` plus a constant
    that makes 7 % of clicks; vectors and effects are standard normal. Those of a conversion are
    ``taste <u, v> / sqrt(3) + 0.7 (user a_user + item b_item) + place c_place``, plus effects of users, items
    and places that have nothing to do with clicks, of standard deviation ``own``, plus a constant that makes
    a quarter of the clicks convert.

    Parameters
    ----------
    law : Law
    n_samples : int
    random_state : int
        Decides the effects and the rows.
    n_names : int, default=500
        Number of users, and of items; uniformly drawn, as are places.
    n_places : int, default=10
    n_factors : int, default=3
        Length of the vectors u and v.

    Returns
    -------
    Log
    """
    rng = np.random.default_rng(random_state)
    sizes = {"user": n_names, "item": n_names, "place": n_places}
    number = {name: rng.integers(size, size=n_samples) for name, size in sizes.items()}
    effect = {name: rng.normal(size=size)[number[name]] for name, size in sizes.items()}
    own = sum(rng.normal(size=size)[number[name]] for name, size in sizes.items())
    vectors = [rng.normal(size=(n_names, n_factors))[number[name]] for name in ("user", "item")]
    taste = (vectors[0] * vectors[1]).sum(axis=1) / np.sqrt(n_factors)

    click = chances(1.5 * taste + 0.7 * (effect["user"] + effect["item"]) + effect["place"], 0.07)
    raw = law.taste * taste + 0.7 * (law.user * effect["user"] + law.item * effect["item"])
    conversion = chances(raw + law.place * effect["place"] + law.own * own, 0.25, click)
    X = pd.DataFrame({name: np.char.mod(f"{name} %d", values) for name, values in number.items()})
    drawn = [(rng.random(n_samples) < chance).astype(np.int64) for chance in (click, conversion)]
    return Log(X, *drawn, click, conversion)


def chances(log_odds, share, weight=None):
    """Chances whose weighted mean is a share, from log odds up to a constant."""
    constant = brentq(lambda b: np.average(expit(log_odds + b), weights=weight) - share, -50, 50)
    return expit(log_odds + constant)


def draw(law, seed, quick):
    """Training and test rows of a log."""
    n_train, n_test = (6_000, 3_000) if quick else (60_000, 30_000)
    log = make_log(LAWS[law], n_train + n_test, seed)
    return log.rows(np.arange(n_train)), log.rows(np.arange(n_train, n_train + n_test))


def fit_and_score(model, train, test, seed, settings):
    """AUC of chances of a conversion over all test impressions, and over the clicked ones; warnings."""
    y = np.column_stack([train.click, train.click * train.conversion])
    (click, conversion), seconds, found = timed(model, train.X, y, test.X, seed, **settings)
    return score_log(test, click, conversion) | {"seconds": seconds}, found


def score_log(test, click, conversion):
    """Scores of chances; "click as CVR" takes those of a click for those of a conversion."""
    clicked = test.click == 1
    as_conversion = None if click is None else float(roc_auc_score(test.conversion, click))
    return {
        "CVR AUC": float(roc_auc_score(test.conversion, conversion)),
        "clicked": float(roc_auc_score(test.conversion[clicked], conversion[clicked])),
        "CTR AUC": None if click is None else float(roc_auc_score(test.click, click)),
        "click as CVR": as_conversion,
    }


def run_selection(law, options, with_rival, results, save):
    """Defaults and chosen settings of every model, on a log for each seed."""
    seeds = options.seeds[:1] if options.quick else options.seeds
    logs = [draw(law, seed, options.quick) for seed in seeds]
    truth = [score_log(test, test.click_chance, test.conversion_chance) for _, test in logs]
    results[f"selection {law}/true chances"] = collect(truth, set())
    models = {"ESMM": (esmm, GRID), PLAIN: (of_clicked_rows, GRID)}
    models |= {RIVAL: (deepctr, [{}])} if with_rival else {}
    known = draw(law, SEARCH_SEED, options.quick)
    for name, (model, grid) in models.items():
        kinds = {"defaults": grid[0]}
        if len(grid) > 1:
            searched = search(f"selection {law}: {name}", model, grid[:2] if options.quick else grid, known)
            kinds["chosen"] = max(searched, key=lambda trial: trial["CVR AUC"])["settings"]
        for kind, settings in kinds.items():
            runs, warned = [], set()
            for seed, log in zip(seeds, logs, strict=True):
                scores, found = fit_and_score(model, *log, seed, settings)
                runs.append(scores)
                warned |= found
            entry = collect(runs, warned, settings=settings)
            entry |= {"search": searched} if kind == "chosen" else {}
            results[f"selection {law}/{name}, {kind}"] = entry
            spread = report.format_spread(entry["CVR AUC"])
            report.log(f"selection {law}: {name}, {kind} {settings}: CVR AUC {spread}")
            save()


def search(title, model, grid, log):
    """Scores of every setting on one log."""
    found = []
    for settings in grid:
        scores, _ = fit_and_score(model, *log, SEARCH_SEED, settings)
        found.append({"settings": settings, **scores})
        report.log(f"{title} {settings}: CVR AUC {scores['CVR AUC']:.4f}")
    return found


# --- tables


def render(results):
    """A table of each part."""
    return "\n\n".join(filter(None, [render_hillstrom(results), render_selection(results)]))


def render_hillstrom(results):
    """One row a model: mean AUC and its spread over the folds."""
    rows = []
    plain = results.get(f"hillstrom/{PLAIN}")
    for key, entry in results.items():
        part, _, name = key.partition("/")
        if part != "hillstrom":
            continue
        spreads = [report.format_spread(entry[score]) for score in ("CTR AUC", "CVR AUC", "CTCVR AUC")]
        gains = [gain(entry, plain, score) for score in ("CVR AUC", "CTCVR AUC")]
        rows.append([name, *spreads, *gains, len(entry["seconds"]), float(np.median(entry["seconds"]))])
    header = ["hillstrom", "CTR AUC", "CVR AUC", "CTCVR AUC", "CVR gain", "CTCVR gain", "fits", "s"]
    return report.format_table(header, rows) if rows else ""


def gain(entry, other, score):
    """Difference in a score from another entry's fits of the same rows, the first ones, and its spread."""
    if other is None or entry is other:
        return None
    return report.format_spread([mine - its for mine, its in zip(entry[score], other[score], strict=False)])


def render_selection(results):
    """One row a law and model: AUC over all impressions, the gain over clicked rows only, and the target."""
    rows = []
    for key, entry in results.items():
        part, _, model = key.partition("/")
        if not part.startswith("selection"):
            continue
        law, (name, _, kind) = part.removeprefix("selection "), model.partition(", ")
        plain = results.get(f"{part}/{PLAIN}, {kind}")
        compared = gain(entry, plain, "CVR AUC") if kind else None
        judged = None
        if law == "shared" and name == "ESMM" and compared:
            mean = float(np.mean(np.subtract(entry["CVR AUC"], plain["CVR AUC"])))
            judged = report.format_target(mean, TARGET, at_least=True)
        settings = ", ".join(f"{k}={v}" for k, v in entry.get("settings", {}).items())
        scores = [mean_of(entry[score]) for score in ("clicked", "CTR AUC", "click as CVR")]
        spread = report.format_spread(entry["CVR AUC"])
        rows.append([law, model, spread, compared, judged, *scores, mean_of(entry.get("seconds")), settings])
    header = [
        "selection", "model", "CVR AUC, all rows", "gain", "target", "clicked rows", "CTR AUC",
        "click as CVR", "s", "settings",
    ]  # fmt: skip
    return report.format_table(header, rows) if rows else ""


def mean_of(values):
    """Mean of a list; None where there is none."""
    return None if values is None or None in values else float(np.mean(values))
