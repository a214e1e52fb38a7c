"""From file to cross-validated score in a few lines: each data set's raw table, straight into an estimator.

A snippet is the code that a user writes, run as it stands after IMPORTS; ``data`` is the folder of the data
sets. The baseline is the same snippet, hence the same folds, with LogisticRegression(max_iter=1000) or
Ridge() on what the estimator's FieldEncoder makes of the table, or on the matrix that the snippet has.
"""

import re
import time
import warnings
from functools import partial

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline

from benchmarks import datasets, report, runner

IMPORTS = """
import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import PredefinedSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from skfm import DeepFMClassifier, FieldEncoder, FMClassifier, FMRegressor, MixtureFMClassifier
"""

_MONTI = """
ratings = pd.read_parquet(data / "rating_splits_monti/NAME.parquet")
X, y, split = ratings[["user", "item"]], ratings["rating"], np.where(ratings["split"] == "test", 0, -1)
model = FMRegressor(encoder=FieldEncoder(categorical=["user", "item"], min_frequency=1), random_state=0)
scores = cross_val_score(model, X, y, cv=PredefinedSplit(split), scoring="neg_root_mean_squared_error")
"""

SNIPPETS = {
    "adult": """
adult = pd.read_parquet(data / "adult/adult.parquet")
X, y = adult.drop(columns=["split", "income"]), adult["income"]
scores = cross_val_score(DeepFMClassifier(random_state=0), X, y, cv=3, scoring="roc_auc")
""",
    "avazu_sample": """
clicks = pd.read_parquet(data / "avazu_sample/avazu_9k.parquet")
X, y = clicks.drop(columns=["split", "id", "click"]), clicks["click"]
scores = cross_val_score(MixtureFMClassifier(random_state=0), X, y, cv=3, scoring="roc_auc")
""",
    "criteo_sample": """
clicks = pd.read_parquet(data / "criteo_sample/criteo_8k.parquet")
X, y = clicks.drop(columns=["split", "label"]), clicks["label"]
scores = cross_val_score(DeepFMClassifier(random_state=0), X, y, cv=3, scoring="roc_auc")
""",
    "frappe": """
logs = pd.read_parquet(data / "frappe/train_rebuilt.parquet").sample(100_000, random_state=0)
X, y = logs.drop(columns="label"), logs["label"]
model = FMClassifier(encoder=FieldEncoder(categorical=X.columns), random_state=0)
scores = cross_val_score(model, X, y, cv=3, scoring="roc_auc")
""",
    "hillstrom_email": """
customers = pd.read_parquet(data / "hillstrom_email/hillstrom.parquet")
X, y = customers.drop(columns=["visit", "conversion", "spend"]), customers["visit"]
scores = cross_val_score(DeepFMClassifier(random_state=0), X, y, cv=3, scoring="roc_auc")
""",
    "ipinyou_fnn_sample": """
bids = pd.read_parquet(data / "ipinyou_fnn_sample/train.parquet")  # features: lists of 16 numbers
X, y = bids[["features"]], bids["click"]
scores = cross_val_score(FMClassifier(random_state=0), X, y, cv=3, scoring="roc_auc")
""",
    "libsvm_small": """
a9a = np.load(data / "libsvm_small/a9a_train.npz")
X, y = csr_matrix((a9a["data"], a9a["indices"], a9a["indptr"]), shape=a9a["shape"]), a9a["y"]
scores = cross_val_score(FMClassifier(random_state=0), X, y, cv=3, scoring="roc_auc")
""",
    "movielens_1m_implicit": """
seen, users, movies = (
    pd.read_parquet(data / f"movielens_1m_implicit/{name}.parquet")
    for name in ("interactions", "users", "movies")
)
drawn = seen.assign(movie_id=movies["movie_id"].sample(len(seen), replace=True, random_state=0).to_numpy())
pairs = pd.concat([seen.assign(seen=1), drawn.assign(seen=0)]).drop_duplicates(["user_id", "movie_id"])
pairs = pairs.sample(200_000, random_state=0).merge(users, on="user_id").merge(movies, on="movie_id")
X, y = pairs.drop(columns=["seen", "title"]), pairs["seen"]
encoder = FieldEncoder(categorical=["user_id", "movie_id", "age", "occupation"], multi_hot={"genres": "|"})
scores = cross_val_score(FMClassifier(encoder=encoder, random_state=0), X, y, cv=3, scoring="roc_auc")
""",
    "movielens_1m_sample100k": """
ratings = pd.read_parquet(data / "movielens_1m_sample100k/ratings.parquet")
X, y = ratings.drop(columns=["rating", "title", "timestamp"]), ratings["rating"]
encoder = FieldEncoder(categorical=["user_id", "movie_id", "age", "occupation"], multi_hot={"genres": "|"})
model = FMRegressor(encoder=encoder, random_state=0)
scores = cross_val_score(model, X, y, cv=3, scoring="neg_root_mean_squared_error")
""",
    "movielens_latest_small": """
ratings, movies = (
    pd.read_parquet(data / f"movielens_latest_small/{name}.parquet") for name in ("ratings", "movies")
)
ratings = ratings.merge(movies, on="movie_id").sample(frac=1, random_state=0)
X, y = ratings[["user_id", "movie_id", "genres"]], ratings["rating"]
encoder = FieldEncoder(categorical=["user_id", "movie_id"], multi_hot={"genres": "|"})
model = FMRegressor(encoder=encoder, random_state=0)
scores = cross_val_score(model, X, y, cv=3, scoring="neg_root_mean_squared_error")
""",
    "rating_splits_monti/douban": _MONTI.replace("NAME", "douban"),
    "rating_splits_monti/flixster": _MONTI.replace("NAME", "flixster"),
    "rating_splits_monti/yahoo_music": _MONTI.replace("NAME", "yahoo_music"),
    "sequences_s3rec": """
users, items = (
    pd.read_parquet(data / f"sequences_s3rec/amazon_beauty_{name}.parquet")
    for name in ("sequences", "item_attributes")
)
seen = pd.DataFrame({"history": users["items"].str[:-1], "item_id": users["items"].str[-1]})
drawn = seen.assign(item_id=items["item_id"].sample(len(seen), replace=True, random_state=0).to_numpy())
X = pd.concat([seen, drawn]).merge(items, on="item_id")  # history, attributes: lists
y = np.repeat([1, 0], len(seen))
model = FMClassifier(encoder=FieldEncoder(categorical=["item_id"]), random_state=0)
scores = cross_val_score(model, X, y, cv=3, scoring="roc_auc")
""",
    "sms_spam": """
messages = pd.read_parquet(data / "sms_spam/sms_spam.parquet")
X, y = messages["text"], messages["label"]
model = make_pipeline(TfidfVectorizer(), FMClassifier(random_state=0))
scores = cross_val_score(model, X, y, cv=3, scoring="roc_auc")
""",
    "tiny_schema_samples/ali_ccp": """
clicks = pd.read_csv(data / "tiny_schema_samples/ali_ccp_train_sample.csv.gz")
X, y = clicks.drop(columns=["click", "purchase"]), clicks["click"]
model = DeepFMClassifier(encoder=FieldEncoder(), random_state=0)
scores = cross_val_score(model, X, y, cv=3, scoring="roc_auc")
""",
    "tiny_schema_samples/aliexpress": """
clicks = pd.read_csv(data / "tiny_schema_samples/aliexpress_train_sample.csv.gz")
X, y = clicks.drop(columns=["search_id", "click", "conversion"]), clicks["click"]
model = FMClassifier(encoder=FieldEncoder(), random_state=0)
scores = cross_val_score(model, X, y, cv=3, scoring="roc_auc")
""",
    "tiny_schema_samples/amazon_electronics": """
events = pd.read_csv(data / "tiny_schema_samples/amazon_electronics_sample.csv.gz")
X, y = events, events["cate_id"] == events.groupby("user_id")["cate_id"].shift()  # the category as before
model = FMClassifier(encoder=FieldEncoder(), random_state=0)
scores = cross_val_score(model, X, y, cv=3, scoring="roc_auc")
""",
}
QUICK = ("rating_splits_monti/yahoo_music", "tiny_schema_samples/aliexpress")
# Their snippets give the estimator a matrix; the baseline takes the same.
MATRICES = ("libsvm_small", "sms_spam")
ESTIMATORS = ("FMClassifier", "DeepFMClassifier", "MixtureFMClassifier", "FMRegressor")


def add_arguments(parser):
    """Which data sets."""
    every = list(SNIPPETS)
    names = runner.names_among(every)
    parser.add_argument("--datasets", type=names, default=every, help="such as adult,frappe")


def make_baseline(name, encodes, encoder="auto", **_):
    """The linear model that stands for an estimator of skfm, behind the encoder that the estimator has."""
    from skfm import FieldEncoder

    linear = Ridge() if name.endswith("Regressor") else LogisticRegression(max_iter=1000)
    if not encodes:
        return linear
    return make_pipeline(FieldEncoder() if encoder == "auto" else encoder, linear)


def run_snippet(name, data, *, baseline=False):
    """Run a snippet; with `baseline`, the linear model takes the estimator's place.

    Returns
    -------
    dict
        ``scores`` of the folds, RMSE as it is; ``rows``; ``seconds``, reading and compiling included; and
        ``warnings``, the categories raised.
    """
    if not (data / name.partition("/")[0]).is_dir():
        raise datasets.DataNotFoundError(f"The data folder has no {name.partition('/')[0]}.")
    space = {"data": data}
    exec(IMPORTS, space)
    if baseline:
        space |= {each: partial(make_baseline, each, name not in MATRICES) for each in ESTIMATORS}
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        exec(SNIPPETS[name], space)
    seconds = time.perf_counter() - start
    return {
        "scores": np.abs(space["scores"]).tolist(),
        "rows": len(space["y"]),
        "seconds": seconds,
        "warnings": sorted({warning.category.__name__ for warning in caught}),
    }


def run(options, results, save):
    """Measure the snippets of the options; a result's key is the snippet's."""
    data = datasets.find_data(options.data)
    for name in QUICK if options.quick else options.datasets:
        code = SNIPPETS[name]
        results[name] = {
            "code": code.strip(),
            "estimator": re.search(r"\b\w+(Classifier|Regressor)\b", code).group(),
            "metric": "AUC" if "roc_auc" in code else "RMSE",
            "skfm": run_snippet(name, data),
            "baseline": run_snippet(name, data, baseline=True),
        }
        report.log(f"{name}: " + ", ".join(describe(results[name], who) for who in ("skfm", "baseline")))
        save()


def describe(entry, who):
    """Score and time of a snippet in words."""
    return f"{who} {np.mean(entry[who]['scores']):.4f} in {entry[who]['seconds']:.1f} s"


def render(results):
    """One row a snippet."""
    rows = [
        [
            name,
            entry["skfm"]["rows"],
            len(entry["skfm"]["scores"]),
            entry["estimator"],
            entry["metric"],
            float(np.mean(entry["skfm"]["scores"])),
            float(np.mean(entry["baseline"]["scores"])),
            entry["skfm"]["seconds"],
            entry["baseline"]["seconds"],
            ", ".join(entry["skfm"]["warnings"]),
        ]
        for name, entry in results.items()
    ]
    header = [
        "data set", "rows", "folds", "estimator", "metric", "value", "baseline", "s", "baseline s",
        "warnings",
    ]  # fmt: skip
    return report.format_table(header, rows)
