"""Curves against the truth: the grid, the correlations, and what chance gives."""

import math

import contest
import juries
import numpy as np
import pytest

from pipeline.aqa import truth
from pipeline.aqa.data import load
from pipeline.aqa.trained import answers
from pipeline.aqa.truth import STEP, Curves, Elements, figures, moments, on_moments, pearson


def routine(*elements: tuple[float, float, float, float]) -> Elements:
    """Elements from start, end, difficulty and execution."""
    numbers = np.array(elements, dtype=float).T
    return Elements([f"e{n}" for n in range(len(elements))], *numbers)


def perfect(elements: Elements, end: float, scale: float = 1.0) -> Curves:
    """The curves of somebody who knows everything."""
    time = moments(np.array([0.0]), np.array([end]))
    difficulty, execution = elements.at(time)
    weight = difficulty / (difficulty.sum() * STEP)
    return Curves(time, scale * weight, np.nan_to_num(execution, nan=0.3))


ONE = routine((1, 3, 4.0, 0.9), (4, 7, 1.0, 0.2), (8, 10, 2.0, 0.6))
TWO = routine((0, 2, 1.0, 0.4), (3, 5, 3.0, 0.8), (6, 10, 2.0, 0.1))


def literal(a, b) -> float:
    """Pearson's correlation with loops."""
    ma, mb = sum(a) / len(a), sum(b) / len(b)
    top = sum((x - ma) * (y - mb) for x, y in zip(a, b, strict=True))
    return top / math.sqrt(sum((x - ma) ** 2 for x in a) * sum((y - mb) ** 2 for y in b))


def test_the_grid_has_middles_of_half_seconds_from_the_first_clip_to_the_last():
    assert moments(np.array([1.0, 2.0]), np.array([2.0, 3.1])).tolist() == [1.25, 1.75, 2.25, 2.75]
    assert moments(np.array([0.0]), np.array([0.2])).tolist() == [0.25]


def test_a_moment_has_the_value_of_the_clip_that_holds_it():
    start, end, values = np.array([3.0, 0.0]), np.array([4.0, 2.0]), np.array([5.0, 7.0])
    found = on_moments(np.array([0.0, 1.99, 2.0, 2.5, 3.0, 3.5, 4.0, -1.0]), start, end, values)
    assert np.array_equal(found, [7, 7, np.nan, np.nan, 5, 5, np.nan, np.nan], equal_nan=True)


def test_the_truth_is_nothing_between_elements():
    difficulty, execution = ONE.at(np.array([0.5, 1.0, 2.9, 3.0, 4.5, 9.9, 10.0]))
    assert difficulty.tolist() == [0, 4, 4, 0, 1, 2, 0]
    assert np.array_equal(execution, [np.nan, 0.9, 0.9, np.nan, 0.2, 0.6, np.nan], equal_nan=True)


def test_correlations_are_those_of_the_literal_sums():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 40))
    assert pearson(a, b) == pytest.approx(literal(a.tolist(), b.tolist()), abs=1e-12)
    assert pearson(3 * b + 1, b) == pytest.approx(1) and pearson(-b, b) == pytest.approx(-1)


def test_a_flat_curve_has_found_nothing_and_a_flat_truth_tells_nothing():
    assert pearson(np.full(5, 0.02), np.arange(5)) == 0
    assert math.isnan(pearson(np.arange(5), np.full(5, 3.0))) and math.isnan(pearson(np.zeros(1), np.ones(1)))


def test_who_knows_everything_has_every_correlation():
    known = {"a": ONE, "b": TWO}
    found = figures({i: perfect(t, 11.0) for i, t in known.items()}, known)
    for name in ("weight_correlation", "score_correlation", "score_correlation/pooled", "element_score_correlation"):
        assert found[name] == pytest.approx(1), name
    assert found["weight_correlation/elements_alone"] < 0.9 and found["weight_correlation/chance"] < 0.5
    assert found["score_correlation/chance"] < 0.5


def test_figures_are_means_over_videos_of_literal_correlations():
    rng = np.random.default_rng(1)
    known, curves, weights, scores, together = {"a": ONE, "b": TWO}, {}, [], [], ([], [])
    for i, elements in known.items():
        time = np.arange(22) * 0.5 + 0.25
        curves[i] = Curves(time, rng.random(22), rng.random(22))
        difficulty, execution = elements.at(time)
        weights.append(literal(curves[i].weight, difficulty))
        performed = [(s, e) for s, e in zip(curves[i].score, execution) if not math.isnan(e)]
        scores.append(literal(*zip(*performed, strict=True)))
        for side, values in zip(together, zip(*performed, strict=True), strict=True):
            side.extend(values)
    found = figures(curves, known)
    assert found["weight_correlation"] == pytest.approx(np.mean(weights), abs=1e-9)
    assert found["score_correlation"] == pytest.approx(np.mean(scores), abs=1e-9)
    assert found["score_correlation/pooled"] == pytest.approx(literal(*together), abs=1e-9)


def test_chance_is_the_truth_of_the_other_videos():
    known = {"a": ONE, "b": TWO}
    curves = {i: perfect(t, 10.0) for i, t in known.items()}
    time = curves["a"].time
    expected = [literal(curves[i].weight, known[j].at(time)[0]) for i, j in (("a", "b"), ("b", "a"))]
    assert figures(curves, known)["weight_correlation/chance"] == pytest.approx(np.mean(expected), abs=1e-9)


def test_an_element_has_its_whole_weight_and_its_weighted_mean_score():
    time = np.array([0.25, 0.75, 1.25, 1.75])
    curves = Curves(time, np.array([0.2, 0.6, 0.0, 0.0]), np.array([1.0, 2.0, 3.0, 5.0]))
    weight, score = truth.by_element(curves, routine((0, 1, 1, 1), (1, 2, 1, 1), (5, 6, 1, 1)))
    assert weight[:2] == pytest.approx([0.4, 0.0]) and math.isnan(weight[2])
    assert score[:2] == pytest.approx([1.75, 4.0]) and math.isnan(score[2])  # without any weight: the plain mean


def test_one_video_has_no_chance_figure_and_none_has_no_figure():
    alone = figures({"a": perfect(ONE, 10.0)}, {"a": ONE})
    assert "weight_correlation" in alone and "weight_correlation/chance" not in alone
    assert figures({"a": perfect(ONE, 10.0)}, {"b": TWO}) == {}


def test_curves_keep_the_weight_and_the_score_of_the_video(contested):
    data = load(contested.features, contested.manifest, contested.scores, task=contest.TASK)
    for answer in answers(juries.jury(), data.roles["test"])[:3]:
        curves = truth.curves(answer)
        assert curves.time[-1] == answer.end[-1] - STEP / 2  # clips of two seconds fit the grid
        assert (curves.weight * STEP).sum() == pytest.approx(1, abs=1e-6)
        assert (curves.weight * STEP * curves.score).sum() == pytest.approx(answer.score, abs=1e-4)


def test_elements_are_read_in_the_order_of_time(contested):
    known = truth.read(contested.elements, ["r002", "r003", "nobody"])
    assert set(known) == {"r002", "r003"}
    for i, elements in known.items():
        assert (np.diff(elements.start) > 0).all() and set(elements.name) <= {"turn", "leap", "throw"}
        middle = np.arange(len(contested.difficulty[i])) * contest.SECONDS + 1
        assert np.allclose(elements.at(middle)[0], contested.difficulty[i])
        assert np.allclose(elements.at(middle)[1], contested.execution[i])
