"""Compiled programs: `jax.jit` that keeps a bounded number of them.

A program takes ten to two hundred memory maps, of which Linux gives a process 65,530, and up to some
megabytes of memory; JAX keeps both as long as the function lives. So each program is a function of its own,
and those that were used last are kept.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache, update_wrapper
from typing import Any, NamedTuple

import jax
import numpy as np

# A model has one for each width of its rows, in training and in prediction: two to ten in all.
N_PROGRAMS = int(os.environ.get("SKFM_PROGRAMS", "128"))


class _Traced(NamedTuple):
    """What a program depends on of a number or an array."""

    shape: tuple[int, ...]
    dtype: Any


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
        program, traced = self._find(arguments)
        return program(*traced)

    def lower(self, *arguments: Any) -> Any:
        """As that of `jax.jit`."""
        program, traced = self._find(arguments)
        return program.lower(*traced)

    def eval_shape(self, *arguments: Any) -> Any:
        """As that of `jax.jit`, which keeps what it has traced."""
        program, traced = self._find(arguments)
        return program.eval_shape(*traced)

    def _find(self, arguments: tuple[Any, ...]) -> tuple[Any, list[Any]]:
        """The program for such arguments, and what it takes of them."""
        leaves, structure = jax.tree.flatten(arguments)
        kinds = tuple(map(_kind, leaves))
        traced = [leaf for leaf, kind in zip(leaves, kinds, strict=True) if isinstance(kind, _Traced)]
        return _program(self, structure, kinds), traced


def _kind(leaf: Any) -> Any:
    if isinstance(leaf, jax.Array | np.ndarray | np.generic):
        return _Traced(leaf.shape, leaf.dtype)
    return _Traced((), type(leaf)) if isinstance(leaf, int | float) else leaf


@lru_cache(maxsize=N_PROGRAMS)
def _program(compiled: Compiled, structure: Any, kinds: tuple[Any, ...]) -> Any:
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
