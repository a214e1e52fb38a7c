"""Run many cases: ``python -m tests.fuzz 20000 --budget 30``, or one: ``--case "Case(...)"``."""

import argparse
import random
import re
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

from skfm import FieldEncoder
from tests.fuzz.campaign import Ledger, run
from tests.fuzz.cases import NAMES, Case
from tests.fuzz.properties import check


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("cases", type=int, nargs="?", default=2000)
    parser.add_argument("--budget", type=float, default=60, help="minutes (default: 60)")
    parser.add_argument("--seed", type=int, help="default: a random one, which is printed")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--only", help="pattern that names of estimators match")
    parser.add_argument("--without", help="pattern of cases to leave out, such as those of known faults")
    parser.add_argument("--case", help="check this case alone, with its traceback")
    given = parser.parse_args()
    if given.case:
        print(check(eval(given.case, {"Case": Case, "FieldEncoder": FieldEncoder})))
        return
    seed = np.random.SeedSequence().entropy % 2**32 if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)
    names = [name for name in NAMES if re.search(given.only or "", name)]
    random.Random(seed).shuffle(names)  # so that short runs come to all of them
    began, whole = time.monotonic(), Ledger()
    with ProcessPoolExecutor(given.jobs, mp_context=get_context("spawn")) as pool:
        n_each = -(-given.cases // given.jobs)
        parts = [
            pool.submit(run, names[job :: given.jobs], n_each, given.budget, seed, given.without)
            for job in range(min(given.jobs, len(names)))
        ]
        for part in parts:
            whole.merge(part.result())
    took, n_done = time.monotonic() - began, sum(whole.counts.values())
    for kind, count in whole.failures.most_common():
        print(f"\n{count} x {kind}\n    python -m tests.fuzz --case {whole.examples[kind]!r}")
    print(
        f"\n{n_done} cases in {took:.0f} s, {n_done / whole.cpu:.1f} a second of a core: {dict(whole.counts)}"
    )
    print(f"{len(whole.failures)} kinds of failures")
    raise SystemExit(bool(whole.failures))


if __name__ == "__main__":
    main()
