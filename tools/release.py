"""Check, build and tag a release: ``python -m tools.release [--dry-run]``.

The version is that of ``skfm/__init__.py``. Nothing is pushed or uploaded: the last lines say how to.
"""

import argparse
import datetime
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]


class ReleaseError(Exception):
    """Something that must be put right before the release."""


def read_version(source):
    """Version that the text of ``skfm/__init__.py`` states.

    Parameters
    ----------
    source : str

    Returns
    -------
    str
        Three numbers, with ``a1``, ``b1`` or ``rc1`` and the like behind them for a pre-release.
    """
    versions = re.findall(r'^__version__ = "(.*)"$', source, re.MULTILINE)
    if len(versions) != 1 or not re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", versions[0]):
        raise ReleaseError(f"skfm/__init__.py has no version that can be released: {versions}")
    return versions[0]


def check_changelog(changelog, version, today):
    """The first section must be that of the version, with today's date and something to say.

    Parameters
    ----------
    changelog, version : str
    today : datetime.date
    """
    title, _, rest = changelog.partition("\n## ")[2].partition("\n")
    expected = f"[{version}] - {today.isoformat()}"
    if title != expected:
        raise ReleaseError(f"the first section of CHANGELOG.md is '{title}' instead of '{expected}'")
    if not rest.partition("\n## ")[0].strip():
        raise ReleaseError(f"CHANGELOG.md says nothing of {version}")


def check_citation(citation, version):
    """``CITATION.cff`` must state the version."""
    stated = re.findall(r"^version: (.*)$", citation, re.MULTILINE)
    if stated != [version]:
        raise ReleaseError(f"CITATION.cff has version {', '.join(stated)} instead of {version}")


def run(*command, folder=REPOSITORY):
    """Run a command that shows its output."""
    print("$", *command, flush=True)
    if subprocess.run(command, cwd=folder, check=False).returncode:
        raise ReleaseError(f"failed: {' '.join(map(str, command))}")


def git(*arguments):
    """Output of a git command."""
    answer = subprocess.run(["git", *arguments], cwd=REPOSITORY, check=True, capture_output=True, text=True)
    return answer.stdout.strip()


def check_repository(tag):
    """Nothing uncommitted, and no tag of that name."""
    if changes := git("status", "--porcelain"):
        raise ReleaseError(f"the working tree is not clean:\n{changes}")
    if git("tag", "--list", tag):
        raise ReleaseError(f"{tag} is there already")


def make_environment(folder):
    """Path of the Python of a new virtual environment."""
    venv.create(folder, with_pip=True)
    return Path(folder, "Scripts" if sys.platform == "win32" else "bin", "python")


def build(folder):
    """Build the source distribution, and the wheel from it.

    Returns
    -------
    pathlib.Path
        The wheel.
    """
    with tempfile.TemporaryDirectory() as environment:
        python = make_environment(environment)
        run(python, "-m", "pip", "install", "--quiet", "build")
        run(python, "-m", "build", "--outdir", folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


def check_wheel(wheel, version):
    """Install the wheel where nothing else is, and import it from outside the repository."""
    with tempfile.TemporaryDirectory() as environment:
        python = make_environment(environment)
        run(python, "-m", "pip", "install", "--quiet", wheel)
        run(python, "-c", f"import skfm; assert skfm.__version__ == {version!r}", folder=environment)
        run(python, "-c", "import skfm; skfm.FMClassifier().fit([[0], [1]], [0, 1])", folder=environment)


def main(arguments=None):
    """Run the command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.release", description=__doc__)
    parser.add_argument("--dry-run", action="store_true", help="do everything but the tag")
    options = parser.parse_args(arguments)
    try:
        version = read_version((REPOSITORY / "skfm" / "__init__.py").read_text(encoding="utf-8"))
        tag = f"v{version}"
        today = datetime.datetime.now().astimezone().date()
        check_changelog((REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8"), version, today)
        check_citation((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"), version)
        check_repository(tag)
        run(REPOSITORY / ".ci" / "run")
        folder = REPOSITORY / "dist" / version
        check_wheel(build(folder), version)
        if options.dry_run:
            print(f"{tag} can be released; it was not tagged.")
            return 0
        run("git", "tag", "--annotate", tag, "--message", f"skfm {version}")
    except ReleaseError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Tagged. To publish: git push origin {tag}; then twine upload what the workflow Wheels made of it")
    return 0


if __name__ == "__main__":
    sys.exit(main())
