"""FieldEncoder beside OneHotEncoder and skrub's TableVectorizer: a million rows of 26 columns of text.

The columns are those of a click log: 10 to 100,000 values of a power law, a fiftieth missing. Each encoder
learns and encodes the frame in a process of its own, in turn with the others; memory is the peak during that
less the resident memory just before, when the frame is there already, against the frame's own bytes.
OneHotEncoder groups rare values as FieldEncoder does (``min_frequency=3``). TableVectorizer has its defaults,
which make 30 dense numbers of a column of many values: another encoding, measured once, on a fiftieth of the
rows since it would take hours, and left out where skrub is not installed.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
import time

import numpy as np

from benchmarks import memory, report, runner

SIZES = [10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 50, 500, 5_000, 50_000] * 2
ENCODERS = ("FieldEncoder", "FieldEncoder, polars", "OneHotEncoder", "TableVectorizer")
GREATEST_SECONDS, GREATEST_MEMORY = 15, 3


def add_arguments(parser):
    """Rows and rounds."""
    parser.add_argument("--rows", type=float, default=1e6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.set_defaults(seeds=[0])


def run(options, results, save):
    """Measure each encoder in turn."""
    n_rows = 2_000 if options.quick else int(options.rows)
    for number in range(1 if options.quick else options.rounds):
        for name in ENCODERS:
            if name == "TableVectorizer" and number:
                continue
            if name == "TableVectorizer" and importlib.util.find_spec("skrub") is None:
                report.log("skrub is not installed: TableVectorizer is left out")
                continue
            some = n_rows // 50 if name == "TableVectorizer" and not options.quick else n_rows
            command = [sys.executable, "-W", "ignore", "-m", "benchmarks.cases.encoding", name, str(some)]
            done = subprocess.run(
                command, cwd=runner.REPOSITORY, stdout=subprocess.PIPE, text=True, check=True
            )
            found = json.loads(done.stdout.splitlines()[-1]) | {"rows": some}
            entry = results.setdefault(name, {"rounds": []})
            entry["rounds"] = [*(entry["rounds"] if number else []), found]
            report.log(f"{name}: " + ", ".join(f"{key} {value}" for key, value in found.items()))
            save()


def make_table(n_rows):
    """The frame, in pandas."""
    import pandas as pd

    rng = np.random.default_rng(0)
    columns = {}
    for field, size in enumerate(SIZES):
        names = np.array([f"{field}-{rank * 2654435761 % 2**32:08x}" for rank in range(size)], dtype=object)
        values = names[np.floor(size ** rng.random(n_rows)).astype(int) - 1]
        values[rng.random(n_rows) < 0.02] = None
        columns[f"c{field}"] = pd.Series(values, dtype="str")
    return pd.DataFrame(columns)


def make_encoder(name):
    """An unfitted encoder."""
    from sklearn.preprocessing import OneHotEncoder

    one_hot = OneHotEncoder(min_frequency=3, handle_unknown="infrequent_if_exist", dtype=np.float32)
    if name == "OneHotEncoder":
        return one_hot
    if name == "TableVectorizer":
        from skrub import TableVectorizer

        return TableVectorizer()
    from skfm import FieldEncoder

    return FieldEncoder()


def measure(name, n_rows):
    """Seconds, peak memory and output of one encoder."""
    table = make_table(n_rows)
    if name.endswith("polars"):
        import polars as pl

        table = pl.from_pandas(table)
        table_mb = table.estimated_size() / 1e6
    else:
        table_mb = float(table.memory_usage(deep=True).sum()) / 1e6
    encoder = make_encoder(name)
    before = memory.start_peak()
    start = time.perf_counter()
    encoded = encoder.fit_transform(table)
    seconds = time.perf_counter() - start
    peak_mb = (memory.peak() - before) / 1e6
    return {"seconds": seconds, "peak_mb": peak_mb, "table_mb": table_mb, "columns": int(encoded.shape[1])}


def render(results):
    """One row an encoder."""
    rows = []
    for name, entry in results.items():
        rounds = entry["rounds"]
        seconds = float(np.median([found["seconds"] for found in rounds]))
        peak = max(found["peak_mb"] for found in rounds)
        ratio = peak / rounds[0]["table_mb"]
        targets = [None, None]
        if name.startswith("FieldEncoder"):
            targets = [
                report.format_target(seconds, GREATEST_SECONDS, at_least=False),
                report.format_target(ratio, GREATEST_MEMORY, at_least=False),
            ]
        first = rounds[0]
        sizes = first["rows"], first["columns"]
        rows.append([name, *sizes, seconds, targets[0], first["table_mb"], peak, ratio, targets[1]])
    header = [
        "encoder", "rows", "output columns", "fit and transform s", "target", "frame MB", "peak MB above it",
        "of the frame", "target",
    ]  # fmt: skip
    return report.format_table(header, rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("rows", type=int)
    chosen = parser.parse_args()
    print(json.dumps(measure(chosen.name, chosen.rows)))
