"""The pages of the documentation hold the figures of the results, and the overview those of the pages."""

import json
import re
import types

import pytest

from benchmarks import pages, runner

CASES = runner.load_cases()
OVERVIEW = (pages.PAGES.parent / "benchmarks.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| \[[^]]+\]\(benchmarks/(\w+)\.md\) \| (.*) \|$", OVERVIEW, re.MULTILINE))


def numbers(text):
    """Numbers with a decimal point or thousands, and how many decimals they have."""
    found = re.findall(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d*\.\d+", text)
    return [(float(number.replace(",", "")), len(number.partition(".")[2])) for number in found]


@pytest.mark.parametrize("name", CASES)
def test_pages_hold_the_results(name):
    text = (pages.PAGES / f"{name}.md").read_text(encoding="utf-8")
    assert text == pages.replace(text, pages.make(name, CASES[name])), "run `python -m benchmarks pages`"


def test_every_case_has_a_page_a_row_and_results():
    assert {path.stem for path in pages.PAGES.glob("*.md")} == set(CASES) == set(ROWS)
    assert {path.stem for path in runner.RESULTS.glob("*.jsonl") if ".partial" not in path.name} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_figures_of_the_overview_are_those_of_the_page(name):
    written = [value for value, _ in numbers(pages.make(name, CASES[name]))]
    for value, decimals in numbers(ROWS[name]):
        assert any(round(there, decimals) == value for there in written), value


def test_a_case_without_a_page_gets_one_and_words_around_the_figures_stay(monkeypatch, tmp_path):
    monkeypatch.setattr(pages, "PAGES", tmp_path / "pages")
    monkeypatch.setattr(runner, "RESULTS", tmp_path)
    toy = types.SimpleNamespace(__doc__="A toy.", render=lambda results: f"value {results['a']}")
    path = tmp_path / "pages" / "toy.md"
    pages.write_all({"toy": toy})
    assert path.read_text().startswith("# toy\n")
    assert "## Figures" not in path.read_text()
    path.write_text(f"# Toys\n\nBefore.\n\n{path.read_text().partition('# toy')[2].strip()}\n\nAfter.\n")
    run = {"date": "today", "git_revision": "abc", "versions": {"jax": "1"}, "settings": {"seeds": [0]}}
    run["machine"] = {"cpu_count": 2, "cpu_model": "CPU"}
    lines = [run | {"results": results} for results in ({"a": 1, "b": 1}, {"a": 2}, {"a": 3})]
    (tmp_path / "toy.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    pages.write_all({"toy": toy})
    text = path.read_text()
    assert text.startswith("# Toys\n\nBefore.\n\n")
    assert text.endswith("\n\nAfter.\n")
    assert "value 3" in text
    assert (
        text.count("today, revision `abc`, 2 cores of CPU; 1 results. With jax 1. Settings: seeds=[0].") == 2
    )
