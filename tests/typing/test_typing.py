"""Type checkers accept what users write, and name what they mistype."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.typing import user

HERE = Path(__file__).parent
USER, MISTAKES = HERE / "user.py", HERE / "mistakes.py"


def run(*command):
    ran = subprocess.run(
        [sys.executable, "-m", *command], cwd=HERE.parents[1], capture_output=True, text=True
    )
    return ran.returncode, ran.stdout + ran.stderr


def mypy_errors():
    """File, line and text of each error that mypy reports."""
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("mypy is not installed")
    code, said = run("mypy", "--no-pretty", USER, MISTAKES)
    assert code == 1, said
    found = re.findall(r"^(.+?):(\d+): error: (.*)$", said, re.MULTILINE)
    return [(Path(path).name, int(line), text) for path, line, text in found]


def pyright_errors():
    """File, line and text of each error that pyright reports."""
    if importlib.util.find_spec("pyright") is None:
        pytest.skip("pyright is not installed")
    if run("pyright", "--version")[0]:
        pytest.skip("pyright, which is had from npm when it is first run, cannot be had here")
    code, said = run("pyright", "--outputjson", "--pythonpath", sys.executable, USER, MISTAKES)
    assert code == 1, said
    found = json.loads(said[said.index("{") :])["generalDiagnostics"]
    return [
        (Path(one["file"]).name, one["range"]["start"]["line"] + 1, one["message"])
        for one in found
        if one["severity"] == "error"
    ]


@pytest.mark.parametrize("find_errors", [mypy_errors, pyright_errors])
def test_checkers_report_the_mistakes_and_nothing_else(find_errors):
    lines = enumerate(MISTAKES.read_text().split("\n"), start=1)
    expected = {number: line.partition("  # ")[2] for number, line in lines if "  # " in line}
    found = find_errors()
    assert {(path, line) for path, line, _ in found} == {(MISTAKES.name, line) for line in expected}
    for line, word in expected.items():
        assert any(word in text for _, number, text in found if number == line), (line, word)


def test_what_users_write_runs():
    user.main()
