"""Every model: AUC with default parameters, rows a second beside DeepCTR-Torch's, and seconds to compile.

Quality: default parameters but for ``random_state`` on the same one-hot input as LogisticRegression: Adult, a
sample of MovieLens (4 stars or more), and samples of Criteo and Avazu. A model that is behind by more than
0.003 AUC is flagged FAIL.

Speed: 39 one-hot fields, 4x10^4 columns, 8 factors, batches of 4096, hidden layers of 256 and 128 (one of 128
for attention and units of it for Deep Crossing), without dropout and batch normalisation; Adam for networks,
AdaGrad for machines. DeepCTR-Torch has the same sizes, rows and threads and is measured in turn, each in a
fresh process. A figure is the median over the rounds of the median epoch, the first left out. Compiling is
what the first epoch takes longer than the others, in a process without compiled programs, for 39 and for 10
fields.
"""

import os

import numpy as np

from benchmarks import datasets, report, rivals, runner, synthetic
from benchmarks.cases import defaults

WORST = 0.003
DATASETS = {"adult": "Adult", "movielens_liked": "MovieLens", "criteo": "Criteo", "avazu": "Avazu"}
RIVALS = ("deepctr",)
LEAST_RATIO = 3.0
MACHINES = ("fm", "ffm", "fwfm", "afm")  # compiled within 1.5 s, the others within 4
COMPILED_WITHIN = (1.5, 4.0)
N_COLUMNS = 4 * 10**4
COMMON = {"n_factors": 8, "batch_size": 4096}
LAYERS = {"hidden_layer_sizes": [256, 128]}
# Settings of ours and, where it has the model, of DeepCTR-Torch's constructor.
MODELS = {
    "fm": ({}, None),
    "ffm": ({}, None),
    "fwfm": ({}, None),
    "afm": ({"n_attention": 8}, {"attention_factor": 8}),
    "nfm": (LAYERS, {}),
    "deepfm": (LAYERS, {}),
    "wide_deep": (LAYERS, {}),
    "fnn": (LAYERS | {"pretrain": False}, None),
    "pnn": (LAYERS, {}),
    "dcn": (LAYERS, {"cross_parameterization": "matrix"}),
    "xdeepfm": (
        LAYERS | {"cin_layer_sizes": [64, 64]},
        {"cin_layer_size": [64, 64], "cin_split_half": False},
    ),
    "deep_crossing": (LAYERS, None),
    "final_mlp": (LAYERS, None),
}


def add_arguments(parser):
    """What to measure, and of which models."""
    parts = ["quality", "speed", "10 fields"]
    parser.add_argument("--parts", type=runner.names_among(parts), default=parts, help="such as speed")
    every = list(MODELS)
    parser.add_argument("--models", type=runner.names_among(every), default=every, help="such as fm,deepfm")
    parser.add_argument("--rows", type=int, default=50_000)
    rivals.add_arguments(parser, RIVALS, rounds=2)


def run(options, results, save):
    """Measure the parts; keys are ``quality DATASET/STEM`` and ``LIBRARY PART MODEL``."""
    if "quality" in options.parts:
        run_quality(options, results, save)
    run_speed(options, results, save)


def stem_of(model):
    """Stem of the classes of a model."""
    from benchmarks.rivals.estimators import MODELS as STEMS

    return STEMS[model]


def run_quality(options, results, save):
    """Score every model and the baseline on every data set."""
    data = datasets.find_data(options.data)
    for name in DATASETS:
        dataset = getattr(datasets, name)(data)
        splits = list(dataset.encoded_splits())
        if options.quick:
            splits = [defaults.shorten(split) for split in splits[:1]]
        for stem in [defaults.BASELINE, *map(stem_of, options.models)]:
            entry = defaults.evaluate(stem, dataset.task, splits, options.seeds[:1])
            results[f"quality {name}/{stem}"] = entry
            found = (
                entry.get("error") or f"AUC {np.mean(entry['AUC']):.4f} in {sum(entry['fit_seconds']):.0f} s"
            )
            report.log(f"{name}: {stem}: {found}")
            save()


def run_speed(options, results, save):
    """Time every model, and its programs for few fields."""
    n_rows, rounds = (5_000, 1) if options.quick else (options.rows, options.rounds)
    common = {"threads": os.cpu_count(), "seed": options.seeds[0]}
    shapes = {"speed": (39, n_rows, 2), "10 fields": (10, 10_000, 2)}
    for what, (n_fields, size, epochs) in shapes.items():
        if what not in options.parts:
            continue
        problem = synthetic.make_power_law_rows(
            size, N_COLUMNS, n_fields=n_fields, random_state=options.seeds[0]
        )
        with rivals.problem_file(train=problem) as path:
            for model in options.models:
                ours, theirs = MODELS[model]
                solver = "adagrad" if model in MACHINES else "adam"
                settings = {"skfm": COMMON | {"solver": solver} | ours}
                if theirs is not None and what == "speed":
                    hidden = {"dnn_hidden_units": LAYERS["hidden_layer_sizes"]} if model != "afm" else {}
                    settings["deepctr"] = COMMON | {"model": hidden | theirs}
                names = [name for name in rivals.chosen(options, RIVALS) if name in settings]

                def measure_one(adapter, path=path, model=model, epochs=epochs, settings=settings, size=size):
                    found = rivals.measure(
                        adapter,
                        "train",
                        path,
                        model=model,
                        epochs=epochs,
                        **common,
                        settings=settings[adapter],
                    )
                    return found | {"rows": size}

                rivals.in_turn(
                    names, rounds if what == "speed" else 1, measure_one, results, f"{what} {model}", save
                )


def render(results):
    """A table of quality and one of speed."""
    return "\n\n".join(filter(None, [render_quality(results), render_speed(results)]))


def render_quality(results):
    """One row a model: AUC on each data set, and the least difference from LogisticRegression."""
    rows = []
    for stem in [defaults.BASELINE, *map(stem_of, MODELS)]:
        entries = [results.get(f"quality {name}/{stem}") for name in DATASETS]
        if None in entries:
            continue
        scores = [float(np.mean(entry["AUC"])) if "AUC" in entry else None for entry in entries]
        if stem == defaults.BASELINE:
            baseline = scores
            rows.append(["LogisticRegression", *scores, None, None])
            continue
        complete = all(score is not None for score in scores)
        worst = min(score - base for score, base in zip(scores, baseline, strict=True)) if complete else None
        verdict = "FAIL" if worst is None or worst < -WORST else "reached"
        rows.append([stem, *scores, worst, f"{verdict} (-{WORST})"])
    header = ["model", *DATASETS.values(), "worst difference", "target"]
    return report.format_table(header, rows) if rows else ""


def render_speed(results):
    """One row a model: rows a second, how that compares, and seconds to compile."""
    rows = []
    for model in MODELS:
        entry, theirs = (results.get(f"{name} speed {model}") for name in ("skfm", "deepctr"))
        if entry is None:
            continue
        seconds = rivals.rounds_of(entry, "epoch_seconds")
        a_row = float(np.median(seconds)) / entry["rounds"][0]["rows"]
        compared = [None] * 3
        if theirs is not None:
            compared = report.compare(rivals.rounds_of(theirs, "epoch_seconds"), seconds, LEAST_RATIO)
        compiling = [compile_seconds(results.get(f"skfm {what} {model}")) for what in ("10 fields", "speed")]
        limit = COMPILED_WITHIN[model not in MACHINES]
        reached = None
        if None not in compiling:
            reached = report.format_target(max(compiling), limit, at_least=False)
        rows.append([stem_of(model), int(1 / a_row), a_row * 1e6, *compared, *compiling, reached])
    header = [
        "model", "rows / s", "us a row", "x DeepCTR-Torch's", "rounds", "target",
        "compile s, 10 fields", "39 fields", "target",
    ]  # fmt: skip
    return report.format_table(header, rows) if rows else ""


def compile_seconds(entry):
    """Seconds that the first epoch takes longer than the median of the others, the least of the rounds."""
    if entry is None:
        return None
    return min(
        answer["first_epoch_seconds"] - float(np.median(answer["epoch_seconds"]))
        for answer in entry["rounds"]
    )
