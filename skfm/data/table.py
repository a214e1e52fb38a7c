"""All columns of a table as the columns of a sparse matrix."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from skfm.data.columns import (
    Categories,
    ColumnEncoder,
    Crossed,
    FieldNonzeros,
    FieldSlots,
    Hashed,
    Vocabulary,
    merge,
    of_single_values,
    with_vocabulary,
)
from skfm.data.frames import Column, missing_of
from skfm.data.readings import Reading
from skfm.data.state import Stateful, plain
from skfm.runtime import check_fits

# Bytes that the name of a slot and its columns take at least.
_OF_SLOT = 64
# Share of the rows whose value has one row, from which a column has nothing to learn.
_HARDLY_ANY = 0.9
# Why whole numbers turn into others.
_LATER = "values of this type are quantities, after whole numbers in the first chunk"


def merge_counts(a: list | None, b: list) -> list:
    """Counts of two parts of the rows as of one; those of `a` are used up."""
    return b if a is None else list(map(merge, a, b))


@dataclass(frozen=True, eq=False)
class Missing(Stateful):
    """Weight of the rows in which the value of each column of a table is missing, and of all rows."""

    weights: np.ndarray
    total: float

    @classmethod
    def of(cls, columns: list[Column], weight: np.ndarray) -> Missing:
        """Of some rows."""
        weights = [0.0 if column.kind == "cross" else missing_of(column) @ weight for column in columns]
        return cls(np.array(weights), float(weight.sum()))

    def merge(self, other: Missing) -> Missing:
        """Of two parts of the rows."""
        return Missing(self.weights + other.weights, self.total + other.total)


class Recoding(NamedTuple):
    """Columns of an encoder by those that it had before it learned from other rows.

    Attributes
    ----------
    origin : (n_columns,) the column of before that says most about each; -1 for new ones
    slope, offset : (n_columns,) a value was about ``slope * value + offset`` in the column of before
    """

    origin: np.ndarray
    slope: np.ndarray
    offset: np.ndarray


@dataclass(frozen=True, eq=False)
class TableEncoder(Stateful):
    """Encoders of the columns of a table, and the columns of the matrix that they make.

    Attributes
    ----------
    encoders : one a column, and those of crosses
    shared : positions of the columns that share each table, the one whose weights all use first
    readings : how each column is read, and why
    n_fields : number of fields of each column of the table
    slot_columns : for each field the column of the matrix of each of its slots
    missing : weight of the rows of each column whose value is missing, and of all rows
    """

    encoders: tuple[ColumnEncoder, ...]
    shared: tuple[tuple[int, ...], ...] = ()
    readings: tuple[Reading, ...] = ()
    n_fields: tuple[int, ...] = ()
    slot_columns: tuple[np.ndarray, ...] = ()
    missing: Missing | None = None

    def __post_init__(self) -> None:
        # Columns that share a table have the vocabulary of the first of them, which alone learns.
        encoders = list(self.encoders)
        for first, *others in self.shared:
            known = of_single_values(encoders[first])
            for position in others:
                if isinstance(known, Categories):
                    encoders[position] = with_vocabulary(encoders[position], known.vocabulary)
        object.__setattr__(self, "encoders", tuple(encoders))

    @property
    def learns(self) -> bool:
        """Whether more rows would change anything."""
        return any(encoder.learns for encoder in self.encoders)

    def count(self, columns: list[Column], weight: np.ndarray) -> list:
        """What there is to learn from some rows, for `merge_counts`."""
        counts = [
            encoder.count(column, weight) for encoder, column in zip(self.encoders, columns, strict=True)
        ]
        for first, *others in self.shared:
            for position in others:
                counts[first], counts[position] = merge(counts[first], counts[position]), None
        return [*counts, Missing.of(columns, weight)]

    def learned(self, counts: list, *, go_on: bool) -> TableEncoder:
        """The encoder that knows counts: new slots have columns behind those of before."""
        *counts, missing = counts
        encoders, readings = self.encoders, self.readings
        if not self.slot_columns:
            again = [encoder.read_again(counted) for encoder, counted in zip(encoders, counts, strict=True)]
            encoders, counts = tuple(encoder for encoder, _ in again), [counted for _, counted in again]
            readings = tuple(
                reading if encoder is first else Reading("number", _LATER)
                for reading, encoder, first in zip(readings, encoders, self.encoders, strict=True)
            )
        encoders = tuple(
            encoder.learned(counted, go_on=go_on) for encoder, counted in zip(encoders, counts, strict=True)
        )
        missing = merge(self.missing, missing)
        learned = replace(self, encoders=encoders, readings=readings, missing=missing)
        learned._check_hashes()
        names = [encoder.names() for encoder in learned.encoders]
        sizes = [len(slots) for fields in names for slots in fields]
        known = self.slot_columns or tuple(np.empty(0, np.int32) for _ in sizes)
        slot_columns, n_columns = [], self.n_columns
        for columns, size in zip(known, sizes, strict=True):
            end = n_columns + size - columns.size
            slot_columns.append(np.append(columns, np.arange(n_columns, end, dtype=np.int32)))
            n_columns = end
        return replace(learned, n_fields=tuple(map(len, names)), slot_columns=tuple(slot_columns))

    def renewed(self) -> TableEncoder:
        """The encoder with the same columns, which learns from the next rows as if they were the first."""
        return replace(self, encoders=tuple(encoder.renewed() for encoder in self.encoders), missing=None)

    def recoding(self, known: TableEncoder) -> Recoding:
        """What has become of the columns since this was the encoder `known`."""
        origin = np.full(self.n_columns, -1)
        origin[: known.n_columns] = np.arange(known.n_columns)
        slope, offset = np.ones(self.n_columns), np.zeros(self.n_columns)
        for position, (encoder, before) in enumerate(zip(self.encoders, known.encoders, strict=True)):
            fields = zip(self.output_columns(position), known.output_columns(position), strict=True)
            # Most columns have no origins.
            for (columns, known_columns), changed in zip(fields, encoder.origins(before), strict=False):
                columns = columns[changed.slots]
                origin[columns] = known_columns[changed.origin]
                slope[columns], offset[columns] = changed.slope, changed.offset
        return Recoding(origin, slope, offset)

    def _check_hashes(self) -> None:
        """Raise ValueError if there are too many slots of hashes; those of values were counted in memory."""
        hashed = [one for one in map(of_single_values, self.encoders) if isinstance(one, Hashed)]
        n_slots = sum(one.n_slots for one in hashed)
        largest = max(hashed, key=lambda one: one.n_slots, default=None)
        if largest is not None:
            check_fits(
                _OF_SLOT * n_slots,
                f"The names of {n_slots} slots of hashes, of which column {largest.name!r} has "
                f"{largest.n_slots}, take",
                f"Give a smaller number in {'cross_slots' if isinstance(largest, Crossed) else 'hash'}=.",
            )

    @property
    def n_columns(self) -> int:
        """Columns of the matrix."""
        return sum(columns.size for columns in self.slot_columns)

    @property
    def fields(self) -> np.ndarray:
        """Field of each column of the matrix."""
        fields = np.empty(self.n_columns, np.int32)
        for field, columns in enumerate(self.slot_columns):
            fields[columns] = field
        return fields

    @property
    def field_columns(self) -> np.ndarray:
        """Position of the column of the table that each field was made of."""
        return np.repeat(np.arange(len(self.encoders)), self.n_fields)

    @property
    def rows(self) -> np.ndarray | None:
        """Column of the matrix whose weights each column uses; None if no columns share a table."""
        if not self.shared:
            return None
        rows = np.arange(self.n_columns, dtype=np.int32)
        for first, *others in self.shared:
            # Columns that share a table have one field each, with the same slots.
            (owners,) = self.output_columns(first)
            for position in others:
                (columns,) = self.output_columns(position)
                rows[columns] = owners
        return rows

    def output_columns(self, position: int) -> tuple[np.ndarray, ...]:
        """For each field of a column of the table, the column of the matrix of each slot."""
        first = sum(self.n_fields[:position])
        return self.slot_columns[first : first + self.n_fields[position]]

    def names(self) -> np.ndarray:
        """Names of the columns of the matrix, each different: "a=b (2)" where another column is "a=b"."""
        out = np.empty(self.n_columns, dtype=object)
        names = (names for encoder in self.encoders for names in encoder.names())
        for columns, slot_names in zip(self.slot_columns, names, strict=True):
            out[columns] = slot_names
        # In the order of the columns, so that names stay when columns are added.
        taken: set[str] = set()
        for column, name in enumerate(out):
            number = 1
            while out[column] in taken:
                number += 1
                out[column] = f"{name} ({number})"
            taken.add(out[column])
        return out

    def encode(self, columns: list[Column], n_rows: int, dtype: np.dtype) -> sparse.csr_array:
        """Rows of a table as CSR, without zeros."""
        fields = [
            slots
            for encoder, column in zip(self.encoders, columns, strict=True)
            for slots in encoder.encode(column)
        ]
        return _joined(fields, self.slot_columns, n_rows, self.n_columns, dtype)

    def decode(self, X, n_features: int) -> np.ndarray:
        """Values of the first columns of the table that rows of the matrix stand for."""
        slot_of, field_of = np.empty(self.n_columns, dtype=np.int32), self.fields
        for columns in self.slot_columns:
            slot_of[columns] = np.arange(columns.size)
        X = sparse.coo_array(X)
        row, column = X.coords
        nonzeros = []
        for field in range(len(self.slot_columns)):
            chosen = field_of[column] == field
            nonzeros.append(FieldNonzeros(row[chosen], slot_of[column[chosen]], X.data[chosen]))
        table = np.empty((X.shape[0], n_features), dtype=object)
        end = 0
        for position, encoder in enumerate(self.encoders[:n_features]):
            first, end = end, end + self.n_fields[position]
            table[:, position] = encoder.decode(X.shape[0], nonzeros[first:end])
        return table

    def describe(self) -> list[dict[str, Any]]:
        """How each column is read, one dict each; see `FieldEncoder.describe`."""
        rows = []
        for position, (encoder, reading) in enumerate(zip(self.encoders, self.readings, strict=True)):
            missing = (
                self.missing.weights[position] / max(self.missing.total, 1e-300) if self.missing else 0.0
            )
            row = {"column": encoder.name, "reading": reading.name, "why": reading.why}
            n_values, rare = encoder.n_values(), encoder.rare_share()
            if isinstance(encoder, Categories) and encoder.vocabulary.once_share >= _HARDLY_ANY:
                row["why"] += "; hardly any value comes again, so there is nothing to learn of them"
            rows.append(row | {"values": n_values, "rare": rare, "missing": float(missing)})
        return rows

    def get_state(self) -> dict[str, Any]:
        """Plain values; the vocabulary of columns that share a table stands once, with the first of them."""
        encoders = list(self.encoders)
        for _, *others in self.shared:
            for position in others:
                encoders[position] = with_vocabulary(encoders[position], Vocabulary())
        return super().get_state() | {"encoders": plain(tuple(encoders))}


def _joined(
    fields: list[FieldSlots], slot_columns: tuple[np.ndarray, ...], n_rows: int, n_columns: int, dtype
) -> sparse.csr_array:
    """Slots of all fields as one CSR array, without zeros."""
    lengths = [np.ones(n_rows, np.int64) if field.lengths is None else field.lengths for field in fields]
    indptr = np.zeros(n_rows + 1, dtype=np.int64)
    np.cumsum(sum(lengths), out=indptr[1:])
    if indptr[-1] < 2**31:
        indptr = indptr.astype(np.int32)
    indices = np.empty(indptr[-1], dtype=indptr.dtype)
    data = np.ones(indptr[-1], dtype=dtype)
    first = indptr[:-1].copy()
    for field, length, columns in zip(fields, lengths, slot_columns, strict=True):
        position = first
        if field.lengths is not None:
            within = np.arange(field.slots.size) - np.repeat(np.cumsum(length) - length, length)
            position = np.repeat(first, length) + within
        indices[position] = columns[field.slots]
        if field.values is not None:
            data[position] = field.values
        first += length
    encoded = sparse.csr_array((data, indices, indptr), shape=(n_rows, n_columns))
    encoded.sum_duplicates()
    encoded.eliminate_zeros()
    return encoded
