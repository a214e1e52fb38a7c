"""Parameters of estimators that are compared with those of earlier calls."""

from __future__ import annotations

from typing import Any

import numpy as np

_LONGEST_SHOWN = 80


def changes(then: dict[str, Any], now: dict[str, Any]) -> str:
    """What has changed of the parameters `then`, in words; empty for nothing."""
    return ", ".join(
        f"{name} {shown_parameter(value)} -> {shown_parameter(now[name])}"
        for name, value in then.items()
        if not same(value, now[name])
    )


def same(a, b) -> bool:
    """Whether two values of a parameter mean the same."""
    if a is b:
        return True
    if hasattr(a, "get_params") and not isinstance(a, type):
        return type(a) is type(b) and same(a.get_params(deep=False), b.get_params(deep=False))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if hasattr(a, "__array__") or hasattr(b, "__array__"):
        return np.array_equal(np.asarray(a), np.asarray(b))
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(np.all(a == b))


def shown_parameter(value) -> str:
    """A value in a message, on one line: estimators are written on several."""
    text = " ".join(repr(value).split())
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
