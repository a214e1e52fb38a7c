"""Adult: a table of categories and numbers."""

from importlib.resources import files

import numpy as np
from sklearn.utils import Bunch

N_TRAIN = 32_561  # rows of adult.data; those of adult.test follow


def load_adult(*, return_X_y=False, as_frame=True):
    """Load the Adult census data, also called Census Income (binary classification).

    Does a person of the US census of 1994 earn more than 50,000 dollars a year?

    ==================   ============================================
    Classes              2
    Samples              48842 (37155 of class 0, 11687 of class 1)
    Categories           8 columns, 99 categories
    Numbers              6 columns, non-negative integers
    Missing values       6465 cells, in workclass, occupation and native_country
    ==================   ============================================

    Rows are in the order of the source: the official training rows first, then the official test rows.

    Parameters
    ----------
    return_X_y : bool, default=False
        Return ``(data, target)`` in place of a Bunch.
    as_frame : bool, default=True
        With True, `data` is a pandas DataFrame whose category columns have pandas' "category" dtype, and
        `target` is a Series. With False both are NumPy arrays and pandas is not needed.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        data : DataFrame or ndarray of objects, shape (48842, 14)
            Integers and strings. A missing value, ``?`` in the source, is NaN.
        target : Series or ndarray, shape (48842,)
            1 where the income is above 50,000 dollars.
        feature_names : list of str
            The 14 columns.
        target_names : list of str
            Meaning of target 0 and 1.
        split : ndarray of str, shape (48842,)
            "train" in the first 32,561 rows and "test" in the other 16,281: the official split.
        frame : DataFrame, shape (48842, 15), or None
            `data` and `target` together; None with ``as_frame=False``.
        DESCR : str
            Description of the columns, source and licence.

    (data, target) : tuple if ``return_X_y=True``

    Raises
    ------
    ImportError
        With ``as_frame=True`` where pandas is not installed.

    Notes
    -----
    Licence: CC BY 4.0. `fnlwgt` is the number of people that a row stands for, in the eyes of the census; it
    says nothing of the person, and published results differ in whether it is used.

    References
    ----------
    B. Becker and R. Kohavi, "Adult", UCI Machine Learning Repository, 1996.
    https://doi.org/10.24432/C5XW20

    Examples
    --------
    >>> from skfm.datasets import load_adult
    >>> adult = load_adult()
    >>> adult.data[["age", "education", "occupation"]].head(3)
       age  education         occupation
    0   39  Bachelors       Adm-clerical
    1   50  Bachelors    Exec-managerial
    2   38    HS-grad  Handlers-cleaners
    >>> X, y = adult.data, adult.target
    >>> train, test = adult.split == "train", adult.split == "test"
    >>> X[train].shape, X[test].shape
    ((32561, 14), (16281, 14))
    """
    folder = files("skfm.datasets") / "data"
    with (folder / "adult.npz").open("rb") as file, np.load(file) as stored:
        columns = {name: stored[name] for name in stored.files}
    categories = {
        name: columns.pop(f"{name}_categories") for name in list(columns) if f"{name}_categories" in columns
    }
    target = columns.pop("income").astype(np.int64)

    if as_frame:
        frame = _to_frame(columns, categories).assign(income=target)
        data, target = frame.drop(columns="income"), frame["income"]
    else:
        frame, data = None, _to_array(columns, categories)
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        frame=frame,
        feature_names=list(columns),
        target_names=["<=50K", ">50K"],
        split=np.where(np.arange(len(target)) < N_TRAIN, "train", "test"),
        DESCR=(folder / "adult.rst").read_text(encoding="utf-8"),
    )


def _to_frame(columns, categories):
    try:
        import pandas as pd
    except ImportError as error:
        message = "load_adult(as_frame=True) needs pandas: install skfm[pandas], or pass as_frame=False"
        raise ImportError(message) from error
    return pd.DataFrame(
        {
            name: pd.Categorical.from_codes(column, categories=categories[name].tolist())
            if name in categories
            else column.astype(np.int64)
            for name, column in columns.items()
        }
    )


def _to_array(columns, categories):
    """One object array; code -1, a missing value, reads the NaN at the end of the vocabulary."""
    data = np.empty((len(columns["age"]), len(columns)), dtype=object)
    for j, (name, column) in enumerate(columns.items()):
        data[:, j] = (
            np.array([*categories[name].tolist(), np.nan], dtype=object)[column]
            if name in categories
            else column
        )
    return data
