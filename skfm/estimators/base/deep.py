"""What estimators with a network share."""

from __future__ import annotations

from numbers import Integral

import numpy as np

from skfm.estimators.base.parameters import FactorParameters, NetworkParameters
from skfm.estimators.base.tables import FactorTable


class DeepEstimator(FactorTable, FactorParameters, NetworkParameters):
    """Embeddings of fields under hidden layers."""

    _kind = "deep"
    _needs_fields = True

    def _network(self):
        """The hidden layers that the parameters ask for."""
        from skfm.layers.mlp import MLP

        sizes = layer_sizes(self.hidden_layer_sizes)
        return MLP(
            sizes=sizes,
            activation=self.activation,
            dropout=self.dropout > 0,
        )


def layer_sizes(sizes, name: str = "hidden_layer_sizes") -> tuple[int, ...]:
    """Sizes of layers as a tuple; an integer is one layer.

    Raises
    ------
    ValueError
        If a size is no positive integer.
    """
    sizes = [sizes] if np.ndim(sizes) == 0 else list(sizes)
    for layer, size in enumerate(sizes):
        if not isinstance(size, Integral) or size < 1:
            raise ValueError(f"{name}[{layer}] must be a positive integer, got {size!r}.")
    return tuple(int(size) for size in sizes)
