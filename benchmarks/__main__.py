"""Command line: ``python -m benchmarks list | run CASE | show CASE | pages | compare BASE``."""

import argparse
import sys

from benchmarks import compare, datasets, pages, rivals, runner


def parse_seeds(text):
    """Read ``0,1,2`` as a list of integers."""
    return [int(part) for part in text.split(",")]


def build_parser(cases):
    """Make the parser: one sub-parser a case below ``run``, so that each case declares its own options."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Benchmarks of skfm.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="name the cases")
    show = commands.add_parser("show", help="print the tables of an earlier run")
    show.add_argument("case", choices=cases)
    commands.add_parser("pages", help="write the figures into the pages of docs/benchmarks")
    comparison = commands.add_parser(
        "compare", help="is the working tree slower than BASE?", description=compare.__doc__
    )
    compare.add_arguments(comparison)
    run = commands.add_parser("run", help="run a case, print its tables, write benchmarks/results/CASE.jsonl")
    run_cases = run.add_subparsers(dest="case", required=True, metavar="CASE")
    for name, case in cases.items():
        options = run_cases.add_parser(name, help=summary(case), description=case.__doc__)
        options.add_argument("--data", help="folder of the data sets (else $SKFM_DATA, else ../shared/data)")
        options.add_argument(
            "--seeds", type=parse_seeds, default=[0, 1, 2], help="random_state of the repeated fits"
        )
        options.add_argument(
            "--quick", action="store_true", help="a smoke run in a minute or so; its figures mean nothing"
        )
        options.add_argument("--update", action="store_true", help="add the run to those of CASE.jsonl")
        options.add_argument("--output", help="write here instead")
        case.add_arguments(options)
        options.set_defaults(parser=options)
    return parser


def summary(case):
    """First line of a case's docstring."""
    return case.__doc__.strip().splitlines()[0]


def main(arguments=None):
    """Run the command line; returns the exit status."""
    cases = runner.load_cases()
    options = build_parser(cases).parse_args(arguments)
    if options.command == "list":
        for name, case in cases.items():
            print(f"{name:10} {summary(case)}")
        return 0
    if options.command == "compare":
        try:
            return compare.run(options)
        except compare.CompareError as error:
            print(error, file=sys.stderr)
            return 2
    if options.command == "pages":
        pages.write_all(cases)
        return 0
    case = cases[options.case]
    if options.command == "show":
        path = runner.RESULTS / f"{options.case}.jsonl"
        if not path.exists():
            print(f"{path.name} is not there yet: python -m benchmarks run {options.case}", file=sys.stderr)
            return 2
        print(case.render(runner.merge_results(runner.read_runs(path))))
        return 0
    parser = vars(options).pop("parser")
    defaults = {name: parser.get_default(name) for name in vars(options)}
    try:
        results = runner.run_case(case, options, runner.result_path(options, defaults))
    except (datasets.DataNotFoundError, rivals.RivalsNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2
    print(case.render(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
