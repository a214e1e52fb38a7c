"""What a call may do: raise a documented error, warn what is documented, and leave everything else alone."""

import os
import pickle
import random
import re
import signal
import traceback
import warnings
from contextlib import contextmanager
from functools import cache

import narwhals as nw
import numpy as np
import sklearn
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import ThreadpoolController

from skfm.data.readings import ReadingWarning

# Words of the inside of some library: a user cannot know what they are about.
FORBIDDEN = re.compile(
    r"could not broadcast|broadcast together|cannot reshape|ufunc|out of bounds|inhomogeneous|zero-size|"
    r"setting an array element|invalid literal|must be real number|too large to convert|"
    r"INTERNAL|Xla|jaxlib|Tracer|'NoneType'|unhashable|not subscriptable|not iterable|has no attribute|"
    r"positional argument|unsupported operand|not supported between|object is not|^\W*$"
)
# Where an error that a user sees may come from.
_SPEAKERS = re.compile(r"/skfm/|/sklearn/utils/(_?validation|_param_validation|multiclass|_array_api)")
# Documented warnings: of skfm, and of scikit-learn's checks of y.
_EXPECTED = re.compile(
    r"Classifier: |Regressor: |A column-vector y was passed|number of unique classes is greater than 50%"
)


def _short(path):
    return re.sub(r".*(site-packages|/skfm)/", "", path)


class Refused(Exception):
    """A call raised a documented error."""


@contextmanager
def refusals():
    """Turn documented errors into Refused, and others into AssertionError."""
    try:
        yield
    except (AssertionError, Refused):
        raise
    except Exception as error:
        words = f"{type(error).__name__}: {error}"
        speaker = traceback.extract_tb(error.__traceback__)[-1].filename
        if not isinstance(error, ValueError | TypeError):
            raise AssertionError(f"not a documented type of error: {words}") from error
        if FORBIDDEN.search(str(error)):
            raise AssertionError(f"words of the inside: {words}") from error
        if not _SPEAKERS.search(speaker):
            raise AssertionError(f"raised by {_short(speaker)}: {words}") from error
        raise Refused(words) from error


@contextmanager
def other_names():
    """Expect scikit-learn's warning about columns that have names in fit or predict alone."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*feature names.*", UserWarning)
        yield


@cache
def _pools():
    return ThreadpoolController()


def _world():
    """Everything that other code shares with skfm."""
    import jax

    return {
        "warnings.filters": list(warnings.filters),
        "numpy.geterr": np.geterr(),
        "numpy.random": pickle.dumps(np.random.get_state(legacy=False)),  # noqa: NPY002
        "random": random.getstate(),
        "threads": [(pool["filepath"], pool["num_threads"]) for pool in _pools().info()],
        "jax.config": dict(jax.config.values),
        "os.environ": dict(os.environ),
        "sklearn": sklearn.get_config(),
        "folder": os.getcwd(),
        "SIGINT": signal.getsignal(signal.SIGINT),
    }


def contents(X):
    """Bytes of an input, to see whether it was changed."""
    if sparse.issparse(X):
        parts = X.tocoo() if X.format in ("dok", "lil") else X
        return {name: part.tobytes() for name, part in vars(parts).items() if isinstance(part, np.ndarray)}
    if isinstance(X, np.ndarray) and X.dtype != object:
        return X.dtype, X.tobytes()
    X = nw.from_native(X, allow_series=True, pass_through=True)
    return repr(
        X.to_dict(as_series=False) if isinstance(X, nw.DataFrame) else list(X) if X is not None else X
    )


@contextmanager
def alone(*inputs):
    """Fail on stray warnings, on changes of global state, and on changed inputs."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        before, given = _world(), [contents(one) for one in inputs]
        yield
        after = _world()
        changed = [name for name in before if before[name] != after[name]]
        assert not changed, f"global state changed: {changed}"
        assert given == [contents(one) for one in inputs], "an input was changed"
    stray = [
        f"{one.category.__name__}: {one.message} ({_short(one.filename)}:{one.lineno})"
        for one in said
        if not (
            issubclass(one.category, ConvergenceWarning | ReadingWarning)
            or _EXPECTED.search(str(one.message))
        )
    ]
    assert not stray, f"stray warning: {stray[0]}"
