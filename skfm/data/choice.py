"""Which encoder each column of a table gets, by its kind and the parameters of `FieldEncoder`."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral

from skfm.data.columns import Categories, Crossed, Hashed, MultiHot, Options, Vocabulary
from skfm.data.frames import Column
from skfm.data.numeric import Dates, Integers, Numbers

_KINDS = {"categorical": "category", "numeric": "number", "multi_hot": "list"}


def make_encoders(parameters, columns: list[Column]) -> tuple[list, list[list[int]]]:
    """An encoder for each column, and the positions of the columns that share each table.

    Parameters
    ----------
    parameters : FieldEncoder
    columns : those of the table and, behind them, the crosses of `crossed`
    """
    columns, crosses = (
        [column for column in columns if (column.kind == "cross") == crossed] for crossed in (False, True)
    )
    given = {what: _given(parameters, what, columns) for what in (*_KINDS, "max_length", "hash", "bins")}
    shared = _shared(parameters.shared, columns)
    tables = {place: table for table, places in shared.items() for place in places}
    vocabularies: dict = {}
    encoders: list = []
    for place, column in enumerate(columns):
        kinds = [what for what in _KINDS if place in given[what]]
        if len(kinds) > 1:
            raise ValueError(f"Column {column.name!r} is named in {' and in '.join(kinds)}: name it in one.")
        kind = _KINDS[kinds[0]] if kinds else column.kind
        table = tables.get(place)
        if table is not None:
            if "numeric" in kinds:
                raise ValueError(f"Column {column.name!r} is named in numeric and in shared: name it in one.")
            kind = "list" if kind == "list" else "category"
        n_slots = given["hash"].get(place)
        if n_slots is None and kind in ("category", "list") and isinstance(parameters.hash, Integral):
            n_slots = parameters.hash
        bins = given["bins"].get(place, parameters.bins if isinstance(parameters.bins, Integral) else 32)
        options = Options(
            parameters.min_frequency, parameters.max_categories, bins, parameters.numeric_encoding
        )
        if n_slots is not None:
            entries: Hashed | Categories = Hashed(column, n_slots, parameters.signed_hash)
        elif kind in ("category", "list"):
            own = Vocabulary(options, table)
            entries = Categories(column, own if table is None else vocabularies.setdefault(table, own))
        else:
            encoders.append({"integer": Integers, "number": Numbers, "date": Dates}[kind](column, options))
            continue
        _check_hashes(table, entries, column, [encoders[at] for at in shared.get(table, ()) if at < place])
        if kind == "list":
            most = given["max_length"].get(place)
            if most is None and isinstance(parameters.max_length, Integral):
                most = parameters.max_length
            encoders.append(MultiHot(column, entries, given["multi_hot"].get(place), most))
        elif place in given["max_length"]:
            raise ValueError(f"max_length= names column {column.name!r}, which does not hold lists.")
        else:
            encoders.append(entries)
    lists = {column.name for column, own in zip(columns, encoders, strict=True) if isinstance(own, MultiHot)}
    for cross in crosses:
        for column in cross.values:
            if column.name in lists:
                raise ValueError(
                    f"crosses= names column {column.name!r}, which holds lists. Cross single values."
                )
        encoders.append(Crossed(cross, parameters.cross_slots, parameters.signed_hash))
    return encoders, list(shared.values())


def crossed(crosses, columns: list[Column]) -> list[Column]:
    """The columns of a table and, behind them, the pairs of columns that a parameter names.

    Raises
    ------
    ValueError
        If something is no pair of two columns.
    """
    names = [column.name for column in columns]
    pairs = []
    for pair in crosses or ():
        if isinstance(pair, str) or not hasattr(pair, "__len__") or len(pair) != 2:
            raise ValueError(f"crosses= holds {pair!r}; expected pairs of columns, such as ('city', 'day').")
        first, second = (columns[_place("crosses", name, names)] for name in pair)
        if first is second:
            raise ValueError(f"crosses= crosses column {first.name!r} with itself.")
        pairs.append(Column(f"{first.name}*{second.name}", "cross", (first, second)))
    return columns + pairs


def _check_hashes(table, entries, column: Column, others: list) -> None:
    """Columns that share a table hash their values alike, or not at all."""
    for other in others:
        known = getattr(getattr(other, "entries", other), "n_slots", None)
        if known != getattr(entries, "n_slots", None):
            raise ValueError(
                f"Columns {other.name!r} and {column.name!r} share the table {table!r}, but not the hash: "
                f"give both the same number in hash=, or neither."
            )


def _place(what: str, name, names: list) -> int:
    """Position of the column that a parameter names."""
    if name in names:
        return names.index(name)
    if isinstance(name, Integral) and 0 <= int(name) < len(names):
        return int(name)
    raise ValueError(f"{what}= names {name!r}, which is no column of X. Its columns: {names[:20]}.")


def _given(parameters, what: str, columns: list[Column]) -> dict:
    """What a parameter says of the columns it names, by their position."""
    given = getattr(parameters, what)
    if given is None or isinstance(given, Integral):
        return {}
    names = [column.name for column in columns]
    said = {}
    for name in given:
        place = _place(what, name, names)
        said[place] = given[name] if isinstance(given, Mapping) else None
        if isinstance(given, Mapping):
            _check_said(what, name, given[name])
    return said


def _check_said(what: str, name, value) -> None:
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
        if isinstance(members, str) or not hasattr(members, "__len__") or len(members) < 2:
            raise ValueError(
                f"shared= gives table {table!r} the value {members!r}; expected two columns or more."
            )
        places = [_place("shared", name, names) for name in members]
        for place in places:
            if places.count(place) > 1 or any(place in others for others in tables.values()):
                raise ValueError(f"shared= names column {names[place]!r} twice: a column has one table.")
        tables[table] = places
    return tables
