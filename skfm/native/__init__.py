"""The library of native code, where there is one for this machine; `skfm.layers.native` calls it from JAX."""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

NAME = "skfm.dll" if os.name == "nt" else "libskfm.so"


@cache
def library() -> ctypes.CDLL | None:
    """The library, or None: it was not built here, does not load, or ``SKFM_NATIVE=0`` switches it off."""
    if os.environ.get("SKFM_NATIVE", "1") == "0":
        return None
    try:
        found = ctypes.CDLL(str(Path(__file__).with_name(NAME)))
    except OSError:
        return None
    found.skfm_index.restype = ctypes.c_int64
    found.skfm_index.argtypes = (
        [ctypes.c_int64] * 2 + [ctypes.c_void_p] * 2 + [ctypes.c_int32] + [ctypes.c_void_p] * 6
    )
    return found


class Touching(NamedTuple):
    """Which rows of a table the slots of a batch touch, and which slots touch a row.

    Attributes
    ----------
    touched : (R,) int32 different ids
    position : (B, S) int32 position in `touched` of the id of each slot
    share : (R,) weight that touches each id
    starts : (R + 1,) int32, the slots of a touched row in `order`
    order : (B S,) int32, row of the batch times S plus slot; those of the dummy row are left out
    """

    touched: np.ndarray
    position: np.ndarray
    share: np.ndarray
    starts: np.ndarray
    order: np.ndarray


def touching(ids: np.ndarray, weight: np.ndarray, dummy: int, scratch: np.ndarray) -> Touching:
    """The index of one batch.

    Parameters
    ----------
    ids : (B, S) int32
    weight : (B,)
    dummy : the id of unused slots
    scratch : (D,) int32 with D above all ids; its contents are of no meaning, before and after
    """
    ids, weight = np.ascontiguousarray(ids, np.int32), np.ascontiguousarray(weight, np.float64)
    position, order = np.empty_like(ids), np.zeros(ids.size, np.int32)
    touched, starts = np.empty(ids.size, np.int32), np.empty(ids.size + 1, np.int32)
    share = np.empty(ids.size)
    arrays = ids, weight, scratch, touched, position, starts, order, share
    first, second, *rest = (array.ctypes.data for array in arrays)
    native: Any = library()
    n = native.skfm_index(*ids.shape, first, second, dummy, *rest)
    return Touching(touched[:n], position, share[:n], starts[: n + 1], order)


_COLLAPSE = 25  # MADV_COLLAPSE, Linux 6.1
_PAGE = 1 << 12


def to_large_pages(address: int, n_bytes: int) -> None:
    """Ask the system to move memory into pages of megabytes; where it cannot, nothing is done."""
    if sys.platform != "linux":
        return
    begin, end = -(-address // _PAGE) * _PAGE, (address + n_bytes) // _PAGE * _PAGE
    if end > begin:
        ctypes.CDLL(None).madvise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), _COLLAPSE)
