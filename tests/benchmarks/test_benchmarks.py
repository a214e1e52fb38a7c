"""The benchmark runner: its command line, tables and verdicts. Nothing is timed."""

import json
import types

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from benchmarks import __main__ as command_line
from benchmarks import datasets, memory, report, rivals, runner, synthetic
from benchmarks.cases import (
    chains,
    columns,
    deep,
    defaults,
    family,
    frappe,
    predict,
    raw_clicks,
    readings,
    sequences,
    small,
    tables,
    throughput,
    time_to_quality,
)
from benchmarks.rivals.fields import field_of_columns
from skfm import FieldEncoder


def make_options(tmp_path, **options):
    return types.SimpleNamespace(
        case="toy", data=None, output=str(tmp_path / "toy.jsonl"), update=False, quick=False, **options
    )


def make_case(value):
    def run(options, results, save):
        results["a"] = {"value": value}
        save()

    return types.SimpleNamespace(run=run)


# --- command line and results


def test_list_names_every_case(capsys):
    assert command_line.main(["list"]) == 0
    printed = capsys.readouterr().out
    for name in ("columns", "defaults", "frappe", "piecewise", "throughput"):
        assert name in printed


def test_missing_data_is_said_and_not_raised(tmp_path, capsys):
    assert command_line.main(["run", "frappe", "--data", str(tmp_path / "absent")]) == 2
    assert "--data" in capsys.readouterr().err


def test_unknown_names_are_rejected(capsys):
    with pytest.raises(SystemExit):
        command_line.main(["run", "defaults", "--datasets", "iris"])
    assert "unknown: iris; there are adult" in capsys.readouterr().err


def test_results_name_machine_versions_and_settings_but_no_path(tmp_path):
    path = tmp_path / "toy.jsonl"
    assert runner.run_case(make_case(1.0), make_options(tmp_path, seeds=[0]), path) == {"a": {"value": 1.0}}
    (run,) = runner.read_runs(path)
    assert set(run) == {"case", "date", "git_revision", "versions", "machine", "settings", "results"}
    assert run["results"] == {"a": {"value": 1.0}}
    assert set(run["machine"]) - {"jax_device"} == {"cpu_count", "cpu_model"}
    assert run["settings"] == {"quick": False, "seeds": [0]}
    assert str(tmp_path) not in path.read_text()
    assert str(runner.REPOSITORY) not in path.read_text()


def test_a_run_is_a_line_and_update_adds_one(tmp_path):
    path = tmp_path / "toy.jsonl"
    old = {"case": "toy", "date": "old", "results": {"a": {"value": 1.0}, "b": {}}}
    path.write_text(json.dumps(old) + "\n")
    options = make_options(tmp_path)
    options.update = True
    assert runner.run_case(make_case(2.0), options, path) == {"a": {"value": 2.0}, "b": {}}
    assert len(path.read_text().splitlines()) == 2
    kept, new = runner.read_runs(path)
    assert kept == old
    assert new["date"] != "old"
    assert new["results"] == {"a": {"value": 2.0}}
    options.update = False
    runner.run_case(make_case(3.0), options, path)
    assert [run["results"] for run in runner.read_runs(path)] == [{"a": {"value": 3.0}}]


def test_an_interrupted_run_keeps_what_it_has(tmp_path):
    def run(options, results, save):
        results["a"] = {}
        save()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runner.run_case(types.SimpleNamespace(run=run), make_options(tmp_path), tmp_path / "toy.jsonl")
    assert runner.merge_results(runner.read_runs(tmp_path / "toy.jsonl")) == {"a": {}}


def test_a_narrowed_run_does_not_overwrite_the_whole_one():
    plain = types.SimpleNamespace(case="toy", output=None, update=False, quick=False, datasets=["a"])
    usual = {"quick": False, "datasets": ["a"], "update": False}
    assert runner.result_path(plain, usual).name == "toy.jsonl"
    plain.datasets = ["b"]
    assert runner.result_path(plain, usual).name == "toy.partial.jsonl"
    plain.update = True
    assert runner.result_path(plain, usual).name == "toy.jsonl"
    plain.quick = True
    assert runner.result_path(plain, usual).name == "toy.partial.jsonl"


# --- tables


def test_table_aligns_text_left_and_numbers_right():
    table = report.format_table(["name", "n", "value"], [["a", 12345, 0.25], ["bb", None, 1234.5]])
    assert table.splitlines() == [
        "| name |      n |   value |",
        "| ---- | -----: | ------: |",
        "| a    | 12,345 |  0.2500 |",
        "| bb   |        | 1,234.5 |",
    ]


def test_spread_and_targets():
    assert report.format_spread([1.0, 2.0, 3.0]) == "2.0000 +- 1.0000"
    assert report.format_spread([1.0]) == "1.0000 +- 0.0000"
    assert report.format_target(0.9, 0.8, at_least=True) == ">= 0.8000 reached"
    assert report.format_target(0.9, 0.8, at_least=False) == "<= 0.8000 MISSED"


@pytest.mark.parametrize(
    ("metric", "value", "baseline", "verdict"),
    [
        ("AUC", 0.9, 0.9015, "tie"),
        ("AUC", 0.9, 0.9025, "FAIL"),
        ("AUC", 0.9, 0.895, "win"),
        ("accuracy", 0.9, 0.912, "FAIL"),
        ("RMSE", 50.0, 51.0, "win"),
        ("RMSE", 51.0, 50.0, "FAIL"),
        ("RMSE", 50.4, 50.0, "tie"),
    ],
)
def test_verdicts_of_defaults(metric, value, baseline, verdict):
    assert defaults.judge(metric, value, baseline)[1] == verdict


def test_defaults_reports_wins_failures_and_errors():
    results = {
        "a/baseline": {
            "task": "binary",
            "AUC": [0.8, 0.9],
            "log_loss": [0.4, 0.4],
            "fit_seconds": [1.0, 1.0],
        },
        "a/FM": {"task": "binary", "AUC": [0.9, 0.9], "log_loss": [0.3, 0.3], "fit_seconds": [2.0, 2.0]},
        "a/DeepFM": {"task": "binary", "error": "ValueError: no"},
    }
    rows, verdicts = defaults.report_rows(results)
    assert verdicts == {"FM": ["win"], "DeepFM": ["FAIL"]}
    assert rows[0][5] == pytest.approx(0.05)
    assert "ValueError: no" in defaults.render(results)


def test_defaults_fails_what_is_worse_than_a_constant_on_a_fold():
    def entry(auc, loss):
        return {"task": "binary", "AUC": auc, "log_loss": loss, "fit_seconds": [1.0] * len(auc)}

    results = {
        "a/constant": entry([0.5, 0.5], [0.6, 0.5]),
        "a/baseline": entry([0.8, 0.8], [0.4, 0.4]),
        "a/FM": entry([0.9, 0.9, 0.9, 0.9], [0.5, 0.4, 0.3, 0.6]),
        "a/FFM": entry([0.9, 0.9, 0.9, 0.9], [0.5, 0.5, 0.6, 0.4]),
        "b/constant": {"task": "regression", "RMSE": [1.0], "fit_seconds": [1.0]},
        "b/baseline": {"task": "regression", "RMSE": [1.2], "fit_seconds": [1.0]},
        "b/FM": {"task": "regression", "RMSE": [1.1], "fit_seconds": [1.0]},
    }
    rows, verdicts = defaults.report_rows(results)
    assert verdicts == {"FM": ["FAIL", "FAIL"], "FFM": ["win"]}
    assert [row[-1] for row in rows] == ["1 fits worse than a constant", "", "1 fits worse than a constant"]


def test_defaults_scores_a_baseline():
    rng = np.random.default_rng(0)
    X, noise = rng.normal(size=(200, 3)), rng.normal(size=200)
    for task, y in {"binary": X[:, 0] + noise > 0, "regression": X[:, 0] + noise}.items():
        entry = defaults.evaluate(defaults.BASELINE, task, [(X[:150], y[:150], X[150:], y[150:])], [0])
        assert len(entry[defaults.METRICS[task]]) == len(entry["fit_seconds"]) == 1


def test_frappe_judges_the_mixture_by_the_fm():
    def entry(auc):
        run = {"seed": 0, "epochs": 1, "fit_seconds": 1.0, "test": {"AUC": auc, "log_loss": 0.2}}
        return {"chosen": {}, "runs": [run]}

    table = frappe.render({"FMClassifier/AUC": entry(0.976), "MixtureFMClassifier/AUC": entry(0.977)})
    assert ">= 0.9750 reached" in table
    assert ">= 0.9760 reached (FM)" in table


def test_tables_reports_a_snippet_beside_its_baseline():
    def answer(score):
        return {"scores": [score, score], "rows": 9, "seconds": 1.0, "warnings": []}

    entry = {"estimator": "FMClassifier", "metric": "AUC", "skfm": answer(0.8), "baseline": answer(0.7)}
    assert "| FMClassifier | AUC    | 0.8000 |   0.7000 |" in tables.render({"adult": entry})


def test_raw_clicks_reports_means():
    entry = {"AUC": [0.7, 0.8], "log_loss": [0.4, 0.5], "fit_seconds": [1.0, 2.0], "warnings": []}
    assert "| avazu    | FM    | 0.7500 |   0.4500 | 1.5000 |" in raw_clicks.render({"avazu/FM": entry})


@pytest.mark.parametrize(
    ("expert", "accepts", "ours", "right"),
    [
        ("identifier", "", "category", True),
        ("number", "", "integer", True),
        ("category", "number", "integer", True),
        ("category", "", "integer", False),
        ("text", "", "category", False),
        ("constant", "", "text", None),
        ("other", "", "integer", None),
    ],
)
def test_readings_that_an_encoder_treats_alike_are_right(expert, accepts, ours, right):
    assert readings.judged(expert, accepts, ours) is right


def test_readings_are_counted_by_part():
    row = ["a.parquet", "x", "identifier", "identifier", True, "why", False]
    entry = {"raw": [0.8, 0.7], "by hand": [0.7, 0.7], "metric": "AUC", "rows": 9}
    text = readings.render({"readings adult": [row], "FM adult": entry})
    assert "| choosing  | identifier |       1 |     1 |     0 |" in text
    assert "| AUC    |    0.7500 |  0.7000 |     0.0500 | >= -0.0020 reached |" in text
    assert "- adult/a.parquet, identifier, read as identifier, right: `x` (why)" in text


def test_every_column_of_the_data_has_a_reading(data_path):
    expert = readings.read_expert()
    assert set(expert) == {*readings.CHOOSING, *readings.JUDGING}
    for name, (file, *_) in readings.TASKS.items():
        folder = name.partition("/")[0]
        columns = datasets.read_parquet(data_path, f"{folder}/{file}").columns
        assert {column for at, column in expert[folder] if at == file} == set(columns)


def test_the_baseline_of_a_snippet_has_the_encoder_of_the_estimator():
    encoder = FieldEncoder(min_frequency=1)
    assert tables.make_baseline("FMRegressor", True, encoder, random_state=0)[0] is encoder
    assert isinstance(tables.make_baseline("FMClassifier", True)[0], FieldEncoder)
    assert isinstance(tables.make_baseline("FMClassifier", False), LogisticRegression)


def test_snippets_name_every_data_set(data_path):
    folders = {path.name for path in data_path.iterdir() if path.is_dir()}
    assert {name.partition("/")[0] for name in tables.SNIPPETS} == folders


@pytest.mark.parametrize("case", ["tables", "raw_clicks"])
def test_cases_of_raw_tables_run(case, data_path, tmp_path, capsys):
    output = tmp_path / "results.jsonl"
    options = ["--quick", "--data", str(data_path), "--output", str(output)]
    if case == "raw_clicks":
        options += ["--models", "FM,LogisticRegression,HistGradientBoosting"]
    assert command_line.main(["run", case, *options]) == 0
    printed = capsys.readouterr().out
    for name in runner.merge_results(runner.read_runs(output)):
        assert f"| {name.partition('/')[0]}" in printed


def test_columns_reports_the_ratio():
    def entry(seconds):
        return {
            "rows": 1000,
            "epoch_seconds": seconds,
            "needed_mb": 100.0,
            "fits": [{"peak_mb": 130.0}, {"peak_mb": 110.0}],
        }

    table = columns.render({"grown 10000": entry(1.0), "grown 1000000": entry(3.0), "same 10000": entry(1.0)})
    assert "3.00 (target <= 2.5000 MISSED)" in table
    assert "<= 0.2000 reached" in table


def answers(value, rounds, **others):
    """An entry as `rivals.in_turn` keeps it."""
    return {"version": "1", "rounds": [{value: seconds, "peak_mb": 1.0, **others} for seconds in rounds]}


def test_throughput_reports_ratios_of_the_same_round():
    results = {f"skfm k={k}": answers("epoch_seconds", [[1.0, 1.0], [2.0]], rows=100) for k in (4, 16)}
    results["xlearn k=16"] = answers("epoch_seconds", [[2.0], [3.0]], rows=100)
    results["machine"] = {"copy_gb_per_s": 10.0}
    table = throughput.render(results)
    assert "copy_gb_per_s" in table
    assert "1.7500" in table
    assert "1.50 to 2.00" in table
    assert ">= 3.0000 MISSED" in table


def test_deep_judges_each_column_count():
    results = {f"skfm {n}": answers("epoch_seconds", [[1.0]], rows=100) for n in deep.COLUMNS}
    results |= {f"deepctr {n}": answers("epoch_seconds", [[3.0]], rows=100) for n in deep.COLUMNS}
    assert deep.render(results).count(">= 4.0000 MISSED") == 2


def test_family_judges_quality_speed_and_compiling():
    scores = {"adult": 0.9, "movielens_liked": 0.7, "criteo": 0.7, "avazu": 0.7}
    results = {f"quality {name}/baseline": {"AUC": [auc]} for name, auc in scores.items()}
    results |= {f"quality {name}/FM": {"AUC": [auc - 0.002]} for name, auc in scores.items()}
    results |= {f"quality {name}/PNN": {"AUC": [auc - 0.004]} for name, auc in scores.items()}
    first = {"rows": 100, "first_epoch_seconds": 3.0}
    results |= {
        f"skfm {what} nfm": answers("epoch_seconds", [[1.0]], **first) for what in ("speed", "10 fields")
    }
    results["deepctr speed nfm"] = answers("epoch_seconds", [[4.0]], rows=100)
    lines = {line.split("|")[1].strip(): line for line in family.render(results).splitlines() if "|" in line}
    assert "reached" in lines["FM"]
    assert "FAIL" in lines["PNN"]
    assert ">= 3.0000 reached" in lines["NFM"]
    assert "<= 4.0000 reached" in lines["NFM"]
    assert "AFM" not in lines


def test_chains_judges_the_gain_over_clicked_rows():
    def entry(scores):
        others = {name: [0.5] * len(scores) for name in ("clicked", "CTR AUC", "click as CVR", "seconds")}
        return {"CVR AUC": scores, "settings": {"tower": "fm"}, **others}

    results = {
        f"selection {law}/{model}, {kind}": entry([score, score + 0.1])
        for law in ("shared", "opposed")
        for model, score in (("ESMM", 0.7), (chains.PLAIN, 0.67))
        for kind in ("defaults", "chosen")
    }
    results["selection shared/ESMM, chosen"] = entry([0.68, 0.78])
    table = chains.render(results)
    assert table.count(">= 0.0200 reached") == table.count(">= 0.0200 MISSED") == 1
    assert table.count("0.0300 +- 0.0000") == 3
    y = np.array([[0, 0], [1, 0], [1, 1], [0, 0]])
    fold = chains.score_chain(y, np.array([0.1, 0.9, 0.8, 0.2]), np.array([0.9, 0.3, 0.6, 0.1]))
    assert fold == {"CTR AUC": 1.0, "CVR AUC": 1.0, "CTCVR AUC": 1.0}
    results = {"hillstrom/ESMM": {name: [value, value] for name, value in fold.items()} | {"seconds": [1, 1]}}
    assert "1.0000 +- 0.0000" in chains.render(results)


def test_columns_know_their_field():
    X, _ = synthetic.make_power_law_rows(200, 30, n_fields=3)
    assert field_of_columns(X).tolist() == [0] * 10 + [1] * 10 + [2] * 10


def test_predict_judges_rows_and_a_row():
    times = {"first": 2.0, "row_seconds": 0.0002}
    results = {"skfm k=16": answers("seconds", [[1.0]], rows=100, **times)}
    results["modern_fm k=16"] = answers("seconds", [[3.0]], rows=100, **times)
    table = predict.render(results)
    assert ">= 2.0000 reached" in table
    assert "<= 0.3000 reached" in table


def test_sequences_judges_attention_and_names_the_rival():
    def attention(auc, **others):
        return {"runs": [{"AUC": auc, "epochs": 3, "fit_seconds": 1.0, **others}]}

    scores = dict.fromkeys(sequences.MEASURES, 0.5)
    run = {"seed": 0, "epochs": 3, "fit_seconds": 1.0, "valid": scores, "test": scores}
    entry = {"users": 9, "chosen": {"learning_rate": 0.1}, "runs": [run]}
    results = {"behaviour toys/deepctr": entry, "attention DIN": attention(0.99, first=0.9)}
    table = sequences.render(results | {"attention FM": attention(0.8)})
    assert "DeepCTR-Torch DIN" in table
    assert ">= 0.9500 reached" in table
    assert "<= 0.7500 MISSED" in table


def test_sequences_the_deciding_entry_has_the_category_of_the_candidate():
    X, y, place = sequences.make_attention_rows(50, 0)
    entries = [history[at].split() for history, at in zip(X.history, place, strict=True)]
    assert [entry[0] for entry in entries] == [item.split()[0] for item in X.item]
    assert [entry[1] == "good" for entry in entries] == (y == 1).tolist()
    assert sequences.share_first([np.array([1.0, -5, 1, 2])], [1], False) == 1.0
    assert sequences.share_first([np.array([1.0, -5, 1, 2])], [1], True) == 0.0


def test_small_judges_by_the_time_of_modern_fm():
    def entry(cold):
        return answers("cold", [cold], warm=[1.0], first=2.0, AUC=0.9)

    results = {"skfm adult": entry(6.0), "skfm, cache adult": entry(4.0), "modern_fm adult": entry(2.5)}
    table = small.render(results)
    assert "<= 5.5000 MISSED" in table
    assert "<= 3.5000 MISSED" in table
    assert table.count("<= 1.0000 reached") == 2


def test_time_to_quality_counts_only_who_reaches_the_loss():
    def entry(seconds, loss):
        return answers("process_seconds", [seconds], log_loss=loss, epochs=3, second_fit_seconds=seconds / 2)

    results = {"skfm fm": entry(1.0, 0.18), "modern_fm fm": entry(2.0, 0.18), "logistic fm": entry(1.0, 0.3)}
    table = time_to_quality.render(results)
    assert "<= 0.8000 reached" in table
    assert "<= 0.3000 MISSED" in table
    assert "not reached: 0.3000" in table


# --- other libraries


def test_absent_rivals_are_said_and_not_raised(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("SKFM_RIVALS", str(tmp_path / "python"))
    assert command_line.main(["run", "throughput", "--quick", "--output", str(tmp_path / "out.jsonl")]) == 2
    assert "make rivals" in capsys.readouterr().err


def test_adapters_answer_in_a_process_of_their_own():
    X, y = synthetic.make_power_law_rows(200, 390, random_state=0)
    common = {"model": "fm", "threads": 1, "seed": 0}
    with rivals.problem_file(train=(X, y), test=(X[:50], y[:50])) as path:
        found = rivals.measure("logistic", "quality", path, epochs=[1000], settings={"C": 0.1}, **common)
        probability = LogisticRegression(max_iter=1000, C=0.1).fit(X, y).predict_proba(X[:50])
        assert found["log_loss"] == [pytest.approx(log_loss(y[:50], probability))]
        assert found["process_seconds"] > 0
        found = rivals.measure("skfm", "train", path, epochs=2, settings={"n_factors": 2}, **common)
        assert len(found["epoch_seconds"]) == 2
        with pytest.raises(RuntimeError, match="logistic failed"):
            rivals.measure("logistic", "quality", path)
    assert not path.exists()


# --- measuring


def test_memory_peak_sees_a_freed_array():
    before = memory.start_peak()
    np.ones(8_000_000)
    assert memory.peak() - before > 32e6
