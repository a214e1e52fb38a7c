"""What is installed here."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

PACKAGES = "skfm", "jax", "jaxlib", "numpy", "scipy", "scikit-learn", "optax", "narwhals", "threadpoolctl"
OPTIONAL = "pandas", "polars", "pyarrow", "matplotlib", "tqdm"


def show_versions() -> None:
    """Print versions, and whether native code is used: what a report of a problem needs.

    Examples
    --------
    >>> import skfm
    >>> skfm.show_versions()
    python: ...
    native code: ...
    """
    import jax

    from skfm.layers import native

    print("python:", sys.version.replace("\n", " "))
    print("machine:", platform.platform())
    for name in (*PACKAGES, *OPTIONAL):
        try:
            print(f"{name}:", version(name))
        except PackageNotFoundError:
            if name not in OPTIONAL:
                print(f"{name}: not installed")
    print("devices of JAX:", ", ".join(str(device) for device in jax.devices()))
    print("native code:", native.describe())
