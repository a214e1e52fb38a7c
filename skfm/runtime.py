"""Device, precision, memory and the compile cache. JAX is imported when first needed."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def precision(dtype):
    """Run JAX in the precision of `dtype`; never changes the process-wide setting.

    Matrix products of float32 are computed in float32, not in a faster and coarser format.
    """
    import jax
    import numpy as np

    with jax.enable_x64(np.dtype(dtype) == np.float64), jax.default_matmul_precision("highest"):
        yield


def physical_memory() -> int | None:
    """Bytes of memory that the machine has, or None where it does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def enable_compile_cache(path: str | os.PathLike | None = None) -> str:
    """Keep compiled programs on disk, so that new processes do not compile them again.

    Switching it on is left to the user: a library should not write to disk at import. Call it at the
    start of a script, and in joblib workers.

    Parameters
    ----------
    path : path-like, optional
        Folder of the cache; default ``$XDG_CACHE_HOME/skfm`` or ``~/.cache/skfm``.

    Returns
    -------
    path : str
        The folder used.

    Examples
    --------
    >>> import skfm, tempfile
    >>> folder = skfm.enable_compile_cache(tempfile.mkdtemp())
    """
    import jax

    if path is None:
        path = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "skfm"
    path = Path(path)
    path.mkdir(parents=True, exist_ok=True)
    jax.config.update("jax_compilation_cache_dir", str(path))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    return str(path)
