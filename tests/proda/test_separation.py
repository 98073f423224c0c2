"""Distances within and between actions."""

import numpy as np
import pytest

from pipeline.proda.separation import distances, feature_distances, plane


def test_distances_are_to_centres_and_between_centres():
    point = np.array([[0.0, 0], [2, 0], [1, 4], [1, 6]])
    intra, inter = distances(point, np.array([7, 7, 3, 3]))
    assert intra == 1 and inter == 5


def test_one_action_has_no_distance_to_others():
    assert distances(np.eye(2), np.array([1, 1])) == (pytest.approx(np.sqrt(0.5)), 0.0)


def test_feature_distances_do_not_depend_on_length():
    feature, action = np.random.default_rng(0).normal(size=(12, 5)), np.arange(12) % 3
    assert feature_distances(feature, action) == pytest.approx(feature_distances(feature * 7, action))


def test_planted_clusters_stay_apart_in_the_plane_and_the_seed_decides_it():
    rng = np.random.default_rng(0)
    action = np.arange(45) % 3
    feature = 10 * np.eye(3)[action] + rng.normal(size=(45, 3))
    point = plane(feature, seed=1)
    intra, inter = distances(point, action)
    assert point.shape == (45, 2) and inter > 3 * intra
    assert np.array_equal(point, plane(feature, seed=1))


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_few_points_are_drawn_too(count):
    assert plane(np.eye(max(count, 1), 6)[:count]).shape == (count, 2)
