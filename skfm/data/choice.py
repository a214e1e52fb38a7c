"""Which encoder each column of a table gets, by its kind and the parameters of `FieldEncoder`."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Set
from numbers import Integral

import numpy as np

from skfm.data.columns import (
    Categories,
    ColumnEncoder,
    Crossed,
    Hashed,
    MultiHot,
    Options,
    Vocabulary,
    of_single_values,
)
from skfm.data.frames import Column
from skfm.data.numeric import Dates, Integers, Numbers
from skfm.data.readings import Reading, reading_of
from skfm.data.words import Words, check_options

_KINDS = {"categorical": "category", "numeric": "number", "multi_hot": "list", "text": "text"}
# Kinds that have a slot for each value, or each entry.
_OF_VALUES = "category", "identifier", "list", "text"
# Up to how many rows a value of one row has a slot: it is better than none, as the prior keeps its weight
# small, until tables grow for little. Numbers have a value or bins beside their slots, and a list or a text
# says much by how many of its entries are rare (benchmarks/cases/priors.py).
_FEW_ROWS = {"category": 100_000, "identifier": 100_000, "integer": 2_000, "number": 2_000, "date": 2_000}


def make_encoders(
    parameters, columns: list[Column], weight: np.ndarray
) -> tuple[tuple[ColumnEncoder, ...], tuple[tuple[int, ...], ...], tuple[Reading, ...]]:
    """An encoder for each column, the positions of the columns that share each table, and the readings.

    Parameters
    ----------
    parameters : FieldEncoder
    columns : those of the table and, behind them, the crosses of `crossed`
    weight : of each row
    """
    columns, crosses = (
        [column for column in columns if (column.kind == "cross") == is_cross] for is_cross in (False, True)
    )
    given = {what: _given(parameters, what, columns) for what in (*_KINDS, "max_length", "hash", "bins")}
    shared = _shared(parameters.shared, columns)
    tables = {position: table for table, positions in shared.items() for position in positions}
    encoders: list[ColumnEncoder] = []
    readings: list[Reading] = []
    for position, column in enumerate(columns):
        reading = _reading(given, tables.get(position), position, column) or reading_of(column, weight)
        encoder = _make_encoder(parameters, given, tables.get(position), position, column.name, reading.name)
        others = [encoders[other] for other in shared.get(tables.get(position), ()) if other < position]
        _check_hashes(tables.get(position), encoder, others)
        encoders.append(encoder)
        readings.append(reading)
    lists = {
        encoder.name: reading.name
        for encoder, reading in zip(encoders, readings, strict=True)
        if isinstance(encoder, MultiHot)
    }
    for cross in crosses:
        for column in cross.values:
            if lists.get(column.name) == "list":
                raise ValueError(
                    f"crosses= names column {column.name!r}, which holds lists. Cross single values."
                )
        encoders.append(Crossed(cross.name, parameters.cross_slots, parameters.signed_hash))
        readings.append(Reading("cross", "named in crosses="))
    return tuple(encoders), tuple(map(tuple, shared.values())), tuple(readings)


def _reading(given: dict, table, position: int, column: Column) -> Reading | None:
    """What parameters say of a column, or None.

    Parameters
    ----------
    given : by the name of a parameter, what it says of columns by their position
    table : name of the table that the column shares, or None
    """
    name = column.name
    kinds = [what for what in _KINDS if position in given[what]]
    if len(kinds) > 1:
        raise ValueError(f"Column {name!r} is named in {' and in '.join(kinds)}: name it in one.")
    if table is not None:
        for what in ("numeric", "text"):
            if what in kinds:
                raise ValueError(f"Column {name!r} is named in {what} and in shared: name it in one.")
        is_list = "list" in (column.kind, *(_KINDS[what] for what in kinds))
        return Reading("list" if is_list else "category", "named in shared=")
    if kinds:
        return Reading(_KINDS[kinds[0]], f"named in {kinds[0]}=")
    if column.kind in ("integer", "number") and position in given["bins"]:
        return Reading(column.kind, "named in bins=")
    return None


def _make_encoder(parameters, given: dict, table, position: int, name, kind: str) -> ColumnEncoder:
    """The encoder of a column, from its reading and from what parameters say of it.

    Parameters
    ----------
    given, table : see `_reading`
    name : of the column
    kind : how it is read
    """
    n_slots = given["hash"].get(position)
    if n_slots is None and kind in _OF_VALUES and isinstance(parameters.hash, Integral):
        n_slots = parameters.hash
    bins = given["bins"].get(position, parameters.bins if isinstance(parameters.bins, Integral) else 32)
    options = Options(
        parameters.min_frequency,
        _FEW_ROWS.get(kind, 0),
        parameters.max_categories,
        bins,
        parameters.numeric_encoding,
    )
    if n_slots is None and kind not in _OF_VALUES:
        number = Numbers(name, options)
        return {"integer": Integers(name, options, number), "number": number, "date": Dates(name, number)}[
            kind
        ]
    if position in given["bins"]:
        how = f"is read as {kind}" if n_slots is None else "is hashed"
        raise ValueError(f"bins= names column {name!r}, which {how} and has none. Leave it out of bins=.")
    mixes = position in given["categorical"]
    entries: Hashed | Categories = (
        Categories(name, Vocabulary(options, table), mixes)
        if n_slots is None
        else Hashed(name, n_slots, parameters.signed_hash, mixes)
    )
    if kind != "list" and position in given["max_length"]:
        raise ValueError(
            f"max_length= names column {name!r}, which does not hold lists. Leave it out, or name it in "
            f"multi_hot= with a separator."
        )
    if kind == "text":
        return Words(name, entries, options=check_options(name, given["text"].get(position)))
    if kind != "list":
        return entries
    most = given["max_length"].get(position)
    if most is None and isinstance(parameters.max_length, Integral):
        most = parameters.max_length
    return MultiHot(name, entries, given["multi_hot"].get(position), most)


def crossed(crosses, columns: list[Column]) -> list[Column]:
    """The columns of a table and, behind them, the pairs of columns that a parameter names.

    Raises
    ------
    ValueError
        If something is no pair of two columns.
    """
    names = [column.name for column in columns]
    pairs = []
    for pair in crosses:
        if not _is_list(pair) or len(pair) != 2:
            raise ValueError(f"crosses= holds {pair!r}; expected pairs of columns, such as ('city', 'day').")
        first, second = (columns[_position("crosses", name, names)] for name in pair)
        if first is second:
            raise ValueError(f"crosses= crosses column {first.name!r} with itself.")
        pairs.append(Column(f"{first.name}*{second.name}", "cross", (first, second)))
    return columns + pairs


def _is_list(values) -> bool:
    """Whether columns are named one after another; sets have another order in each process."""
    return not isinstance(values, str | bytes | Set | Mapping) and hasattr(values, "__len__")


def _check_hashes(table, encoder: ColumnEncoder, others: list[ColumnEncoder]) -> None:
    """Columns that share a table hash their values alike, or not at all."""
    n_slots = getattr(of_single_values(encoder), "n_slots", None)
    for other in others:
        if getattr(of_single_values(other), "n_slots", None) != n_slots:
            raise ValueError(
                f"Columns {other.name!r} and {encoder.name!r} share the table {table!r}, but not the hash: "
                f"give both the same number in hash=, or neither."
            )


def _position(what: str, name, names: list) -> int:
    """Position of the column that a parameter names."""
    # A boolean is the number 0 or 1 for Python, where it is meant as one of a mask.
    is_mask = isinstance(name, bool | np.bool_)
    if isinstance(name, Hashable) and not is_mask and name in names:
        return names.index(name)
    if isinstance(name, Integral) and not is_mask and 0 <= int(name) < len(names):
        return int(name)
    remedy = " Give names or positions in place of a mask." if is_mask else ""
    raise ValueError(f"{what}= names {name!r}, which is no column of X. Its columns: {names[:20]}.{remedy}")


def _given(parameters, what: str, columns: list[Column]) -> dict:
    """What a parameter says of the columns it names, by their position."""
    given = getattr(parameters, what)
    if given is None or isinstance(given, Integral):
        return {}
    names = [column.name for column in columns]
    by_position = {}
    for name in given:
        by_position[_position(what, name, names)] = given[name] if isinstance(given, Mapping) else None
        if isinstance(given, Mapping) and what != "text":
            _check_given(what, name, given[name])
    return by_position


def _check_given(what: str, name, value) -> None:
    """Check what a dict says of a column."""
    if what == "multi_hot":
        fits, expected = value is None or (isinstance(value, str) and value != ""), "a separator, or None"
    else:
        least = 0 if what == "bins" else 1
        fits = isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least
        expected = f"a whole number of {least} or more"
    if not fits:
        raise ValueError(f"{what}= gives column {name!r} the value {value!r}; expected {expected}.")


def _shared(shared, columns: list[Column]) -> dict:
    """Positions of the columns that share each table, in the order in which they are named."""
    names = [column.name for column in columns]
    tables: dict = {}
    for table, members in (shared or {}).items():
        if not _is_list(members) or len(members) < 2:
            raise ValueError(
                f"shared= gives table {table!r} the value {members!r}; expected two columns or more, listed."
            )
        positions = [_position("shared", name, names) for name in members]
        for position in positions:
            if positions.count(position) > 1 or any(position in others for others in tables.values()):
                raise ValueError(f"shared= names column {names[position]!r} twice: a column has one table.")
        tables[table] = positions
    return tables
