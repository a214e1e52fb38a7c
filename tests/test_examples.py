"""The demo runs as it stands."""

import re
import runpy
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


def test_adult_demo(monkeypatch, tmp_path, capsys):
    arguments = ["adult.py", "--rows", "300", "--output", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", arguments)
    runpy.run_path(str(REPOSITORY / "examples" / "adult.py"), run_name="__main__")
    printed = capsys.readouterr().out
    for name in ["LogisticRegression", "HistGradientBoosting", "FM", "MixtureFM", "DeepFM"]:
        assert re.search(rf"^{name} +0\.\d+ +0\.\d+ +\d+\.\d s$", printed, flags=re.MULTILINE)
    assert (tmp_path / "adult_learning_curves.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("histories.py", r"DIN +AUC \d\.\d+\nDIN looks most at the entry that decides in \d+% of the rows"),
        ("conversions.py", r"whole chain \(ESMM\) +\d\.\d+\n +clicked rows alone \(DeepFM\) +\d\.\d+"),
    ],
)
def test_made_up_logs(script, expected, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [script, "--rows", "3000"])
    runpy.run_path(str(REPOSITORY / "examples" / script), run_name="__main__")
    assert re.search(expected, capsys.readouterr().out)
