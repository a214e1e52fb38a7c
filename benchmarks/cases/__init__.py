"""One module a case; its first docstring line is what ``python -m benchmarks list`` prints.

A case module has three functions:

``add_arguments(parser)``
    declares the options that only this case takes;
``run(options, results, save)``
    measures, puts one JSON-able entry a key into the dict ``results`` (which ``--update`` fills with the
    entries of an earlier run) and calls ``save()`` whenever an entry is complete, so that an interrupted run
    keeps what it has;
``render(results)``
    returns the text of the tables.
"""
