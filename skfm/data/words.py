"""A column of text as one field of words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer

from skfm.data.columns import (
    MISSING,
    Categories,
    FieldNonzeros,
    FieldSlots,
    Hashed,
    MultiHot,
    Total,
    joined_slots,
    merge,
)
from skfm.data.frames import Column, unique_values

# What says how a text is cut into words; the vocabulary is the encoder's.
OPTIONS = (
    "analyzer",
    "lowercase",
    "ngram_range",
    "preprocessor",
    "stop_words",
    "strip_accents",
    "token_pattern",
    "tokenizer",
)


class _Cut(NamedTuple):
    """Different texts in words.

    Attributes
    ----------
    text_of_row : number of each row's text
    words, counts : different words of each text, one after another, and how often each stands there
    lengths : how many words these are; a missing text is the word None
    is_missing : whether each text is missing
    """

    text_of_row: np.ndarray
    words: list
    counts: np.ndarray
    lengths: np.ndarray
    is_missing: np.ndarray


class WordCounts(NamedTuple):
    """What there is to learn of words, the different words of all texts, and their number of texts."""

    entries: Any
    n_words: float
    n_texts: float

    def merge(self, other: WordCounts) -> WordCounts:
        """Of two parts of the rows."""
        return WordCounts(
            merge(self.entries, other.entries), self.n_words + other.n_words, self.n_texts + other.n_texts
        )


@dataclass(frozen=True, eq=False)
class Words(MultiHot):
    """Text: a slot for each frequent word, one for the rest. The empty text has none.

    A word that stands there c times has the value ``1 + log(c)``, and the values of a text are scaled to the
    length `scale`: the root of the number of different words that a text has on average, so values are
    about 1, as those of other fields. Weights by the rarity of words would change the meaning of all columns
    with each part of a stream, and gained nothing (benchmarks/cases/readings.py, 2026-11-29).

    Attributes
    ----------
    options : parameters of scikit-learn's CountVectorizer that say how a text is cut
    scale : learned from the first rows; 0 before
    """

    options: dict[str, Any] = field(default_factory=dict)
    scale: float = 0.0

    def count(self, column: Column, weight: np.ndarray) -> WordCounts:  # type: ignore[override]
        cut = self._cut(column)
        of_text = np.bincount(cut.text_of_row, weight, cut.lengths.size)
        of_word = np.repeat(of_text, cut.lengths)
        entries: Any = self.entries.count(Column(self.name, "category", cut.words), of_word)
        if isinstance(self.entries, Categories):
            # A word needs rows, not its share of the words.
            entries = entries._replace(total=Total.of(weight))
        there = ~cut.is_missing
        n_words = float(of_text[there] @ cut.lengths[there])
        return WordCounts(entries, n_words, float(of_text[there & (cut.lengths > 0)].sum()))

    def learned(self, counts: WordCounts, *, go_on: bool) -> Words:
        scale = self.scale or (counts.n_words and (counts.n_words / counts.n_texts) ** 0.5)
        return replace(self, entries=self.entries.learned(counts.entries, go_on=go_on), scale=float(scale))

    def encode(self, column: Column) -> list[FieldSlots]:
        return [joined_slots([self._slots(part) for part in column.parts()])]

    def _slots(self, column: Column) -> FieldSlots:
        cut = self._cut(column)
        (found,) = self.entries.encode(Column(self.name, "category", cut.words))
        n_texts, n_slots = cut.lengths.size, int(found.slots.max(initial=0)) + 1
        counts = cut.counts if found.values is None else cut.counts * found.values
        text = np.repeat(np.arange(n_texts), cut.lengths)
        # Words that share a slot are one word.
        pairs, number = np.unique(text * n_slots + found.slots, return_inverse=True)
        text, slots = np.divmod(pairs, n_slots)
        counts = np.bincount(number, counts, pairs.size)
        values = np.sign(counts) * (1 + np.log(np.maximum(np.abs(counts), 1)))
        length = np.sqrt(np.bincount(text, values**2, n_texts))
        by = np.where(cut.is_missing | (length == 0), 1.0, (self.scale or 1.0) / np.maximum(length, 1e-300))
        values *= by[text]
        # Of different texts to those of the rows.
        lengths = np.bincount(text, minlength=n_texts)
        of_row, first = lengths[cut.text_of_row], (np.cumsum(lengths) - lengths)[cut.text_of_row]
        within = np.arange(of_row.sum()) - np.repeat(np.cumsum(of_row) - of_row, of_row)
        at = np.repeat(first, of_row) + within
        return FieldSlots(slots[at].astype(np.int32), values[at], of_row)

    def lengths(self, column: Column) -> np.ndarray:
        cut = self._cut(column)
        return cut.lengths[cut.text_of_row]

    def _cut(self, column: Column) -> _Cut:
        """A column of text in words.

        Raises
        ------
        ValueError
            If a value is no text.
        """
        texts, text_of_row, family = unique_values(column)
        if family not in (None, "text"):
            row = next(row for row, number in enumerate(text_of_row.tolist()) if texts[number] is not None)
            as_text = "value.decode('latin-1')" if family == "bytes" else "str(value)"
            raise ValueError(
                f"Column {self.name!r} holds {family} (row {column.row(row)}: {texts[text_of_row[row]]!r}), "
                f"where text is expected. Make text of each value, with {as_text}, or leave it out of text=."
            )
        analyze = CountVectorizer(**self.options).build_analyzer()
        of_text = [{None: 1} if text is None else Counter(analyze(text)) for text in texts]
        return _Cut(
            text_of_row,
            [word for words in of_text for word in words],
            np.array([count for words in of_text for count in words.values()], dtype=np.float64),
            np.fromiter(map(len, of_text), np.int64, len(of_text)),
            np.array([text is None for text in texts], dtype=bool),
        )

    def rare_share(self) -> float:
        """Share of the words of all texts that have no slot."""
        rare = self.entries.rare_share()
        return min(rare / self.scale**2, 1.0) if self.scale else rare

    def decode(self, n_rows: int, fields: list[FieldNonzeros]) -> np.ndarray:
        """Each row's words that have a slot, in the order of these; None for a missing text."""
        found = fields[0]._replace(values=np.sign(fields[0].values))
        is_missing = np.zeros(n_rows, dtype=bool)
        if isinstance(self.entries, Categories):
            is_missing[found.rows[found.slots == MISSING]] = True
        out = np.full(n_rows, None, dtype=object)
        for row, words in enumerate(super().decode(n_rows, [found])):
            if not is_missing[row] and not isinstance(self.entries, Hashed):
                out[row] = " ".join(word for word in words if word is not None)
        return out


def check_options(column: Any, options: Any) -> dict[str, Any]:
    """Check what `text=` says of a column.

    Raises
    ------
    ValueError
        If it is no dict of parameters that say how a text is cut.
    """
    if options is None:
        return {}
    if not isinstance(options, Mapping) or not set(options) <= set(OPTIONS):
        raise ValueError(
            f"text= gives column {column!r} the value {options!r}; expected a dict of parameters of "
            f"sklearn.feature_extraction.text.CountVectorizer among {', '.join(OPTIONS)}. How many words get "
            f"a slot is said by min_frequency, max_categories and hash."
        )
    vectorizer = CountVectorizer(**options)
    try:
        vectorizer._validate_params()
        vectorizer._validate_ngram_range()
        vectorizer.build_analyzer()
    except (ValueError, re.error) as error:
        raise ValueError(f"text= gives column {column!r} the value {options!r}: {error}") from None
    return dict(options)
