"""The sparse classifier: objective, optimality and degenerate samples."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from pipeline.dance.elastic_net import ElasticNetClassifier
from pipeline.errors import ChoreoError


def samples(n=120, m=9, k=4, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % k
    X = rng.normal(size=(k, m))[y] + rng.normal(size=(n, m))
    return (X - X.mean(axis=0)) / X.std(axis=0), y


def literal_objective(W, b, X, y, lam, alpha):
    """Eq. 6 with loops, float64."""
    loss = 0.0
    for x, label in zip(X, y):
        scores = [sum(w * v for w, v in zip(row, x)) + bias for row, bias in zip(W, b)]
        loss -= scores[label] - np.log(sum(np.exp(s) for s in scores))
    l1 = sum(abs(w) for w in W.ravel())
    l2 = sum(w * w for w in W.ravel())
    return loss / len(X) + lam * ((1 - alpha) / 2 * l2 + alpha * l1)


@pytest.mark.parametrize(("lam", "alpha", "k"), [(7e-4, 0.99, 4), (0.05, 0.5, 4), (0.02, 1.0, 2), (0.1, 0.0, 3)])
def test_the_solution_is_optimal_by_a_literal_check(lam, alpha, k):
    X, y = samples(k=k)
    net = ElasticNetClassifier(lam, alpha, tol=1e-8).fit(X, y)
    W, b = net.coef_, net.intercept_
    assert net.objective_ == pytest.approx(literal_objective(W, b, X, y, lam, alpha), abs=1e-12)
    probability = np.exp(X @ W.T + b) / np.exp(X @ W.T + b).sum(axis=1, keepdims=True)
    for c in range(k):
        error = probability[:, c] - (y == c)
        assert abs(error.mean()) < 1e-7  # the bias is not penalised
        for j in range(X.shape[1]):
            slope = (error * X[:, j]).mean() + lam * (1 - alpha) * W[c, j]
            if W[c, j] != 0:
                assert slope == pytest.approx(-lam * alpha * np.sign(W[c, j]), abs=1e-7)
            else:
                assert abs(slope) <= lam * alpha + 1e-7


def test_no_small_change_of_the_solution_is_better():
    X, y = samples()
    net = ElasticNetClassifier(0.02, 0.7, tol=1e-9).fit(X, y)
    rng = np.random.default_rng(0)
    for _ in range(50):
        W, b = net.coef_ + 1e-3 * rng.normal(size=net.coef_.shape), net.intercept_ + 1e-3 * rng.normal(size=4)
        assert literal_objective(W, b, X, y, 0.02, 0.7) > net.objective_


def test_the_objective_agrees_with_sklearns_saga():
    X, y = samples(n=200, m=12)
    lam, alpha = 0.01, 0.9
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        saga = LogisticRegression(
            penalty="elasticnet", l1_ratio=alpha, C=1 / (lam * len(X)), solver="saga", tol=1e-8, max_iter=20_000
        ).fit(X, y)
    net = ElasticNetClassifier(lam, alpha).fit(X, y)
    theirs = literal_objective(saga.coef_, saga.intercept_, X, y, lam, alpha)
    assert net.objective_ <= theirs + 1e-9
    assert net.objective_ == pytest.approx(theirs, abs=1e-6)
    np.testing.assert_allclose(net.coef_, saga.coef_, atol=1e-3)


def test_a_stronger_penalty_leaves_fewer_weights():
    X, y = samples()
    counts = [np.count_nonzero(ElasticNetClassifier(lam, 0.99).fit(X, y).coef_) for lam in (1e-3, 1e-2, 1e-1, 1.0)]
    assert counts == sorted(counts, reverse=True) and counts[0] > counts[2] and counts[-1] == 0


def test_without_any_weight_the_bias_tells_the_class_shares():
    X, y = samples(n=99, k=3)
    y[:30] = 0
    net = ElasticNetClassifier(10.0, 0.99).fit(X, y)
    np.testing.assert_allclose(net.predict_proba(X[:1])[0], np.bincount(y) / len(y), atol=1e-5)


def test_constant_and_zero_columns_get_no_weight():
    X, y = samples()
    X = np.column_stack([X, np.ones(len(X)), np.zeros(len(X))])
    net = ElasticNetClassifier(0.01, 0.99).fit(X, y)
    assert not net.coef_[:, -2:].any() and net.kkt_ <= net.tol
    zeros = ElasticNetClassifier().fit(np.zeros((6, 3)), [0, 0, 1, 1, 1, 1])
    assert not zeros.coef_.any() and zeros.predict(np.zeros((1, 3)))[0] == 1


def test_labels_are_kept_as_they_are():
    X, y = samples(k=2)
    names = np.array(["pull", "push"])[y]
    net = ElasticNetClassifier().fit(X, names)
    assert net.classes_.tolist() == ["pull", "push"] and net.score(X, names) > 0.8
    np.testing.assert_allclose(net.predict_proba(X).sum(axis=1), 1)


def test_one_class_and_missing_values_are_errors_that_help():
    X, y = samples()
    with pytest.raises(ChoreoError, match="two classes"):
        ElasticNetClassifier().fit(X, np.zeros(len(X)))
    X[0, 0] = np.nan
    with pytest.raises(ChoreoError, match="NaN"):
        ElasticNetClassifier().fit(X, y)


def test_too_few_iterations_are_warned_of_with_the_residual_that_was_reached():
    X, y = samples()
    with pytest.warns(ConvergenceWarning, match="KKT"):
        net = ElasticNetClassifier(max_iter=3).fit(X, y)
    assert net.kkt_ > net.tol and net.n_iter_ == 3
