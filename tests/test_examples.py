"""The demo and the README's example run as they stand."""

import re
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from skfm import datasets

# Samples small enough for a test are fitted in full batch, which may need more than the default iterations.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

REPOSITORY = Path(__file__).resolve().parents[1]


def test_adult_demo(monkeypatch, tmp_path, capsys):
    arguments = ["adult.py", "--rows", "300", "--output", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", arguments)
    runpy.run_path(str(REPOSITORY / "examples" / "adult.py"), run_name="__main__")
    printed = capsys.readouterr().out
    for name in ["LogisticRegression", "HistGradientBoosting", "FM", "MixtureFM", "DeepFM"]:
        assert re.search(rf"^{name} +0\.\d+ +0\.\d+ +\d+\.\d s$", printed, flags=re.MULTILINE)
    assert (tmp_path / "adult_learning_curves.png").stat().st_size > 10_000


def test_readme_example(capsys):
    def load_few(**options):
        X, y = datasets.load_adult(**options)
        rows = np.random.default_rng(0).choice(len(y), 300, replace=False)
        return X.iloc[rows], y.iloc[rows]

    (example,) = re.findall(r"```python\n(.*?)```", (REPOSITORY / "README.md").read_text(), flags=re.DOTALL)
    run = example.replace("load_adult(return_X_y=True)", "load_few(return_X_y=True)")
    assert run != example
    exec(compile(run, "README.md", "exec"), {"load_few": load_few})
    assert "fmclassifier__n_factors" in capsys.readouterr().out
