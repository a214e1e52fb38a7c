"""The data sets of the cases, each with the encoder that makes every estimator's input.

An encoder is an unfitted scikit-learn transformer, refitted on the training rows of each split, so that no
test row leaks into bins, categories or word weights. Estimators that are compared get the same encoded
arrays.
"""

import os
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.model_selection import KFold, ShuffleSplit, StratifiedKFold
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, StandardScaler

FRAPPE_COLUMNS = 5382


class DataNotFoundError(FileNotFoundError):
    """The data folder, or a file in it, is absent."""


@dataclass(frozen=True)
class Dataset:
    """One learning task.

    Attributes
    ----------
    task : {"binary", "multiclass", "regression"}
    X : DataFrame, Series, ndarray or CSR matrix of n_samples rows
    y : ndarray of shape (n_samples,)
    splits : list of (ndarray, ndarray)
        Row numbers of training and test: one pair for a fixed split, five for cross-validation.
    encoder : transformer or None
        None where X is numeric already.
    """

    task: str
    X: object
    y: np.ndarray
    splits: list
    encoder: object = None

    def encoded_splits(self):
        """Yield (X_train, y_train, X_test, y_test) of each split, encoded by what the training rows show."""
        for train, test in self.splits:
            X_train, X_test = take_rows(self.X, train), take_rows(self.X, test)
            if self.encoder is not None:
                encoder = clone(self.encoder)
                with warnings.catch_warnings():
                    warnings.filterwarnings("ignore", message="Bins whose width are too small")
                    warnings.filterwarnings("ignore", message="Found unknown categories")
                    X_train = encoder.fit_transform(X_train)
                    X_test = encoder.transform(X_test)
            yield X_train, self.y[train], X_test, self.y[test]


def take_rows(X, rows):
    """Rows of a frame or of an array by number."""
    return X.iloc[rows] if hasattr(X, "iloc") else X[rows]


def find_data(folder=None):
    """Find the data folder: the option, else $SKFM_DATA, else ../shared/data beside the checkout.

    Raises
    ------
    DataNotFoundError
        Where that folder does not exist.
    """
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    path = Path(folder or os.environ.get("SKFM_DATA") or beside)
    if not path.is_dir():
        raise DataNotFoundError(
            f"No data folder at {path}. Name it with --data PATH or the environment variable SKFM_DATA. "
            "It holds one folder a data set (adult/, frappe/, ...), which skfm does not redistribute."
        )
    return path


def read_parquet(data, name):
    """Read DATA/name as a pandas frame, with a clear error where it is absent."""
    path = data / name
    if not path.exists():
        raise DataNotFoundError(f"The data folder has no {name}. Point --data or SKFM_DATA to one that has.")
    return pd.read_parquet(path)


def folds(y, n_splits=5, stratified=True):
    """Shuffled folds, the same for everyone."""
    splitter = (StratifiedKFold if stratified else KFold)(n_splits, shuffle=True, random_state=0)
    return list(splitter.split(np.zeros(len(y)), y))


def fixed_split(is_train):
    """One split from a mask of the training rows."""
    return [(np.flatnonzero(is_train), np.flatnonzero(~np.asarray(is_train)))]


def head_split(n_train, n_test):
    """One split of stacked training and test rows."""
    return [(np.arange(n_train), np.arange(n_train, n_train + n_test))]


def one_hot(**options):
    """One-hot encoder that knows what to do with a category of the test rows alone."""
    return OneHotEncoder(**({"handle_unknown": "ignore"} | options))


# --- Frappe


def load_frappe(data, part):
    """One part of Frappe as one-hot rows of 10 fields.

    Parameters
    ----------
    data : Path
    part : {"train_rebuilt", "valid", "test"}

    Returns
    -------
    X : csr_matrix of float32, shape (n_samples, 5382)
    y : ndarray of int, shape (n_samples,)
    """
    frame = read_parquet(data, f"frappe/{part}.parquet")
    ids = frame.drop(columns="label").to_numpy(np.int32)
    n_samples, n_fields = ids.shape
    indptr = np.arange(0, n_samples * n_fields + 1, n_fields, dtype=np.int32)
    X = csr_matrix((np.ones(ids.size, np.float32), ids.ravel(), indptr), shape=(n_samples, FRAPPE_COLUMNS))
    return X, frame["label"].to_numpy(np.int64)


# --- the data sets of the case "defaults"


def adult(data):
    """Census records, the official split: categories one-hot, numbers in quantile bins."""
    frame = read_parquet(data, "adult/adult.parquet")
    X = frame.drop(columns=["split", "income"])
    numeric = X.select_dtypes("number").columns.tolist()
    categorical = [name for name in X.columns if name not in numeric]
    bins = KBinsDiscretizer(n_bins=100, strategy="quantile", quantile_method="averaged_inverted_cdf")
    encoder = make_column_transformer((bins, numeric), (one_hot(), categorical))
    return Dataset("binary", X, frame["income"].to_numpy(), fixed_split(frame["split"] == "train"), encoder)


def read_libsvm(data, name):
    """One matrix and its labels from libsvm_small/."""
    path = data / "libsvm_small" / f"{name}.npz"
    if not path.exists():
        raise DataNotFoundError(f"The data folder has no libsvm_small/{name}.npz.")
    with np.load(path) as z:
        return csr_matrix((z["data"].astype(float), z["indices"], z["indptr"]), shape=tuple(z["shape"])), z[
            "y"
        ]


def train_and_test(read, *parts):
    """Stack a training and a test part into one data set with that split."""
    (X_train, y_train), (X_test, y_test) = map(read, parts)
    X = csr_matrix(
        (
            np.concatenate([X_train.data, X_test.data]),
            np.concatenate([X_train.indices, X_test.indices]),
            np.concatenate([X_train.indptr, X_test.indptr[1:] + X_train.indptr[-1]]),
        ),
        shape=(len(y_train) + len(y_test), X_train.shape[1]),
    )
    return Dataset("binary", X, np.concatenate([y_train, y_test]), head_split(len(y_train), len(y_test)))


def a9a(data):
    """Adult as LIBSVM one-hot encodes it, the official split."""
    return train_and_test(lambda name: read_libsvm(data, name), "a9a_train", "a9a_test")


def mushroom(data):
    """UCI mushroom, separable."""
    return train_and_test(lambda name: read_libsvm(data, name), "mushroom_train", "mushroom_test")


def w8a(data):
    """Platt's web pages: 300 binary columns of uneven rows, 3 % positive."""
    X, y = read_libsvm(data, "w8a_train")
    return Dataset("binary", X, y, folds(y))


def frappe(data):
    """App usage, train_rebuilt and test."""
    return train_and_test(lambda part: load_frappe(data, part), "train_rebuilt", "test")


def sms_spam(data):
    """Text messages as TF-IDF rows."""
    frame = read_parquet(data, "sms_spam/sms_spam.parquet")
    y = frame["label"].to_numpy()
    return Dataset("binary", frame["text"], y, folds(y), TfidfVectorizer())


def log_bins(values):
    """Criteo winners' categories: floor(log(x)^2) above 2, the integer itself below, missing apart."""
    values = np.asarray(values, dtype=float)
    small = np.char.mod("%.0f", values)
    large = np.char.mod("log %.0f", np.floor(np.log(np.maximum(values, 1)) ** 2))
    return np.select([np.isnan(values), values > 2], ["missing", large], small)


def criteo(data):
    """8,000 rows of display advertising: integers in logarithmic bins, rare categories grouped."""
    frame = read_parquet(data, "criteo_sample/criteo_8k.parquet")
    X = pd.DataFrame({f"I{i}": log_bins(frame[f"I{i}"].astype("Float64")) for i in range(1, 14)})
    X = X.join(frame[[f"C{i}" for i in range(1, 27)]].fillna("missing"))
    y = frame["label"].to_numpy()
    return Dataset("binary", X, y, folds(y), one_hot(min_frequency=5, handle_unknown="infrequent_if_exist"))


def avazu(data):
    """9,000 rows of mobile advertising: high-cardinality categories, rare ones grouped."""
    frame = read_parquet(data, "avazu_sample/avazu_9k.parquet")
    y = frame["click"].to_numpy()
    X = frame.drop(columns=["split", "id", "click", "hour"])
    return Dataset("binary", X, y, folds(y), one_hot(min_frequency=5, handle_unknown="infrequent_if_exist"))


def movielens(data):
    """100,000 ratings with the user's and the film's side information; a seeded 80/20 split, RMSE."""
    frame = read_parquet(data, "movielens_1m_sample100k/ratings.parquet")
    y = frame["rating"].to_numpy(float)
    categorical = ["user_id", "movie_id", "gender", "age", "occupation"]
    genres = CountVectorizer(token_pattern=r"[^|]+", binary=True, lowercase=False)
    encoder = make_column_transformer((one_hot(), categorical), (genres, "genres"))
    splits = list(ShuffleSplit(1, test_size=0.2, random_state=0).split(y))
    return Dataset("regression", frame[[*categorical, "genres"]], y, splits, encoder)


def movielens_liked(data):
    """The same ratings, 4 stars or more against fewer."""
    ratings = movielens(data)
    liked = (ratings.y >= 4).astype(np.int64)
    return replace(ratings, task="binary", y=liked, splits=folds(liked))


def breast_cancer(data):
    """scikit-learn's 569 rows of 30 dense numbers."""
    X, y = load_breast_cancer(return_X_y=True)
    return Dataset("binary", X, y, folds(y), StandardScaler())


def digits(data):
    """scikit-learn's 8 x 8 images, ten classes."""
    X, y = load_digits(return_X_y=True)
    return Dataset("multiclass", X / 16, y, folds(y))


def diabetes(data):
    """scikit-learn's 442 rows of 10 dense numbers, RMSE."""
    X, y = load_diabetes(return_X_y=True)
    return Dataset("regression", X, y, folds(y, stratified=False), StandardScaler())


LOADERS = {
    loader.__name__: loader
    for loader in (
        adult, a9a, mushroom, w8a, frappe, sms_spam, criteo, avazu,
        movielens, breast_cancer, digits, diabetes,
    )
}  # fmt: skip


# --- the case "chains"


def load_hillstrom(data):
    """Customers of an e-mail test: eight features and the arm; visit, and conversion after a visit.

    Returns
    -------
    X : DataFrame of shape (64000, 9)
    y : ndarray of int, shape (64000, 2)
    """
    frame = read_parquet(data, "hillstrom_email/hillstrom.parquet")
    targets = ["visit", "conversion"]
    return frame.drop(columns=[*targets, "spend"]), frame[targets].to_numpy(np.int64)


# --- the case "sequences"


def load_sequences(data, name):
    """Purchases of users in order of time, and a category of each item: the rarest of its attributes.

    Attributes of fewer than 20 items do not count, unless an item has no others.

    Parameters
    ----------
    data : Path
    name : {"beauty", "toys"}

    Returns
    -------
    log : DataFrame with the columns user and item, text
    categories : dict of item to category, text
    """
    folder = "sequences_s3rec/amazon"
    users = read_parquet(data, f"{folder}_{name}_sequences.parquet")
    attributes = (
        read_parquet(data, f"{folder}_{name}_item_attributes.parquet").set_index("item_id").attributes
    )
    counts = attributes.explode().value_counts()
    order = counts.where(counts >= 20, len(attributes) - counts)
    log = users.rename(columns={"user_id": "user", "items": "item"}).explode("item", ignore_index=True)
    rarest = {item: min(found, key=lambda a: (order[a], a)) for item, found in attributes.items()}
    log = log.assign(user="u" + log.user.astype(str), item="i" + log.item.astype(str))
    return log, {f"i{item}": f"c{attribute}" for item, attribute in rarest.items()}
