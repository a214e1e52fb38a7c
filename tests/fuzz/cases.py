"""A case: an estimator with parameters, rows, targets and weights, and the property to check on it.

It is made of names and plain numbers, so what Hypothesis prints can be pasted into
``python -m tests.fuzz --case``.
"""

import random
from dataclasses import dataclass
from functools import cache, cached_property
from numbers import Integral

import numpy as np
from hypothesis import strategies as st
from sklearn.base import is_classifier, is_regressor
from sklearn.utils._param_validation import Interval, Options

import skfm
from skfm import FieldEncoder
from tests.fuzz import values
from tests.fuzz.properties import PROPERTIES

NAMES = [name for name in skfm.__all__ if hasattr(getattr(skfm, name), "fit")]


@dataclass(frozen=True)
class Case:
    """See the module; `columns` are kinds of `values.NUMBERS`, or of `values.VALUES` for a table."""

    name: str
    checked: str
    parameters: dict
    columns: tuple
    container: str
    n_rows: int
    target: str = "none"
    weights: str = "none"
    seed: int = 0

    @property
    def is_table(self):
        return self.container in values.TABLES

    @cached_property
    def rng(self):
        return np.random.default_rng(self.seed)

    @cached_property
    def content(self):
        """A dense matrix, or columns by name."""
        make = values.table if self.is_table else values.matrix
        content = make(self.columns, self.n_rows, self.seed)
        if self.container in values.LOSSY:
            content = np.asarray(_dense(values.LOSSY[self.container](content)), dtype=np.float64)
        return content

    def held(self, container=None, rows=slice(None)):
        """These rows in a container."""
        container = container or self.container
        if self.is_table:
            # The types of columns are those of all rows.
            return values.rows_of(values.TABLES[container](self.content), rows)
        return {**values.MATRICES, **values.LOSSY}[container](self.content[rows])

    @property
    def containers(self):
        """All containers that hold the same values."""
        return list(values.TABLES if self.is_table else values.MATRICES)

    @cached_property
    def y(self):
        make = targets_of(getattr(skfm, self.name))[self.target]
        return make(np.random.default_rng(self.seed + 1), self.n_rows)

    @cached_property
    def weight(self):
        return values.WEIGHTS[self.weights](np.random.default_rng(self.seed + 2), self.n_rows)

    def make(self, **parameters):
        """The estimator, not fitted."""
        return getattr(skfm, self.name)(**(self.parameters | parameters))


@cache
def targets_of(kind):
    """What an estimator of a kind can learn from."""
    if is_classifier(kind()):
        return values.LABELS
    return values.TARGETS if is_regressor(kind()) else {"none": lambda rng, n: None}


def _dense(X):
    return X.toarray() if hasattr(X, "toarray") else X


# -- parameters ----------------------------------------------------------------------------------------

# Small and fast, for every case.
SMALL = {"n_factors": 2, "max_iter": 2, "cross_slots": 16, "min_frequency": 2}
SMALL_LAYERS = (3,)
# Other values, where the table of constraints does not say enough; [] for parameters that are left alone.
CHOICES = {
    "n_factors": [0, 3],
    "max_iter": [1, 3],
    "batch_size": ["auto", 8, 1],
    "cross_slots": [1],
    "degree": [3],
    "solver": ["lbfgs", "adagrad", "adam", "ftrl", "sgd"],
    "early_stopping": [False, True],
    "fields": [None],
    "class_weight": ["balanced"],
    "task_weights": [(0.5, 2), (1, 0)],
    "dtype": ["float32", "float64"],
    "hash": [8],
    "bins": [0, 3],
    "min_frequency": [1, 0.1],
    "init_from": [],
    "scoring": [],
    "encoder": [],
    "sequence_fields": [],
    "verbose": [],
    "n_jobs": [1],
}
# Numbers, on which no program depends.
NUMBERS = {
    "learning_rate": [0.01, 0.1, 1.0, 1e3, 1e-8],
    "validation_fraction": [0.1, 0.5, 0.9, 1e-3],
    "tol": [0, 1, 1e-12],
    "quantile": [0.01, 0.99],
    "huber_delta": [1e-3, 100],
    "init_scale": [0, 0.1, 3],
}
STRENGTHS, SHARES = [0, 1e-6, 1e-3, 0.1, 1, 100, 1e6], [0, 0.1, 0.5, 0.9]


def choices(name, constraints):
    """Values of a parameter on which programs depend."""
    if name in CHOICES:
        return CHOICES[name]
    if name.endswith("_sizes"):
        return [(2, 2), 2, ()]
    found = []
    for constraint in constraints:
        if constraint == "boolean":
            found += [False, True]
        elif isinstance(constraint, Options):
            found += sorted(constraint.options, key=str)
        elif isinstance(constraint, Interval) and constraint.type is Integral:
            low = int(constraint.left)
            found += [low, low + 1, low + 2]
    return found


def numbers(name, constraints):
    """Values of a parameter that is a number, on which no program depends."""
    if name in NUMBERS:
        return NUMBERS[name]
    intervals = [one for one in constraints if isinstance(one, Interval) and one.type is not Integral]
    if name in CHOICES or not intervals:
        return []
    return SHARES if any(one.right is not None and one.right <= 1 for one in intervals) else STRENGTHS


def program(name, number):
    """Parameters on which programs depend, a combination for each number; all the usual ones for 0."""
    rng = random.Random(f"{name} {number}")
    constraints = getattr(skfm, name)._parameter_constraints
    found = {
        p: SMALL_LAYERS if p.endswith("_sizes") else SMALL[p]
        for p in constraints
        if p in SMALL or p.endswith("_sizes")
    }
    for parameter, accepted in constraints.items():
        known = choices(parameter, accepted)
        if number and known and not numbers(parameter, accepted) and rng.random() < 0.25:
            found[parameter] = rng.choice(known)
    return found


# -- the strategy --------------------------------------------------------------------------------------


@st.composite
def cases(draw, name, programs=(0, 1, 2, 3)):
    """Cases of an estimator; each of `programs` is a combination of parameters and sizes."""
    kind = getattr(skfm, name)
    number = draw(st.sampled_from(programs))
    parameters = program(name, number)
    for parameter, accepted in kind._parameter_constraints.items():
        known = numbers(parameter, accepted)
        if known and draw(st.integers(0, 7)) == 7:
            parameters[parameter] = draw(st.sampled_from(known))
    if "random_state" in kind._parameter_constraints:
        parameters["random_state"] = draw(st.integers(0, 3))
    # The shape of the data belongs to the program too.
    rng = random.Random(f"data of {name} {number}")
    n_columns, n_rows, any_target = rng.choice([4, 4, 1, 2]), rng.choice([24, 24, 5, 60]), rng.random() < 0.7
    targets = list(targets_of(kind))
    target = rng.choice(targets) if any_target and number else targets[0]
    if target == "none" or rng.random() < 0.35:
        container = draw(st.sampled_from(list(values.TABLES)))
        columns = [
            one + draw(st.sampled_from(["", "", "?"]))
            for one in rng.choices(list(values.VALUES), k=n_columns)
        ]
        if "encoder" in kind._parameter_constraints:
            encoders = ["auto", FieldEncoder(min_frequency=1), FieldEncoder(hash=8)]
            parameters["encoder"] = draw(st.sampled_from(encoders))
    else:
        container = draw(st.sampled_from([*values.MATRICES, *values.LOSSY]))
        columns = draw(st.lists(st.sampled_from(values.COMMON), min_size=n_columns, max_size=n_columns))
        if draw(st.integers(0, 15)) == 15:
            columns[-1] = "beyond float32"
    return Case(
        name=name,
        checked=draw(st.sampled_from(list(PROPERTIES))),
        parameters=parameters,
        columns=tuple(columns),
        container=container,
        n_rows=n_rows,
        target=target,
        weights=draw(st.sampled_from(list(values.WEIGHTS))),
        seed=draw(st.integers(0, 2**16)),
    )
