"""A kernel in C++, ``native.cpp``: what a CPU can do on the same rows, and what bounds it.

It is compiled when it is used, for the machine at hand.
"""

import ctypes
import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.rivals import UnavailableError, answer
from benchmarks.rivals.estimators import clocked

SOURCE = Path(__file__).with_suffix(".cpp")
FLAGS = ["-std=c++17", "-O3", "-march=native", "-ffast-math", "-fopenmp-simd", "-pthread", "-shared", "-fPIC"]
SETTINGS = {"learning_rate": 0.1, "l2": 2e-5, "init_scale": 0.01}
MAX_FACTORS = 512
REPEATS = 5

i32, i64, f32, f64 = ctypes.c_int, ctypes.c_int64, ctypes.c_float, ctypes.c_double
SIGNATURES = {
    "train": (
        f64,
        [ctypes.c_void_p] * 4 + [i64, i64, i32, i32, i32, ctypes.c_uint64, f32, f32, f32, ctypes.c_void_p],
    ),
    "bandwidth": (None, [i64, i32, i32, ctypes.c_void_p]),
    "gather": (f64, [i64, i64, i64, i32, i32, i32]),
    "peak_flops": (f64, [i64, i32, i32]),
}


def train(parts, *, model, epochs, seed, threads, settings):
    """Fit once; the first epoch, which warms up the memory, is left out."""
    if model != "fm":
        raise ValueError(f"model must be 'fm', got {model!r}.")
    chosen = SETTINGS | settings
    if not 1 <= chosen["n_factors"] <= MAX_FACTORS:
        raise ValueError(f"n_factors must be between 1 and {MAX_FACTORS}, got {chosen['n_factors']}.")
    X, y = parts["train"]
    starts, ids, values, targets = checked(X, y)
    seconds = np.zeros(1 + epochs)
    arguments = (
        *(None if array is None else array.ctypes.data for array in (starts, ids, values, targets)),
        *X.shape,
        chosen["n_factors"],
        len(seconds),
        threads,
        seed,
        chosen["learning_rate"],
        chosen["l2"],
        chosen["init_scale"],
        seconds.ctypes.data,
    )
    clocks = clocked(load().train, *arguments)
    return clocks | {"epoch_seconds": seconds[1:].tolist()}


def roofline(parts, *, threads, settings, **_):
    """Bandwidth, random reads of rows of `width` floats among `n_columns`, and multiply-adds.

    A copy counts both arrays. ``update`` is a gather that writes the rows back, and counts them twice.
    """
    width, n_columns = settings["width"], settings["n_columns"]
    if width < 1 or not 1 <= n_columns < 2**31:
        raise ValueError(f"width and n_columns must be positive and fit, got {width} and {n_columns}.")
    library = load()
    found = np.zeros(2)
    # 512 MiB an array, and reads of 1 GiB.
    library.bandwidth(2**27, threads, REPEATS, found.ctypes.data)
    n_reads = max(1, 2**28 // width)
    gather, update = (library.gather(n_columns, width, n_reads, write, threads, REPEATS) for write in (0, 1))
    bytes_of_row = np.dtype(np.float32).itemsize * width
    return {
        **dict(zip(("sum_gb_per_s", "copy_gb_per_s"), (found / 1e9).tolist(), strict=True)),
        "gather_rows_per_s": gather,
        "gather_gb_per_s": gather * bytes_of_row / 1e9,
        "update_rows_per_s": update,
        "update_gb_per_s": update * 2 * bytes_of_row / 1e9,
        "peak_gflops": library.peak_flops(10**8, threads, REPEATS) / 1e9,
    }


def checked(X, y):
    """Arrays of the rows as the kernel reads them, all of whose ids lie in the table.

    Returns
    -------
    starts, ids, values, targets : ndarray
        ``values`` is None if all are 1; targets are -1 or 1.
    """
    X.check_format(full_check=True)
    classes, index = np.unique(y, return_inverse=True)
    if len(classes) != 2 or len(y) != X.shape[0]:
        raise ValueError(f"y must have two classes and {X.shape[0]} rows, got {len(classes)} and {len(y)}.")
    if X.shape[1] >= 2**31:
        raise ValueError(f"X must have fewer than 2**31 columns, got {X.shape[1]}.")
    values = None if (X.data == 1).all() else np.ascontiguousarray(X.data, np.float32)
    starts, ids = np.ascontiguousarray(X.indptr, np.int64), np.ascontiguousarray(X.indices, np.int32)
    return starts, ids, values, (2 * index - 1).astype(np.float32)


def compiler():
    """Command of the C++ compiler: $CXX, or one of the usual names; None where there is none."""
    names = [os.environ.get("CXX", ""), "c++", "g++", "clang++"]
    commands = [shlex.split(name) for name in names if name]
    return next((command for command in commands if command and shutil.which(command[0])), None)


def version():
    """First line of the compiler's version."""
    if (command := compiler()) is None:
        return "no compiler"
    shown = subprocess.run([*command, "--version"], capture_output=True, text=True, check=False).stdout
    return (shown.splitlines() or ["unknown"])[0]


def load():
    """The kernel, compiled."""
    if (command := compiler()) is None:
        raise UnavailableError("no C++ compiler: install one, or name it in CXX.")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "native.so"
        process = subprocess.run(
            [*command, *FLAGS, str(SOURCE), "-o", str(path)], capture_output=True, text=True, check=False
        )
        if process.returncode:
            raise UnavailableError(f"no C++ compiler that compiles the kernel:\n{process.stderr[-2000:]}")
        library = ctypes.CDLL(str(path))
    for name, (result, arguments) in SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


if __name__ == "__main__":
    answer(version(), train, roofline)
