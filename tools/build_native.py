"""Build hook of hatchling: native code where there is a compiler, the pure package where there is none.

``SKFM_BUILD_NATIVE=0`` leaves it out, ``SKFM_BUILD_NATIVE=1`` makes it an error that it cannot be built.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # where the library alone is built
    BuildHookInterface = object

FLAGS = (
    "-std=c++17 -O3 -fPIC -fvisibility=hidden -fno-math-errno -fno-trapping-math -fopenmp-simd "
    "-Wall -Wextra -Werror"
)
X86 = {"x86_64", "AMD64"}
# Instruction sets that kernels are compiled for, one of which is chosen when they run.
SETS = {
    "plain": "",
    "avx2": "-mavx2 -mfma",
    "avx512": "-mavx2 -mfma -mavx512f -mavx512vl -mavx512dq -mavx512bw -mprefer-vector-width=512",
}


def compiler() -> list[str]:
    """The command of a C++ compiler; empty where none is found."""
    for command in (os.environ.get("CXX"), "c++", "g++", "clang++"):
        if command and shutil.which(shlex.split(command)[0]):
            return shlex.split(command)
    return []


def build(command: list[str], target: Path, headers: Path, more: tuple[str, ...] = ()) -> None:
    """Compile and link the library; raises CalledProcessError with what the compiler said."""
    sources = Path(__file__).parent.parent / "skfm" / "native" / "src"
    sets = SETS if platform.machine() in X86 else {"plain": ""}
    with tempfile.TemporaryDirectory() as folder:
        jobs: dict[str, tuple[str, list[str]]] = {"ffi": ("ffi.cc", []), "index": ("index.cc", [])}
        jobs |= {
            f"{source}_{name}": (f"{source}.cc", [f"-DSKFM_SET={name}", *flags.split()])
            for name, flags in sets.items()
            for source in ("kernels", "pairs")
        }
        compile_: list[str | Path] = [*command, *FLAGS.split(), *more, "-isystem", headers]
        running = [
            subprocess.Popen(
                [*compile_, *flags, "-c", sources / source, "-o", f"{folder}/{name}.o"],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            for name, (source, flags) in jobs.items()
        ]
        # Wait for all, so that none writes into a folder that is gone.
        said = [process.communicate()[0] for process in running]
        for process, output in zip(running, said, strict=True):
            if process.returncode:
                raise subprocess.CalledProcessError(process.returncode, process.args, output)
        objects = [f"{folder}/{name}.o" for name in jobs]
        linked = f"{folder}/linked"
        subprocess.run(
            [*command, "-shared", *more, *objects, "-o", linked],
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        # Processes that have loaded the old one keep it.
        shutil.copy(linked, f"{target}.new")
        os.replace(f"{target}.new", target)


class NativeHook(BuildHookInterface):
    """The library beside the package's modules; see `skfm.native`."""

    PLUGIN_NAME = "custom"

    def dependencies(self):
        # XLA's headers come with jaxlib; without a compiler they are of no use.
        return ["jaxlib>=0.8.0"] if self._wanted() else []

    def _wanted(self) -> bool:
        return os.environ.get("SKFM_BUILD_NATIVE") != "0" and bool(compiler())

    def initialize(self, version, build_data):
        must = os.environ.get("SKFM_BUILD_NATIVE") == "1"
        if not self._wanted():
            if must:
                raise RuntimeError("SKFM_BUILD_NATIVE=1, and no C++ compiler was found: set CXX.")
            return
        name = "skfm.dll" if os.name == "nt" else "libskfm.so"
        target = Path(self.root, "skfm", "native", name)
        try:
            headers = Path(str(files("jaxlib"))) / "include"
            build(compiler(), target, headers)
        except (subprocess.CalledProcessError, OSError, ImportError) as error:
            if must:
                raise
            said = getattr(error, "output", None) or b""
            self.app.display_warning(
                f"skfm is installed without native code: {error}\n{said.decode(errors='replace')[-2000:]}"
            )
            return
        build_data["artifacts"].append(f"skfm/native/{name}")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{_platform_tag()}"


def _platform_tag() -> str:
    """That of this machine, for any Python."""
    from packaging.tags import platform_tags

    return next(iter(platform_tags()))


if __name__ == "__main__":
    import jax

    here = Path(__file__).parent.parent / "skfm" / "native" / "libskfm.so"
    build(compiler(), here, Path(jax.ffi.include_dir()), tuple(sys.argv[1:]))
