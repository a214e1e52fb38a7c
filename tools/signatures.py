"""Write what estimators declare and share into their classes, as literal code and docstrings.

    python -m tools.signatures          # rewrite the files in skfm/estimators
    python -m tools.signatures --check  # name those that are not up to date, and fail

A public class whose first base is a private class of the same file gets

- `__init__` and `_parameter_constraints`, from the parameters that it and its bases declare (see
  `skfm.estimators.base.parameters`);
- its docstring: first line, "See Also" and "Examples" are its own and stay as they are; the rest is that of
  the private base, and what all estimators share (`tools.texts`).
"""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple, get_args, get_origin

from sklearn.base import ClassifierMixin

from tools.texts import completed

PACKAGE = "skfm.estimators"
SECTIONS = "Parameters", "Attributes", "Raises", "Warns", "See Also", "Notes", "References", "Examples"
OWN_SECTIONS = "See Also", "Examples"
GENERATED = "_parameter_constraints", "__init__"
MARK = """\
# Written by `python -m tools.signatures`: the docstring but for its first line, See Also and Examples,
# _parameter_constraints and __init__. Change {base} instead, or what declares the parameter."""
LINE_LENGTH = 110


class Parameter(NamedTuple):
    """A declared parameter.

    Attributes
    ----------
    type, default : source text of the annotation and the default
    accepted : source text of each constraint
    positional : whether it may be given by position
    doc : entry of the docstring
    """

    name: str
    type: str
    default: str
    accepted: list[str]
    positional: bool
    doc: str


# -- what classes declare ------------------------------------------------------------------------------


def parameters_of(cls: type) -> list[Parameter]:
    """Parameters in the order of `__init__`: own ones before those of bases, positional ones first."""
    found: dict[str, Parameter] = {}
    for base in cls.__mro__:
        for one in _declared(base.__module__).get(base.__name__, ()):
            found.setdefault(one.name, one)
    return sorted(found.values(), key=lambda one: not one.positional)


@cache
def _declared(name: str) -> dict[str, list[Parameter]]:
    """Parameters that each class of a module declares."""
    module = importlib.import_module(name)
    if not hasattr(module, "parameter"):
        return {}
    classes = [node for node in ast.parse(inspect.getsource(module)).body if isinstance(node, ast.ClassDef)]
    return {node.name: [_read(line, module) for line in node.body if _declares(line)] for node in classes}


def _declares(node: ast.stmt) -> bool:
    call = node.value if isinstance(node, ast.AnnAssign) else None
    return isinstance(call, ast.Call) and ast.unparse(call.func) == "parameter"


def _read(node: Any, module: ModuleType) -> Parameter:
    """The parameter that ``name: type = parameter(default, meaning, *accepted, **options)`` declares."""
    name = node.target.id
    default, meaning, *accepted = node.value.args
    options = {option.arg: ast.literal_eval(option.value) for option in node.value.keywords}
    annotation = _spelled_out(node.annotation, module)
    members = _members(annotation)
    strings = [repr(one.value) for one in members if _is_value(one) and isinstance(one.value, str)]
    implied = [f"StrOptions({{{', '.join(strings)}}})"] if strings else []
    implied += ['"boolean"'] if any(ast.unparse(one) == "bool" for one in members) else []
    value = eval(ast.unparse(default), vars(module))
    shown = f'"{value}"' if isinstance(value, str) else repr(value)
    kind = options.get("kind") or _kind(name, members)
    return Parameter(
        name=name,
        type=ast.unparse(annotation),
        default=ast.unparse(default),
        accepted=implied + [ast.unparse(one) for one in accepted],
        positional=options.get("positional", False),
        doc=f"{name} : {kind}, default={shown}\n{_indented(inspect.cleandoc(ast.literal_eval(meaning)))}",
    )


def _spelled_out(annotation: ast.expr, module: ModuleType) -> ast.expr:
    """An annotation with the values of a Literal in place of its name."""

    class SpellOut(ast.NodeTransformer):
        def visit_Name(self, node):
            value = vars(module).get(node.id)
            if get_origin(value) is not Literal:
                return node
            return ast.parse(f"Literal{list(get_args(value))}", mode="eval").body

    return SpellOut().visit(annotation)


def _members(annotation: ast.expr) -> list[Any]:
    """Members of a union; each value of a Literal is one, and these come first."""
    if isinstance(annotation, ast.BinOp):
        both = _members(annotation.left) + _members(annotation.right)
        return sorted(both, key=lambda one: not _is_value(one))
    if isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) == "Literal":
        values = annotation.slice
        return list(values.elts) if isinstance(values, ast.Tuple) else [values]
    return [annotation]


def _is_value(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is not None


def _kind(name: str, members: list[Any]) -> str:
    """Type of a parameter in the docstring.

    Raises
    ------
    ValueError
        If it does not follow from the annotation.
    """
    values = [one.value for one in members if _is_value(one)]
    shown = [f'"{value}"' if isinstance(value, str) else str(value) for value in values]
    words = ["{" + ", ".join(shown) + "}"] if len(shown) > 1 else shown
    for one in members[len(values) :]:
        if not isinstance(one, ast.Name | ast.Constant):
            raise ValueError(f"{name}: say in kind= what {ast.unparse(one)} is called in a docstring.")
        words.append(ast.unparse(one))
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


# -- what is written -----------------------------------------------------------------------------------


def docstring(cls: type, parameters: list[Parameter]) -> str:
    """Docstring of a class, from its own sections, those of its private base, and what all share."""
    kind = "classifier" if issubclass(cls, ClassifierMixin) else "regressor"
    names = {one.name for one in parameters}
    own, base = _sections(cls.__doc__), _sections(cls.__bases__[0].__doc__)
    base[""] = base[""].partition("\n")[2].strip("\n")
    parts = {title: completed(body, kind, names) for title, body in base.items()}
    parts |= {title: body for title, body in _sections(completed("{errors}", kind, names)).items() if title}
    parts |= {title: own[title] for title in OWN_SECTIONS if title in own}
    parts["Parameters"] = "\n".join(one.doc for one in parameters)
    lines = [own[""].split("\n")[0], "", parts[""]]
    for title in SECTIONS:
        if title in parts:
            lines += ["", title, "-" * len(title), parts[title]]
    return "\n".join(lines)


def _sections(text: str | None) -> dict[str, str]:
    """Body of each numpydoc section by title; what comes before is under ""."""
    titles = "|".join(SECTIONS)
    first, *rest = re.split(rf"^({titles})\n-+\n", inspect.cleandoc(text or ""), flags=re.MULTILINE)
    bodies = {"": first} | dict(zip(rest[::2], rest[1::2], strict=True))
    return {title: body.strip("\n") for title, body in bodies.items()}


def _head(cls: type) -> str:
    """Mark, docstring, constraints and `__init__` of a class."""
    parameters = parameters_of(cls)
    doc = docstring(cls, parameters)
    # The type of a parameter stands on one line, whatever its length.
    too_long = max(map(len, doc.split("\n"))) > LINE_LENGTH - 4
    return _indented(
        "\n".join(
            [
                MARK.format(base=cls.__bases__[0].__name__),
                f'"""{doc}',
                '"""  # noqa: E501' if too_long else '"""',
                "",
                "_parameter_constraints: dict = {",
                *(f'    "{one.name}": [{", ".join(one.accepted)}],' for one in parameters),
                "}",
                "",
                "def __init__(",
                "    self,",
                *(f"    {one.name}: {one.type} = {one.default}," for one in parameters if one.positional),
                "    *,",
                *(f"    {one.name}: {one.type} = {one.default}," for one in parameters if not one.positional),
                ") -> None:",
                *(f"    self.{one.name} = {one.name}" for one in parameters),
                "",
            ]
        )
    )


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" if line else line for line in text.split("\n"))


def rewritten(module: ModuleType) -> str:
    """Source text of a module with its public classes up to date."""
    source = Path(inspect.getfile(module)).read_text(encoding="utf-8")
    lines = source.split("\n")
    for node in reversed(ast.parse(source).body):
        if not isinstance(node, ast.ClassDef) or not _is_generated(vars(module)[node.name]):
            continue
        doc, *members = node.body
        for member in reversed(members):
            if _name(member) in GENERATED:
                del lines[member.lineno - 1 : member.end_lineno]
        start = doc.lineno - 1
        while lines[start - 1].lstrip().startswith("#"):
            start -= 1
        lines[start : doc.end_lineno] = _head(vars(module)[node.name]).split("\n")
    return _formatted(_with_imports("\n".join(lines), module))


def _with_imports(source: str, module: ModuleType) -> str:
    """The source with imports of what its generated code takes from the files of its bases."""
    tree = ast.parse(source)
    offered = {"StrOptions": "from sklearn.utils._param_validation import StrOptions"}
    for name in {
        base.__module__ for cls in vars(module).values() if isinstance(cls, type) for base in cls.__mro__
    }:
        if name.startswith("skfm."):
            offered |= _imports(ast.parse(inspect.getsource(importlib.import_module(name))), name)
    bound = _imports(tree, module.__name__)
    members = [member for node in tree.body if isinstance(node, ast.ClassDef) for member in node.body]
    written = [member for member in members if _name(member) in GENERATED]
    nodes = [node for member in written for node in ast.walk(member)]
    used = {node.id for node in nodes if isinstance(node, ast.Name)}
    used -= {node.arg for node in nodes if isinstance(node, ast.arg)}
    missing = {offered[name] for name in used & offered.keys() - bound.keys()}
    if not missing:
        return source
    lines = source.split("\n")
    last = max(node.end_lineno or 0 for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom))
    lines[last:last] = sorted(missing)
    return _ruff("check", "--quiet", "--select=I", "--fix", source="\n".join(lines))


def _imports(tree: ast.Module, module: str) -> dict[str, str]:
    """Statements that import the names which the top level of a file binds."""
    found = {}
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                one = ast.copy_location(type(node)(**vars(node) | {"names": [alias]}), node)
                found[alias.asname or alias.name] = ast.unparse(one)
        elif isinstance(node, ast.ClassDef | ast.FunctionDef):
            found[node.name] = f"from {module} import {node.name}"
    return found


def _is_generated(cls: type) -> bool:
    base = cls.__bases__[0]
    derives = base.__module__ == cls.__module__ and base.__name__.startswith("_")
    return derives and not cls.__name__.startswith("_")


def _name(member: ast.stmt) -> str | None:
    """Name of a function, or of what is assigned with an annotation."""
    return getattr(member, "name", getattr(getattr(member, "target", None), "id", None))


def _formatted(source: str) -> str:
    return _ruff("format", f"--line-length={LINE_LENGTH}", source=source)


def _ruff(*command: str, source: str) -> str:
    command = sys.executable, "-m", "ruff", *command, "-"
    return subprocess.run(command, input=source, capture_output=True, encoding="utf-8", check=True).stdout


def main(arguments: list[str] | None = None) -> int:
    """Rewrite the files that are not up to date, or name them."""
    parser = argparse.ArgumentParser(description="Write signatures and docstrings of estimators.")
    parser.add_argument(
        "--check", action="store_true", help="change nothing; fail if a file is not up to date"
    )
    check = parser.parse_args(arguments).check
    folder = Path(inspect.getfile(importlib.import_module(PACKAGE))).parent
    stale = []
    for path in sorted(folder.glob("[!_]*.py")):
        text = rewritten(importlib.import_module(f"{PACKAGE}.{path.stem}"))
        if text != path.read_text(encoding="utf-8"):
            stale.append(path)
            if not check:
                path.write_text(text, encoding="utf-8")
    for path in stale:
        print(f"{path}: {'not up to date; run python -m tools.signatures' if check else 'rewritten'}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
