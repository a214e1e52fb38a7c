"""The library of native code, where there is one for this machine; `skfm.layers.native` calls it from JAX."""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from skfm.native.sources import fingerprint

NAME = "skfm.dll" if os.name == "nt" else "libskfm.so"


class Loaded(NamedTuple):
    """The library and the instruction set that it runs here, or None and why there is none."""

    library: ctypes.CDLL | None
    what: str


def load(path: Path) -> Loaded:
    """Load the library of a file, unless it is off or of other sources than these."""
    if os.environ.get("SKFM_NATIVE") == "0":
        return Loaded(None, "off by SKFM_NATIVE=0")
    if not path.exists():
        return Loaded(None, "not built when skfm was installed: no C++ compiler, or it failed")
    try:
        found = ctypes.CDLL(str(path))
        for name in ("skfm_sources", "skfm_set"):
            getattr(found, name).restype = ctypes.c_char_p
        is_of_these = found.skfm_sources().decode() == fingerprint()
    except OSError as error:
        return Loaded(None, f"does not load: {error}")
    except AttributeError:  # from before it told its sources
        is_of_these = False
    if not is_of_these:
        return Loaded(None, "built from other sources than those beside it: install skfm again")
    found.skfm_index.restype = ctypes.c_int64
    found.skfm_index.argtypes = (
        [ctypes.c_int64] * 2 + [ctypes.c_void_p] * 2 + [ctypes.c_int32] + [ctypes.c_void_p] * 6
    )
    return Loaded(found, found.skfm_set().decode())


@cache
def loaded() -> Loaded:
    """That of this installation."""
    return load(Path(__file__).with_name(NAME))


def library() -> ctypes.CDLL | None:
    """The library, or None: it was not built here, does not load, or ``SKFM_NATIVE=0`` switches it off."""
    return loaded().library


class Touching(NamedTuple):
    """Which rows of a table the slots of a batch touch, and which slots touch a row: arrays to be filled.

    There is room for R rows, as many as there are slots or ids.

    Attributes
    ----------
    touched : (R,) int32 different ids
    position : (B, S) int32 position in `touched` of the id of each slot
    share : (R,) float64 weight that touches each id
    starts : (R + 1,) int32, the slots of a touched row in `order`
    order : (B S,) int32, row of the batch times S plus slot; those of the dummy row are left out
    """

    touched: np.ndarray
    position: np.ndarray
    share: np.ndarray
    starts: np.ndarray
    order: np.ndarray


def touching(ids: np.ndarray, weight: np.ndarray, dummy: int, scratch: np.ndarray, out: Touching) -> int:
    """Make the index of one batch.

    Parameters
    ----------
    ids : (B, S) int32
    weight : (B,)
    dummy : the id of unused slots
    scratch : (D,) int32 with D above all ids; its contents are of no meaning, before and after

    Returns
    -------
    number of rows that are touched
    """
    ids, weight = np.ascontiguousarray(ids, np.int32), np.ascontiguousarray(weight, np.float64)
    arrays = ids, weight, scratch, out.touched, out.position, out.starts, out.order, out.share
    first, second, *rest = (array.ctypes.data for array in arrays)
    native: Any = library()
    return native.skfm_index(*ids.shape, first, second, dummy, *rest)


_COLLAPSE = 25  # MADV_COLLAPSE, Linux 6.1
_PAGE = 1 << 12


def to_large_pages(address: int, n_bytes: int) -> None:
    """Ask the system to move memory into pages of megabytes; where it cannot, nothing is done."""
    if sys.platform != "linux":
        return
    begin, end = -(-address // _PAGE) * _PAGE, (address + n_bytes) // _PAGE * _PAGE
    if end > begin:
        ctypes.CDLL(None).madvise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), _COLLAPSE)
