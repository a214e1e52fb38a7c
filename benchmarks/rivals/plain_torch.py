"""DeepFM in plain PyTorch, with dense and with sparse gradients of the tables; the faster counts."""

import time
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from benchmarks.rivals import answer
from benchmarks.rivals.fields import field_ids


class DeepFM(nn.Module):
    """Linear weights and factors side by side in one table."""

    def __init__(self, n_columns, n_fields, n_factors, hidden_layer_sizes, sparse):
        super().__init__()
        self.table = nn.Embedding(n_columns, n_factors + 1, sparse=sparse)
        nn.init.normal_(self.table.weight, std=0.01)
        sizes = [n_fields * n_factors, *hidden_layer_sizes]
        layers = []
        for before, after in pairwise(sizes):
            layers += [nn.Linear(before, after), nn.ReLU()]
        self.tower = nn.Sequential(*layers, nn.Linear(sizes[-1], 1))

    def forward(self, ids):
        """Raw predictions of rows of ids."""
        rows = self.table(ids)
        factors = rows[..., 1:]
        total = factors.sum(1)
        pairs = 0.5 * (total.square().sum(1) - factors.square().sum((1, 2)))
        return rows[..., 0].sum(1) + pairs + self.tower(factors.flatten(1))[:, 0]


def train(parts, *, model, epochs, seed, threads, settings):
    """Fit with dense and sparse gradients; the first epoch is left out."""
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    X, y = parts["train"]
    (ids,), sizes = field_ids(X)
    offsets = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    ids = torch.from_numpy((ids + offsets).astype(np.int64))
    y = torch.from_numpy(y.astype(np.float32))
    found = {}
    for sparse in (False, True):
        network = DeepFM(
            int(sizes.sum()), len(sizes), settings["n_factors"], settings["hidden_layer_sizes"], sparse
        )
        tower = torch.optim.Adam(network.tower.parameters())
        table_solver = torch.optim.SparseAdam if sparse else torch.optim.Adam
        solvers = [tower, table_solver(network.table.parameters())]
        times = [run_epoch(network, solvers, ids, y, settings["batch_size"]) for _ in range(1 + epochs)]
        found["sparse" if sparse else "dense"] = times[1:]
    kind = min(found, key=lambda kind: np.median(found[kind]))
    return {"epoch_seconds": found[kind], "gradients": kind, "by_gradients": found}


def run_epoch(network, solvers, ids, y, batch_size):
    """Seconds of one pass over the shuffled rows."""
    start = time.perf_counter()
    for batch in torch.randperm(len(y)).split(batch_size):
        loss = nn.functional.binary_cross_entropy_with_logits(network(ids[batch]), y[batch])
        for solver in solvers:
            solver.zero_grad()
        loss.backward()
        for solver in solvers:
            solver.step()
    return time.perf_counter() - start


if __name__ == "__main__":
    answer(torch.__version__, train)
