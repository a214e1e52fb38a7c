"""Mixture of M factorization machines under a softmax gate; LS-PLM (Gai 2017) is the linear case."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from skfm.models.base import Hints, Model, Table, fold_linear, pairs_with


@dataclass(frozen=True, kw_only=True)
class MixtureFM(Model):
    """``raw(x) = sum_m p_m(x) h_m(x)`` with ``p = softmax(g_1(x), .., g_M(x))``, or mixed after the link.

    Each gate g_m and expert h_m is linear, the second-order term of an FM, or their sum. `link` is None to
    mix raw scores, else the link of the loss: the inverse links are mixed and the result taken back to
    a raw prediction.

    Attributes
    ----------
    gate, expert : a form of `skfm.names.MIXTURE_FORMS`
    gate_scale : standard deviation of the first linear weights of the gates
    """

    n_components: int = 4
    n_factors: int = 10
    gate: str = "linear"
    expert: str = "linear+fm"
    gate_scale: float = 0.03
    link: str | None = None

    def terms(self, role: str) -> list[str]:
        """Terms of the gates or of the experts: "linear", "fm" or both."""
        return getattr(self, role).split("+")

    @property
    def hints(self):
        forms = {role: self.terms(role) for role in ("gate", "expert")}
        lacking = [f'{role}="linear+fm"' for role, terms in forms.items() if "linear" not in terms]
        return Hints(
            of_sums="JAX",
            starts_still=True,
            without_linear=" and ".join(lacking),
            width_of="components (n_components) or factors",
        )

    def tables(self):
        sizes = {"gate": (self.n_components,), "expert": (self.n_components, self.n_outputs)}
        tables = {}
        for role, shape in sizes.items():
            # Gates that start alike would stay alike: theirs start at random, far enough apart to matter.
            first = self.gate_scale if role == "gate" else "zero"
            terms = self.terms(role)
            if "linear" in terms:
                tables[f"{role}_linear"] = Table(shape, "linear", first)
            if "fm" in terms:
                tables[f"{role}_factors"] = Table((*shape, self.n_factors), "factors", "scale")
        return tables

    def init(self, rng, base_score):
        dense = super().init(rng, base_score)
        if self.fit_intercept:
            dense["offsets"]["intercept"] = np.tile(base_score, (self.n_components, 1))
        dense["offsets"]["gate_intercept"] = np.zeros(self.n_components)
        return dense

    def scores(self, role, slots):
        """Gate scores (B, M) or expert scores (B, M, n_outputs), intercepts left out."""
        terms = self.terms(role)
        linear = slots.sums[f"{role}_linear"] if "linear" in terms else 0.0
        return linear + slots.interactions(f"{role}_factors") if "fm" in terms else linear

    def log_gate(self, slots, dense, averages, batch):
        """Log of the gate's probabilities, (B, M)."""
        scores = self.scores("gate", slots) + dense["offsets"]["gate_intercept"]
        return jax.nn.log_softmax(scores, axis=-1)

    def shifted(self, tables, dense, center, fields):
        tables, offsets = dict(tables), dict(dense["offsets"])
        for role, intercept in (("gate", "gate_intercept"), ("expert", "intercept")):
            factors = tables.get(f"{role}_factors")
            pairs = 0.0 if factors is None else pairs_with(factors, center)
            tables[f"{role}_linear"], offsets[intercept] = fold_linear(
                tables[f"{role}_linear"], offsets[intercept], pairs, center
            )
        return tables, dense | {"offsets": offsets}

    def takes_shift(self, shares_rows):
        return True

    def forward(self, slots, dense, averages, batch, training):
        log_gate = self.log_gate(slots, dense, averages, batch)[:, :, None]
        experts = self.scores("expert", slots) + self.intercept(dense)
        if self.link == "logit":
            positive = jax.nn.logsumexp(log_gate + jax.nn.log_sigmoid(experts), axis=1)
            negative = jax.nn.logsumexp(log_gate + jax.nn.log_sigmoid(-experts), axis=1)
            return positive - negative, averages
        if self.link == "softmax":
            return jax.nn.logsumexp(log_gate + jax.nn.log_softmax(experts, axis=-1), axis=1), averages
        if self.link == "log":
            return jax.nn.logsumexp(log_gate + experts, axis=1), averages
        return (jnp.exp(log_gate) * experts).sum(axis=1), averages
