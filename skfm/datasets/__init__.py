"""Small data sets shipped with the package, read without pandas and without a network."""

from skfm.datasets._adult import load_adult
from skfm.datasets._sms_spam import load_sms_spam

__all__ = ["load_adult", "load_sms_spam"]
