"""Conversions after clicks: a model of the whole chain beside one that has seen clicked rows alone.

The log is made up, so the chance of a conversion is known for rows that nobody clicked on, too.

    python examples/conversions.py
"""

import argparse

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from skfm import DeepFMClassifier, ESMMClassifier


def make_log(n_rows, rng):
    """Rows of a user and an item, click and conversion, and what would be converted if clicked."""
    n_users, n_items = 150, 100
    users, items = rng.normal(size=(n_users, 2)), rng.normal(size=(n_items, 2))
    user, item = rng.integers(n_users, size=n_rows), rng.integers(n_items, size=n_rows)
    match = (users[user] * items[item]).sum(axis=1)
    click = rng.random(n_rows) < 1 / (1 + np.exp(3 - 1.5 * match))
    would_convert = rng.random(n_rows) < 1 / (1 + np.exp(1.5 - 1.5 * match))
    table = pd.DataFrame(
        {"user": [f"u{number}" for number in user], "item": [f"i{number}" for number in item]}
    )
    return table, np.column_stack([click, click & would_convert]), would_convert


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=60_000)
    options = parser.parse_args()
    table, y, would_convert = make_log(options.rows, np.random.default_rng(0))
    n_train = options.rows * 2 // 3
    train, test = slice(n_train), slice(n_train, None)
    print(f"{y[:, 0].mean():.1%} of the rows are clicked on, {y[:, 1].mean():.1%} converted.")

    chain = ESMMClassifier(random_state=0).fit(table[train], y[train])
    clicked = np.flatnonzero(y[train, 0])
    alone = DeepFMClassifier(random_state=0).fit(table[train].iloc[clicked], y[clicked, 1])
    print("AUC of the chance of a conversion after a click, over all rows:")
    for name, chance in (
        ("whole chain (ESMM)", chain.predict_proba(table[test])[:, 1]),
        ("clicked rows alone (DeepFM)", alone.predict_proba(table[test])[:, 1]),
    ):
        print(f"  {name:28} {roc_auc_score(would_convert[test], chance):.3f}")


if __name__ == "__main__":
    main()
