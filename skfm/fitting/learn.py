"""From checked rows to what was learned: encode, plan, hold out, pose the problem, solve it."""

from __future__ import annotations

import contextlib
import copy
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import compress, zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state

from skfm.data.batches import Samples
from skfm.data.columns import Total
from skfm.data.encode import FieldEncoder, Learning
from skfm.data.fields import Fields, field_numbers, resolve_fields
from skfm.data.spool import temporary_folder
from skfm.data.statistics import Evidence, Heard, mark_of
from skfm.data.units import Units
from skfm.data.validate import place_of, rows_named
from skfm.fitting.duplicates import merge_duplicates
from skfm.fitting.inputs import Encoding, InputColumns, Reader, Rows, read_rows
from skfm.fitting.plan import AUTO, Continued, Facts, Plan, Settings, make_plan, validation_fraction
from skfm.fitting.prior import prior_precision
from skfm.fitting.streams import CheckedStream, is_stream, spool_rows
from skfm.fitting.targets import Seen, SeenOfStream, Targets, UnknownLabelError
from skfm.train.method import is_method, method_of
from skfm.train.problem import Behind, Naming, Problem, Progress, Result, Start, joined, n_entries, silent

# Means of counts that differ by less than this factor, of which it is the logarithm, are alike.
_SAME_MEAN = np.log(2)
# Deviations from the mean whose square leaves too few digits for the losses of other rows.
_IN_REACH = 1e7

_FIT_ANEW = "Fit anew: with warm_start=False, or a clone of the estimator."
_START_ANEW = "Give both estimators the same labels or outputs, or leave init_from out."


class Given(NamedTuple):
    """Rows, or a stream in place of X, as they were given."""

    X: Any = None
    y: Any = None
    weight: Any = None

    @property
    def is_empty(self) -> bool:
        """Whether there are none."""
        return self.X is None and self.y is None


@dataclass(frozen=True)
class Learned:
    """What a fit has learned: all that prediction, inspection and a later fit need.

    Attributes
    ----------
    columns : the columns of X
    encoding : how X becomes rows in the columns that are learned from
    targets : which y there was
    seen : what is known of the y that units and first intercepts come from, earlier calls included
    heard : what the rows say, those of earlier calls included
    fields : field of each column, and the row of the tables that it uses
    needs_fields : whether the model tells fields apart
    plan : what was chosen
    seed : of all that was random
    model : configuration
    parameters : weights, for rows in standard units, and these
    history : one number an epoch in each list, of every attempt
    n_iter : epochs run
    prior : number of the prior of the plan that the weights were learned under
    session : what `partial_fit` goes on from, or None after a fit
    interrupted : whether Ctrl-C ended training early
    message : that the method stopped before its end, why, and what to do; or None
    pretrained : the machine that the weights started from, where one was fitted on the way
    settled : parameters of the estimator that later calls may have to keep, by name
    """

    columns: InputColumns
    encoding: Encoding
    targets: Targets
    seen: SeenOfStream
    heard: Heard
    fields: Fields
    needs_fields: bool
    plan: Plan
    seed: int
    model: Any
    parameters: Any
    history: dict[str, list[float]]
    n_iter: int
    prior: int = 0
    session: Any = None
    interrupted: bool = False
    message: str | None = None
    pretrained: Pretrained | None = None
    settled: dict[str, Any] = field(default_factory=dict)

    @property
    def loss(self):
        """The loss of the targets."""
        return self.targets.loss

    @property
    def is_normalized(self) -> bool:
        """Whether hidden layers are normalised over the batch."""
        return bool(self.model.init_averages()) and self.model == self.model.normalized()

    @property
    def history_of_kept(self) -> dict[str, list[float]]:
        """The history of the attempt that was kept."""
        kept = [number == self.prior + 1 for number in self.history.get("attempt", ())]
        return {name: list(compress(entries, kept)) for name, entries in self.history.items()}

    def tables(self) -> dict[str, np.ndarray]:
        """Rows of each table for the columns in standard units, (n_columns, *shape) by name."""
        rows = self.fields.rows
        chosen = slice(self.fields.numbers.size) if rows is None else rows
        return self.model.split(self.parameters.table[chosen])

    def in_units_of_x(self) -> tuple[dict[str, np.ndarray], Any]:
        """Tables and dense weights of the same function of ``x - center``; see `center`."""
        tables, dense = self._in_units_of_x()
        return self._folded(tables, dense) or (tables, dense)

    def _in_units_of_x(self) -> tuple[dict[str, np.ndarray], Any]:
        tables, scale = self.tables(), self.parameters.units.scale
        if scale is not None:
            # A column of tiny values may have weights that no number can say.
            with np.errstate(over="ignore"):
                tables = {
                    name: table / scale.reshape(-1, *[1] * (table.ndim - 1)) for name, table in tables.items()
                }
        return tables, self._dense

    @property
    def _dense(self) -> dict[str, dict[str, np.ndarray]]:
        """Dense weights in float64."""
        return {kind: _exact(leaves) for kind, leaves in self.parameters.dense.items()}

    def _folded(self, tables, dense):
        center = self.parameters.units.center
        if center is None:
            return None
        with np.errstate(over="ignore", invalid="ignore"):
            return self.model.shifted(tables, dense, center, self.fields.numbers)

    def attributes(self) -> dict[str, Any]:
        """What prediction needs beside tables and intercepts; see `skfm.models.base.Model.attributes`."""
        return self.model.attributes(self._dense, _exact(self.parameters.averages))

    @property
    def center(self) -> np.ndarray:
        """What the tables in the units of X take off each column: 0 where another weight takes the shift."""
        units = self.units_of_terms
        return np.zeros(self.fields.numbers.size) if units.center is None else units.center

    @property
    def units_of_terms(self) -> Units:
        """Units of columns in which the terms of the model are those of the tables in the units of X."""
        units = self.parameters.units
        return units if self._folded(*self._in_units_of_x()) is None else units._replace(center=None)

    @property
    def encoder(self) -> FieldEncoder | None:
        """What encodes a table, or None."""
        return self.encoding.encoder

    def map(self, output: Callable, X: sparse.csr_array, units: Units | None = None) -> np.ndarray:
        """An output of the model, a function of its class, for each row of encoded X.

        Parameters
        ----------
        units : those that the columns are brought to, if not those of the parameters
        """
        from skfm.train.predict import map_matrix

        parameters = self.parameters if units is None else self.parameters.in_units(units)
        return map_matrix(output, self.model, parameters, X, packed_fields(self.fields, self.needs_fields))


def _exact(leaves: dict[str, Any]) -> dict[str, np.ndarray]:
    """Copies in float64."""
    return {name: np.array(leaf, dtype=np.float64) for name, leaf in leaves.items()}


class Pretrained(NamedTuple):
    """A machine that was fitted on the way.

    Attributes
    ----------
    parameters : those of its estimator
    learned : what it has learned
    """

    parameters: dict[str, Any]
    learned: Learned


class Context(NamedTuple):
    """What is known before a model is made.

    Attributes
    ----------
    columns : the columns of X
    encoding : how X becomes rows in the columns that are learned from
    before : the fit of the same estimator that this one goes on from or starts from, or None
    incremental : whether this is a call of partial_fit
    source : the fit of another estimator that this one starts from, or None
    """

    columns: InputColumns
    encoding: Encoding
    before: Learned | None = None
    incremental: bool = False
    source: Learned | None = None

    @property
    def resumed(self) -> Learned | None:
        """The fit that a call of partial_fit goes on from."""
        return self.before if self.incremental else None

    @property
    def taken_over(self) -> Learned | None:
        """The fit whose weights, and with them the units of y, are taken over."""
        return self.source if self.before is None else self.before

    @property
    def continued(self) -> Learned | None:
        """The fit whose rows, to a call of partial_fit, are those before its own: that of `init_from` too."""
        return self.taken_over if self.incremental else None

    def name_column(self, column: int) -> str:
        """What a message calls a column that is learned from."""
        encoder, names = self.encoding.encoder, self.columns.names
        names = names if encoder is None else encoder.get_feature_names_out()
        return str(column) if names is None else repr(str(names[column]))


def packed_fields(fields: Fields, needs_fields: bool) -> Fields | None:
    """What packing has to know: fields if the model tells them apart, shared rows, or nothing."""
    if needs_fields:
        return fields
    return None if fields.rows is None else Fields(np.zeros_like(fields.numbers), 1, fields.rows)


# -- rows --------------------------------------------------------------------------------------------


def read(given: Given, reader: Reader, targets: Targets) -> Rows | CheckedStream:
    """Checked rows, or a stream that checks its chunks when they are read."""
    if is_stream(given.X):
        return CheckedStream(given.X, reader, targets)
    return read_rows(given.X, given.y, given.weight, reader, targets)


@contextlib.contextmanager
def of_rows_with_weight(are_weighed: bool):
    """Let errors of what targets learn say which rows that is: a row of weight 0 is no row."""
    try:
        yield
    except ValueError as error:
        # A row is named by its number among all.
        if not are_weighed or rows_named(str(error)):
            raise
        raise ValueError(f"Of the rows with a sample_weight above 0: {error}") from error


def teach(
    encoder: FieldEncoder | None, source: Rows | CheckedStream, *, incremental: bool, counts_on: bool
) -> FieldEncoder | None:
    """The encoder after it has learned from the rows, beside those of earlier calls if `incremental`.

    Parameters
    ----------
    counts_on : whether it is to count rare values, and to look at numbers again, in calls of partial_fit
    """
    if encoder is None:
        return None
    first = not hasattr(encoder, "fields_")
    # A copy: the estimator that was fitted with it keeps what it has.
    encoder = copy.copy(encoder) if first or incremental else encoder.renewed()
    how = Learning(first, counts_on, incremental, checked_before=True)
    if isinstance(source, CheckedStream):
        return source.teach(encoder, how)
    return encoder.learn_chunks([(source.X, source.weight, source.numbers)], how)


class Data(NamedTuple):
    """Rows in the columns that are learned from, with targets in the loss's terms.

    Attributes
    ----------
    samples : all rows, or those to train on where others were held out while they were read
    held_out : rows to stop on that were given, or held out while a stream was read; else None
    facts : what is known of the rows before any are held out
    heard : what these rows, and those of the calls before, say
    targets : those that the samples were encoded by
    naming_held_out : see `skfm.train.problem.Problem`
    """

    samples: Samples
    held_out: Samples | None
    facts: Facts
    heard: Heard
    targets: Targets
    naming_held_out: Naming | None = None


class Intake(NamedTuple):
    """What turns given rows into samples.

    Attributes
    ----------
    reader : checks X
    encoding : makes rows of X
    targets : encode y
    folder : where rows of a stream may stay, or None to put them in memory
    """

    reader: Reader
    encoding: Encoding
    targets: Targets
    folder: Path | None = None

    def encoded(self, rows: Rows) -> Rows:
        """Rows in the columns that are learned from."""
        with rows.of_errors():
            return rows._replace(X=self.encoding(rows.X))

    def samples(self, rows: Rows) -> Samples:
        """Encoded rows with targets in the loss's terms."""
        return self.numbered(rows)[0]

    def numbered(self, rows: Rows) -> tuple[Samples, Rows]:
        """The same, and which rows these are."""
        with rows.of_errors():
            samples = Samples(rows.X, *self.targets.encode(rows.y, rows.weight, rows.task_weights))
        # Without X, which would be kept with their numbers.
        rows = rows._replace(X=rows.weight)
        # Class weights may be 0.
        keep = samples.weight > 0
        if not sparse.issparse(samples.X) or keep.all():
            return samples, rows
        return samples.take(keep), rows.take(keep)


def gather_held_out(given: Given, intake: Intake) -> tuple[Samples | None, Naming | None]:
    """Rows to stop on that were given to fit, and what names them; those of a long stream stay on disk."""
    if given.is_empty:
        if given.weight is not None:
            raise ValueError("sample_weight_val goes with X_val and y_val: give all or none.")
        return None, None
    if not is_stream(given.X):
        if given.X is None or given.y is None:
            raise ValueError("X_val and y_val go together: give both or neither.")
        with _naming_held_out():
            rows = intake.encoded(read_rows(given.X, given.y, given.weight, intake.reader, intake.targets))
            samples, rows = intake.numbered(rows)
            return _weighed(samples), partial(_naming_held_out, rows.of_errors)
    if given.y is not None or given.weight is not None:
        raise ValueError(
            "X_val is a stream, which holds targets and weights: give neither y_val nor weights."
        )
    stream = CheckedStream(given.X, intake.reader, intake.targets)
    with contextlib.ExitStack() as stack, _naming_held_out():
        folder = intake.folder or stack.enter_context(temporary_folder(getattr(given.X, "folder", None)))
        (folder / "given").mkdir()
        spooled = spool_rows(stream, intake.encoding, folder / "given")
        is_whole = intake.folder is None or spooled.is_small
        X = spooled.in_memory() if is_whole else spooled.spools[0]
        with spooled.of_errors():
            samples, rows = intake.numbered(spooled.rows._replace(X=X))
            return _weighed(samples), partial(_naming_held_out, spooled.of_errors, rows.of_errors)


def _weighed(held_out: Samples) -> Samples:
    if not held_out.weight.any():
        raise ValueError("No row of X has a weight, by sample_weight and class_weight: give others.")
    return held_out


# Arguments in messages, but not labels in quotes, nor parts of paths.
_ARGUMENT = re.compile(r"(?<![\w'\"/\\])(X|y|sample_weight)(?![\w'\"=/\\])")


@contextlib.contextmanager
def _naming_held_out(*places: Naming):
    """Let errors name the arguments by which rows to stop on are given, and rows by their `places`."""
    try:
        with contextlib.ExitStack() as stack:
            for place in places:
                stack.enter_context(place())
            yield
    except UnknownLabelError as error:
        cause = _ARGUMENT.sub(r"\1_val", error.cause)
        raise ValueError(f"{cause}. Drop that row, or add rows with this label to y.") from error
    except (ValueError, TypeError) as error:
        message, n_named = _ARGUMENT.subn(r"\1_val", str(error))
        raise type(error)(message if n_named else f"Of X_val and y_val: {message}") from error


def gather(samples: Samples, given: Given, intake: Intake, context: Context) -> Data:
    """Data of rows in memory, and of held-out rows that were given."""
    held_out, naming = gather_held_out(given, intake)
    chunk = Evidence.of(samples.X, samples.weight, intake.encoding.table_rows), mark_of(*samples)
    known = context.continued
    heard = Heard(chunk[0], chunk[1:]) if known is None else known.heard.then(*chunk)
    facts = Facts(
        n_rows=samples.X.shape[0],
        n_entries=samples.X.nnz,
        weight=heard.evidence.total.n,
        evidence=heard.evidence.of_columns,
        has_given=held_out is not None,
        incremental=context.incremental,
    )
    return Data(samples, held_out, facts, heard, intake.targets, naming)


def gather_stream(
    stream: CheckedStream, given: Given, intake: Intake, context: Context, share: float, random_state
) -> Data:
    """Data of a stream; few rows are put in memory.

    Parameters
    ----------
    intake : its targets have not learned yet
    share : of the rows to hold out, should there be many
    """
    assert intake.folder is not None
    spooled = spool_rows(stream, intake.encoding, intake.folder, share, random_state)
    is_small = spooled.is_small
    with of_rows_with_weight(stream.has_weights), spooled.of_errors():
        intake = intake._replace(targets=intake.targets.learn(*(rows.y for rows in spooled.chunks)))
    with spooled.of_errors():
        rows = spooled.rows
        everything = intake.samples(rows._replace(X=spooled.in_memory()) if is_small else rows)
    if is_small:
        return gather(everything, given, intake, context)
    members = ~spooled.is_held_out, spooled.is_held_out
    train, kept = (
        Samples(spool, everything.y[chosen], everything.weight[chosen])
        for spool, chosen in zip(spooled.spools, members, strict=True)
    )
    held_out, naming = gather_held_out(given, intake)
    n_rows, n_train = everything.y.shape[0], train.y.shape[0]
    of_train = Evidence.of(train.X, train.weight, intake.encoding.table_rows)
    evidence = Evidence(Total.of(everything.weight), of_train.touched * (n_rows / n_train))
    facts = Facts(
        n_rows=n_rows,
        n_entries=sum(spool.nnz for spool in spooled.spools),
        weight=evidence.total.n,
        evidence=evidence.of_columns,
        in_memory=False,
        n_held_out=n_rows - n_train,
        has_given=held_out is not None,
    )
    if held_out is None and share:
        held_out = kept
    # Rows on disk are not read again to know them: a pass over them in calls of partial_fit is new.
    return Data(train, held_out, facts, Heard(evidence, (-1,)), intake.targets, naming)


def stream_share(settings: Settings, given: Given) -> float:
    """Share of a stream's rows to hold out while they are read."""
    if not given.is_empty or settings.early_stopping is False:
        return 0.0
    return validation_fraction(settings)


# -- from data to a problem, and from its result to what was learned ----------------------------------


def split_rows(kinds: np.ndarray, n_held_out: int, random_state) -> tuple[np.ndarray, np.ndarray]:
    """Rows to train on and rows to hold out, at random, both with each kind of row in its share.

    A row that is alone in its kind is trained on. Where shares leave a kind without rows to train on, one of
    each kind is trained on; where too few others are left, fewer are held out.

    Parameters
    ----------
    kinds : (n_rows,) kind of each row
    """
    rng, rows = check_random_state(random_state), np.arange(kinds.size)
    kinds, counts = np.unique(kinds, return_inverse=True, return_counts=True)[1:]
    keeps = counts[kinds] < 2
    n_kinds, n_split = int(np.count_nonzero(counts > 1)), int(np.count_nonzero(~keeps))
    if n_kinds <= min(n_held_out, n_split - n_held_out):
        split = rows[~keeps]
        stratify = kinds[split] if n_kinds > 1 else None
        train, held_out = train_test_split(split, test_size=n_held_out, random_state=rng, stratify=stratify)
        if keeps.any():
            train = rng.permutation(np.append(train, rows[keeps]))
        if np.unique(kinds[train]).size == counts.size:
            return train, held_out
    order = rng.permutation(rows)
    spare = np.delete(order, np.unique(kinds[order], return_index=True)[1])
    if not spare.size:
        raise ValueError(
            f"No row can be held out for early stopping, for each of the {rows.size} rows is alone in its "
            f"class. Give early_stopping=False, or rows to stop on as X_val and y_val."
        )
    held_out = spare[:n_held_out]
    return rng.permutation(np.delete(rows, held_out)), held_out


def hold_out(data: Data, plan: Plan, random_state) -> Data:
    """Data with the rows that the plan holds out."""
    if data.facts.n_held_out is not None:
        return data
    samples, facts = data.samples, data.facts
    if not plan.n_held_out:
        return data._replace(facts=facts._replace(n_held_out=0))
    train, held_out = split_rows(data.targets.kinds(samples.y), plan.n_held_out, random_state)
    facts = facts._replace(n_held_out=held_out.size)
    return data._replace(samples=samples.take(train), held_out=samples.take(held_out), facts=facts)


class TargetUnits(NamedTuple):
    """Units and constants that targets are trained in.

    Attributes
    ----------
    seen : what is known of the y that they come from
    base_score : the best constant raw prediction, (n_outputs,)
    base_moved : by how much it has moved since the weights taken over were learned; None where the intercept
        is learned anew or stays
    """

    seen: SeenOfStream
    base_score: np.ndarray
    base_moved: np.ndarray | None = None


def in_standard_units(data: Data, plan: Plan, context: Context) -> tuple[Data, TargetUnits]:
    """Data as the loss takes them: equal rows merged where that is sound, targets standardised.

    Units come from the rows to train on, in calls of partial_fit from the rows of all calls; those that
    weights were learned in stay while they are about right, else the weights are read in the new ones.
    """
    samples, held_out, targets = data.samples, data.held_out, data.targets
    n_rows = samples.y.shape[0]
    if plan.merges_duplicates:
        samples = Samples(*merge_duplicates(*samples))
    here = targets.seen(samples.y, samples.weight)._replace(n_rows=n_rows)
    targets, units = _units(targets, here, context)
    samples = samples._replace(y=targets.standardize(samples.y))
    if held_out is not None:
        standardized = targets.standardize(held_out.y)
        if targets.loss.standardizes_target:
            _check_in_reach(held_out.y, standardized, data.naming_held_out)
        held_out = held_out._replace(y=standardized)
    return data._replace(samples=samples, held_out=held_out, targets=targets), units


def _check_in_reach(y: np.ndarray, standardized: np.ndarray, naming: Naming | None) -> None:
    """Raise ValueError if targets of held-out rows are so far from the others that no other row counts."""
    distance = np.abs(standardized)
    if distance.max(initial=0.0) <= _IN_REACH:
        return
    position = int(distance.argmax())
    where = "" if naming is None else f" at {place_of(y, position)}"
    with (naming or contextlib.nullcontext)():
        raise ValueError(
            f"y holds {y.flat[position]:g}{where}, {distance.max():.3g} times as far from the mean of the "
            f"rows to train on as is usual there: beside its loss, those of the other rows to stop on are "
            f"lost in rounding. Mend it, or drop that row."
        )


def _units(targets: Targets, here: Seen, context: Context) -> tuple[Targets, TargetUnits]:
    """Targets that know their units, and these.

    Parameters
    ----------
    here : what is known of the y to train on
    """
    known = context.taken_over
    if context.before is not None:
        targets.check_like(context.before.targets, _FIT_ANEW)
    if known is None or known.targets.n_outputs != targets.n_outputs:
        targets = targets.standardized(here)
        n_rows = here.n_rows if context.incremental else None
        return targets, TargetUnits(SeenOfStream(here).compact(), targets.base_score(here, n_rows))
    _check_same_scale(targets, context)
    if context.before is None:
        # Weights of a class are found by its number.
        targets.check_like(known.targets, _START_ANEW)
    seen = known.seen
    if known.loss != targets.loss:
        seen = SeenOfStream(seen.total._replace(of_loss=here.of_loss))
    elif context.continued is not None:
        before, seen = seen.total, seen.then(here)
        targets = targets.standardized(seen.total, known.targets)
        base_score = targets.base_score(seen.total, seen.total.n_rows)
        moved = base_score - known.targets.base_score(before, before.n_rows)
        return targets, TargetUnits(seen.compact(), base_score, moved)
    targets = targets.standardized(here, known.targets)
    units = (targets.location, targets.scale), (known.targets.location, known.targets.scale)
    is_same = all(map(np.array_equal, *units))
    base_score, moved = targets.base_score(here, here.n_rows), None
    if targets.loss.link == "log" and known.loss == targets.loss:
        # The unit of counts is their mean, of which the intercept is the logarithm.
        moved = base_score - known.targets.base_score(known.seen.total, known.seen.total.n_rows)
        moved = np.where(np.abs(moved) > _SAME_MEAN, moved, 0.0)
        is_same = is_same and not moved.any()
    seen = seen if is_same else SeenOfStream(here).compact()
    return targets, TargetUnits(seen, base_score, moved)


def find_fields(given, X, encoder: FieldEncoder | None, n_features: int) -> tuple[Fields, int]:
    """Field of each column that is learned from, and its row of the tables.

    Parameters
    ----------
    given : the parameter `fields`
    n_features : columns of X before it was encoded

    Returns
    -------
    fields : Fields
    n_blocks : int
        The number of blocks that were found but are too many to be fields; else 0.
    """
    n_blocks, rows = 0, None
    if encoder is None:
        numbers, n_blocks = resolve_fields(given, X)
    else:
        numbers, rows = encoder.fields_, encoder.table_rows_
        if not isinstance(given, str):
            labels = field_numbers(np.zeros(n_features) if given is None else given, n_features)
            crosses = labels.max() + 1 + np.arange(len(encoder.crosses))
            numbers = np.append(labels, crosses)[encoder.field_columns_[numbers]]
    return Fields(numbers, int(numbers.max(initial=0)) + 1, rows), n_blocks


class Shape(NamedTuple):
    """What a model is made for.

    Attributes
    ----------
    n_outputs : raw predictions a sample
    loss : the loss of the targets
    fields : field of each column, and its row of the tables
    encoder : what encodes a table, or None
    """

    n_outputs: int
    loss: Any
    fields: Fields
    encoder: FieldEncoder | None

    @property
    def n_fields(self) -> int:
        """Number of fields."""
        return self.fields.n


class Prepared(NamedTuple):
    """All that a fit needs but a model.

    Attributes
    ----------
    plan : what was chosen
    data : rows, some of them held out, in the units of y
    posed : the same as the loss takes them
    units : those that targets are trained in
    fields : field of each column, and the row of the tables that it uses
    n_blocks : see `find_fields`
    seed : of all that is random
    """

    plan: Plan
    data: Data
    posed: Data
    units: TargetUnits
    fields: Fields
    n_blocks: int
    seed: int

    def shape(self, context: Context) -> Shape:
        """What the model has to fit."""
        targets = self.posed.targets
        return Shape(targets.n_outputs, targets.loss, self.fields, context.encoding.encoder)


def prepare(data: Data, settings: Settings, context: Context, fields, random_state) -> Prepared:
    """Plan, hold rows out, draw the seed, standardise targets and find fields, in this order.

    Parameters
    ----------
    fields : the parameter of the estimators
    """
    resumed, continued = context.resumed, _continued(context)
    settings = _as_before(settings, context)
    plan = make_plan(settings, data.facts, continued)
    if settings.chooses_precision and not context.incremental:
        samples, table_rows = data.samples, context.encoding.table_rows
        row = Total.of(samples.weight).row
        if plan.merges_duplicates:
            # As for training. After `row`: a sum of weights does not tell of how many rows it is.
            samples = Samples(*merge_duplicates(*samples))
        weight = samples.weight / row
        precision = prior_precision(samples.X, data.targets.scores(samples.y, weight), weight, table_rows)
        data = data._replace(facts=data.facts._replace(prior_precision=precision))
        plan = make_plan(settings, data.facts, continued)
    data = hold_out(data, plan, random_state)
    plan = plan._replace(n_held_out=data.facts.n_held_out or 0)
    seed = new_seed(random_state) if resumed is None or resumed.session is None else resumed.seed
    posed, units = in_standard_units(data, plan, context)
    n_blocks, encoder = 0, context.encoding.encoder
    if resumed is not None and encoder is None:
        found = resumed.fields
    else:
        found, n_blocks = find_fields(fields, posed.samples.X, encoder, context.columns.n)
    return Prepared(plan, data, posed, units, found, n_blocks, seed)


def _continued(context: Context) -> Continued | None:
    """What a plan takes from the calls of partial_fit before."""
    resumed = context.resumed
    return None if resumed is None else Continued(resumed.plan, resumed.session is not None, resumed.prior)


def _as_before(settings: Settings, context: Context) -> Settings:
    """Settings under which weights of the fit before stay those of their model, under its penalties."""
    known = context.before
    if settings.batch_norm != AUTO or known is None:
        return settings
    if not known.is_normalized:
        return settings._replace(batch_norm=False)
    prior = known.plan.prior_of(known.prior)
    names = ["l2_factors", "l2_dense", *["l2_linear"] * settings.embeds_linear]
    kept = {name: getattr(prior, name) for name in names if isinstance(getattr(settings, name), str)}
    return settings._replace(batch_norm=True, is_stochastic=True, **kept)


def check_columns(
    data: Data, settings: Settings, context: Context, make_model: Callable[[Shape], Any]
) -> None:
    """Raise ValueError if the columns of a matrix are too many, before anything of their number is made.

    Parameters
    ----------
    make_model : makes the model; one of a single field is no wider than that of the fields to be found
    """
    from skfm.train.memory import check_memory

    plan, targets = make_plan(_as_before(settings, context), data.facts, _continued(context)), data.targets
    if context.encoding.encoder is None and not is_method(plan.solver):
        one_field = Fields(np.empty(0, np.int32), 1)
        model = make_model(Shape(targets.n_outputs, targets.loss, one_field, None))
        check_memory(data.samples.X, model, plan.dtype)


def check_weights(model, prepared: Prepared) -> None:
    """Raise ValueError if the weights of a model are too many, before any of them is made."""
    from skfm.train.memory import check_memory, check_memory_of_weights

    if not is_method(prepared.plan.solver):
        check_memory(prepared.posed.samples.X, model, prepared.plan.dtype)
        check_memory_of_weights(model, 3 * prepared.plan.dtype.itemsize)


def _check_same_scale(targets: Targets, context: Context) -> None:
    """Raise ValueError if weights that are taken over predict on another scale than the loss takes."""
    assert context.taken_over is not None
    known, loss = context.taken_over.loss, targets.loss
    if (known.link, known.standardizes_target) == (loss.link, loss.standardizes_target):
        return
    if context.before is None:
        raise ValueError(
            f"The estimator of init_from was fitted with {known}, and {loss} takes raw predictions on "
            f"another scale: start from one with a loss of the same link, or leave init_from out."
        )
    raise ValueError(
        f"The weights to go on from are those of {known}, and {loss} takes targets on another scale. Set "
        f"loss back, or fit anew: with warm_start=False, or a clone of the estimator."
    )


def warm_start(prepared: Prepared, context: Context, model, first: Start | None) -> Start | None:
    """Weights to start from: those of the fit before, else `first`; None with a session, which has them.

    Raises
    ------
    ValueError
        If tables have not the shape that the model needs.
    """
    before, start, n_columns = context.before, first, prepared.fields.numbers.size
    if context.source is not None and context.encoding.encoder is not None:
        # The encoder may have learned more values since.
        n_columns = context.source.fields.numbers.size
    if before is not None:
        if context.incremental and before.session is not None:
            return None
        known = before.parameters
        start = Start(before.tables(), known.units, before.heard.evidence, known.dense, known.averages)
        n_columns = before.fields.numbers.size
        _check_dense(model, start)
    if start is None:
        return None
    known, encoder = context.taken_over, context.encoding.encoder
    misfit = _misfit(model, start.tables, n_columns)
    if misfit is not None:
        if known is not None:
            # Other targets may be why; tables that know none fit all.
            prepared.posed.targets.check_like(known.targets, _START_ANEW)
        raise ValueError(misfit)
    if known is not None and known.encoder is not None and encoder is not None:
        start = start.recoded(encoder.recoding(known.encoder))
    moved, offsets = prepared.units.base_moved, (start.dense or {}).get("offsets", {})
    if moved is None or "intercept" not in offsets:
        return start
    offsets = offsets | {"intercept": offsets["intercept"] + moved}
    return start._replace(dense=start.dense | {"offsets": offsets})


def _check_dense(model, start: Start) -> None:
    """Raise ValueError if dense weights to start from are not those of the model."""
    needed = model.init(np.random.default_rng(0), np.zeros(model.n_outputs))
    shapes = _shapes(needed | {"averages": model.init_averages()})
    known = _shapes(start.dense | {"averages": start.averages})
    if shapes != known:
        names = sorted(name for name in shapes | known if shapes.get(name) != known.get(name))
        raise ValueError(
            f"The dense weights to start from are those of another model: {', '.join(names[:5])} differ. "
            f"Set the parameters of the network back, or start anew with warm_start=False."
        )


def _shapes(leaves: dict[str, dict]) -> dict[str, tuple[int, ...]]:
    """Shape of each dense weight and running average, by name."""
    return {name: np.shape(leaf) for of_role in leaves.values() for name, leaf in of_role.items()}


def unfinished(model, prepared: Prepared, context: Context) -> Learned:
    """What is known while the model is still in training; it has no parameters."""
    return Learned(
        columns=context.columns,
        encoding=context.encoding,
        targets=prepared.posed.targets,
        seen=prepared.units.seen,
        heard=prepared.data.heard,
        fields=prepared.fields,
        needs_fields=False,
        plan=prepared.plan,
        seed=prepared.seed,
        model=model,
        parameters=None,
        history={},
        n_iter=0,
    )


class Listeners(NamedTuple):
    """Who is asked and told in training; see `skfm.train.problem.Problem`.

    Attributes
    ----------
    score : score of raw predictions on the held-out rows, or None
    report : called before the first epoch and after each
    """

    score: Callable[[np.ndarray], float] | None = None
    report: Callable[[Progress, int], None] = silent


def pose(prepared: Prepared, model, needs_fields: bool, start: Start | None, listeners: Listeners) -> Problem:
    """The training problem, but for who goes on from it."""
    plan, data = prepared.plan, prepared.posed
    return Problem(
        model=model,
        loss=data.targets.loss,
        train=data.samples,
        held_out=data.held_out,
        fields=packed_fields(prepared.fields, needs_fields),
        priors=plan.priors,
        dropout=plan.dropout,
        schedule=plan.schedule,
        dtype=plan.dtype,
        seed=prepared.seed,
        start=start,
        score=listeners.score,
        report=listeners.report,
        base_score=prepared.units.base_score,
        base_moved=prepared.units.base_moved,
        naming_held_out=data.naming_held_out,
    )


def learn(problem: Problem, prepared: Prepared, context: Context, needs_fields: bool) -> Learned:
    """Solve the problem, and keep what was learned."""
    plan, resumed = prepared.plan, context.resumed
    method = method_of(plan.solver, plan.linear_solver)
    # Rows of length 1 are made here.
    name_column = None if context.encoding.normalizes_rows else context.name_column
    problem = problem._replace(keeps_session=context.incremental, name_column=name_column)
    known = context.continued
    # An equal model starts as the same function, and the rows of its fit hold it; another has to learn.
    if known is not None and known.session is None and known.model == problem.model:
        problem = problem._replace(behind=Behind(*known.heard.evidence.in_rows))
    result = method.fit(problem, None if resumed is None else resumed.session)
    if not isinstance(result, Result):
        raise TypeError(f"The method {method!r} must return a skfm.train.problem.Result, got {result!r}.")
    progress = result.progress
    before, n_before, first_prior = {}, 0, 0
    if resumed is not None:
        before, n_before, first_prior = resumed.history, resumed.n_iter, resumed.prior
    attempts = result.attempts or {result.prior: progress}
    histories = (
        _labelled(one.history, first_prior + number + 1, n_before) for number, one in attempts.items()
    )
    return Learned(
        columns=context.columns,
        encoding=context.encoding,
        targets=prepared.posed.targets,
        seen=prepared.units.seen,
        heard=prepared.data.heard,
        fields=prepared.fields,
        needs_fields=needs_fields,
        plan=plan,
        seed=prepared.seed,
        model=problem.under(problem.priors[result.prior]).model,
        parameters=result.parameters,
        history=joined([before, *histories]),
        n_iter=n_before + progress.n_iter,
        prior=first_prior + result.prior,
        session=result.session,
        interrupted=progress.interrupted,
        message=result.message,
        pretrained=None if context.before is None else context.before.pretrained,
    )


def _labelled(history: dict[str, list[float]], attempt: int, n_before: int) -> dict[str, list[float]]:
    """A history with the numbers of its attempt and of its epochs, `n_before` earlier ones counted in."""
    n = n_entries(history)
    labels: dict[str, list[float]] = {
        "attempt": [attempt] * n,
        "epoch": list(range(n_before + 1, n_before + n + 1)),
    }
    return labels | {name: entries for name, entries in history.items() if name not in labels}


def new_seed(random_state) -> int:
    """Seed of a fit; a generator is moved on."""
    return int(check_random_state(random_state).randint(2**31 - 1))


# -- start from other weights ------------------------------------------------------------------------


def start_from(source: Learned | None, model, shown: str) -> Start:
    """What the model can take over from another fit: tables, the intercept, and a network that is the same.

    Parameters
    ----------
    source : the other fit; None has nothing
    shown : how the message names it

    Raises
    ------
    ValueError
        If it has none of the tables.
    """
    known = {} if source is None else source.tables()
    wanted = model.tables()
    tables = {}
    for name, table in wanted.items():
        # Experts of a mixture may all start from the tables of one machine.
        given = known.get(name, known.get(name.removeprefix("expert_")))
        if given is not None:
            tables[name] = _reshaped(given, table.shape)
    if source is None or not tables:
        raise ValueError(
            f"init_from={shown} has none of the tables {sorted(wanted)} that this model "
            f"starts from. Give a fitted skfm estimator that has."
        )
    dense, averages = _dense_to_start_from(source, model)
    return Start(tables, source.parameters.units, source.heard.evidence, dense, averages)


def check_same_columns(source: Learned, columns: InputColumns, shown: str, *, encodes: bool) -> None:
    """Raise ValueError if columns of X mean something else than those that weights are taken over for.

    Parameters
    ----------
    source : the fit to start from
    shown : how messages name it
    encodes : whether X is a table to encode
    """
    if encodes != (source.encoder is not None):
        kinds = ("tables", "rows as they are") if encodes else ("rows as they are", "tables")
        raise ValueError(
            f"This estimator learns from {kinds[0]}, and init_from={shown} from {kinds[1]}, whose columns "
            f"mean something else: give both the same encoder and rows of the same kind."
        )
    known = source.columns.names
    if known is None or columns.names is None:
        return
    for theirs, ours in zip_longest(map(repr, known), map(repr, columns.names), fillvalue="no more"):
        if theirs != ours:
            raise ValueError(
                f"init_from={shown} was fitted on other columns than those of X: {theirs}, where X has "
                f"{ours}. Give the same columns, in the same order."
            )


def _dense_to_start_from(source: Learned, model) -> tuple[dict[str, dict], dict]:
    """Dense weights and running averages to take over: all where the model has no others, else intercepts."""
    first = model.init(np.random.default_rng(0), np.zeros(model.n_outputs))
    dense, averages = source.parameters.dense, source.parameters.averages
    # A model without an intercept is one with 0.
    intercept = dense["offsets"].get("intercept", np.zeros(source.model.n_outputs))
    found: dict[str, dict] = {role: dict(leaves) for role, leaves in dense.items()}
    found["offsets"].pop("intercept", None)
    if "intercept" in first["offsets"]:
        shape = first["offsets"]["intercept"].shape
        if source.model.n_outputs == model.n_outputs and intercept.ndim <= len(shape):
            # Each piece of a mixture may have that of one machine.
            found["offsets"]["intercept"] = np.broadcast_to(intercept, shape)
    needed = first | {"averages": model.init_averages()}
    if _shapes(needed) == _shapes(found | {"averages": averages}):
        return found, averages
    return {"offsets": {name: leaf for name, leaf in found["offsets"].items() if name == "intercept"}}, {}


def _reshaped(table: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The table with rows of `shape` where the numbers allow it: same numbers, or repeated for each piece."""
    if table[:1].size == np.prod(shape, dtype=int) * table[:1].shape[0]:
        return table.reshape(table.shape[0], *shape)
    if table.shape[1:] == shape[1:]:
        return np.broadcast_to(table[:, None], (table.shape[0], *shape))
    return table


def _misfit(model, tables: dict[str, np.ndarray], n_columns: int) -> str | None:
    """How a table to start from has not the shape that the model needs; None if all have it."""
    for name, table in model.tables().items():
        expected = (n_columns, *table.shape)
        if name in tables and tables[name].shape != expected:
            return (
                f"The table {name!r} to start from has shape {tables[name].shape}, expected {expected}: "
                f"n_factors, the columns and the number of outputs must be the same."
            )
    return None
