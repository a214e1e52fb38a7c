"""One line an epoch, or a progress bar where tqdm is installed and someone is watching."""

from __future__ import annotations

import sys


def reporter(verbose, name: str):
    """Function of (progress, max_iter) that shows an epoch; verbose 0 shows nothing.

    Parameters
    ----------
    verbose : int
        1: a bar on a terminal where tqdm is installed, else a line an epoch; 2: always lines.
    """
    if not verbose:
        return lambda progress, max_iter: None
    bar = None
    if verbose == 1 and sys.stderr.isatty():
        try:
            from tqdm import tqdm
        except ImportError:
            pass
        else:
            bar = tqdm(desc=name, unit="epoch")

    def report(progress, max_iter):
        shown = {key: f"{values[-1]:.5g}" for key, values in progress.history.items()}
        if bar is None:
            text = "  ".join(f"{key} {value}" for key, value in shown.items())
            print(f"{name} {progress.n_iter}/{max_iter}  {text}", flush=True)
        else:
            bar.total = max_iter
            bar.set_postfix(shown, refresh=False)
            bar.update(1)

    return report
