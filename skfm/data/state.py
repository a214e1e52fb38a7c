"""Values as plain ones, and back.

Plain are None, booleans, numbers, text, lists, dicts with keys of text, and NumPy arrays. A value of any
other type is a dict that names its kind: ``{"kind": "date", "value": "2024-02-29"}``.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import fractions
import functools
import numbers
import sys
import uuid
import zoneinfo
from collections.abc import Callable, Mapping
from enum import Enum, Flag
from typing import Any, ClassVar

import numpy as np


class Stateful:
    """Base class of frozen dataclasses whose fields are their state."""

    kinds: ClassVar[dict[str, type[Stateful]]] = {}

    def __init_subclass__(cls) -> None:
        Stateful.kinds[cls.__name__] = cls

    def get_state(self) -> dict[str, Any]:
        """Plain values from which `from_state` makes an equal object."""
        known = {one.name: getattr(self, one.name) for one in dataclasses.fields(self) if one.init}  # type: ignore[arg-type]
        return {"kind": type(self).__name__} | {name: plain(value) for name, value in known.items()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Any:
        """The object of a state, of the class that it names."""
        kind = cls.kinds[state["kind"]]
        return kind(**{name: restored(value) for name, value in state.items() if name != "kind"})


def plain(value) -> Any:
    """A value as a plain one.

    Raises
    ------
    TypeError
        If it is of a type that has no plain form.
    """
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, Stateful):
        return value.get_state()
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, np.ndarray) and value.dtype != object:
        return value
    kind = _kind(value)
    if kind is not None:
        return {"kind": kind, "value": _KINDS[kind][1](value)}
    raise TypeError(
        f"{value!r} of type {type(value).__name__} cannot be kept as a plain value. Convert it to text or "
        f"numbers before fit, or use pickle."
    )


def restored(value) -> Any:
    """The value of a plain one."""
    if isinstance(value, list):
        return [restored(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    if value["kind"] in Stateful.kinds:
        return Stateful.from_state(value)
    return _KINDS[value["kind"]][2](value["value"])


def _kind(value) -> str | None:
    """The kind in `_KINDS` of a value, or None."""
    if type(value).__module__.split(".")[0] == "pandas":
        name = f"pandas.{type(value).__name__}"
        return name if name in _KINDS else None
    return next((kind for kind, (types, *_) in _KINDS.items() if isinstance(value, types)), None)


def _plain_scalar(value) -> list:
    """Type and value of a NumPy scalar."""
    item = value.astype(np.int64).item() if value.dtype.kind in "mM" else value.item()
    return [value.dtype.str, plain(item)]


def _restored_scalar(state):
    dtype, value = np.dtype(state[0]), restored(state[1])
    return np.array(value, np.int64).view(dtype)[()] if dtype.kind in "mM" else dtype.type(value)


def _plain_type(value) -> str:
    """Name of a type of floats."""
    if value is not float and not issubclass(value, np.floating):
        raise TypeError(
            f"{value!r} cannot be kept as a plain value. Make text of it before fit, or use pickle."
        )
    return value.__name__


def _restored_type(name) -> type:
    return float if name == "float" else np.dtype(name).type


def _plain_objects(value) -> list:
    """Shape and values of an array of objects."""
    return [list(value.shape), [plain(one) for one in value.ravel().tolist()]]


def _restored_objects(state):
    array = np.empty(len(state[1]), dtype=object)
    array[:] = restored(state[1])
    return array.reshape(state[0])


def _plain_date_time(value) -> list:
    """Local time, with its offset where it has a zone, and the name of the zone where that has one."""
    zone = getattr(value.tzinfo, "key", None) or getattr(value.tzinfo, "zone", None)
    return [value.isoformat(), zone]


def _restored_date_time(state) -> datetime.datetime:
    date_time = datetime.datetime.fromisoformat(state[0])
    return date_time if state[1] is None else date_time.astimezone(zoneinfo.ZoneInfo(state[1]))


def _restored_timestamp(state):
    import pandas as pd

    return pd.Timestamp(state[0]) if state[1] is None else pd.Timestamp(state[0]).tz_convert(state[1])


def _restored_pandas_duration(state):
    import pandas as pd

    return pd.Timedelta(state)


def _restored_interval(state):
    import pandas as pd

    return pd.Interval(restored(state[0]), restored(state[1]), state[2])


def _plain_member(value) -> list:
    """Module and class of a member of an enumeration, and which it is."""
    kind = type(value)
    which = value.value if isinstance(value, Flag) else value.name
    plain_value = [kind.__module__, kind.__qualname__, which]
    if _restored_member(plain_value) is not value:
        raise TypeError(f"{kind.__qualname__} is not what the module {kind.__module__} calls so.")
    return plain_value


def _restored_member(state):
    module, name, which = state
    # Nothing is imported here: reading a file must not run code that it names.
    kind = functools.reduce(
        lambda of, part: getattr(of, part, None), name.split("."), sys.modules.get(module)
    )
    if not (isinstance(kind, type) and issubclass(kind, Enum)):
        raise TypeError(
            f"The module {module} has no enumeration {name}, or is not imported yet. Import it first; an "
            f"enumeration needs a place in a module, outside of functions."
        )
    return kind(which) if issubclass(kind, Flag) else kind[which]


def _restored_period(state):
    import pandas as pd

    return pd.Period(ordinal=state[0], freq=state[1])


# Types, to the plain value and back; the first type that fits counts. Those of pandas, which need not be
# installed, are known by their name.
_KINDS: dict[str, tuple[type | tuple[type, ...], Callable, Callable]] = {
    "tuple": (tuple, lambda value: [plain(one) for one in value], lambda state: tuple(restored(state))),
    "dict": (
        Mapping,
        lambda value: [[plain(key), plain(one)] for key, one in value.items()],
        lambda state: {restored(key): restored(one) for key, one in state},
    ),
    "frozenset": (
        frozenset,
        lambda value: [plain(one) for one in value],
        lambda state: frozenset(restored(state)),
    ),
    "set": (
        set,
        lambda value: [plain(one) for one in value],
        lambda state: set(restored(state)),
    ),
    "time": (datetime.time, datetime.time.isoformat, datetime.time.fromisoformat),
    "uuid": (uuid.UUID, str, uuid.UUID),
    "pandas.Interval": (
        (),
        lambda value: [plain(value.left), plain(value.right), value.closed],
        _restored_interval,
    ),
    "pandas.Period": ((), lambda value: [value.ordinal, value.freqstr], _restored_period),
    "bytes": (bytes, bytes.hex, bytes.fromhex),
    "objects": (np.ndarray, _plain_objects, _restored_objects),
    "numpy": (np.generic, _plain_scalar, _restored_scalar),
    "dtype": (np.dtype, lambda value: value.str, np.dtype),
    "type": (type, _plain_type, _restored_type),
    "decimal": (decimal.Decimal, str, decimal.Decimal),
    "fraction": (fractions.Fraction, str, fractions.Fraction),
    "pandas.Timestamp": ((), _plain_date_time, _restored_timestamp),
    "pandas.Timedelta": ((), lambda value: value.isoformat(), _restored_pandas_duration),
    "datetime": (datetime.datetime, _plain_date_time, _restored_date_time),
    "date": (datetime.date, datetime.date.isoformat, datetime.date.fromisoformat),
    "timedelta": (
        datetime.timedelta,
        lambda value: [value.days, value.seconds, value.microseconds],
        lambda state: datetime.timedelta(*state),
    ),
    # Enumerations of text or numbers and other subclasses become what they are equal to.
    "text": (str, str.__str__, str),
    "integer": (numbers.Integral, int, int),
    "number": (numbers.Real, float, float),
    "member": (Enum, _plain_member, _restored_member),
}
