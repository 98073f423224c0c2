"""Average precision is what it is called."""

import time

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from pipeline.errors import ChoreoError
from pipeline.proda.ranking import average_precision, mean_average_precision


def literal(scores, labels):
    """Mean over the true rows of: how many rows with a score as high or higher are true."""
    precisions = []
    for i in np.flatnonzero(labels):
        above = [j for j in range(len(scores)) if scores[j] >= scores[i]]
        precisions.append(sum(labels[j] for j in above) / len(above))
    return sum(precisions) / len(precisions)


@pytest.mark.parametrize("levels", [2, 7, 10**9])
def test_average_precision_equals_scikit_learns_and_a_literal_loop_also_with_equal_scores(levels):
    rng = np.random.default_rng(0)
    scores, labels = rng.integers(levels, size=(80, 9)) / levels, rng.random((80, 9)) < rng.random(9)
    labels[0] = True
    expected = [average_precision_score(labels[:, c], scores[:, c]) for c in range(9)]
    np.testing.assert_allclose(average_precision(scores, labels), expected, rtol=1e-12)
    slow = [literal(scores[:, c], labels[:, c]) for c in range(9)]
    np.testing.assert_allclose(average_precision(scores, labels), slow, rtol=1e-12)


def test_a_class_that_no_video_shows_is_not_counted():
    scores, labels = np.array([[0.9, 0.1], [0.2, 0.3]]), np.array([[1, 0], [0, 0]])
    np.testing.assert_array_equal(average_precision(scores, labels), [1, np.nan])
    assert mean_average_precision(scores, labels) == 1
    assert np.isnan(mean_average_precision(scores, np.zeros_like(labels)))


def test_a_constant_score_reaches_the_share_of_the_class():
    labels = np.random.default_rng(0).random((100, 4)) < 0.2
    np.testing.assert_allclose(average_precision(np.zeros(labels.shape), labels), labels.mean(axis=0))


def test_scores_that_are_not_finite_are_an_error():
    with pytest.raises(ChoreoError, match="not finite"):
        average_precision([[np.nan]], [[1]])


def test_all_prompts_of_charades_are_ranked_in_seconds():
    rng = np.random.default_rng(0)
    scores, labels = rng.random((33_000, 157), dtype=np.float32), rng.random((33_000, 157)) < 0.05
    start = time.perf_counter()
    assert mean_average_precision(scores, labels) == pytest.approx(0.05, abs=0.005)
    assert time.perf_counter() - start < 10
