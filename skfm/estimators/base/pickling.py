"""Pickles of estimators whose parameters hold local functions, as optax transformations and schedules do."""

from __future__ import annotations

import pickle
from typing import Any

from joblib import wrap_non_picklable_objects
from sklearn.base import BaseEstimator

_WHOLE = "whole_state"


class Pickling(BaseEstimator):
    """Base class that plain pickle, joblib and deepcopy take, whatever the parameters are."""

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        values = [value for value in self.get_params(deep=False).values() if not hasattr(value, "fit")]
        try:
            pickle.dumps(values)
        except (pickle.PicklingError, AttributeError, TypeError):
            # In one piece: a fitted attribute holds the same functions, and they stay the same.
            return {_WHOLE: wrap_non_picklable_objects(state, keep_wrapper=False)}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state.get(_WHOLE, state))

    def __copy__(self):
        # By default the state of a pickle would be copied.
        same = object.__new__(type(self))
        same.__dict__.update(self.__dict__)
        return same
