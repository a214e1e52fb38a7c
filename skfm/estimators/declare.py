"""How estimators declare parameters: default, type, meaning and accepted values are said once, together.

A class lists parameters as ``name: type = parameter(default, kind, meaning, accepted)``; those of its bases
come after its own. `estimator` makes `__init__`, the constraints that scikit-learn checks, and the
docstring of them.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import Field, dataclass, field, fields
from typing import Any, dataclass_transform

# What placeholders in docstrings stand for: what all estimators share.
_SHARED = {
    "attributes": """\
n_features_in_ : int
    Number of columns seen in fit.
feature_names_in_ : ndarray of shape (n_features,)
    Names of the columns. Only there where X had names that are all strings.
fields_ : ndarray of shape (n_features,)
    Number of the field of each column, from 0.
encoder_ : FieldEncoder or None
    What encoded the table; columns of the other attributes are then those that it makes.
n_iter_ : int
    Epochs run, or iterations of L-BFGS; calls of partial_fit add up.
history_ : dict of lists
    One number an epoch: ``loss`` (mean training loss without the penalty), ``learning_rate``
    (mini-batches only), ``validation_loss`` (with held-out rows), ``validation_score`` (with
    held-out rows and a scorer; higher is better) and ``time`` in seconds. With mini-batches the
    loss is taken before each step, so it is an average over the epoch.
solver_ : str or optax.GradientTransformation
    The solver used.""",
    "errors": """\
Raises
------
ValueError
    By fit, where X, y or a weight is not what the model can learn from; the message names the
    row, the column and the remedy. Also where L-BFGS meets an L1 penalty or partial_fit, and
    where tables of ``init_from`` do not fit.
skfm.train.loop.DivergenceError
    A ValueError, by fit, where the loss is not finite or explodes at every one of ever smaller
    learning rates.

Warns
-----
ConvergenceWarning
    By fit, where L-BFGS reached ``max_iter``.
UserWarning
    By fit, where Ctrl-C ended training early: the best weights so far are kept.""",
    "labels": """\
Two classes: ``P(y = classes_[1] | x) = 1 / (1 + exp(-raw(x)))``. More classes: one raw prediction a
class, under a softmax. Targets of shape (n_samples, n_labels) with 0 and 1 are multilabel: one raw
prediction a label.""",
    "numbers": """\
The prediction is ``raw(x)`` in units of y, or ``exp(raw(x))`` with ``loss="poisson"``. Targets of
shape (n_samples, n_outputs) get one raw prediction an output.""",
    "label_attributes": """\
classes_ : ndarray of shape (n_classes,)
    Class labels, sorted; 0, 1, .. for multilabel targets.
intercept_ : ndarray of shape (n_outputs,)
    Intercepts. n_outputs is 1 for two classes, else the number of classes or labels.""",
    "number_attributes": """\
intercept_ : float or ndarray of shape (n_outputs,)
    Intercept in units of y; a float where y was a vector.""",
}


def parameter(default, kind: str, meaning: str, *accepted, kw_only: bool = True) -> Any:
    """A parameter of an estimator.

    Parameters
    ----------
    kind : its type in the docstring
    meaning : its description
    accepted : constraints as in scikit-learn's `_parameter_constraints`
    """
    return field(default=default, kw_only=kw_only, metadata={"doc": (kind, meaning), "accepted": [*accepted]})


@dataclass_transform(kw_only_default=True, field_specifiers=(parameter,))
class Parameters:
    """Base of the classes that list parameters."""


def estimator(cls):
    """Give a class an `__init__` of its parameters and those of its bases, and complete its docstring.

    Lines of the docstring such as ``{parameters}`` stand for a section or for entries that estimators share.
    """
    found: dict[str, Field] = {}
    for base in cls.__mro__:
        own = {name: value for name, value in vars(base).items() if isinstance(value, Field)}
        found = found | {name: value for name, value in own.items() if name not in found}
    for name, value in found.items():
        setattr(cls, name, value)
    cls.__annotations__ = dict.fromkeys(found, Any)
    made = dataclass(cls, eq=False, repr=False)
    made.__init__.__annotations__.clear()
    made._parameter_constraints = {one.name: one.metadata["accepted"] for one in fields(made)}
    if made.__doc__:
        made.__doc__ = _completed(made)
    return made


def _completed(cls) -> str:
    """The docstring of a class with what its placeholders stand for."""
    texts = {**_SHARED, "parameters": _section(cls)}
    doc = inspect.cleandoc(cls.__doc__)
    return re.sub(r"^\{(\w+)\}$", lambda place: texts[place[1]], doc, flags=re.MULTILINE)


def _section(cls) -> str:
    """The section of the parameters, in the order of `__init__`."""
    documented = {one.name: one for one in fields(cls)}
    lines = ["Parameters", "----------"]
    for name in list(inspect.signature(cls).parameters):
        kind, meaning = documented[name].metadata["doc"]
        default = documented[name].default
        shown = f'"{default}"' if isinstance(default, str) else repr(default)
        lines.append(f"{name} : {kind}, default={shown}")
        lines += [f"    {line}" for line in inspect.cleandoc(meaning).split("\n")]
    return "\n".join(lines)
