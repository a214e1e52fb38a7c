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

from skfm.estimators.base.texts import shared_texts


def parameter(default, kind: str, meaning: str, *accepted, kw_only: bool = True) -> Any:
    """A parameter of an estimator.

    Parameters
    ----------
    kind : its type in the docstring
    meaning : its description
    accepted : constraints as in scikit-learn's `_parameter_constraints`
    """
    return field(default=default, kw_only=kw_only, metadata={"doc": (kind, meaning), "accepted": [*accepted]})


def one_of(names) -> str:
    """Type of a parameter that takes one of these names, as docstrings show it."""
    return "{" + ", ".join(f'"{name}"' for name in names) + "}"


@dataclass_transform(kw_only_default=True, field_specifiers=(parameter,))
class Parameters:
    """Base of the classes that list parameters."""


def estimator(cls):
    """Give a class an `__init__` of its parameters and those of its bases, and complete its docstring.

    Lines of the docstring such as ``{parameters}`` stand for a section or for entries that estimators share,
    or for what the attribute `_texts` says of the model to both its classes.
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
    texts = shared_texts({one.name for one in fields(cls)}) | {"parameters": _section(cls)}
    texts |= getattr(cls, "_texts", {})
    doc = inspect.cleandoc(cls.__doc__)
    for _ in range(2):  # texts have placeholders too
        doc = re.sub(r"^\{(\w+)\}$", lambda place: texts[place[1]], doc, flags=re.MULTILINE)
    return doc


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
