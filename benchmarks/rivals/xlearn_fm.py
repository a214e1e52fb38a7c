"""xLearn (C++, lock-free threads); it reads text, which is written first and not counted."""

import json
import os
import re
import tempfile
import time
from importlib import metadata
from pathlib import Path

import xlearn

from benchmarks.rivals import read_arguments

# A line of its table: epoch, training loss, seconds.
EPOCH = re.compile(r"\]\s+(\d+)\s+([\d.]+)\s+([\d.]+)\s*$")
COLOUR = re.compile(r"\x1b\[[\d;]*m")


def main():
    """Fit once and read the epochs' seconds from what it prints."""
    X, y, options = read_arguments()
    with tempfile.TemporaryDirectory() as folder:
        text, log = Path(folder) / "train.txt", Path(folder) / "log.txt"
        write_libsvm(X, y, text)
        model = xlearn.create_fm()
        model.setTrain(str(text))
        settings = {
            "task": "binary",
            "opt": "adagrad",
            "lr": 0.1,
            "lambda": 2e-5,
            "k": options["n_factors"],
            "epoch": options["epochs"],
            "nthread": options["threads"],
        }
        start = time.perf_counter()
        with open(log, "wb") as file:
            kept = os.dup(1)
            os.dup2(file.fileno(), 1)
            model.fit(settings, str(Path(folder) / "model"))
            os.dup2(kept, 1)
        seconds = time.perf_counter() - start
        lines = [COLOUR.sub("", line) for line in log.read_text(errors="replace").splitlines()]
    epochs = [float(found[3]) for line in lines if (found := EPOCH.search(line))]
    if len(epochs) != options["epochs"]:
        raise RuntimeError(f"found {len(epochs)} epochs in xLearn's output:\n" + "\n".join(lines[-20:]))
    print(
        json.dumps({"version": metadata.version("xlearn"), "epoch_seconds": epochs, "fit_seconds": seconds})
    )


def write_libsvm(X, y, path):
    """One line a row: target, then index:value pairs."""
    with open(path, "w") as file:
        for row, target in enumerate(y):
            part = slice(X.indptr[row], X.indptr[row + 1])
            pairs = zip(X.indices[part], X.data[part], strict=True)
            file.write(f"{int(target)} " + " ".join(f"{i}:{value:g}" for i, value in pairs) + "\n")


if __name__ == "__main__":
    main()
