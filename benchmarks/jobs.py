"""Fits side by side, each in a process that is bound to one core."""

import os
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from multiprocessing import get_context

_data = None


def add_argument(parser):
    """The option ``--jobs``."""
    parser.add_argument(
        "--jobs", type=int, default=1, help="fits at a time, each on one core; seconds of a fit then are so"
    )


class Workers:
    """Calls functions with data that every process loads once; with one job, here and in turn.

    Parameters
    ----------
    n_jobs : int
    load : function of `arguments` that returns the data
    """

    def __init__(self, n_jobs, load, *arguments):
        self.pool = None
        if n_jobs == 1:
            _start(None, load, arguments)
            return
        context = get_context("spawn")
        cores = context.Queue()
        for number in range(n_jobs):
            cores.put(number % os.cpu_count())
        self.pool = ProcessPoolExecutor(n_jobs, context, _start, (cores, load, arguments))

    def map(self, function, calls):
        """List of ``function(*arguments, data)`` for the arguments of each call."""
        if self.pool is None:
            return [function(*arguments, _data) for arguments in calls]
        futures = [self.pool.submit(_call, function, arguments) for arguments in calls]
        return [future.result() for future in futures]


def _start(cores, load, arguments):
    """Bind this process to a core, which is also how many threads XLA takes, and load the data."""
    global _data
    if cores is not None and hasattr(os, "sched_setaffinity"):  # not on every system
        os.sched_setaffinity(0, {cores.get()})
    _data = load(*arguments)


def _call(function, arguments):
    return function(*arguments, _data)


def at_once(n_threads, tasks):
    """Do tasks in threads.

    Parameters
    ----------
    tasks : dict of functions without arguments

    Yields
    ------
    key, result
        When it is there.
    """
    with ThreadPoolExecutor(n_threads) as pool:
        waiting = {pool.submit(task): key for key, task in tasks.items()}
        for done in as_completed(waiting):
            yield waiting[done], done.result()
