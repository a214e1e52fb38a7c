"""Tables, progress lines and the summary of repeated runs."""

import sys

import numpy as np


def log(message):
    """Print a progress line on standard error, so that standard output holds the tables only."""
    print(message, file=sys.stderr, flush=True)


def format_table(header, rows):
    """Align cells in columns: text to the left, everything else to the right.

    Parameters
    ----------
    header : sequence of str
    rows : sequence of sequences
        Cells are strings or numbers; None is an empty cell.

    Returns
    -------
    str
        The lines of the table in Markdown's form.
    """
    cells = [[format_cell(cell) for cell in row] for row in rows]
    widths = [max(3, len(title), *(len(row[i]) for row in cells)) for i, title in enumerate(header)]
    is_text = [any(isinstance(row[i], str) for row in rows) for i in range(len(header))]

    def line(row):
        padded = (c.ljust(w) if text else c.rjust(w) for c, w, text in zip(row, widths, is_text, strict=True))
        return "| " + " | ".join(padded) + " |"

    rule = ["-" * w if text else "-" * (w - 1) + ":" for w, text in zip(widths, is_text, strict=True)]
    return "\n".join([line(header), line(rule), *map(line, cells)])


def format_cell(value):
    """Show integers whole, other numbers with four decimals, or one from 100 on."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, (int, np.integer)):
        return f"{value:,}"
    return f"{value:.4f}" if abs(value) < 100 else f"{value:,.1f}"


def summarize(values):
    """Mean, standard deviation (0 for one value), least and greatest of repeated measurements."""
    values = np.asarray(values, dtype=float)
    return {
        "mean": float(values.mean()),
        "std": float(values.std(ddof=1)) if len(values) > 1 else 0.0,
        "min": float(values.min()),
        "max": float(values.max()),
    }


def format_spread(values):
    """Format repeated measurements as ``mean +- standard deviation``."""
    summary = summarize(values)
    return f"{summary['mean']:.4f} +- {summary['std']:.4f}"


def format_target(value, target, at_least):
    """Say whether a measured value reaches its target.

    Parameters
    ----------
    value, target : float
    at_least : bool
        True where more is better.
    """
    reached = value >= target if at_least else value <= target
    return f"{'>=' if at_least else '<='} {target:.4f} {'reached' if reached else 'MISSED'}"


def compare(theirs, ours, target=None, *, more_is_better=True):
    """Cells of a rival's row: how many times as good ours is, over the rounds, and the target.

    Parameters
    ----------
    theirs, ours : sequences of float
        One measured value a round, such as seconds; the rounds of both were measured in turn.
    target : float, default=None
    more_is_better : bool
        Whether the cell is ``theirs / ours`` (seconds: how many times as fast we are, at least the target)
        or ``ours / theirs`` (our share of their time, at most the target).
    """
    ratios = [t / o if more_is_better else o / t for t, o in zip(theirs, ours, strict=True)]
    ratio = float(np.median(ratios))
    judged = None if target is None else format_target(ratio, target, at_least=more_is_better)
    return [ratio, f"{min(ratios):.2f} to {max(ratios):.2f}", judged]
