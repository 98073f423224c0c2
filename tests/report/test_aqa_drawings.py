"""Drawings of AQA's page: what is drawn lies where it is."""

import base64
import re

import cv2
import numpy as np
import pytest

from pipeline.report.aqa import drawings


def points(svg: str) -> list[tuple[float, float]]:
    """Corners of the path of a drawing."""
    return [tuple(map(float, p)) for p in re.findall(r"[ML]([\d.]+) ([\d.]+)", svg)]


def test_an_area_is_as_high_as_its_values():
    found = points(drawings.area(np.array([0.0, 0.5, 1.0, np.nan]), "w", "weight"))
    assert found[1:-1] == [(0, 100), (250, 100), (250, 50), (500, 50), (500, 0), (750, 0), (750, 100), (1000, 100)]


def test_a_line_is_broken_where_nothing_is_known():
    svg = str(drawings.line(np.array([0.0, np.nan, 1.0, 1.0]), "w", "true", 0, 1))
    assert svg.count("M") == 2
    assert points(svg) == [(0, 96), (250, 96), (500, 4), (750, 4), (750, 4), (1000, 4)]


def test_a_curve_of_zeros_can_be_drawn():
    assert {y for _, y in points(drawings.area(np.zeros(3), "w", "weight"))} == {100.0}
    assert points(drawings.line(np.full(2, 3.0), "w", "score", 3.0, 3.0))


@pytest.mark.parametrize(
    "first, last, expected",
    [
        (0, 60, ["0", "10", "20", "30", "40", "50", "60"]),
        (0, 4, ["0", "1", "2", "3", "4"]),
        (3.2, 4.1, ["3.2", "3.4", "3.6", "3.8", "4.0"]),
    ],
)
def test_ticks_are_round_seconds(first, last, expected):
    found = drawings.ticks(first, last)
    assert [text for _, text in found] == expected
    for left, text in found:
        assert left == pytest.approx(100 * (float(text) - first) / (last - first), abs=0.02)


def test_a_map_has_a_pixel_a_cell_as_strong_as_its_value():
    uri = drawings.heat_map([[0, 100, 50], [20, 0, 100]])
    data = np.frombuffer(base64.b64decode(uri.removeprefix("data:image/png;base64,")), dtype=np.uint8)
    pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    assert pixels.shape == (2, 3, 4)
    assert pixels[..., 3].tolist() == [[0, 255, 127], [51, 0, 255]]


def test_dots_lie_on_the_line_where_both_scores_are_equal():
    svg = str(drawings.against([1.0, 3.0, 2.0], [1.0, 3.0, 1.0], ["a", "<b>", "c"], "words"))
    dots = [tuple(map(float, d)) for d in re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', svg)]
    assert all(x + y == pytest.approx(drawings.SIDE) for x, y in dots[:2])
    assert dots[2][1] > drawings.SIDE - dots[2][0] and "&lt;b&gt;: 3.00" in svg
    assert drawings.against([1.0, 1.0], [1.0, 1.0], ["a", "b"], "words")  # all alike
