"""What a mixture is for: regions whose interactions differ."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import skfm
from benchmarks.cases.piecewise import TRAINING, gate_agreement
from benchmarks.synthetic import make_piecewise

N_TRAIN, N_TEST = 12_000, 2_000


@pytest.fixture(scope="module")
def problem():
    return make_piecewise(N_TRAIN + N_TEST, random_state=0)


def auc(model, problem):
    model.fit(problem.X[:N_TRAIN], problem.y[:N_TRAIN])
    return roc_auc_score(problem.y[N_TRAIN:], model.predict_proba(problem.X[N_TRAIN:])[:, 1])


@pytest.mark.parametrize("mixing", ["score", "probability"])
def test_a_mixture_finds_two_regions_with_opposite_interactions(problem, mixing):
    mixture = skfm.MixtureFMClassifier(2, mixing=mixing, **TRAINING, random_state=0)
    assert auc(mixture, problem) >= 0.95
    gate = mixture.gate_proba(problem.X[N_TRAIN:])
    np.testing.assert_allclose(gate.sum(axis=1), 1)
    assert gate_agreement(gate, problem.region[N_TRAIN:]) >= 0.9


@pytest.mark.filterwarnings("ignore:.*Increase max_iter:sklearn.exceptions.ConvergenceWarning")
def test_a_machine_alone_cannot(problem):
    assert auc(skfm.FMClassifier(**TRAINING, random_state=0), problem) <= 0.75
