"""Every Python block of the documentation and of the README runs, and links and numbers hold."""

import re
from pathlib import Path

import numpy as np
import pytest

import skfm
from benchmarks.cases import tables
from skfm import FMClassifier, datasets, metrics
from skfm.fitting import plan
from tests.test_docstrings import ESTIMATORS, entries, sections

REPOSITORY = Path(__file__).resolve().parents[1]
DOCS = REPOSITORY / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)
EXAMPLES = [path for path in [*PAGES, REPOSITORY / "README.md"] if "```python" in path.read_text()]

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))


@pytest.mark.parametrize("page", EXAMPLES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_python_blocks_run(page, monkeypatch):
    load_adult = datasets.load_adult

    def load_few(**options):
        X, y = load_adult(**options)
        rows = np.random.default_rng(0).choice(len(y), 300, replace=False)
        return X.iloc[rows], y.iloc[rows]

    monkeypatch.setattr(datasets, "load_adult", load_few)
    text = page.read_text()
    namespace = {}
    for block in re.finditer(r"^```python\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE):
        # Line numbers of errors are those of the page.
        code = "\n" * text.count("\n", 0, block.start(1)) + block[1]
        exec(compile(code, str(page), "exec"), namespace)


@every_page
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        linked = page.parent / path
        assert linked.is_file(), target
        slug = re.compile(r"[^\w -]")
        headings = re.findall(r"^#+ (.*)$", linked.read_text(), flags=re.MULTILINE)
        assert not anchor or anchor in {
            slug.sub("", title).lower().replace(" ", "-") for title in headings
        }, target


def test_every_page_is_in_the_table_of_contents():
    trees = [(DOCS / page).read_text() for page in ("index.md", "benchmarks.md")]
    listed = re.findall(r"^[a-z_/]+$", "\n".join(trees), flags=re.MULTILINE)
    assert sorted([*listed, "index"]) == sorted(str(page.relative_to(DOCS).with_suffix("")) for page in PAGES)


@pytest.mark.parametrize(
    ("page", "form"), [("README.md", r"`(\w+)`"), ("docs/index.md", r"\{class\}`~skfm\.(\w+)`")]
)
def test_tables_of_estimators_have_every_one_and_no_other(page, form):
    rows = re.findall(r"^\|.*$", (REPOSITORY / page).read_text(), re.MULTILINE)
    listed = [name for row in rows for name in re.findall(rf"(?<=\| ){form}(?= \|)", row)]
    estimators = [name for name in skfm.__all__ if name.endswith(("Classifier", "Regressor"))]
    assert sorted(listed) == sorted(estimators)


def test_the_page_on_recomputing_names_every_attribute_that_predictions_need():
    named = set(re.findall(r"\b[a-z]\w*_\b", (DOCS / "guides" / "recompute.md").read_text()))
    others = {"n_features_in_", "feature_names_in_", "n_iter_", "history_", "solver_", "plan_"}
    others |= {"attempts_", "wide_solver_", "machine_"}
    for estimator in ESTIMATORS:
        documented = {name for name, _, _ in entries(sections(estimator.__doc__)["Attributes"])}
        assert documented - others <= named, estimator.__name__


def test_the_reference_has_every_public_name_and_no_other():
    text = (DOCS / "api.md").read_text()
    measures = [
        name
        for name, value in vars(metrics).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == metrics.__name__
    ]
    names = {"": skfm.__all__, "datasets.": datasets.__all__, "metrics.": measures}
    public = sorted(prefix + name for prefix, those in names.items() for name in those)
    (summary,) = re.findall(r"autosummary::\n\n((?: +\S+\n)+)", text)
    described = re.findall(r"^\.\. auto(?:class|function):: (?:skfm\.)?(\S+)$", text, re.MULTILINE)
    assert sorted(summary.split()) == sorted(described) == public


def test_contributing_shows_the_toy_model_that_is_tested():
    text = (REPOSITORY / "CONTRIBUTING.md").read_text()
    shown = re.findall(r"^```py\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    toy = REPOSITORY / "tests" / "models" / "toy"
    files = [(toy / f"{name}.py").read_text() for name in ("model", "estimators", "oracle")]
    assert [code.strip() for code in files] == [code.strip() for code in shown]


def test_the_page_of_data_sets_shows_the_code_that_is_measured():
    text = (DOCS / "datasets.md").read_text()
    shown = re.findall(r"^```py\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    measured = [tables.IMPORTS, *tables.SNIPPETS.values()]
    assert [code.strip() for code in measured] == [code.strip() for code in shown]


def last_true(condition):
    """Largest n below 2**40 with ``condition(n)``, for a condition that holds up to some n."""
    low, high = 0, 2**40
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if condition(middle) else (low, middle)
    return low


def test_what_auto_means_is_what_the_training_page_says():
    rows = re.findall(
        r"^\| `(\w+)(?:`,.*?|`)( of a mixture)? \| (.*) \|$",
        (DOCS / "guides" / "training.md").read_text(),
        re.MULTILINE,
    )
    rules = {name + suffix: rule for name, suffix, rule in rows}

    settings = FMClassifier()._settings()

    def is_full_batch(n_rows, n_entries, kind, settings=settings):
        facts = plan.Facts(n_rows, n_entries, weight=n_rows, evidence=1.0)
        return plan.choose_solver(settings._replace(kind=kind), facts) == "lbfgs"

    few_rows = last_true(lambda n: is_full_batch(n, 2**40, "factors"))
    few_entries = last_true(lambda n: is_full_batch(2**30, n, "convex"))
    assert f"up to {few_rows:,} rows" in rules["solver"]
    assert f"up to {few_entries:,} nonzeros" in rules["solver"]
    for solver in ("adagrad", "adam", "ftrl", "sgd"):
        assert f'`"{solver}"` {plan.learning_rate("auto", solver, "factors"):g}' in rules["learning_rate"]
    assert (
        f"{plan.learning_rate('auto', 'adagrad', 'deep'):g} for models with a network"
        in (rules["learning_rate"])
    )
    bounds = [plan.batch_size(settings, n) for n in (1, 2**40)]
    assert f"between {bounds[0]} and {bounds[1]} rows" in rules["batch_size"]
    network = skfm.DCNClassifier()._settings()
    for one, said in ((settings, "more than {:,} rows"), (network, "alone more than {:,}")):
        no_stopping = last_true(lambda n, one=one: not plan.early_stopping(one, n, full_batch=False))
        assert said.format(no_stopping) in rules["early_stopping"]
    few_rows = last_true(lambda n: is_full_batch(n, 2**40, "deep", network))
    assert f"up to {few_rows:,} for classifiers of a network alone" in rules["solver"]
    least, small = plan.batch_size(network, 1), last_true(lambda n: plan.batch_size(network, n) == 64)
    assert f"{least} up to {small:,} rows" in rules["batch_size"]
    tenth = last_true(lambda n: plan.validation_fraction(settings, n) == 0.1)
    enough = last_true(lambda n: plan.validation_fraction(settings, n + 1) * (n + 1) <= tenth / 10 + 1e-9)
    assert f"no more than {tenth // 10:,}, or 5 √n where that is more" in rules["validation_fraction"]
    assert 5 * enough**0.5 <= tenth / 10 <= 5 * (enough + 2) ** 0.5
    assert plan.validation_fraction(settings, 10**6) * 10**6 == pytest.approx(5 * 10**3)
    assert plan.validation_fraction(settings) == 0.1
    assert plan.validation_fraction(settings._replace(validation_fraction=0.3), 10**6) == 0.3
    assert plan.validation_fraction(network, small) == 0.2
    assert plan.validation_fraction(network, small + 1) < 0.2

    def strengths(weight, evidence, n_components=0, has_linear_term=True, is_classifier=True):
        kind = {"has_linear_term": has_linear_term, "is_classifier": is_classifier}
        of_model = settings._replace(n_components=n_components, **kind)
        found = plan.penalty_strengths(of_model, weight, evidence)
        return {name: round(value, 9) for name, value in found.items()}

    enough = last_true(lambda evidence: strengths(1e6, evidence)["l2_factors"] > 1) + 1
    assert f"touched by {enough:,} rows or more" in rules["l2_factors"]
    assert strengths(1e6, 0.0) == {"l2_linear": 1, "l2_factors": 60, "l2_dense": 60}
    assert strengths(1e6, 0.0, is_classifier=False) == {"l2_linear": 1, "l2_factors": 20, "l2_dense": 20}
    assert strengths(1e6, enough / 3) == {"l2_linear": 1, "l2_factors": 3, "l2_dense": 3}
    assert strengths(1e6, enough, 3) == {"l2_linear": 1, "l2_factors": 3, "l2_dense": 3}
    few = last_true(lambda n: strengths(n, 1e9)["l2_factors"] > 1)
    assert f"up to a weight sum of {few:,}" in rules["l2_factors"]
    assert f"up to a weight sum of {few:,}" in rules["l2_linear of a mixture"]
    for is_classifier in (True, False):
        found = strengths(few, 1e9, is_classifier=is_classifier)
        assert found == {"l2_linear": 1, "l2_factors": 20, "l2_dense": 20}
    assert strengths(few, 1e9, 2) == {"l2_linear": 10, "l2_factors": 20, "l2_dense": 20}
    assert strengths(few, 1e9, has_linear_term=False) == {"l2_linear": 1, "l2_factors": 6, "l2_dense": 6}
    assert strengths(1e6, 0.0, has_linear_term=False)["l2_factors"] == 12
    assert (
        "At most 12 times for models without a linear term, and 6 times with few rows"
        in (rules["l2_factors"])
    )
    assert "at most 60 times for classifiers and 20 times for regressors" in rules["l2_factors"]


def test_the_second_attempt_is_what_the_training_page_says():
    text = (DOCS / "guides" / "training.md").read_text()

    def changed(strength, **given):
        """What the second prior has of its own, for 5000 rows whose prior has this strength."""
        settings = FMClassifier()._settings()._replace(**{"l2_dense": "auto"} | given)
        facts = plan.Facts(5000, 5000, 5000.0, evidence=1500 / strength, has_given=True)
        first, *others = plan.make_plan(settings, facts).priors
        assert given or first.l2_factors == pytest.approx(strength / 5000)
        return [{k: v for k, v in one._asdict().items() if v != first._asdict()[k]} for one in others]

    assert "penalised 6 times or more" in text
    assert "3 times, and with\nan `init_scale` of 0.1 or more" in text
    assert changed(5.99) == []
    wide = {"l2_factors": pytest.approx(3 / 5000), "init_scale": 0.1}
    assert changed(6.01) == [wide | {"l2_dense": pytest.approx(3 / 5000)}]
    assert changed(60, l2_dense=0.1) == [wide]
    assert [one.get("init_scale", 0.5) for one in changed(60, init_scale=0.5)] == [0.5]
    assert changed(60, init_scale=0.0) == []
    assert changed(60, l2_factors=0.1) == []
