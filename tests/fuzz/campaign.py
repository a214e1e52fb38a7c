"""Many cases of many estimators: failures are counted by kind, and none ends the run."""

import re
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field

import tests.conftest  # noqa: F401  the flags of XLA and the cache of programs, before JAX is imported

from hypothesis import HealthCheck, Phase, given, settings  # isort: skip
from hypothesis import seed as seeded  # isort: skip

from tests.fuzz.cases import cases  # isort: skip
from tests.fuzz.properties import check  # isort: skip

_MANY_MAPS = 20_000
_BATCH = 50  # cases of an estimator that share programs


@dataclass
class Ledger:
    """What came of the cases: how many, how often each kind of failure, and its simplest case."""

    counts: Counter = field(default_factory=Counter)
    failures: Counter = field(default_factory=Counter)
    examples: dict = field(default_factory=dict)
    cpu: float = 0.0

    def merge(self, other):
        self.cpu += other.cpu
        self.counts += other.counts
        self.failures += other.failures
        for kind, example in other.examples.items():
            self.keep(kind, example)

    def keep(self, kind, example):
        if kind not in self.examples or len(example) < len(self.examples[kind]):
            self.examples[kind] = example


def kind_of(case, error):
    """Failures of a kind are one fault: place in skfm, or property, and message without numbers."""
    chain = [error, error.__cause__, getattr(error.__cause__, "__cause__", None)]
    places = [
        f"{frame.filename.split('/skfm/')[-1]}:{frame.lineno}"
        for one in chain
        if one is not None
        for frame in traceback.extract_tb(one.__traceback__)
        if "/skfm/" in frame.filename
    ]
    words = re.sub(r"\w+(Classifier|Regressor)", "Estimator", f"{type(error).__name__}: {error}")
    words = re.sub(r"(?<![\w:])-?\d[\d.e+-]*", "#", words)
    return f"{places[-1] if places else case.checked} | {words[:160]}"


def run(names, n_cases, budget, seed, without=None):
    """Cases of some estimators, in this process, without those whose text has a pattern in it."""
    ledger, end, generation = Ledger(), time.monotonic() + 60 * budget, 0
    while sum(ledger.counts.values()) < n_cases and time.monotonic() < end:
        programs = tuple(range(4 * generation, 4 * generation + 4))
        for name in names:

            @seeded(seed + generation)
            @settings(
                max_examples=_BATCH,
                phases=[Phase.generate],
                database=None,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            )
            @given(cases(name, programs))
            def each(case):
                if time.monotonic() > end or sum(ledger.counts.values()) >= n_cases:
                    return
                if without and re.search(without, repr(case)):
                    return
                try:
                    ledger.counts[check(case).split(":")[0]] += 1
                except Exception as error:
                    kind = kind_of(case, error)
                    ledger.counts["failed"] += 1
                    ledger.failures[kind] += 1
                    ledger.keep(kind, repr(case))

            each()
            forget_programs()
        generation += 1
    ledger.cpu = time.process_time()
    return ledger


def forget_programs():
    """A program takes memory maps, of which a process may have some 65,000."""
    import jax

    with open("/proc/self/maps") as maps:
        if sum(1 for _ in maps) > _MANY_MAPS:
            jax.clear_caches()
