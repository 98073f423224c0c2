"""The measures of AQA: Eqs. 7-8 against literal references in float64, all others on cases made by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from pipeline.aqa.measures import (
    alignment,
    bootstrap,
    effective_rank,
    on_time,
    relative_l2,
    skipping_index,
    spearman,
)

RNG = np.random.default_rng(0)


def ranks(values):
    """Ranks from 1; those that tie share the mean of their ranks."""
    return [sum(w < v for w in values) + (sum(w == v for w in values) + 1) / 2 for v in values]


def slow_spearman(predicted, true):
    """Eq. 7 on the ranks."""
    p, q = ranks(predicted), ranks(true)
    p_mean, q_mean = sum(p) / len(p), sum(q) / len(q)
    above = sum((a - p_mean) * (b - q_mean) for a, b in zip(p, q))
    return above / math.sqrt(sum((a - p_mean) ** 2 for a in p) * sum((b - q_mean) ** 2 for b in q))


def slow_relative_l2(predicted, true):
    """Eq. 8."""
    span = max(true) - min(true)
    return sum((abs(y - t) / span) ** 2 for y, t in zip(predicted, true)) / len(true)


def some_scores(ties, count=40):
    predicted, true = RNG.normal(size=count), RNG.normal(size=count)
    predicted = predicted + true
    return (predicted.round(), true.round()) if ties else (predicted, true)


# Scores ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("count", [2, 3, 50])
def test_spearman_is_equation_7_and_scipys(ties, count):
    predicted, true = some_scores(ties, count)
    if count == 2:
        predicted, true = np.array([1.0, 2.0]), np.array([3.0, 1.0])
    found = spearman(predicted, true)
    assert found == pytest.approx(slow_spearman(predicted, true), rel=1e-9)
    assert found == pytest.approx(stats.spearmanr(predicted, true).statistic, rel=1e-9)


@pytest.mark.parametrize(("one", "other"), [([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [0.1, 0.1, 0.1]), ([1], [1]), ([], [])])
def test_spearman_is_not_defined_where_a_side_is_all_the_same(one, other):
    assert math.isnan(spearman(one, other))


def test_only_the_order_counts_for_spearman():
    predicted, true = some_scores(False)
    assert spearman(np.exp(predicted), true) == pytest.approx(spearman(predicted, true), rel=1e-12)
    assert spearman(true, 3 * true - 1) == pytest.approx(1, rel=1e-12)
    assert spearman(true, -true) == pytest.approx(-1, rel=1e-12)


@pytest.mark.parametrize("ties", [False, True])
def test_relative_l2_is_equation_8_times_100(ties):
    predicted, true = some_scores(ties)
    assert relative_l2(predicted, true) == pytest.approx(100 * slow_relative_l2(predicted, true), rel=1e-9)


def test_relative_l2_by_hand():
    assert relative_l2([1, 3], [0, 10]) == pytest.approx(100 * (0.1**2 + 0.7**2) / 2)
    assert relative_l2([1, 3], [0, 10], span=(0, 20)) == pytest.approx(25 * (0.1**2 + 0.7**2) / 2)
    assert relative_l2([5, 6], [5, 6]) == 0
    assert math.isnan(relative_l2([1, 2], [3, 3])) and math.isnan(relative_l2([], []))


@pytest.mark.parametrize("measure", [spearman, relative_l2])
def test_scores_that_are_no_numbers_or_do_not_pair_are_an_error(measure):
    with pytest.raises(ValueError, match="finite"):
        measure([1, float("nan"), 3], [1, 2, 3])
    with pytest.raises(ValueError, match="3 true"):
        measure([1, 2], [1, 2, 3])


def test_the_bootstrap_finds_the_interval_of_a_mean():
    values = RNG.normal(size=400)
    low, high = bootstrap(np.mean, values, samples=2000)
    error = values.std() / math.sqrt(400)
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)
    narrow = bootstrap(np.mean, values, samples=2000, level=0.5)
    assert low < narrow[0] < values.mean() < narrow[1] < high


def test_the_bootstrap_is_its_literal_reference():
    predicted, true = some_scores(False, 20)
    rng, found = np.random.default_rng(5), []
    for rows in rng.integers(0, 20, (200, 20)):
        found.append(slow_spearman([predicted[r] for r in rows], [true[r] for r in rows]))
    wanted = np.percentile(found, [5, 95])
    assert bootstrap(spearman, predicted, true, samples=200, level=0.9, seed=5) == pytest.approx(tuple(wanted))


def test_the_bootstrap_is_seeded_and_keeps_rows_together():
    predicted, true = some_scores(False)
    assert bootstrap(spearman, predicted, true) == bootstrap(spearman, predicted, true)
    assert bootstrap(spearman, predicted, true) != bootstrap(spearman, predicted, true, seed=1)
    assert bootstrap(spearman, true, true) == pytest.approx((1, 1))
    difference = bootstrap(lambda a, b, t: spearman(a, t) - spearman(b, t), predicted, predicted, true)
    assert difference == (0, 0)


def test_the_bootstrap_leaves_out_draws_that_are_not_defined():
    assert bootstrap(spearman, [1, 2], [1, 2]) == pytest.approx((1, 1))  # half of the draws are one video twice
    assert all(math.isnan(end) for end in bootstrap(spearman, [1, 1, 1], [1, 2, 3]))
    assert all(math.isnan(end) for end in bootstrap(spearman, [], []))
    with pytest.raises(ValueError, match="one row a video"):
        bootstrap(spearman, [1, 2], [1, 2, 3])


# Queries ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 5, 68])
def test_skipping_index_is_0_for_a_diagonal_and_1_for_uniform_attention(count):
    assert skipping_index(np.eye(count)) == 0
    assert skipping_index(np.full((count, count), 1 / count)) == pytest.approx(1)
    half = (np.eye(count) + 1 / count) / 2
    assert skipping_index(half) == pytest.approx(0.5)


def test_skipping_index_grows_with_the_distance_from_the_diagonal():
    place = np.arange(50)
    found = []
    for width in (0, 1, 5, 20, 49):
        band = (np.abs(place[:, None] - place) <= width).astype(float)
        found.append(float(skipping_index(band / band.sum(axis=1, keepdims=True))))
    assert found == sorted(found) and found[0] == 0 and found[1] < 0.06 and found[-1] == pytest.approx(1)
    assert skipping_index(np.eye(50)[::-1]) > 1


def test_skipping_index_by_hand():
    attention = [[0, 1, 0], [0, 0.5, 0.5], [1, 0, 0]]  # distances 1, 0.5 and 2; uniform: 1, 2/3 and 1
    assert skipping_index(attention) == pytest.approx((3.5 / 3) / (8 / 9))
    assert skipping_index([attention, np.eye(3)]) == pytest.approx([(3.5 / 3) / (8 / 9), 0])
    assert np.isnan(skipping_index([[1.0]]))


def test_effective_rank_counts_directions():
    assert effective_rank(np.eye(4, 9)) == pytest.approx(4)
    assert effective_rank(np.ones((6, 5))) == pytest.approx(1)  # all queries the same
    assert effective_rank(np.outer([1, 2, 3], [1, 0, 2])) == pytest.approx(1)
    share = np.array([3, 1]) / 4
    assert effective_rank(np.diag([3.0, 1.0])) == pytest.approx(math.exp(-(share * np.log(share)).sum()))
    assert np.isnan(effective_rank(np.zeros((3, 4))))


def test_effective_rank_is_of_each_layer_and_knows_neither_scale_nor_turn():
    queries = RNG.normal(size=(2, 6, 5))
    turn = np.linalg.qr(RNG.normal(size=(5, 5)))[0]
    assert effective_rank(queries).shape == (2,)
    assert effective_rank(7 * queries @ turn) == pytest.approx(effective_rank(queries))
    assert (effective_rank(queries) <= 5).all() and (effective_rank(queries) > 1).all()


# Time ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("queries", "clips"), [(10, 10), (68, 68), (4, 40), (40, 4), (3, 1), (1, 7), (5, 3)])
def test_looking_at_the_nearest_clip_is_aligned_and_looking_everywhere_is_chance(queries, clips):
    nearest = np.zeros((queries, clips))
    for k in range(queries):
        times = [abs((t + 0.5) / clips - (k + 0.5) / queries) for t in range(clips)]
        nearest[k, times.index(min(times))] = 1
    assert alignment(nearest).mass == pytest.approx(1)
    everywhere = alignment(np.full((queries, clips), 1 / clips))
    assert everywhere.mass == pytest.approx(everywhere.chance)
    assert math.isnan(everywhere.above_chance) or everywhere.above_chance == pytest.approx(0)


def test_alignment_by_hand():
    attention = np.array([[0.7, 0.2, 0.1, 0.0], [0.4, 0.3, 0.2, 0.1]])  # queries at 1/4 and 3/4, clips at 1/8, 3/8, ...
    found = alignment(attention, width=0.2)
    assert found.mass == pytest.approx((0.7 + 0.2 + 0.2 + 0.1) / 2)
    assert found.chance == pytest.approx(0.5)
    assert found.above_chance == pytest.approx((0.6 - 0.5) / 0.5)
    assert alignment(attention, width=1.0) == pytest.approx((1, 1))


def test_looking_backwards_is_below_chance():
    assert alignment(np.eye(20)[::-1]).above_chance < 0 < alignment(np.eye(20)).above_chance


def test_weights_and_scores_of_clips_by_hand():
    weight, quality = [0.25, 0.75], [0.4, 0.8]
    attention = [[1, 0, 0], [0.5, 0.5, 0]]
    clip_weight, clip_score = on_time(weight, quality, attention)
    assert clip_weight == pytest.approx([0.25 + 0.375, 0.375, 0])
    score = 0.25 * 0.4 + 0.75 * 0.8
    assert clip_score == pytest.approx([(0.25 * 0.4 + 0.375 * 0.8) / 0.625, 0.8, score])
    assert clip_weight @ clip_score == pytest.approx(score, rel=1e-15)


def test_on_time_the_sum_over_clips_is_the_score_whatever_the_attention():
    for _ in range(20):
        queries, clips = RNG.integers(1, 30, 2)
        weight = RNG.dirichlet(np.ones(queries)).astype(np.float32)
        quality = RNG.normal(size=queries).astype(np.float32)
        attention = RNG.dirichlet(np.full(clips, 0.05), size=queries).astype(np.float32) + np.float32(1e-9)
        clip_weight, clip_score = on_time(weight, quality, attention)
        assert clip_weight.shape == clip_score.shape == (clips,)
        assert clip_weight.sum() == pytest.approx(weight.astype(float).sum(), rel=1e-12)
        wanted = (weight.astype(float) * quality).sum()
        assert (clip_weight * clip_score).sum() == pytest.approx(wanted, rel=1e-12, abs=1e-12)


def test_queries_that_look_at_their_own_clip_keep_their_curves():
    weight, quality = RNG.dirichlet(np.ones(7)), RNG.normal(size=7)
    clip_weight, clip_score = on_time(weight, quality, np.eye(7))
    assert clip_weight == pytest.approx(weight) and clip_score == pytest.approx(quality)
