"""Resident memory of this process, and its peak since a moment of choice where the system can tell."""

import contextlib
import resource
import sys
from pathlib import Path

STATUS = Path("/proc/self/status")


def start_peak():
    """Forget the peak so far, where the system can (Linux).

    Returns
    -------
    int
        Resident bytes now; without /proc, the peak of the whole process so far.
    """
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return read_status("VmRSS") or peak()


def peak():
    """Peak of the resident bytes: since ``start_peak``, or of the process where it could not be reset."""
    return read_status("VmHWM") or greatest_of_process()


def greatest_of_process():
    """The peak that getrusage reports (in KiB on Linux, in bytes on macOS)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def read_status(name):
    """A field of /proc/self/status in bytes; 0 where there is none."""
    if not STATUS.exists():
        return 0
    line = next((line for line in STATUS.read_text().splitlines() if line.startswith(f"{name}:")), "")
    return int(line.split()[1]) * 1024 if line else 0
