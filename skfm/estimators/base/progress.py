"""One line an epoch, or a progress bar where tqdm is installed and someone is watching."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

from skfm.train.problem import Progress, silent


@contextmanager
def reporter(verbose: int, name: str) -> Iterator[Callable[[Progress, int], None]]:
    """Function of (progress, max_iter) that shows an epoch; verbose 0 shows nothing.

    Parameters
    ----------
    verbose : int
        1: a bar on a terminal where tqdm is installed, else a line an epoch; 2: always lines.
    """
    tqdm = _tqdm() if verbose == 1 and sys.stderr.isatty() else None
    if not verbose:
        yield silent
    elif tqdm is None:
        yield partial(_print_epoch, name)
    else:
        with closing(_Bars(tqdm, name)) as bars:
            yield bars


def _tqdm():
    """The class of bars, or None where tqdm is not installed."""
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm


def _latest(progress: Progress) -> dict[str, str]:
    return {key: f"{values[-1]:.5g}" for key, values in progress.history.items()}


def _labelled(name: str, progress: Progress) -> str:
    return f"{name}, {progress.label}" if progress.label else name


def _print_epoch(name: str, progress: Progress, max_iter: int) -> None:
    if progress.n_iter:
        text = "  ".join(f"{key} {value}" for key, value in _latest(progress).items())
        label = f"{_labelled(name, progress)}:" if progress.label else name
        print(f"{label} {progress.n_iter}/{max_iter}  {text}", flush=True)


class _Bars:
    """A bar for each training of a fit, one after the other."""

    def __init__(self, tqdm, name: str):
        self.tqdm, self.name = tqdm, name
        self.shown: Progress | None = None
        self.bar: Any = None

    def __call__(self, progress: Progress, max_iter: int) -> None:
        if progress is not self.shown:
            self.close()
            self.shown = progress
            self.bar = self.tqdm(desc=_labelled(self.name, progress), total=max_iter, unit="epoch")
        self.bar.set_postfix(_latest(progress), refresh=False)
        self.bar.update(progress.n_iter - self.bar.n)

    def close(self) -> None:
        """Leave the last bar as it is."""
        if self.bar is not None:
            self.bar.close()
