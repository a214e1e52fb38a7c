"""A click log of 20M rows and 20 columns of text in Parquet: FM from disk against FM in memory.

The log is generated, not shipped (``--folder`` keeps it). Fields have 10 to 100,000 categories of a power
law, a fiftieth of the values are missing; the log-odds have a weight a category and interactions of
neighbouring fields. Each fit runs in a process of its own: FM with 8 factors, AdaGrad, batches of 4096, three
epochs, no early stopping, from file to predictions of 500,000 held-out rows. "stream" is
``fit(ParquetStream(...))``; "memory" reads the file into a pyarrow.Table and fits that. They are compared on
``--compare`` rows; all ``--rows`` rows go through the stream alone. Throughput is rows by the seconds of an
epoch after the first, and rows times epochs by those of the whole fit, vocabulary and encoding included.
Memory is the greatest of the process.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import memory, report, runner

SIZES = [10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 50] * 2
EPOCHS = 3
HELD_OUT = 500_000
CHUNK = 1 << 18
GREATEST_MB, LEAST_SPEED, GREATEST_LOSS = 2000, 0.7, 0.005


def add_arguments(parser):
    """Sizes, and where the log is kept."""
    parser.add_argument("--rows", type=float, default=2e7)
    parser.add_argument("--compare", type=float, default=2e6, help="rows that fit in memory too")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", help="keep the log here; default: a temporary folder")
    parser.set_defaults(seeds=[0])


def run(options, results, save):
    """Write the log, then measure; a result's key is the way and the number of rows."""
    rows, compared = (60_000, 20_000) if options.quick else (int(options.rows), int(options.compare))
    held_out = 5_000 if options.quick else HELD_OUT
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.folder or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for name, n_rows, seed in (("held_out", held_out, 1), ("compare", compared, 2), ("rows", rows, 3)):
            write_log(folder / f"{name}.parquet", n_rows, seed)
        for number in range(1 if options.quick else options.rounds):
            for way in ("memory", "stream"):
                measure_apart(way, folder / "compare.parquet", compared, results, number)
                save()
        measure_apart("stream", folder / "rows.parquet", rows, results, 0)
        save()


def write_log(path, n_rows, seed):
    """Write the log, unless it is there."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if path.exists():
        return
    rng = np.random.default_rng(seed)
    names = [
        pa.array([f"{field}-{(rank * 2654435761) % 2**32:08x}" for rank in range(size)])
        for field, size in enumerate(SIZES)
    ]
    columns = [f"c{field}" for field in range(len(SIZES))]
    schema = pa.schema(
        [(name, pa.dictionary(pa.int32(), pa.string())) for name in columns] + [("click", pa.int8())]
    )
    with pq.ParquetWriter(path, schema) as writer:
        for first in range(0, n_rows, CHUNK):
            ranks, y = draw(min(CHUNK, n_rows - first), rng)
            arrays = []
            for field, own in enumerate(ranks):
                missing = rng.random(own.size) < 0.02
                arrays.append(pa.DictionaryArray.from_arrays(pa.array(own, mask=missing), names[field]))
            writer.write_table(pa.table([*arrays, pa.array(y)], schema=schema))


def draw(n_rows, rng):
    """Ranks of the categories of each field, and clicks."""
    ranks = [np.floor(size ** rng.random(n_rows)).astype(np.int32) - 1 for size in SIZES]
    log_odds = np.full(n_rows, -1.5)
    for field, own in enumerate(ranks):
        log_odds += 0.25 * np.cos(own * (field + 1.0))
        log_odds += 0.4 * np.cos(own + 1.0) * np.sin(ranks[field - 1] + 1.0)
    return ranks, (rng.random(n_rows) < 1 / (1 + np.exp(-log_odds))).astype(np.int8)


def measure_apart(way, path, n_rows, results, number):
    """One fit in a process of its own, added to the rounds of its key."""
    command = [sys.executable, "-m", "benchmarks.cases.streams", way, str(path)]
    done = subprocess.run(command, cwd=runner.REPOSITORY, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1]) | {"rows": n_rows}
    entry = results.setdefault(f"{way} {n_rows}", {"rounds": []})
    entry["rounds"] = [*(entry["rounds"] if number else []), found]
    report.log(f"{way} {n_rows}: " + ", ".join(f"{name} {value}" for name, value in found.items()))


def measure(way, path):
    """Fit from the file, and predict the held-out rows beside it."""
    import pyarrow.parquet as pq
    from sklearn.metrics import log_loss

    from skfm import FMClassifier
    from skfm.datasets import ParquetStream

    model = FMClassifier(
        n_factors=8,
        solver="adagrad",
        learning_rate_schedule="constant",
        batch_size=4096,
        max_iter=EPOCHS,
        early_stopping=False,
        dtype="float32",
        random_state=0,
    )
    start = time.perf_counter()
    if way == "stream":
        model.fit(ParquetStream(path, target="click"))
    else:
        table = pq.read_table(path)
        model.fit(table.drop_columns(["click"]), table["click"].to_numpy())
    seconds = time.perf_counter() - start
    peak = memory.greatest_of_process() / 1e6
    held_out = pq.read_table(path.parent / "held_out.parquet")
    probability = model.predict_proba(held_out.drop_columns(["click"]))[:, 1]
    return {
        "fit_seconds": seconds,
        "epoch_seconds": [float(epoch) for epoch in model.history_["time"]],
        "peak_mb": peak,
        "log_loss": float(log_loss(held_out["click"].to_numpy(), probability.astype(float))),
        "columns": int(model.fields_.size),
    }


def render(results):
    """One row a way and size; the stream is compared with memory at the same size."""
    rows = []
    for key, entry in sorted(results.items(), key=lambda item: item[1]["rounds"][0]["rows"]):
        way, rounds = key.split()[0], entry["rounds"]
        n_rows = rounds[0]["rows"]
        best = [n_rows / float(np.median(found["epoch_seconds"][1:])) for found in rounds]
        whole = [n_rows * EPOCHS / found["fit_seconds"] for found in rounds]
        peak = max(found["peak_mb"] for found in rounds)
        loss = rounds[0]["log_loss"]
        said = [None, None]
        other = results.get(f"memory {n_rows}")
        if way == "stream" and other:
            theirs = [n_rows * EPOCHS / found["fit_seconds"] for found in other["rounds"]]
            ratio = float(np.median(np.array(whole) / np.array(theirs)))
            gap = loss / other["rounds"][0]["log_loss"] - 1
            said = [
                f"{ratio:.2f} ({report.format_target(ratio, LEAST_SPEED, at_least=True)})",
                f"{gap:+.3%} ({report.format_target(abs(gap), GREATEST_LOSS, at_least=False)})",
            ]
        if way == "stream" and not other:
            peak = f"{peak:,.0f} ({report.format_target(peak, GREATEST_MB, at_least=False)})"
        seconds = float(np.median([found["fit_seconds"] for found in rounds]))
        speeds = int(np.median(best)), int(np.median(whole))
        rows.append([way, n_rows, rounds[0]["columns"], seconds, *speeds, said[0], loss, said[1], peak])
    header = [
        "way", "rows", "columns", "fit s", "rows / s, later epochs", "rows / s, whole fit", "of memory's",
        "held-out log loss", "against memory's", "peak MB",
    ]  # fmt: skip
    return report.format_table(header, rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("way")
    parser.add_argument("path", type=Path)
    chosen = parser.parse_args()
    print(json.dumps(measure(chosen.way, chosen.path)))
