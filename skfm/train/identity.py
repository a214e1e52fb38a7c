"""What a compiled program depends on, in words that are the same in every process."""

from __future__ import annotations

import ctypes
import dataclasses
import enum
import hashlib
import os
import platform
import sys
import time
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

import jax
import jaxlib
import numpy as np

from skfm.layers import native
from skfm.native import NAME

_PACKAGE = Path(__file__).resolve().parents[1]
# Variables that XLA reads when it starts.
_PREFIXES = "XLA_", "TF_XLA_", "NPROC"
# What Linux tells of a core that another one of the machine, or the same a second later, does not share.
_OF_A_CORE = {"processor", "cpu mhz", "bogomips", "core id", "physical id", "apicid", "initial apicid"}
_IMPORTED = time.time()


class NoIdentityError(Exception):
    """Something cannot be told from all else in another process."""


def words(value: Any) -> str:
    """Words for a static value: equal for equal values, in every process, and for no others.

    Those of functions and classes are their names, which is enough for skfm's own alone: of these all the
    source is part of `surroundings`.
    """
    kind = type(value)
    if value is None or kind in (bool, int, float, complex, str, bytes):
        return repr(value)
    if isinstance(value, np.generic | np.dtype):
        return f"{kind.__name__}:{value!r}"
    if isinstance(value, enum.Enum):
        return f"{kind.__module__}.{kind.__qualname__}.{value.name}"
    if isinstance(value, type | FunctionType):
        return name_of(value)
    if kind in (tuple, list):
        return f"{kind.__name__}({','.join(map(words, value))})"
    if kind is dict:
        return f"dict({words(list(value.items()))})"
    if isinstance(value, tuple):
        return name_of(kind) + words(tuple(value))
    if dataclasses.is_dataclass(value):
        return name_of(kind) + words(
            [(each.name, getattr(value, each.name)) for each in dataclasses.fields(value)]
        )
    raise NoIdentityError(value)


def name_of(thing: Any) -> str:
    """Where a function or class of skfm, or a class of Python, is found in every process."""
    module, name = thing.__module__, thing.__qualname__
    if module == "builtins":
        return name
    found = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is not thing or module.partition(".")[0] != "skfm":
        raise NoIdentityError(thing)
    return f"{module}.{name}"


def of_tree(structure: Any) -> str:
    """Words for the structure of a tree."""
    node = structure.node_data()
    if node is None:
        return "*"
    kind, auxiliary = node
    return f"{name_of(kind)}[{words(auxiliary)}]({','.join(map(of_tree, structure.children()))})"


def surroundings(device: Any) -> str:
    """Words for all but the program: versions, settings and the machine."""
    settings = {name: value for name, value in jax.config.values.items() if name != "jax_default_device"}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return words([_of_process(), settings, jax.default_backend(), device.device_kind, device.id, cores])


@cache
def _of_process() -> str:
    """What stays the same as long as a process lives."""
    versions = sys.version, jax.__version__, jaxlib.__version__, np.__version__
    flags = sorted((name, value) for name, value in os.environ.items() if name.startswith(_PREFIXES))
    machine = sys.platform, platform.machine(), _processor(), os.cpu_count()
    return words([versions, flags, machine, _code()])


def _processor() -> str:
    """Its model and its abilities."""
    if sys.platform == "linux":
        first, _, _ = Path("/proc/cpuinfo").read_text().partition("\n\n")
        facts = (line.partition(":") for line in first.splitlines())
        return words(
            [(name.strip(), fact) for name, _, fact in facts if name.strip().lower() not in _OF_A_CORE]
        )
    if sys.platform == "darwin":
        name, size = ctypes.create_string_buffer(256), ctypes.c_size_t(256)
        ctypes.CDLL(None).sysctlbyname(b"machdep.cpu.brand_string", name, ctypes.byref(size), None, 0)
        return name.value.decode()
    return platform.processor()


def _code() -> str:
    """Digest of skfm's source and of its native code."""
    files = sorted(_PACKAGE.rglob("*.py"))
    if native.available():
        files.append(_PACKAGE / "native" / NAME)
    digest = hashlib.sha256()
    for path in files:
        # Then the file may not be what this process runs.
        if path.stat().st_mtime > _IMPORTED:
            raise NoIdentityError(path)
        digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
