"""SMS Spam Collection: short texts."""

import gzip
from importlib.resources import files

import numpy as np
from sklearn.utils import Bunch


def load_sms_spam(*, return_X_y=False, as_frame=False):
    """Load the SMS Spam Collection (binary classification of text).

    Is a text message spam? As a bag of words or of character n-grams it makes a wide, very sparse matrix.

    ==================   ============================================
    Classes              2
    Samples              5574 (4827 of class 0, 747 of class 1)
    Features             one text of 2 to 910 characters
    Missing values       none
    ==================   ============================================

    Rows are in the order of the source. There is no official split; Almeida et al. train on the first 30%
    (1,674 messages) and test on the rest.

    Parameters
    ----------
    return_X_y : bool, default=False
        Return ``(data, target)`` in place of a Bunch.
    as_frame : bool, default=False
        With True, `data` and `target` are pandas Series.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object, with the following attributes.

        data : ndarray of str objects or Series, shape (5574,)
            The texts, one-dimensional as scikit-learn's text vectorizers want them.
        target : ndarray or Series, shape (5574,)
            1 for spam, 0 for ham.
        feature_names : list of str
            ``["text"]``.
        target_names : list of str
            ``["ham", "spam"]``.
        frame : DataFrame, shape (5574, 2), or None
            Columns text and spam; None with ``as_frame=False``.
        DESCR : str
            Description, source and licence.

    (data, target) : tuple if ``return_X_y=True``

    Raises
    ------
    ImportError
        With ``as_frame=True`` where pandas is not installed.

    Notes
    -----
    Licence: CC BY 4.0.

    References
    ----------
    T. A. Almeida, J. M. Gómez Hidalgo and A. Yamakami, "Contributions to the Study of SMS Spam Filtering: New
    Collection and Results", DocEng 2011. https://doi.org/10.1145/2034691.2034742

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from skfm.datasets import load_sms_spam
    >>> texts, spam = load_sms_spam(return_X_y=True)
    >>> texts[3]
    'U dun say so early hor... U c already then say...'
    >>> TfidfVectorizer(min_df=2).fit_transform(texts).shape[0]
    5574
    >>> int(spam.sum())
    747
    """
    folder = files("skfm.datasets") / "data"
    lines = gzip.decompress((folder / "sms_spam.tsv.gz").read_bytes()).decode("utf-8").split("\n")[:-1]
    labels, texts = zip(*(line.split("\t", 1) for line in lines), strict=True)
    data = np.array(texts, dtype=object)
    target = (np.array(labels) == "spam").astype(np.int64)
    frame = None
    if as_frame:
        frame = _to_frame(data, target)
        data, target = frame["text"], frame["spam"]
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        frame=frame,
        feature_names=["text"],
        target_names=["ham", "spam"],
        DESCR=(folder / "sms_spam.rst").read_text(encoding="utf-8"),
    )


def _to_frame(texts, target):
    try:
        import pandas as pd
    except ImportError as error:
        message = "load_sms_spam(as_frame=True) needs pandas: install skfm[pandas], or pass as_frame=False"
        raise ImportError(message) from error
    return pd.DataFrame({"text": texts, "spam": target})
