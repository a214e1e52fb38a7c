"""A folder of bytes by key, shared by processes: bounded in size, and never a reason for a fit to fail.

Who may write into it could have programs run, so it belongs to its user alone.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

# Bytes that are kept; those that were used last stay.
MOST_BYTES = 256 << 20


def folder() -> Path | None:
    """Where programs are kept, or None: switched off, no such place, or a place that others may write to."""
    wanted = os.environ.get("SKFM_CACHE", "")
    if wanted == "0":
        return None
    # A user without a home has a RuntimeError.
    with contextlib.suppress(OSError, RuntimeError):
        parent = Path(wanted).expanduser() if wanted else _of_user() / "skfm"
        # Else each folder that a process works in would get one.
        if not parent.is_absolute():
            return None
        path = parent / "programs"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
        return path if _is_private(path) else None
    return None


def _of_user() -> Path:
    """The folder of the platform for what can be made again."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return named if named.is_absolute() else Path.home() / ".cache"


def _is_private(path: Path) -> bool:
    if os.name == "nt":
        return True
    found = path.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077


def _digest(key: str, payload: bytes) -> bytes:
    """That of whole bytes, saved with this key."""
    return hashlib.sha256(key.encode() + payload).digest()


def load(key: str) -> bytes | None:
    """What was saved with this key; None where nothing was, or not wholly."""
    directory = folder()
    if directory is None:
        return None
    path = directory / key
    with contextlib.suppress(OSError):
        content = path.read_bytes()
        digest, payload = content[:32], content[32:]
        if _digest(key, payload) == digest:
            with contextlib.suppress(OSError):
                os.utime(path)
            return payload
        path.unlink()
    return None


def save(key: str, payload: bytes) -> None:
    """Keep bytes, where that is possible, and let go what was not used for longest."""
    directory = folder()
    if directory is None:
        return
    with contextlib.suppress(OSError):
        number, name = tempfile.mkstemp(prefix="writing-", dir=directory)
        try:
            with os.fdopen(number, "wb") as file:
                file.write(_digest(key, payload) + payload)
            os.replace(name, directory / key)
        except BaseException:
            os.unlink(name)
            raise
        _let_go(directory)


def forget(key: str) -> None:
    """Remove what was saved with this key."""
    directory = folder()
    if directory is not None:
        with contextlib.suppress(OSError):
            (directory / key).unlink()


def _let_go(directory: Path) -> None:
    """Remove files that were not used for longest, of whatever version or unfinished, beyond `MOST_BYTES`."""
    total = 0
    for _, size, path in sorted(_files(directory), reverse=True):
        total += size
        if total > MOST_BYTES:
            # Another process may do the same.
            with contextlib.suppress(OSError):
                os.unlink(path)


def _files(directory: Path) -> Iterator[tuple[float, int, str]]:
    """Time of the last use, size and path of each file."""
    with os.scandir(directory) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                found = entry.stat(follow_symlinks=False)
                yield found.st_mtime, found.st_size, entry.path
