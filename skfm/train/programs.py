"""Compiled programs: `jax.jit` that keeps a bounded number of them, and finds those of earlier processes.

A program takes ten to two hundred memory maps, of which Linux gives a process 65,530, and up to some
megabytes of memory; JAX keeps both as long as the function lives. So each program is a function of its own,
and those that were used last are kept.

On a CPU programs are kept on disk as well, as XLA has compiled them: the next process takes them from there
without tracing. Those that depend on what has no name in another process, such as a function that a user
gave, and those of other devices, are left to JAX.
"""

from __future__ import annotations

import hashlib
import os
import pickle
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache, update_wrapper
from operator import attrgetter
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental.serialize_executable import deserialize_and_load, serialize
from jaxlib.version import __version_info__ as jaxlib_version

from skfm.train import store
from skfm.train.identity import NoIdentityError, name_of, of_tree, surroundings, words

# A model has one for each width of its rows, in training and in prediction: two to ten in all.
N_PROGRAMS = int(os.environ.get("SKFM_PROGRAMS", "128"))
# Older ones write to stderr whenever they load a program (openxla/xla#44565).
CAN_BE_KEPT = jaxlib_version >= (0, 10, 2)
_settings = attrgetter(
    "jax_enable_x64",
    "jax_default_matmul_precision",
    "jax_default_device",
    "jax_threefry_partitionable",
    "jax_disable_jit",
    "jax_debug_nans",
    "jax_debug_infs",
)


class _Traced(NamedTuple):
    """What a program depends on of a number or an array."""

    shape: tuple[int, ...]
    dtype: Any
    is_weak: bool = False

    def abstract(self) -> Any:
        """As `jax.jit` sees it."""
        dtype = self.dtype
        if not jax.dtypes.issubdtype(dtype, jax.dtypes.extended):
            dtype = jax.dtypes.canonicalize_dtype(dtype)
        return jax.ShapeDtypeStruct(self.shape, dtype, weak_type=self.is_weak)


class Compiled:
    """A function that is compiled for each kind of its arguments.

    Arguments are trees. Arrays and numbers in them are traced; all else is static: small and hashable.

    Parameters
    ----------
    donated : number of the argument whose memory the result may take, or None
    """

    def __init__(self, function: Callable[..., Any], donated: int | None = None):
        self.function, self.donated = function, donated
        update_wrapper(self, function)

    def __call__(self, *arguments: Any) -> Any:
        kind, traced = self._kind_of(arguments)
        return _program(self, *kind, _settings(jax.config))(*traced)

    def lower(self, *arguments: Any) -> Any:
        """As that of `jax.jit`."""
        kind, traced = self._kind_of(arguments)
        return _jitted(self, *kind).lower(*traced)

    def eval_shape(self, *arguments: Any) -> Any:
        """As that of `jax.jit`, of a program that is kept."""
        kind, traced = self._kind_of(arguments)
        program = _program(self, *kind, _settings(jax.config))
        return program.out_info if isinstance(program, jax.stages.Compiled) else program.eval_shape(*traced)

    def _kind_of(self, arguments: tuple[Any, ...]) -> tuple[tuple[Any, tuple[Any, ...]], list[Any]]:
        """Structure and kinds of such arguments, and what a program takes of them."""
        leaves, structure = jax.tree.flatten(arguments)
        kinds = tuple(map(_kind, leaves))
        traced = [leaf for leaf, kind in zip(leaves, kinds, strict=True) if isinstance(kind, _Traced)]
        return (structure, kinds), traced


def _kind(leaf: Any) -> Any:
    if isinstance(leaf, jax.Array):
        return _Traced(leaf.shape, leaf.dtype, getattr(leaf, "weak_type", False))
    if isinstance(leaf, np.ndarray | np.generic):
        return _Traced(leaf.shape, leaf.dtype)
    return _Traced((), type(leaf), True) if isinstance(leaf, int | float) else leaf


def _jitted(compiled: Compiled, structure: Any, kinds: tuple[Any, ...]) -> Any:
    positions = [number for number, kind in enumerate(kinds) if isinstance(kind, _Traced)]
    donated = []
    if compiled.donated is not None:
        numbered = jax.tree.unflatten(structure, range(len(kinds)))
        donated = [positions.index(number) for number in jax.tree.leaves(numbered[compiled.donated])]

    # What JAX keeps of a program it keeps for this function, and frees with it.
    def function(*traced):
        leaves = list(kinds)
        for position, leaf in zip(positions, traced, strict=True):
            leaves[position] = leaf
        return compiled.function(*jax.tree.unflatten(structure, leaves))

    function.__name__ = compiled.function.__name__
    return jax.jit(function, donate_argnums=donated)


@lru_cache(maxsize=N_PROGRAMS)
def _program(compiled: Compiled, structure: Any, kinds: tuple[Any, ...], settings: tuple[Any, ...]) -> Any:
    """The program of such arguments; JAX's settings are what JAX itself would tell programs by."""
    jitted, device = _jitted(compiled, structure, kinds), _device()
    key = None if device is None else _key(compiled, structure, kinds, device)
    if key is None:
        return jitted
    program = _load(key, device)
    if program is None:
        traced = (kind.abstract() for kind in kinds if isinstance(kind, _Traced))
        program = jitted.lower(*traced).compile()
        _save(key, program)
    return program


def _device() -> Any:
    """The CPU that a program would run on; None where programs are left to JAX."""
    config: Any = jax.config
    checks = config.jax_disable_jit, config.jax_debug_nans, config.jax_debug_infs
    # What JAX has found in a cache of its own lacks its code when it is serialized again.
    has_own = config.jax_enable_compilation_cache and config.jax_compilation_cache_dir
    if not CAN_BE_KEPT or any(checks) or has_own or store.folder() is None:
        return None
    device = config.jax_default_device or jax.devices()[0]
    is_plain = isinstance(device, jax.Device) and device.platform == "cpu"
    return device if is_plain and len(device.client.devices()) == 1 else None


def _key(compiled: Compiled, structure: Any, kinds: tuple[Any, ...], device: Any) -> str | None:
    """Name of the program in every process; None where it has none."""
    with suppress(NoIdentityError, OSError):
        leaves = [repr(kind) if isinstance(kind, _Traced) else words(kind) for kind in kinds]
        parts = name_of(compiled), compiled.donated, of_tree(structure), leaves, surroundings(device)
        return hashlib.sha256(words(parts).encode()).hexdigest()
    return None


def _load(key: str, device: Any) -> Any:
    payload = store.load(key)
    if payload is None:
        return None
    try:
        where = {"backend": device.client, "execution_devices": [device]}
        return deserialize_and_load(*pickle.loads(payload), **where)
    except Exception:  # whatever a library says of a program that it does not take
        store.forget(key)
        return None


def _save(key: str, program: Any) -> None:
    # What cannot be serialized is compiled again.
    with suppress(Exception):
        store.save(key, pickle.dumps(serialize(program)))
