"""Penalties that "auto" chooses, against the best of a grid, on ratings and few clicks; rare values.

Planted ratings: y = b_user + b_item + <u_user, v_item> + noise, with two or three planted factors; 4,000
other rows judge. FMRegressor with default parameters, and with ``l2_factors`` given, from 1 to 256 standard
normal priors. Its R2 is to be within 0.05 of the best of the grid at every size.

Few rows of clicks: log loss as a share of a constant's on 3,000 other rows, LinearClassifier and
FMClassifier with default parameters, and LinearClassifier with ``l2_linear`` given, from 1 to 1,024.
It is to be below 1, and within 0.05 of the best of the grid.

Rare values: FMClassifier with default parameters, log loss as a share of a constant's on 3,000 other rows,
where values in fewer rows than ``min_frequency`` share a slot. Identifiers: y = b_user + b_item + noise, 40
users and 40 items, FMRegressor, RMSE in place of log loss. Visitors: odds = b_visitor + b_page, two rows a
visitor and 20 pages. Messages: SMS Spam, one column of text, where words count as values.
"""

import warnings
from functools import partial

import numpy as np
import pandas as pd
from sklearn.metrics import log_loss, root_mean_squared_error

from benchmarks import datasets, report, runner

SIZES = (300, 600, 900, 1_200, 1_500, 1_900, 2_000, 2_100, 3_000, 4_000)
N_PLANTED = 2
STRENGTHS = (1, 4, 16, 64, 256)
CLICKS = {
    "Criteo": ("criteo_sample/criteo_8k.parquet", "label"),
    "Avazu": ("avazu_sample/avazu_9k.parquet", "click"),
}
CLICK_SIZES = (300, 1_000, 3_000, 6_000)
VALUE_SIZES = (200, 1_000, 1_900, 3_000)
FREQUENCIES = (1, 2, 3)
MOST_BEHIND = 0.05


def add_arguments(parser):
    """Which parts."""
    parts = ["ratings", "clicks", "values"]
    parser.add_argument("--parts", type=runner.names_among(parts), default=parts, help=", ".join(parts))


def run(options, results, save):
    """Fit with defaults, and on the grid."""
    if "ratings" in options.parts:
        for n_rows in SIZES[:1] if options.quick else SIZES:
            for table in range(N_PLANTED):
                key = f"ratings {n_rows} {table}"
                results[key] = [of_ratings(n_rows, table, seed) for seed in options.seeds]
                report.log(f"{key}: {results[key]}")
                save()
    if "clicks" in options.parts:
        data = datasets.find_data(options.data)
        for name, (file, target) in CLICKS.items():
            rows = datasets.read_parquet(data, file)
            for n_rows in CLICK_SIZES[:1] if options.quick else CLICK_SIZES:
                key = f"clicks {name} {n_rows}"
                results[key] = [of_clicks(rows, target, n_rows, seed) for seed in options.seeds]
                report.log(f"{key}: {results[key]}")
                save()
    if "values" in options.parts:
        tables = with_values(datasets.find_data(options.data))
        for name, draw in tables.items():
            for n_rows in VALUE_SIZES[:1] if options.quick else VALUE_SIZES:
                key = f"values {name} {n_rows}"
                results[key] = [of_values(*draw(n_rows + 3_000, seed), n_rows) for seed in options.seeds]
                report.log(f"{key}: {results[key]}")
                save()


def with_values(data):
    """Functions of a number of rows and a seed that draw rows of a table: X and y."""

    def draw(X, y, n_rows, seed):
        rows = np.random.default_rng(seed).permutation(len(y))[:n_rows]
        return X.iloc[rows].reset_index(drop=True), y[rows]

    census = datasets.adult(data)
    tables = {"Adult": (census.X, census.y)}
    for name, (file, target) in CLICKS.items():
        rows = datasets.read_parquet(data, file)
        others = rows.drop(columns=[target, *({"split", "id"} & {*rows.columns})])
        tables[name] = others, rows[target].to_numpy()
    messages = datasets.read_parquet(data, "sms_spam/sms_spam.parquet")
    tables["messages"] = messages[["text"]], messages["label"].to_numpy()
    planted = {"identifiers": identifiers, "visitors": visitors}
    return planted | {name: partial(draw, *table) for name, table in tables.items()}


def identifiers(n_rows, seed):
    """Users and items, and sums of an effect of each with noise."""
    rng = np.random.default_rng(seed)
    (of_user, of_item), (user, item) = rng.normal(size=(2, 40)), rng.integers(40, size=(2, n_rows))
    y = of_user[user] + of_item[item] + 0.5 * rng.normal(size=n_rows)
    return pd.DataFrame({"user": user.astype(str), "item": item.astype(str)}), y


def visitors(n_rows, seed):
    """Clicks whose odds are a sum of an effect of the page and of the visitor, who has few rows."""
    rng = np.random.default_rng(seed)
    n_visitors = max((n_rows - 3_000) // 2, 1)
    visitor, page = rng.integers(n_visitors, size=n_rows), rng.integers(20, size=n_rows)
    odds = rng.normal(size=n_visitors)[visitor] + rng.normal(size=20)[page]
    y = (rng.random(n_rows) < 1 / (1 + np.exp(-odds))).astype(int)
    names = {"visitor": np.char.add("v", visitor.astype(str)), "page": np.char.add("p", page.astype(str))}
    return pd.DataFrame(names), y


def of_values(X, y, n_rows):
    """Losses as shares of a constant's: with default parameters, and for each `min_frequency`."""
    from skfm import FieldEncoder, FMClassifier, FMRegressor

    seen, unseen = slice(n_rows), slice(n_rows, None)
    is_label = len(np.unique(y)) == 2
    constant = np.full(len(y) - n_rows, y[seen].mean())

    def loss(encoder):
        model = (FMClassifier if is_label else FMRegressor)(encoder=encoder, random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(X[seen], y[seen])
        if is_label:
            return log_loss(y[unseen], model.predict_proba(X[unseen])[:, 1]) / log_loss(y[unseen], constant)
        return root_mean_squared_error(y[unseen], model.predict(X[unseen])) / y[unseen].std()

    return {
        "default": loss("auto"),
        "frequencies": [loss(FieldEncoder(min_frequency=n)) for n in FREQUENCIES],
    }


def plant(n_rows, table, seed):
    """Ratings to learn from, and others without noise: (X, y) of each."""
    rng = np.random.default_rng([n_rows, table, seed])
    n_users, n_items, k = (60, 40, 3) if table == 0 else (30, 100, 2)
    users, items = rng.normal(size=(n_users, k)), rng.normal(size=(n_items, k))
    of_user, of_item = rng.normal(size=n_users) / 2, rng.normal(size=n_items) / 2
    found = []
    for n in (n_rows, 4_000):
        user, item = rng.integers(n_users, size=n), rng.integers(n_items, size=n)
        y = of_user[user] + of_item[item] + np.einsum("nk,nk->n", users[user], items[item]) / k**0.5
        found.append([pd.DataFrame({"user": user.astype(str), "item": item.astype(str)}), y])
    found[0][1] = found[0][1] + 0.3 * rng.normal(size=n_rows)
    return found


def of_ratings(n_rows, table, seed):
    """R2 with default parameters and on the grid, and the attempt that was kept."""
    from skfm import FMRegressor

    seen, unseen = plant(n_rows, table, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = FMRegressor(random_state=seed).fit(*seen)
        grid = [
            FMRegressor(random_state=seed, l2_factors=strength / n_rows).fit(*seen).score(*unseen)
            for strength in STRENGTHS
        ]
    return {"default": model.score(*unseen), "grid": grid, "attempt": model.plan_["attempt"]}


def of_clicks(rows, target, n_rows, seed):
    """Log losses as shares of a constant's, and the precision that was chosen."""
    from skfm import FMClassifier, LinearClassifier

    rows = rows.sample(n_rows + 3_000 if len(rows) >= n_rows + 3_000 else len(rows), random_state=seed)
    X, y = rows.drop(columns=[target, *({"split", "id"} & {*rows.columns})]), rows[target].to_numpy()
    seen, unseen = slice(n_rows), slice(n_rows, None)
    constant = log_loss(y[unseen], np.full(y[unseen].size, y[seen].mean()))

    def loss(model):
        return log_loss(y[unseen], model.predict_proba(X[unseen])[:, 1]) / constant

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        linear, machine = (
            one(random_state=seed).fit(X[seen], y[seen]) for one in (LinearClassifier, FMClassifier)
        )
        grid = [
            loss(LinearClassifier(l2_linear=strength / n_rows).fit(X[seen], y[seen]))
            for strength in (*STRENGTHS, 1024)
        ]
    precision = linear.plan_["l2_linear"] * n_rows
    return {"Linear": loss(linear), "FM": loss(machine), "grid": grid, "precision": precision}


def render(results):
    """Tables: defaults, the best of the grid, and the difference."""
    ratings, clicks, values = [], [], []
    for key, runs in results.items():
        part, *names = key.split()
        if part == "values":
            losses = np.mean([run["frequencies"] for run in runs], axis=0)
            values.append([names[0], int(names[1]), np.mean([run["default"] for run in runs]), *losses])
        elif part == "ratings":
            default, best = (
                np.mean([f(run) for run in runs])
                for f in (lambda run: run["default"], lambda run: max(run["grid"]))
            )
            worst = max(max(run["grid"]) - run["default"] for run in runs)
            attempts = ", ".join(str(run["attempt"]) for run in runs)
            target = report.format_target(worst, MOST_BEHIND, at_least=False)
            ratings.append([int(names[0]), int(names[1]) + 1, default, best, worst, attempts, target])
        else:
            linear, machine, best = (
                np.mean([f(run) for run in runs])
                for f in (lambda run: run["Linear"], lambda run: run["FM"], lambda run: min(run["grid"]))
            )
            worst = max(run["Linear"] - min(run["grid"]) for run in runs)
            target = report.format_target(worst, MOST_BEHIND, at_least=False)
            chosen = ", ".join(f"{run['precision']:.0f}" for run in runs)
            at_one = np.mean([run["grid"][0] for run in runs])
            clicks.append([names[0], int(names[1]), at_one, linear, best, worst, chosen, machine, target])
    sections = []
    if ratings:
        header = [
            "rows",
            "table",
            "R2 of defaults",
            "best of the grid",
            "most behind",
            "attempts kept",
            "target",
        ]
        sections.append(report.format_table(header, ratings))
    if clicks:
        header = [
            "clicks",
            "rows",
            "Linear, a = 1",
            "Linear",
            "best of the grid",
            "most behind",
            "a",
            "FM",
            "target",
        ]
        sections.append(report.format_table(header, clicks))
    if values:
        header = ["rare values", "rows", "FM", *(f"min_frequency={n}" for n in FREQUENCIES)]
        sections.append(report.format_table(header, values))
    return "\n\n".join(sections)
