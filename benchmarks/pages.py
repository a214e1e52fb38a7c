"""The pages of ``docs/benchmarks``, one a case: what is measured, the figures and the runs behind them.

Only what stands between the two marks of a page is written here; the text around them is the author's.
"""

import inspect

from benchmarks import runner

PAGES = runner.REPOSITORY / "docs" / "benchmarks"
START = "<!-- Written by `python -m benchmarks pages` from here -->"
END = "<!-- to here -->"


def write_all(cases):
    """Write the part of every page that follows from the results; a case without a page gets one.

    Parameters
    ----------
    cases : dict of str to module
    """
    PAGES.mkdir(parents=True, exist_ok=True)
    for name, case in cases.items():
        path = PAGES / f"{name}.md"
        text = path.read_text(encoding="utf-8") if path.exists() else f"# {name}\n\n{START}\n{END}\n"
        path.write_text(replace(text, make(name, case)), encoding="utf-8")


def replace(text, written):
    """Put the written part between the marks of a page."""
    before, rest = text.split(START)
    return f"{before}{START}\n\n{written}\n\n{END}{rest.split(END)[1]}"


def make(name, case):
    """Text of a case: its description, and its tables and runs where there are results.

    Parameters
    ----------
    name : str
    case : module
    """
    parts = [f"    python -m benchmarks run {name}", inspect.getdoc(case)]
    path = runner.RESULTS / f"{name}.jsonl"
    if path.exists():
        runs = runner.read_runs(path)
        parts += ["## Figures", case.render(runner.merge_results(runs))]
        parts += ["## Runs", describe_runs(runs), f"Every measurement: `benchmarks/results/{name}.jsonl`."]
    return "\n\n".join(parts)


def describe_runs(runs):
    """A line for each run that results are left of: when, of what, on which machine, and how."""
    run_of_key = {key: i for i, run in enumerate(runs) for key in run["results"]}
    counts = [list(run_of_key.values()).count(i) for i in range(len(runs))]
    return "\n".join(f"- {describe_run(run, n)}" for run, n in zip(runs, counts, strict=True) if n)


def describe_run(run, n_results):
    """One run in a line.

    Parameters
    ----------
    run : dict
        See `runner.read_runs`.
    n_results : int
        How many of its entries no later run has replaced.
    """
    machine, versions = run["machine"], run["versions"]
    device = f", JAX on {machine['jax_device']}" if "jax_device" in machine else ""
    return (
        f"{run['date']}, revision `{run['git_revision']}`, {machine['cpu_count']} cores of "
        f"{machine['cpu_model']}{device}; {n_results} results. "
        f"With {', '.join(f'{package} {version}' for package, version in versions.items())}. "
        f"Settings: {', '.join(f'{key}={value}' for key, value in run['settings'].items())}."
    )
