"""Checks of what streams and loaders are given."""

from __future__ import annotations

import os
from collections.abc import Iterable
from numbers import Integral

from sklearn.utils import check_scalar

from skfm.data.validate import shown


def texts(values, name: str) -> list[str]:
    """The texts of a parameter.

    Raises
    ------
    TypeError
        If it is one text, which Python takes for a list of letters, or holds something else.
    """
    if isinstance(values, str):
        raise TypeError(
            f"{name} must be a list of texts, got {shown(values)}. Give {name}=[{shown(values)}]."
        )
    if not isinstance(values, Iterable) or isinstance(values, bytes):
        raise TypeError(f"{name} must be a list of texts, got {shown(values)}.")
    found = list(values)
    for number, value in enumerate(found):
        if not isinstance(value, str):
            raise TypeError(
                f"{name} must be a list of texts, and {name}[{number}] is {shown(value)}, of type "
                f"{type(value).__name__}."
            )
    return found


def rows_at_once(n, name: str) -> int:
    """A number of rows, which is at least one."""
    return check_scalar(n, name, Integral, min_val=1)


def paths_of(source, name: str) -> list:
    """The path, or paths, that a parameter gives.

    Raises
    ------
    TypeError
        If there is something else.
    """
    paths = list(source) if isinstance(source, list | tuple) else [source]
    for path in paths:
        if not isinstance(path, str | os.PathLike):
            raise no_path(name, path)
    return paths


def no_path(name: str, given) -> TypeError:
    """The error of something else than a path."""
    return TypeError(
        f"{name} takes the path of a file, not an object of type {type(given).__name__}. Rows in memory go "
        f"to estimators as they are."
    )
