"""xLearn (C++, lock-free threads); it reads text, which is written first and not counted."""

import os
import re
import tempfile
import time
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import numpy as np
import xlearn

from benchmarks.rivals import answer
from benchmarks.rivals.estimators import Scores, clocked
from benchmarks.rivals.fields import field_of_columns

# A line of its table: epoch, training loss, seconds.
EPOCH = re.compile(r"\]\s+(\d+)\s+([\d.]+)\s+([\d.]+)\s*$")
COLOUR = re.compile(r"\x1b\[[\d;]*m")
SETTINGS = {"task": "binary", "opt": "adagrad", "lr": 0.1, "lambda": 2e-5}


def train(parts, *, epochs, **options):
    """Fit once and read the epochs' seconds from what it prints."""
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "train.txt"
        write_libsvm(*parts["train"], text, with_fields=options["model"] == "ffm")
        clocks, lines, _ = fit(folder, text, epochs, **options)
    times = [float(found[3]) for line in lines if (found := EPOCH.search(line))]
    if len(times) != epochs:
        raise RuntimeError(f"found {len(times)} epochs in xLearn's output:\n" + "\n".join(lines[-20:]))
    return clocks | {"epoch_seconds": times}


def quality(parts, *, epochs, **options):
    """Scores of a fit of each number of epochs; ``write_seconds`` is what writing the text took."""
    scores = Scores(parts)
    with tempfile.TemporaryDirectory() as folder:
        texts = {part: Path(folder) / f"{part}.txt" for part in parts}
        start = time.perf_counter()
        for part, text in texts.items():
            write_libsvm(*parts[part], text, with_fields=options["model"] == "ffm")
        scores.found["write_seconds"] = time.perf_counter() - start
        for number in epochs:
            clocks, _, model = fit(folder, texts["train"], number, **options)

            def probability(part, _, model=model):
                model.setTest(str(texts[part]))
                model.setSigmoid()
                out = Path(folder) / "probability.txt"
                with standard_output(Path(folder) / "log.txt"):
                    model.predict(str(Path(folder) / "model"), str(out))
                return np.loadtxt(out)

            scores.add(clocks["fit_seconds"], probability)
    return scores.found


def fit(folder, text, epochs, *, model, seed, threads, settings):
    """Seconds of a fit, see `clocked`, the lines that it prints, and the model."""
    created = {"fm": xlearn.create_fm, "ffm": xlearn.create_ffm}[model]()
    created.setTrain(str(text))
    log = Path(folder) / "log.txt"
    chosen = SETTINGS | {"k": settings["n_factors"], "epoch": epochs, "nthread": threads} | settings
    chosen.pop("n_factors")
    with standard_output(log):
        clocks = clocked(created.fit, chosen, str(Path(folder) / "model"))
    return clocks, [COLOUR.sub("", line) for line in log.read_text(errors="replace").splitlines()], created


@contextmanager
def standard_output(path):
    """What C++ prints goes into a file."""
    with open(path, "wb") as file:
        kept = os.dup(1)
        os.dup2(file.fileno(), 1)
        try:
            yield
        finally:
            os.dup2(kept, 1)
            os.close(kept)


def write_libsvm(X, y, path, with_fields=False):
    """One line a row: target, then index:value pairs, or field:index:value."""
    fields = [f"{field}:" for field in field_of_columns(X)] if with_fields else [""] * X.shape[1]
    with open(path, "w") as file:
        for row, target in enumerate(y):
            part = slice(X.indptr[row], X.indptr[row + 1])
            pairs = zip(X.indices[part], X.data[part], strict=True)
            file.write(f"{int(target)} " + " ".join(f"{fields[i]}{i}:{value:g}" for i, value in pairs) + "\n")


if __name__ == "__main__":
    answer(metadata.version("xlearn"), train, quality)
