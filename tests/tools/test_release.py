"""What a release needs to be true before anything is built."""

import datetime
from pathlib import Path

import pytest

import skfm
from tools import release

REPOSITORY = Path(__file__).resolve().parents[2]
TODAY = datetime.date(2030, 1, 31)
CHANGELOG = "# Changelog\n\nIntroduction.\n\n## [1.2.0] - 2030-01-31\n\n- New.\n\n## [1.1.0] - 2029-01-31\n"


def test_the_version_of_the_package_is_found():
    assert release.read_version((REPOSITORY / "skfm" / "__init__.py").read_text()) == skfm.__version__


@pytest.mark.parametrize("version", ["1.2.0", "0.10.3rc1", "1.0.0a2", "1.0.0b1"])
def test_versions_that_can_be_released(version):
    assert release.read_version(f'"""Text."""\n\n__version__ = "{version}"\n') == version


@pytest.mark.parametrize(
    "line", ["", '__version__ = "1.2"', '__version__ = "1.2.0.dev0"', '__version__ = "v1.2.0"']
)
def test_other_versions_cannot(line):
    with pytest.raises(release.ReleaseError, match="no version that can be released"):
        release.read_version(f"import os\n{line}\n")


def test_the_changelog_begins_with_the_version_of_today():
    release.check_changelog(CHANGELOG, "1.2.0", TODAY)


@pytest.mark.parametrize(
    ("version", "today"),
    [
        ("1.1.0", TODAY),
        ("1.1.0", datetime.date(2029, 1, 31)),
        ("1.2.0", datetime.date(2030, 2, 1)),
        ("2.0.0", TODAY),
    ],
)
def test_other_changelogs_are_refused(version, today):
    with pytest.raises(release.ReleaseError, match=rf"instead of '\[{version}\] - {today}'"):
        release.check_changelog(CHANGELOG, version, today)


@pytest.mark.parametrize("changelog", ["# Changelog\n", "# Changelog\n\n## [1.2.0] - unreleased\n\n- New.\n"])
def test_a_changelog_without_the_date_is_refused(changelog):
    with pytest.raises(release.ReleaseError, match="instead of"):
        release.check_changelog(changelog, "1.2.0", TODAY)


def test_a_section_must_say_something():
    with pytest.raises(release.ReleaseError, match="says nothing of"):
        release.check_changelog(CHANGELOG.replace("- New.\n", ""), "1.2.0", TODAY)


def test_the_citation_has_the_version_of_the_package():
    text = (REPOSITORY / "CITATION.cff").read_text()
    release.check_citation(text, skfm.__version__)
    with pytest.raises(release.ReleaseError, match=r"instead of 9\.9\.9"):
        release.check_citation(text, "9.9.9")


def test_what_is_missing_is_said_in_a_line(monkeypatch, capsys):
    monkeypatch.setattr(release, "read_version", lambda source: "9.9.9")
    assert release.main(["--dry-run"]) == 1
    assert "instead of '[9.9.9] - " in capsys.readouterr().err
