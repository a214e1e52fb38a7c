"""Public docstrings agree with the code: parameters, defaults, methods and fitted attributes."""

import ast
import inspect
import re

import numpy as np
import pytest

import skfm

ESTIMATORS = [getattr(skfm, name) for name in skfm.__all__ if name.endswith(("Classifier", "Regressor"))]
SECTIONS = [
    "Parameters",
    "Attributes",
    "Raises",
    "Warns",
    "See Also",
    "Notes",
    "References",
    "Examples",
]
# Settings with which an estimator has attributes that it does not have by default, by a parameter of it.
OTHER_FORMS = {
    "expert": {"gate": "linear+fm"},
    "n_heads": {"gate": "row"},
    "product": {"product": "outer"},
    "rank": {"rank": 2, "n_experts": 2},
    "sequence_fields": {"activation": "dice"},
}
FAST = {"max_iter": 2, "solver": "adam", "early_stopping": True, "random_state": 0}

every_estimator = pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda estimator: estimator.__name__)


def sections(text):
    """Body of each numpydoc section by title, in order; what comes before is under ""."""
    found, title = {"": []}, ""
    lines = inspect.cleandoc(text).split("\n")
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if line and re.fullmatch("-+", following) and len(following) == len(line):
            title = line
            assert title not in found, f"two sections {title}"
            found[title] = []
        elif not (re.fullmatch("-+", line) and found[title] == []):
            found[title].append(line)
    return {title: "\n".join(body).strip("\n") for title, body in found.items()}


def entries(body):
    """``(name, type, description)`` of each entry of a section of parameters or attributes."""
    found = []
    for block in re.split(r"\n(?=\S)", body):
        head, _, description = block.partition("\n")
        names, _, kind = head.partition(" : ")
        found += [(name.strip(), kind, inspect.cleandoc(description)) for name in names.split(",")]
    return found


def fitted(estimator, **options):
    rng = np.random.default_rng(0)
    X = rng.integers(0, 2, (40, 4)).astype(float)
    return estimator(**FAST, **options).fit(X, np.tile([0, 1], 20))


@every_estimator
def test_sections_are_all_there_and_in_order(estimator):
    found = sections(estimator.__doc__)
    summary, _, rest = found.pop("").partition("\n")
    assert summary.endswith(".")
    assert rest.startswith("\n")
    assert list(found) == SECTIONS
    assert all(found.values())
    assert re.search(r"https://\S+", found["References"])
    assert ">>> " in found["Examples"]


@every_estimator
def test_every_parameter_is_documented_once_and_in_order(estimator):
    signature = inspect.signature(estimator.__init__)
    parameters = {name: value for name, value in signature.parameters.items() if name != "self"}
    documented = entries(sections(estimator.__doc__)["Parameters"])
    assert [name for name, _, _ in documented] == list(parameters)
    for name, kind, description in documented:
        _, found, default = kind.rpartition(", default=")
        assert found, f"{name} states no default"
        value = ast.literal_eval(default)
        assert (value, type(value)) == (parameters[name].default, type(parameters[name].default)), name
        assert description.endswith("."), name


@every_estimator
def test_documented_choices_are_the_accepted_ones(estimator):
    for name, kind, description in entries(sections(estimator.__doc__)["Parameters"]):
        accepted = set()
        for constraint in estimator._parameter_constraints[name]:
            options = getattr(constraint, "options", ())
            accepted |= {option for option in options if isinstance(option, str)}
        if name == "scoring":
            assert accepted > {"loss"}
        elif accepted:
            listed = kind.rpartition(", default=")[0]
            listed += description.partition(". ")[0] if name == "solver" else ""
            assert set(re.findall(r'"([a-z0-9_+]+)"', listed)) == accepted, name


@every_estimator
def test_documented_attributes_exist_after_fit(estimator):
    known = inspect.signature(estimator).parameters
    forms = [{}, *(options for name, options in OTHER_FORMS.items() if name in known)]
    models = [fitted(estimator, **options) for options in forms]
    documented = entries(sections(estimator.__doc__)["Attributes"])
    assert {"n_features_in_", "fields_", "intercept_", "n_iter_", "history_", "solver_"} < {
        name for name, _, _ in documented
    }
    for name, kind, description in documented:
        assert kind, name
        assert description.endswith("."), name
        if name != "feature_names_in_":
            assert any(hasattr(model, name) for model in models), name


@every_estimator
def test_public_attributes_are_documented(estimator):
    model = fitted(estimator)
    documented = {name for name, _, _ in entries(sections(estimator.__doc__)["Attributes"])}
    public = {name for name in dir(model) if name.endswith("_") and not name.startswith("_")}
    assert {name for name in public if hasattr(model, name)} <= documented
    texts = [getattr(estimator, name).__doc__ for name in public]
    assert all(text.endswith(".") for text in texts)
    assert len({*texts}) == len(texts)


@every_estimator
def test_history_has_the_documented_lists(estimator):
    history = fitted(
        estimator, scoring="neg_log_loss" if "Classifier" in estimator.__name__ else "r2"
    ).history_
    (description,) = [
        text for name, _, text in entries(sections(estimator.__doc__)["Attributes"]) if name == "history_"
    ]
    assert set(history) == set(re.findall(r"``(\w+)``", description))


@every_estimator
def test_public_methods_are_documented(estimator):
    for name, method in inspect.getmembers(estimator, inspect.isfunction):
        if name.startswith("_") or not method.__module__.startswith("skfm"):
            continue
        found = sections(method.__doc__)
        parameters = [key for key in inspect.signature(method).parameters if key != "self"]
        documented = [key for key, _, _ in entries(found["Parameters"])] if parameters else []
        assert documented == parameters, name
        assert found[""].split("\n")[0].endswith("."), name
        assert found["Returns"], name


def test_public_functions_are_documented():
    for name in set(skfm.__all__) - {estimator.__name__ for estimator in ESTIMATORS}:
        function = getattr(skfm, name)
        parameters = list(inspect.signature(function).parameters)
        found = sections(function.__doc__)
        assert ("Parameters" in found) == bool(parameters), name
        assert not parameters or [key for key, _, _ in entries(found["Parameters"])] == parameters
