"""A short profile of the fuzzing: the same cases every time. ``make fuzz`` runs others, and more."""

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz.cases import NAMES, cases
from tests.fuzz.properties import check


@pytest.mark.parametrize("name", NAMES)
@settings(
    max_examples=6,
    phases=[Phase.generate],  # to shrink a case takes a minute
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_short(name, data):
    check(data.draw(cases(name, programs=(0, 1)), label="case"))
