"""Native code: hatchling's build hook, and a command that builds it where skfm is installed as editable.

Where there is no C++ compiler the pure package is made. ``SKFM_BUILD_NATIVE=0`` leaves native code out,
``SKFM_BUILD_NATIVE=1`` makes it an error that it cannot be built.
"""

from __future__ import annotations

import os
import platform
import runpy
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # where the library alone is built
    BuildHookInterface = object

PACKAGE = Path(__file__).resolve().parent.parent / "skfm" / "native"
# The package itself needs more than a build has.
SOURCES: dict[str, Any] = runpy.run_path(str(PACKAGE / "sources.py"))
IS_WINDOWS = os.name == "nt"
NAME = "skfm.dll" if IS_WINDOWS else "libskfm.so"

COMPILE = (
    "-std=c++17 -O3 -fvisibility=hidden -fno-math-errno -fno-trapping-math -fopenmp-simd "
    "-Wall -Wextra -Werror"
)
LINK = "-shared -static" if IS_WINDOWS else "-shared"  # a library of Windows finds no others
X86 = {"x86_64", "AMD64"}
# Instruction sets that kernels are compiled for. The first is linked first: of functions that several copies
# share a linker takes the first, which must run on every machine.
SETS = {
    "plain": "",
    "avx2": "-mavx2 -mfma",
    "avx512": "-mavx2 -mfma -mavx512f -mavx512vl -mavx512dq -mavx512bw -mprefer-vector-width=512",
}


def compiler() -> list[str]:
    """The command of a C++ compiler; empty where none is found."""
    for command in (os.environ.get("CXX"), "c++", "g++", "clang++"):
        words = shlex.split(command or "", posix=not IS_WINDOWS)
        if words and shutil.which(words[0]):
            return words
    return []


def flags_of_system(command: list[str]) -> str:
    """What the compiler needs on this one."""
    if not IS_WINDOWS:
        return "-fPIC"
    # GCC forgets there that a stack is aligned to 16 bytes alone.
    return "" if "clang" in Path(command[0]).name else "-Wa,-muse-unaligned-vector-move"


def compilations() -> dict[str, tuple[Path, str]]:
    """Objects with their source and flags: a source that names SKFM_SET has one for each instruction set."""
    sets = SETS if platform.machine() in X86 else {"plain": ""}
    defined = f'-DSKFM_SOURCES="{SOURCES["fingerprint"]()}"'
    found = {}
    sources = sorted(SOURCES["FOLDER"].glob("*.cc"))
    in_sets = [source for source in sources if "SKFM_SET" in source.read_text(encoding="utf-8")]
    for source in sources:
        if source not in in_sets:
            found[source.stem] = source, defined
    for name, flags in sets.items():
        for source in in_sets:
            found[f"{source.stem}_{name}"] = source, f"-DSKFM_SET={name} {flags}"
    return found


def build(command: list[str], target: Path, headers: Path, more: tuple[str, ...] = ()) -> None:
    """Compile and link the library; raises CalledProcessError with what the compiler said."""
    with tempfile.TemporaryDirectory() as folder:
        jobs = {Path(folder, f"{name}.o"): job for name, job in compilations().items()}
        compile_: list[str | Path] = [
            *command,
            *COMPILE.split(),
            *flags_of_system(command).split(),
            *more,
            "-isystem",
            headers,
        ]
        running = [
            subprocess.Popen(
                [*compile_, *flags.split(), "-c", source, "-o", compiled],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            for compiled, (source, flags) in jobs.items()
        ]
        # Wait for all, so that none writes into a folder that is gone.
        said = [process.communicate()[0] for process in running]
        for process, output in zip(running, said, strict=True):
            if process.returncode:
                raise subprocess.CalledProcessError(process.returncode, process.args, output)
        linked = Path(folder, NAME)
        link: list[str | Path] = [*command, *LINK.split(), *more, *jobs, "-o", linked]
        subprocess.run(link, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        # Processes that have loaded the old one keep it.
        new = target.with_name(f"{NAME}.{os.getpid()}")
        shutil.copy(linked, new)
        os.replace(new, target)


def is_current(target: Path) -> bool:
    """Whether a library is there, of these sources."""
    if not target.exists() or target.stat().st_mtime < Path(__file__).stat().st_mtime:
        return False
    return SOURCES["fingerprint"]().encode() in target.read_bytes()


def build_or_say_why(target: Path) -> str:
    """Build the library where it is not current; returns why there is none, or nothing."""
    must = os.environ.get("SKFM_BUILD_NATIVE") == "1"
    if os.environ.get("SKFM_BUILD_NATIVE") == "0":
        return "SKFM_BUILD_NATIVE=0"
    if is_current(target):
        return ""
    if not compiler():
        if must:
            raise RuntimeError("SKFM_BUILD_NATIVE=1, and no C++ compiler was found: set CXX.")
        return "no C++ compiler was found"
    try:
        build(compiler(), target, Path(str(files("jaxlib"))) / "include")
    except (subprocess.CalledProcessError, OSError, ImportError) as error:
        said = (getattr(error, "output", None) or b"").decode(errors="replace")
        if must:
            raise RuntimeError(f"{error}\n{said}") from error
        return f"{error}\n{said[-2000:]}"
    return ""


class NativeHook(BuildHookInterface):
    """The library beside the package's modules; see `skfm.native`."""

    PLUGIN_NAME = "custom"

    def dependencies(self):
        # XLA's headers come with jaxlib; without a compiler they are of no use.
        wanted = os.environ.get("SKFM_BUILD_NATIVE") != "0" and compiler()
        return ["jaxlib>=0.8.0"] if wanted else []

    def initialize(self, version, build_data):
        target = Path(self.root, "skfm", "native", NAME)
        if why := build_or_say_why(target):
            self.app.display_warning(f"skfm is installed without native code: {why}")
            return
        build_data["artifacts"].append(f"skfm/native/{NAME}")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform_tag()}"


def platform_tag() -> str:
    """That of this machine, for any Python."""
    if sys.platform == "darwin":
        from packaging.tags import mac_platforms

        # What the compiler makes code for, too.
        oldest = os.environ.get("MACOSX_DEPLOYMENT_TARGET", platform.mac_ver()[0])
        major, minor = (int(n) for n in (*oldest.split("."), "0")[:2])
        return next(iter(mac_platforms((major, minor), platform.machine())))
    return sysconfig.get_platform().replace("-", "_").replace(".", "_")


def main() -> None:
    """Build the library beside its sources."""
    if why := build_or_say_why(PACKAGE / NAME):
        print(f"There is no native code: {why}")


if __name__ == "__main__":
    main()
