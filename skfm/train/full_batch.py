"""Full-batch training by L-BFGS in float64, on the columns that the training rows touch."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from scipy import optimize
from threadpoolctl import threadpool_limits

from skfm.models.base import Batch, DenseSlots, Slots, Training
from skfm.train.step import Program, make_slots

# How often the objective was traced, for tests that count compilations.
n_traces = 0


@partial(jax.jit, static_argnames="program")
def value_and_gradient(program: Program, table, dense, averages, blocks, charges, hyper):
    """The objective of the whole data set, the data term alone, and the gradient.

    The objective is ``sum_i s_i loss_i / sum_i s_i`` plus the penalty; the weights in `blocks` sum to 1.
    `charges` is f_j^nu for each row of the table.
    """
    global n_traces
    n_traces += 1
    model, loss, _ = program

    def objective(table, dense):
        total = 0.0
        for block in blocks:
            slots: Slots
            if block.ids is None:
                slots = DenseSlots(model, table, block.values)
            else:
                slots = make_slots(model, table, block.ids, block.values)
            batch = Batch(block.slot_fields, block.weight)
            training = Training(hyper.key, hyper.dropout)
            raw, _ = model.forward(slots, dense, averages, batch, training)
            total = total + jnp.where(block.weight > 0, loss.value(block.y, raw), 0) @ block.weight
        penalty = 0.5 * (charges[:, -1:] * hyper.lanes[1] * jnp.square(table)).sum()
        penalty += 0.5 * hyper.l2_dense * sum(jnp.square(leaf).sum() for leaf in dense["weights"].values())
        return total + penalty, total

    (value, data_term), gradient = jax.value_and_grad(objective, argnums=(0, 1), has_aux=True)(table, dense)
    # The dummy row is no parameter.
    return value, data_term, (gradient[0].at[-1].set(0), gradient[1])


def minimize(program, table, dense, averages, blocks, charges, hyper, *, max_iter, tol, on_iteration):
    """Minimise the objective; returns (table, dense, message or None).

    Parameters
    ----------
    table : (D, W) NumPy array with a row for each touched column
    on_iteration : callable(table, dense, data_term), called after each iteration; may raise StopIteration
    tol : stop when no component of the gradient is larger
    """
    leaves, structure = jax.tree.flatten(dense)
    shapes = [table.shape, *(leaf.shape for leaf in leaves)]
    borders = np.cumsum([np.prod(shape, dtype=int) for shape in shapes])[:-1]
    data_terms = []

    def unravel(vector):
        parts = [part.reshape(shape) for part, shape in zip(np.split(vector, borders), shapes, strict=True)]
        return parts[0], jax.tree.unflatten(structure, parts[1:])

    def evaluate(vector):
        table, dense = unravel(vector)
        value, data_term, gradient = value_and_gradient(
            program, table, dense, averages, blocks, charges, hyper
        )
        flat = np.concatenate([np.ravel(leaf) for leaf in [gradient[0], *jax.tree.leaves(gradient[1])]])
        data_terms.append(float(data_term))
        return float(value), flat

    def callback(intermediate_result):
        on_iteration(*unravel(intermediate_result.x), data_terms[-1])

    start = np.concatenate([np.ravel(leaf) for leaf in [table, *leaves]])
    # Threads of BLAS only get into the way of JAX's on vectors of this size.
    with threadpool_limits(1, user_api="blas"):
        result = optimize.minimize(
            evaluate,
            start,
            jac=True,
            method="L-BFGS-B",
            callback=callback,
            options={"maxiter": max_iter, "maxfun": 2 * max_iter + 20, "gtol": tol, "ftol": 1e-14},
        )
    message = None if result.status in (0, 99) else str(result.message)
    return *unravel(result.x), message
