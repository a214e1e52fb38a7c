"""Which part of a history counts: a deep interest network beside models that sum the history.

Users have bought things of several kinds, good or bad ones. They are shown a thing, and cannot see whether it
is good: they click if theirs of the same kind was. The log is made up, so it is known which entry decides.

    python examples/histories.py
"""

import argparse

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from skfm import DeepFMClassifier, DINClassifier, FieldEncoder, FMClassifier


def make_log(n_rows, n_kinds, rng):
    """Rows of a candidate and a history, clicks, and the place of the entry that decides."""
    items, histories, clicks, places = [], [], [], []
    for _ in range(n_rows):
        kinds = rng.permutation(n_kinds)[: rng.integers(3, 9)]
        good = rng.integers(2, size=kinds.size)
        place = rng.integers(kinds.size)
        items.append(f"{rng.choice(['good', 'bad'])} {kinds[place]}")
        histories.append(
            [f"{'good' if well else 'bad'} {kind}" for kind, well in zip(kinds, good, strict=True)]
        )
        clicks.append(good[place])
        places.append(place)
    return pd.DataFrame({"item": items, "history": histories}), np.array(clicks), np.array(places)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--kinds", type=int, default=80)
    options = parser.parse_args()
    table, click, place = make_log(options.rows, options.kinds, np.random.default_rng(0))
    n_train = options.rows * 4 // 5
    shared = FieldEncoder(shared={"item": ["item", "history"]})
    models = {
        "FM, history summed": FMClassifier(encoder=shared, random_state=0),
        "DeepFM, history summed": DeepFMClassifier(encoder=shared, random_state=0),
        "DIN": DINClassifier(sequence_fields={"history": "item"}, random_state=0),
    }
    for name, model in models.items():
        model.fit(table[:n_train], click[:n_train])
        chance = model.predict_proba(table[n_train:])[:, 1]
        print(f"{name:24} AUC {roc_auc_score(click[n_train:], chance):.3f}")
    weights = models["DIN"].attention(table[n_train:])
    found = np.mean([row.argmax() == known for row, known in zip(weights, place[n_train:], strict=True)])
    print(f"DIN looks most at the entry that decides in {found:.0%} of the rows.")
    for row in range(n_train, n_train + 3):
        print(f"\n{table.item[row]}: {'click' if click[row] else 'no click'}")
        for entry, weight in zip(table.history[row], weights[row - n_train], strict=True):
            print(f"  {weight:5.2f} {entry}")


if __name__ == "__main__":
    main()
