"""Finding the cases, describing the machine, and keeping the results as JSON, one line a run."""

import argparse
import importlib
import json
import os
import pkgutil
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from benchmarks import cases

REPOSITORY = Path(__file__).resolve().parent.parent
RESULTS = REPOSITORY / "benchmarks" / "results"
PACKAGES = ("numpy", "scipy", "scikit-learn", "pandas", "jax", "jaxlib", "optax", "skfm")
NOT_SETTINGS = ("command", "case", "data", "folder", "output", "update", "jobs")


def load_cases():
    """Import every case.

    Returns
    -------
    dict of str to module
    """
    names = sorted(module.name for module in pkgutil.iter_modules(cases.__path__))
    return {name: importlib.import_module(f"benchmarks.cases.{name}") for name in names}


def names_among(allowed, normalize=str):
    """Make an argparse type that reads names parted by commas and rejects unknown ones.

    Parameters
    ----------
    allowed : sequence of str
    normalize : callable of str to str
        Applied to each name first.
    """

    def read(text):
        names = [normalize(name) for name in text.split(",")]
        unknown = sorted(set(names) - set(allowed))
        if unknown:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; there are {', '.join(allowed)}")
        return names

    return read


def describe_machine():
    """CPU count and model name; nothing that identifies the machine."""
    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        model = next(
            (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model
        )
    return {"cpu_count": os.cpu_count(), "cpu_model": model or platform.machine()}


def package_versions():
    """Versions of Python and of the packages that decide the figures; absent packages are left out."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def git_revision():
    """The commit measured, with ``-dirty`` where tracked files differ; None outside a checkout."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        answer = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()


def result_path(options, defaults):
    """Where a run writes: CASE.jsonl, or CASE.partial.jsonl when an option narrows the case.

    Parameters
    ----------
    options : argparse.Namespace
    defaults : dict
        The case's options with their default values.
    """
    if options.output is not None:
        return Path(options.output)
    narrowed = any(
        getattr(options, name) != value for name, value in defaults.items() if name not in NOT_SETTINGS
    )
    whole = not options.quick and (options.update or not narrowed)
    return RESULTS / (f"{options.case}.jsonl" if whole else f"{options.case}.partial.jsonl")


def read_runs(path):
    """Read the runs of a case, the earliest first.

    Parameters
    ----------
    path : pathlib.Path

    Returns
    -------
    list of dict
        Each has the case, the date, the revision, the versions, the machine, the settings and the results.
    """
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def merge_results(runs):
    """The entry of each key, of the latest run that measured it."""
    return {key: entry for run in runs for key, entry in run["results"].items()}


def run_case(case, options, path):
    """Run a case and write its results after every completed entry.

    Parameters
    ----------
    case : module
        One of ``load_cases()``.
    options : argparse.Namespace
    path : pathlib.Path
        The file, a line a run; with ``options.update`` the run is added to the earlier ones.

    Returns
    -------
    dict
        The results of all runs in the file.
    """
    run = {
        "case": options.case,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "git_revision": git_revision(),
        "versions": package_versions(),
        "machine": describe_machine(),
        "settings": {name: value for name, value in vars(options).items() if name not in NOT_SETTINGS},
    }
    earlier = read_runs(path) if options.update and path.exists() else []
    before = merge_results(earlier)
    results = dict(before)

    def save():
        if "jax" in sys.modules:
            run["machine"]["jax_device"] = sys.modules["jax"].devices()[0].device_kind
        run["results"] = {key: entry for key, entry in results.items() if entry is not before.get(key)}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(line) + "\n" for line in [*earlier, run]), encoding="utf-8")

    case.run(options, results, save)
    save()
    return results
