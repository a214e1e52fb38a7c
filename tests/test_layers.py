"""The dependency rule: a file of skfm imports only from its own layer and from those to its left.

Imports are read from the syntax tree, so those inside functions count too. Those under ``if TYPE_CHECKING:``
are never run and do not count.
"""

import ast
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "skfm"

# From left to right; names in one group stand side by side.
LAYERS = [
    {"runtime", "names", "native"},
    {"data"},
    {"layers"},
    {"models"},
    {"losses"},
    {"optim"},
    {"train"},
    {"fitting"},
    {"bayes"},
    {"estimators"},
    {"inspection", "persistence", "export", "metrics", "model_selection", "datasets", "versions"},
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
USES_JAX = {"layers", "models", "losses", "optim", "train", "bayes"}
# Files of these layers that do without, so that what stands on them is not loaded with JAX.
WITHOUT_JAX = {"skfm.train.problem", "skfm.train.method", "skfm.train.loop"}
JAX = {"jax", "jaxlib", "optax"}
# The transformer, the hash function of its columns, and what cuts text into words.
SKLEARN_IN_DATA = {Path("data/encode.py"), Path("data/columns.py"), Path("data/words.py")}


@dataclass(frozen=True)
class Import:
    module: str
    line: int
    on_load: bool  # run when the file is imported, not when a function is called


def read_imports(source, module, *, is_package=False):
    """List the imports in the source text of `module`; ``from a import b`` is read as an import of a.b."""
    package = module.split(".") if is_package else module.split(".")[:-1]
    found = []

    def visit(node, on_load):
        if isinstance(node, ast.Import):
            found.extend(Import(alias.name, node.lineno, on_load) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*parents, *filter(None, [node.module])])
            found.extend(Import(f"{base}.{alias.name}", node.lineno, on_load) for alias in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            for child in node.orelse:
                visit(child, on_load)
        else:
            on_load = on_load and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for child in ast.iter_child_nodes(node):
                visit(child, on_load)

    visit(ast.parse(source), True)
    return found


def find_violations(source, path):
    """Say what is wrong with the imports of the source text of the file `path`, given relative to skfm."""
    path = Path(path)
    is_package = path.name == "__init__.py"
    parts = path.parent.parts if is_package else path.with_suffix("").parts
    layer = parts[0]
    if layer not in RANK:
        return [f"{path} is in no layer"]
    module = ".".join(["skfm", *parts])
    imports = read_imports(source, module, is_package=is_package)
    uses_jax = layer in USES_JAX and module not in WITHOUT_JAX
    complaints = ((imported, complain(path, layer, imported, uses_jax)) for imported in imports)
    return [f"{path}:{imported.line}: {complaint}" for imported, complaint in complaints if complaint]


def complain(path, layer, imported, uses_jax):
    top, *rest = imported.module.split(".")
    if top == "skfm":
        target = rest[0] if rest else None
        if target not in RANK:
            return f"imports {imported.module}, which is in no layer: name the file that defines it"
        if RANK[target] > RANK[layer]:
            return f"{layer} imports {target}, which is to its right"
        is_light = any(imported.module.startswith(f"{name}.") for name in WITHOUT_JAX)
        if target in USES_JAX and not uses_jax and imported.on_load and not is_light:
            return f"{layer} imports {target} on load, and with it JAX: import it inside a function"
    elif top in JAX:
        if layer == "data":
            return f"data imports {top}"
        if not uses_jax and imported.on_load:
            return f"{layer} imports {top} on load: import it inside a function"
    elif top == "sklearn" and RANK[layer] < RANK["fitting"] and path not in SKLEARN_IN_DATA:
        return f"{layer} imports sklearn"
    return None


# --------------------------------------------------------------------------------------------- the package


FILES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
FILES.remove(Path("__init__.py"))  # the public names, which come from every layer


@pytest.mark.parametrize("path", FILES, ids=str)
def test_file_imports_only_from_its_left(path):
    assert find_violations((PACKAGE / path).read_text(encoding="utf-8"), path) == []


def test_import_of_the_package_does_not_load_jax():
    subprocess.run([sys.executable, "-c", "import skfm, sys; assert 'jax' not in sys.modules"], check=True)


def functions(path):
    """Functions of a file, methods too, with the names of their parameters."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = node.args
            yield node, [one.arg for one in arguments.posonlyargs + arguments.args + arguments.kwonlyargs]


@pytest.mark.parametrize("path", FILES, ids=str)
def test_no_function_takes_an_estimator(path):
    """What is given an estimator calls back up: below the estimators there are values."""
    layer = path.with_suffix("").parts[0]
    takers = [node.name for node, names in functions(PACKAGE / path) if "estimator" in names]
    assert RANK[layer] > RANK["estimators"] or takers == []


# What users call may take more.
PUBLIC = {"data/encode.py": {"__init__"}, "datasets/_clicks.py": {"make_click_rows"}}
PUBLIC |= {"datasets/_streams.py": {"__init__"}, "datasets/_tables.py": {"__init__"}}
PUBLIC |= {"datasets/_text.py": {"load_sparse_text", "iter_sparse_text", "dump_sparse_text"}}


@pytest.mark.parametrize("path", FILES, ids=str)
def test_functions_take_at_most_six_parameters(path):
    public = {"__init__"} if path.parts[0] == "estimators" else PUBLIC.get(path.as_posix(), set())
    wide = [node.name for node, names in functions(PACKAGE / path) if len({*names} - {"self", "cls"}) > 6]
    assert [name for name in wide if name not in public] == []


# ------------------------------------------------------------------------------------ the checker itself


@pytest.mark.parametrize(
    ("path", "source"),
    [
        # its own layer and those to its left, however they are named
        ("models/deepfm.py", "from skfm.models.fm import forward"),
        ("models/deepfm.py", "from .fm import forward"),
        ("models/deepfm.py", "from skfm import layers"),
        ("models/deepfm.py", "from .. import layers"),
        ("models/__init__.py", "from .fm import forward"),
        ("models/__init__.py", "from ..layers import mlp"),
        ("train/sub/deep.py", "from ...optim.rows import update"),
        ("train/step.py", "import skfm.optim.rows"),
        ("export.py", "import skfm.persistence"),
        ("fitting/plan.py", "from skfm.train.problem import Prior"),
        ("fitting/targets.py", "from sklearn.utils import compute_sample_weight"),
        # JAX, where it may be
        ("models/fm.py", "import jax.numpy as jnp"),
        ("train/step.py", "import optax"),
        ("runtime.py", "def devices():\n    import jax\n    return jax.devices()"),
        ("estimators/fm.py", "class FM:\n    def fit(self):\n        from skfm.train.loop import fit"),
        ("inspection/plots.py", "async def draw():\n    import jax"),
        # imports that are never run
        ("data/pack.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import jax"),
        ("estimators/fm.py", "import typing\nif typing.TYPE_CHECKING:\n    from skfm.losses import Loss"),
        # scikit-learn, where it may be
        ("data/encode.py", "from sklearn.base import BaseEstimator"),
        ("estimators/fm.py", "from sklearn.base import BaseEstimator"),
        ("model_selection.py", "import sklearn.model_selection"),
        # a package whose name only begins like one of ours
        ("data/pack.py", "import skfm_tools, jaxtyping, sklearnex"),
    ],
)
def test_checker_allows(path, source):
    assert find_violations(source, path) == []


@pytest.mark.parametrize(
    ("path", "source", "complaint"),
    [
        # to the right, however it is named and wherever it stands
        ("models/fm.py", "from skfm.losses import log_loss", "to its right"),
        ("models/fm.py", "from skfm import losses", "to its right"),
        ("models/fm.py", "import skfm.losses as losses", "to its right"),
        ("models/fm.py", "from ..losses import log_loss", "to its right"),
        ("models/fm.py", "from .. import losses", "to its right"),
        ("models/__init__.py", "from .. import losses", "to its right"),
        ("train/sub/deep.py", "from ...estimators.fm import FMClassifier", "to its right"),
        ("optim/rows.py", "def update():\n    from skfm.train.step import step", "to its right"),
        (
            "optim/rows.py",
            "if True:\n    try:\n        from skfm.train import step\n    finally: pass",
            "to its right",
        ),
        ("runtime.py", "from skfm.data.pack import pack", "to its right"),
        ("estimators/fm.py", "from skfm.persistence import load", "to its right"),
        # the package itself, whose names come from every layer
        ("models/fm.py", "import skfm", "in no layer"),
        ("models/fm.py", "from skfm import FMClassifier", "in no layer"),
        ("models/fm.py", "from skfm import *", "in no layer"),
        ("helpers.py", "import os", "helpers.py is in no layer"),
        # the branch of TYPE_CHECKING that is run
        ("data/pack.py", "if TYPE_CHECKING:\n    pass\nelse:\n    import jax", "imports jax"),
        ("data/pack.py", "if not TYPE_CHECKING:\n    import jax", "imports jax"),
        # JAX where it may not be
        ("data/pack.py", "import jax", "imports jax"),
        ("data/pack.py", "def pack():\n    from jax import numpy", "imports jax"),
        ("data/pack.py", "def pack():\n    import optax", "imports optax"),
        ("runtime.py", "import jax", "on load"),
        ("estimators/fm.py", "import optax", "on load"),
        ("estimators/fm.py", "try:\n    import jax.numpy\nexcept ImportError:\n    pass", "on load"),
        ("estimators/fm.py", "class FM:\n    from skfm.models import fm", "on load"),
        ("estimators/fm.py", "from skfm.train.step import run", "on load"),
        ("datasets/__init__.py", "from skfm.layers import mlp", "on load"),
        ("fitting/learn.py", "from skfm.train.step import Program", "on load"),
        ("train/loop.py", "import jax", "on load"),
        ("train/method.py", "from skfm.train.step import Program", "on load"),
        ("train/problem.py", "from skfm.models.base import Model", "on load"),
        # scikit-learn where it may not be
        ("data/pack.py", "import sklearn", "imports sklearn"),
        ("train/loop.py", "def score():\n    from sklearn.metrics import roc_auc_score", "imports sklearn"),
    ],
)
def test_checker_refuses(path, source, complaint):
    (violation,) = find_violations(source, path)
    assert complaint in violation


def test_checker_names_the_line():
    source = "import numpy\n\n\nimport jax\n"
    assert find_violations(source, "data/pack.py") == ["data/pack.py:4: data imports jax"]
