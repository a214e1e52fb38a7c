"""Rows that come in chunks: read, encoded and written to disk, from where training reads them."""

from __future__ import annotations

import contextlib
import copy
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import check_random_state

from skfm.data.frames import is_frame
from skfm.data.spool import RowSpool, ahead
from skfm.data.validate import check_sample_weight
from skfm.estimators.base.inputs import encoded_rows, kept_rows, learn_encoder, read_X_y

# With fewer nonzeros than this, chunks are put together and fitted in memory.
_IN_MEMORY = 1 << 23
_BUFFER_ROWS = 1 << 18


UNFITTED = object()


def is_stream(X) -> bool:
    """Whether X is an iterable of chunks ``(X, y)`` or ``(X, y, sample_weight)`` rather than rows."""
    if hasattr(X, "shape") or hasattr(X, "__array__") or isinstance(X, str | bytes | dict) or is_frame(X):
        return False
    if isinstance(X, list | tuple):
        return bool(X) and isinstance(X[0], tuple) and len(getattr(X[0][0], "shape", ())) == 2
    return hasattr(X, "__iter__")


def chunks_of(stream, *, once: bool = False):
    """Numbers and chunks, as tuples, of those that have rows; `once` if they are read a single time.

    Raises
    ------
    ValueError
        If the stream cannot be read again, a chunk is not one, or there is no row.
    """
    chunks = iter(stream)
    if chunks is stream and not once:
        raise ValueError(
            f"A {type(stream).__name__} can be read only once, and training reads its rows several times: "
            f"give a list of chunks, or an object whose __iter__ starts anew each time."
        )
    empty = True
    for number, chunk in enumerate(chunks):
        chunk = chunk if isinstance(chunk, tuple) else (chunk,)
        if len(getattr(chunk[0], "shape", ())) != 2:
            kind = type(chunk[0]).__name__
            raise _place(number, ValueError(f"X must be a DataFrame, a matrix or an array, got {kind}."))
        if chunk[0].shape[0]:
            empty = False
            yield number, chunk
    if empty:
        raise ValueError("The stream has no rows.")


def _place(number: int, error: Exception) -> ValueError:
    """The error of a chunk, with its number."""
    return ValueError(f"Chunk {number} of the stream: {error}")


def map_stream(function, stream) -> np.ndarray:
    """Results of a function of each chunk's X, one after another."""
    found = []
    for number, chunk in ahead(chunks_of(stream, once=True)):
        try:
            found.append(function(chunk[0]))
        except (ValueError, TypeError) as error:
            raise _place(number, error) from error
    return np.concatenate(found)


def _checked(estimator, stream, first):
    """Number, X, y and weights of each chunk; `first`: the first one says which columns there are."""
    kind = None
    for number, chunk in chunks_of(stream):
        if len(chunk) not in (2, 3):
            raise _place(
                number, ValueError(f"expected (X, y) or (X, y, sample_weight), got {len(chunk)} items.")
            )
        X, y, weight = (*chunk, None)[:3]
        if weight is not None and not np.any(weight):
            continue
        try:
            X, y = read_X_y(estimator, X, y, reset=first)
            weight = check_sample_weight(weight, y.shape[0])
            own = y.shape[1:], "text" if y.dtype.kind in "OUS" else "numbers"
            kind = kind or own
            if own != kind:
                raise ValueError(
                    f"y holds {own[1]} of shape {y.shape}, unlike the chunks before ({kind[1]})."
                )
        except (ValueError, TypeError) as error:
            raise _place(number, error) from error
        first = False
        yield number, X, y, weight


def _learn_from_stream(estimator, stream, *, first: bool, grow: bool) -> None:
    """Set `encoder_`, of all chunks where these are tables."""
    checked = _checked(estimator, stream, first)
    try:
        number, X, _, weight = next(checked)
    except StopIteration:
        raise ValueError("The stream has no rows with a weight.") from None
    checked.close()
    if first:
        # Tables are compared with tables until there is an encoder.
        estimator.encoder_ = None if sparse.issparse(X) else UNFITTED

    def tables():
        nonlocal number
        for at, X, _, weight in ahead(_checked(estimator, stream, first=False)):
            number = at
            yield X, weight

    chunks = tables()
    with contextlib.closing(chunks):
        try:
            encoder = learn_encoder(estimator, X, weight, first=first, grow=grow, chunks=chunks)
        except (ValueError, TypeError) as error:
            raise error if str(error).startswith("Chunk") else _place(number, error) from error
    estimator.encoder_ = encoder


def _read_stream(estimator, stream, folder: Path, *, held_share: float = 0.0):
    """Rows of a stream on disk in the estimator's columns, once its encoder is known.

    Returns
    -------
    spools : pair of RowSpool
        The rows, and those held out.
    y, weight : ndarray
        Of all rows, in the order of the stream.
    held : ndarray of bool
        Which rows are held out.
    """
    buffer_rows = int(getattr(stream, "buffer_rows", _BUFFER_ROWS))
    # A generator that is shared is not moved on: rows that turn out to be few are split as rows in memory.
    state = copy.deepcopy(estimator.random_state)
    rng = np.random.RandomState() if state is None else check_random_state(state)
    spools: list[RowSpool] = []
    targets: list[np.ndarray] = []
    weights: list[np.ndarray] = []
    helds: list[np.ndarray] = []

    def encoded():
        for number, X, y, weight in _checked(estimator, stream, first=False):
            try:
                X = encoded_rows(estimator, X)
            except (ValueError, TypeError) as error:
                raise _place(number, error) from error
            yield kept_rows(X, y, weight)

    for X, y, weight in ahead(encoded()):
        if not spools:
            spools = [RowSpool(folder / name, X.shape[1], buffer_rows) for name in ("rows", "held")]
        held = rng.random_sample(X.shape[0]) < held_share
        if held_share and not targets and X.shape[0] > 1:
            # Some row on each side, whatever the share.
            held[:2] = True, False
        for spool, own in zip(spools, (~held, held), strict=True):
            if own.any():
                spool.append(X if own.all() else X[own])
        targets.append(y)
        weights.append(weight)
        helds.append(held)
    for spool in spools:
        spool.flush()
    return spools, np.concatenate(targets), np.concatenate(weights), np.concatenate(helds)


def _is_small(spools) -> bool:
    """Whether rows are few enough to be fitted in memory."""
    return sum(spool.nnz for spool in spools) <= _IN_MEMORY


def _in_memory(spools, held) -> sparse.csr_array:
    """All rows of both spools in the order of the stream."""
    parts = [spool.in_memory() for spool in spools if spool.shape[0]]
    order = np.argsort(np.concatenate([np.flatnonzero(~held), np.flatnonzero(held)]))
    return sparse.csr_array(sparse.vstack(parts, format="csr"))[order] if len(parts) > 1 else parts[0]


def stream_parts(estimator, stream, held_out, folder: Path, *, first, grow) -> tuple[Any, Any]:
    """``((X, y, weight), the same held out or None)`` of a stream; few rows are put in memory."""
    from skfm.train import defaults

    _learn_from_stream(estimator, stream, first=first, grow=grow)
    given_late = held_out[0] is not None or held_out[1] is not None
    share = 0.0
    if not given_late and estimator.early_stopping is not False:
        share = defaults.validation_fraction(estimator.validation_fraction)
    spools, y, weight, held = _read_stream(estimator, stream, folder, held_share=share)
    y = estimator._check_targets(y, first=True)
    weight = estimator._reweight(y, weight)
    if _is_small(spools):
        X, y, weight = kept_rows(_in_memory(spools, held), y, weight)
        return estimator._validation_split(X, y, weight, held_out_rows(estimator, held_out), False)
    given = held_out_rows(estimator, held_out, folder)
    train, kept = ((spool, y[own], weight[own]) for spool, own in zip(spools, (~held, held), strict=True))
    return train, given or (kept if share else None)


def held_out_rows(estimator, held_out, folder: Path | None = None):
    """Rows to stop on that were given to fit, in the estimator's columns, or None.

    Those of a stream stay on disk if there is a `folder` for them.
    """
    X, y, weight = held_out
    if estimator.early_stopping is False or (X is None and y is None):
        return None
    if is_stream(X):
        if y is not None or weight is not None:
            raise ValueError(
                "X_val is a stream, which holds targets and weights: give neither y_val nor weights."
            )
        with contextlib.ExitStack() as stack:
            own = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="skfm")))
            (own / "given").mkdir()
            spools, y, weight, held = _read_stream(estimator, X, own / "given")
            X = _in_memory(spools, held) if folder is None or _is_small(spools) else spools[0]
    else:
        if X is None or y is None:
            raise ValueError("X_val and y_val go together: give both or neither.")
        X, y = read_X_y(estimator, X, y, reset=False)
        weight = check_sample_weight(weight, y.shape[0])
        X = encoded_rows(estimator, X)
        X, y, weight = kept_rows(X, y, weight)
    y = estimator._check_targets(y, first=False)
    weight = estimator._reweight(y, weight)
    return kept_rows(X, y, weight) if sparse.issparse(X) else (X, y, weight)
