"""Tests of native code under sanitizers, on Linux with GCC. Options are pytest's.

The library is built in a copy of the package: no other Python could load one that is made for a sanitizer.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from tools import build_native

REPOSITORY = Path(__file__).resolve().parent.parent
COPIED = "skfm", "tests", "tools", "pyproject.toml"


class Sanitizer(NamedTuple):
    """What a build needs, what a process loads first, and settings."""

    flags: str
    runtimes: tuple[str, ...]
    settings: dict[str, str]


SANITIZERS = {
    # Python keeps memory until its end. The runtime catches exceptions, which XLA throws, by that of C++.
    "address,undefined": Sanitizer(
        "-fno-sanitize-recover=all",
        ("libasan.so", "libstdc++.so"),
        {"ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=1"},
    ),
    # More threads than cores take turns in more orders. Of Python, NumPy and XLA the sanitizer sees half.
    "thread": Sanitizer(
        "-DSKFM_THREAD_SANITIZER",
        ("libtsan.so",),
        {
            "NPROC": "4",
            "TSAN_OPTIONS": "ignore_noninstrumented_modules=1 suppressions=tests/native/threads.supp",
        },
    ),
}


def run(name: str, options: list[str]) -> int:
    """Build with a sanitizer and run the tests; returns pytest's exit status."""
    sanitizer, command = SANITIZERS[name], build_native.compiler()
    with tempfile.TemporaryDirectory() as folder:
        ignored = shutil.ignore_patterns("__pycache__", build_native.NAME)
        for one in COPIED:
            place = REPOSITORY / one, Path(folder, one)
            shutil.copytree(*place, ignore=ignored) if place[0].is_dir() else shutil.copy(*place)
        flags = f"-g -O1 -fno-omit-frame-pointer -fsanitize={name} {sanitizer.flags}".split()
        target = Path(folder, "skfm", "native", build_native.NAME)
        build_native.build(command, target, Path(str(files("jaxlib"))) / "include", tuple(flags))
        of_compiler = [
            subprocess.run([*command, f"-print-file-name={one}"], check=True, capture_output=True, text=True)
            for one in sanitizer.runtimes
        ]
        settings = {
            "JAX_COMPILATION_CACHE_DIR": str(REPOSITORY / ".cache" / "jax"),
            "LD_PRELOAD": " ".join(found.stdout.strip() for found in of_compiler),
            "PYTHONPATH": folder,
            **sanitizer.settings,
        }
        # Reports are written where pytest would hide them.
        tests = [sys.executable, "-m", "pytest", "--capture=sys", "-p", "no:cacheprovider", "tests/native"]
        return subprocess.run(
            [*tests, *options], cwd=folder, env=os.environ | settings, check=False
        ).returncode


def main(options: list[str]) -> int:
    """Run the tests under each; returns the exit status."""
    for name in SANITIZERS:
        print(f"Sanitizer: {name}", flush=True)
        if status := run(name, options):
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
