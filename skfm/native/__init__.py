"""The library of native code, where there is one for this machine; `skfm.layers.native` calls it from JAX."""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path

_FILES = {"nt": "skfm.dll"}


@cache
def library() -> ctypes.CDLL | None:
    """The library, or None: it was not built here, does not load, or ``SKFM_NATIVE=0`` switches it off."""
    if os.environ.get("SKFM_NATIVE", "1") == "0":
        return None
    try:
        return ctypes.CDLL(str(Path(__file__).with_name(_FILES.get(os.name, "libskfm.so"))))
    except OSError:
        return None
