"""Small data sets shipped with the package, read without pandas and a network; files and events as rows."""

from skfm.datasets._adult import load_adult
from skfm.datasets._clicks import make_click_rows
from skfm.datasets._sms_spam import load_sms_spam
from skfm.datasets._streams import SparseTextStream
from skfm.datasets._tables import CsvStream, ParquetStream
from skfm.datasets._text import dump_sparse_text, iter_sparse_text, load_sparse_text

__all__ = [
    "CsvStream",
    "ParquetStream",
    "SparseTextStream",
    "dump_sparse_text",
    "iter_sparse_text",
    "load_adult",
    "load_sms_spam",
    "load_sparse_text",
    "make_click_rows",
]
