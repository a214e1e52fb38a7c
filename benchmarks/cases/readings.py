"""How raw columns are read: every column of the data sets, and raw frames against input made by hand.

``benchmarks/readings.csv`` has an expert's reading of each column, written down before there was a rule:
its kind, other kinds that serve as well, and why. The rules of `FieldEncoder` were made with half of the
data sets in view (choosing), and looked at once on the others (judging). A column is right where it is
read as a kind that the expert accepts. Identifiers and categories are names alike, whole numbers and others
quantities alike; a column of one value may be anything, and targets are not judged. "By values" is what the
rule says of whole numbers when it is not told their names.

Then default estimators on raw frames against the same on what the expert would make by hand with
scikit-learn: OneHotEncoder of names with three rows or more, StandardScaler of imputed numbers,
TfidfVectorizer of text, CountVectorizer of lists, column by column as read by the expert. Five folds, AUC,
or RMSE of ratings.
"""

import csv
import warnings

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.metrics import roc_auc_score, root_mean_squared_error
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from benchmarks import datasets, report, runner

READINGS = runner.REPOSITORY / "benchmarks" / "readings.csv"
CHOOSING = (
    "adult", "avazu_sample", "criteo_sample", "frappe", "movielens_1m_sample100k", "sms_spam",
    "sequences_s3rec", "libsvm_small",
)  # fmt: skip
JUDGING = (
    "hillstrom_email", "ipinyou_fnn_sample", "movielens_latest_small", "movielens_1m_implicit",
    "rating_splits_monti", "tiny_schema_samples",
)  # fmt: skip
# Readings that an encoder treats alike.
_ALIKE = {"identifier": "names", "category": "names", "integer": "quantity", "number": "quantity"}
MOST_BEHIND = 0.002
# File, target and columns to leave out, of the data sets with a raw table to learn from.
TASKS = {
    "adult": ("adult.parquet", "income", ["split"]),
    "avazu_sample": ("avazu_9k.parquet", "click", ["split", "id"]),
    "criteo_sample": ("criteo_8k.parquet", "label", ["split"]),
    "movielens_1m_sample100k": ("ratings.parquet", "rating", []),
    "sms_spam": ("sms_spam.parquet", "label", []),
    "hillstrom_email": ("hillstrom.parquet", "visit", ["conversion", "spend"]),
    "movielens_latest_small": ("ratings.parquet", "rating", []),
    "rating_splits_monti/douban": ("douban.parquet", "rating", ["split"]),
    "rating_splits_monti/flixster": ("flixster.parquet", "rating", ["split"]),
    "rating_splits_monti/yahoo_music": ("yahoo_music.parquet", "rating", ["split"]),
}
ESTIMATORS = ("FM", "DeepFM")


def add_arguments(parser):
    """Which data sets, and which estimators."""
    names = runner.names_among([*CHOOSING, *JUDGING])
    parser.add_argument("--datasets", type=names, default=[*CHOOSING, *JUDGING], help="such as adult,frappe")
    parser.add_argument("--estimators", type=runner.names_among(ESTIMATORS), default=list(ESTIMATORS))
    parser.add_argument("--only-readings", action="store_true", help="fit nothing")


def run(options, results, save):
    """Read all columns, then fit."""
    data = datasets.find_data(options.data)
    expert = read_expert()
    for name in options.datasets:
        results[f"readings {name}"] = readings_of(data, name, expert[name])
        save()
    if options.only_readings:
        return
    for task, (file, target, left_out) in TASKS.items():
        name = task.partition("/")[0]
        if name not in options.datasets:
            continue
        table = datasets.read_parquet(data, f"{name}/{file}")
        if options.quick:
            table = table.sample(1000, random_state=0)
        X, y = table.drop(columns=[target, *left_out]), table[target].to_numpy()
        kinds = {column: reading for (at, column), (reading, *_) in expert[name].items() if at == file}
        for estimator in options.estimators:
            results[f"{estimator} {task}"] = compared(estimator, X, y, kinds)
            report.log(f"{estimator} {task}: {results[f'{estimator} {task}']}")
            save()


def read_expert():
    """Of each data set, by file and column: the reading, what else is accepted, and why."""
    found = {}
    with READINGS.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            columns = found.setdefault(row["data"], {})
            columns[row["file"], row["column"]] = row["reading"], row["accepts"], row["why"]
    return found


def read_file(path):
    """A table of a data set; a sparse matrix as an array of its first columns."""
    if path.name.endswith(".npz"):
        z = np.load(path)
        return sparse.csr_array((z["data"], z["indices"], z["indptr"]), shape=z["shape"]).toarray()
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)


def readings_of(data, name, expert):
    """Rows of (file, column, expert's reading, skfm's, right or None, why, by values) of a data set."""
    from skfm import FieldEncoder

    rows = []
    for file in dict.fromkeys(file for file, _ in expert):
        X = read_file(data / name / file)
        is_matrix = isinstance(X, np.ndarray)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = FieldEncoder().fit(X).describe()
        described = {row["column"]: row for row in found.to_dict("records")}
        if is_matrix:
            kinds = {row["reading"] for row in described.values()}
            ours = "integer" if kinds == {"integer"} else ", ".join(sorted(kinds))
            described = {"*": {"reading": ours, "why": f"all {X.shape[1]} columns"}}
        for (at, column), (reading, accepts, _) in expert.items():
            if at == file:
                ours = described[column]
                by_values = None if is_matrix else read_by_values(X[column])
                right = judged(reading, accepts, ours["reading"])
                rows.append([file, column, reading, ours["reading"], right, ours["why"], by_values])
    return rows


def judged(reading, accepts, ours):
    """Whether a reading is one that the expert accepts; None where there is nothing to judge."""
    if reading in ("other", "constant"):
        return None
    return _ALIKE.get(ours, ours) in {_ALIKE.get(one, one) for one in (reading, *accepts.split())}


def read_by_values(values):
    """Whether whole numbers are identifiers by their values alone; None for other columns."""
    from skfm.data.frames import Column
    from skfm.data.readings import why_identifier

    if values.dtype.kind not in "iu":
        return None
    column = Column("x", "integer", values.to_numpy())
    return why_identifier(column, np.ones(len(values))) is not None


def by_hand(kinds):
    """What an expert makes of a table, by his readings."""
    names = [column for column, kind in kinds.items() if kind in ("identifier", "category", "constant")]
    numbers = [column for column, kind in kinds.items() if kind in ("number", "date")]
    texts = [column for column, kind in kinds.items() if kind == "text"]
    lists = [column for column, kind in kinds.items() if kind == "list"]
    one_hot = OneHotEncoder(min_frequency=3, handle_unknown="infrequent_if_exist")
    scaled = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    return ColumnTransformer(
        [
            ("names", one_hot, names),
            ("numbers", scaled, numbers),
            *((column, TfidfVectorizer(), column) for column in texts),
            *(
                (column, CountVectorizer(analyzer=lambda entries: map(str, entries)), column)
                for column in lists
            ),
        ],
        sparse_threshold=1.0,
    )


def compared(name, X, y, kinds):
    """Scores of the folds on the raw frame and on input made by hand."""
    import skfm

    is_classes = len(np.unique(y)) == 2
    make = getattr(skfm, f"{name}{'Classifier' if is_classes else 'Regressor'}")
    prepared = X.astype(
        {column: object for column, kind in kinds.items() if kind == "category" and column in X}
    )
    for column in prepared:
        if str(prepared[column].dtype).startswith("Int"):
            prepared[column] = prepared[column].astype(float)
    scores = {"raw": [], "by hand": []}
    for train, test in datasets.folds(y, stratified=is_classes):
        hand = by_hand({column: kinds[column] for column in X})
        inputs = {
            "raw": (X.iloc[train], X.iloc[test]),
            "by hand": (hand.fit_transform(prepared.iloc[train]), hand.transform(prepared.iloc[test])),
        }
        for how, (X_train, X_test) in inputs.items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                model = make(random_state=0).fit(X_train, y[train])
            if is_classes:
                scores[how].append(float(roc_auc_score(y[test], model.predict_proba(X_test)[:, 1])))
            else:
                scores[how].append(float(root_mean_squared_error(y[test], model.predict(X_test))))
    return scores | {"metric": "AUC" if is_classes else "RMSE", "rows": len(y)}


def render(results):
    """Counts of right and wrong, the comparison, and all columns."""
    counts, by_values = [], []
    for part, names in (("choosing", CHOOSING), ("judging", JUDGING)):
        rows = [(name, *row) for name in names for row in results.get(f"readings {name}", ())]
        for kind in ("identifier", "category", "number", "date", "list", "text"):
            of_kind = [row for row in rows if row[3] == kind and row[5] is not None]
            n_right = sum(row[5] for row in of_kind)
            counts.append([part, kind, len(of_kind), n_right, len(of_kind) - n_right])
        whole = [row for row in rows if row[7] is not None and row[3] not in ("other", "constant")]
        for is_name in (True, False):
            chosen = [row for row in whole if (_ALIKE.get(row[3]) == "names") == is_name]
            by_values.append(
                [part, "names" if is_name else "quantities", len(chosen), sum(row[7] for row in chosen)]
            )
    groups = {}
    for name in (*CHOOSING, *JUDGING):
        for file, column, expert, ours, right, why, _ in results.get(f"readings {name}", ()):
            if right is not None:
                how = "right" if right else "WRONG"
                groups.setdefault((name, file, expert, ours, how, why), []).append(f"`{column}`")
    everything = [
        f"- {name}/{file}, {expert}, read as {ours}, {how}: {', '.join(columns)} ({why})"
        for (name, file, expert, ours, how, why), columns in groups.items()
    ]
    compared = [
        render_comparison(f"{estimator} {task}", results)
        for task in TASKS
        for estimator in ESTIMATORS
        if f"{estimator} {task}" in results
    ]
    sections = [
        report.format_table(["data sets", "expert", "columns", "right", "wrong"], counts),
        "Whole numbers whose names are not told:",
        report.format_table(["data sets", "expert", "columns", "identifiers"], by_values),
    ]
    if compared:
        header = ["data sets", "task", "estimator", "metric", "raw frame", "by hand", "difference", "target"]
        sections += ["Raw frames and input made by hand:", report.format_table(header, compared)]
    everywhere = "All columns but targets and those of one value, by the expert's reading:"
    return "\n\n".join([*sections, everywhere, "\n".join(everything)])


def render_comparison(key, results):
    """A row of the comparison; a positive difference is in favour of the raw frame."""
    entry = results[key]
    estimator, task = key.split(" ", 1)
    raw, hand = np.mean(entry["raw"]), np.mean(entry["by hand"])
    sign = 1 if entry["metric"] == "AUC" else -1
    ahead = sign * (raw - hand)
    part = "choosing" if task.partition("/")[0] in CHOOSING else "judging"
    target = report.format_target(ahead, -MOST_BEHIND, at_least=True)
    return [part, task, estimator, entry["metric"], raw, hand, ahead, target]
