"""What docstrings of estimators share; see `tools.signatures`.

A line such as ``{fields}`` stands for the text of that name. Lines between ``{if classifier}`` or
``{if regressor}`` and ``{end if}`` are for one kind of estimator.
"""

from __future__ import annotations

import inspect
import re

_TEXTS = {
    "targets": """
        {if classifier}
        Two classes: ``P(y = classes_[1] | x) = 1 / (1 + exp(-raw(x)))``. More classes: one raw prediction a
        class, under a softmax. Targets of shape (n_samples, n_labels) with 0 and 1 are multilabel: one raw
        prediction a label.
        {end if}
        {if regressor}
        The prediction is ``raw(x)`` in units of y, or ``exp(raw(x))`` with ``loss="poisson"``. Targets of
        shape (n_samples, n_outputs) get one raw prediction an output.
        {end if}
        """,
    "intercept": """
        {if classifier}
        classes_ : ndarray of shape (n_classes,)
            Class labels, sorted; 0, 1, .. for multilabel targets.
        intercept_ : ndarray of shape (n_outputs,)
            Intercepts. n_outputs is 1 for two classes, else the number of classes or labels.
        {end if}
        {if regressor}
        intercept_ : float or ndarray of shape (n_outputs,)
            Intercept in units of y; a float where y was a vector.
        target_scale_ : float or ndarray of shape (n_outputs,)
            Unit of the standardised target: the standard deviation of y in training, or its root mean square
            with ``fit_intercept=False``; 1 with ``loss="poisson"``. All terms of raw(x) but ``intercept_``
            and ``coef_`` are on the scale of the standardised target: times this they are in units of y.
        {end if}
        """,
    "coef": """
        {if classifier}
        coef_ : ndarray of shape (n_outputs, n_features)
            Linear weights; 0 for columns that no training row touched.
        {end if}
        {if regressor}
        coef_ : ndarray of shape (n_features,) or (n_outputs, n_features)
            Linear weights in units of y; 0 for columns that no training row touched.
        {end if}
        """,
    "embeddings": """
        factors_ : ndarray of shape (n_features, n_factors)
            Embeddings, shared by the outputs; 0 for columns that no training row touched.
        """,
    "network_weights": """
        coefs_ : list of ndarray
            Matrix of each layer of the network, shape (n_inputs, n_units); the last one leads to the outputs.
            Batch normalisation is part of it and of ``intercepts_``.
        intercepts_ : list of ndarray
            What each layer adds after its matrix, shape (n_units,); the last one leaves it to ``intercept_``
            and mostly holds zeros.
        """,
    "factors": """
        factors_ : ndarray of shape (n_features, n_factors) or (n_outputs, n_features, n_factors)
            Factors; 0 for columns that no training row touched.
        {if regressor}
            Their products times ``target_scale_`` are in units of y.
        {end if}
        """,
    "attributes": """
        n_features_in_ : int
            Number of columns seen in fit.
        feature_names_in_ : ndarray of shape (n_features,)
            Names of the columns. Only there where X had names that are all strings.
        fields_ : ndarray of shape (n_features,)
            Number of the field of each column, from 0.
        encoder_ : FieldEncoder or None
            What encoded the table; columns of the other attributes are then those that it makes.
        center_ : ndarray of shape (n_features,)
            What is taken off each column first: x_j in the formula stands for ``x_j - center_[j]``. 0 for
            most columns, and for all where the linear weights and the intercept can take the
            difference.
        n_iter_ : int
            Epochs run, or iterations of L-BFGS; calls of partial_fit add up.
        history_ : dict of lists
            One number an epoch of the attempt that was kept, n_iter_ in each list: ``attempt`` and ``epoch``
            (their numbers, from 1), ``loss`` (mean training loss without the penalty), ``learning_rate``
            (mini-batches only), ``validation_loss`` (with held-out rows), ``validation_score`` (with
            held-out rows and a scorer; higher is better) and ``time`` in seconds. With mini-batches the
            loss is taken before each step, so it is an average over the epoch. NaN stands for what some
            epochs have and others lack, such as held-out rows in calls of partial_fit.
        attempts_ : dict of lists
            The same as history_ for the epochs of every attempt, kept or not. There are two where
            automatic penalties are narrow and rows are held out, else one.
        solver_ : str, optax.GradientTransformation or training method
            The solver used.
        plan_ : dict
            What was chosen for the parameters that can be ``"auto"`` and that the solver uses, by their
            names; ``"n_held_out"``, how many rows were held out; and ``"attempt"``, the number of the
            attempt that was kept.
        """,
    "errors": """
        Raises
        ------
        ValueError
            By fit, where X, y or a weight is not what the model can learn from; the message names the
            row, the column and the remedy. Also where L-BFGS meets an L1 penalty or partial_fit, and
            where tables of ``init_from`` do not fit.
        skfm.train.loop.DivergenceError
            A ValueError, by fit, where the loss is not finite or explodes at every one of ever smaller
            learning rates.
        KeyboardInterrupt
            By fit, after Ctrl-C; the estimator keeps the best weights so far and can predict.

        Warns
        -----
        ConvergenceWarning
            By fit, where training was still learning at ``max_iter``, or where nothing was learned.
        """,
    "fields": """
        E_f is the sum of ``x_j v_j`` over the columns j of field f, so a field may have several nonzeros.
        """,
    "network": """
        The layers of MLP are ``h = activation(W h + bias)``, with batch normalisation between the map and
        the activation if asked for, and dropout last; then comes a map to the outputs, which share the
        embeddings.
        """,
    "layers": """
        The layers of networks are ``h = activation(W h + bias)``, with batch normalisation between the map
        and the activation if asked for, and dropout last.
        """,
    "symbols": """
        with sample weights s_i, f_j the share of the sample weight whose rows touch column j, and nu =
        ``l2_frequency_power``. With several outputs the squares are summed over them.
        {if classifier}
        The loss is the log loss; for several classes that of the softmax, for multilabel targets the sum over
        the labels.
        {end if}
        {if regressor}
        The target is standardised, ``(y - mean) / standard deviation`` with sample weights, before the loss
        is taken, so the penalties mean the same in any unit of y; ``loss="poisson"`` takes y as it is.
        Predictions, ``intercept_`` and linear weights are in units of y.
        {end if}
        Intercepts and biases are not penalised. Columns are trained at root mean square 1 and penalised in
        their own units. A numeric column that is far from 0 in most rows (a year, a pressure) is trained less
        its mean, and its weights are penalised as those of the difference.
        """,
}


def completed(text: str, kind: str, parameters: set[str]) -> str:
    """A text with what its lines in braces stand for, in a "classifier" or "regressor" with these parameters.

    Raises
    ------
    KeyError
        If there is no text of a name.
    """
    texts = {name: inspect.cleandoc(shared) for name, shared in _TEXTS.items()}
    texts["objective"] = _objective(parameters) + "\n\n{symbols}"
    named = re.compile(r"^\{(\w+)\}$", re.MULTILINE)
    while named.search(text):  # texts have such lines too
        text = named.sub(lambda line: texts[line[1]], text)
    chosen = re.compile(r"^\{if (\w+)\}\n(.*?)^\{end if\}\n", re.MULTILINE | re.DOTALL)
    return chosen.sub(lambda lines: lines[2] if lines[1] == kind else "", f"{text}\n").strip("\n")


def _objective(parameters: set[str]) -> str:
    """What fit minimises, by the penalties that there are."""
    penalties = {"l2_linear": "l2_linear w_j^2", "l2_factors": "l2_factors ||v_j||^2"}
    squares = [term for name, term in penalties.items() if name in parameters]
    joined = " + ".join(squares)
    lines = [
        "(1 / sum_i s_i) sum_i s_i loss(y_i, raw(x_i))",
        f"+ 1/2 sum_j f_j^nu {f'({joined})' if len(squares) > 1 else joined}",
    ]
    if "l2_dense" in parameters:
        lines.append("+ 1/2 l2_dense ||dense weights||^2")
    if "l1_linear" in parameters:
        lines.append("+ l1_linear sum_j f_j^nu |w_j|")
    return "fit minimises ::\n\n" + "\n".join(f"    {line}" for line in lines)
