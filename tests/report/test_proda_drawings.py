"""Strips over time, boxes and points."""

import re

import numpy as np
import pytest

from pipeline.report.proda import drawings, figures

TIME = np.array([1.0, 2.0, 3.0, 4.0])


def test_a_frame_stands_in_the_middle_of_its_cell():
    assert [drawings.position(t, TIME) for t in TIME] == pytest.approx([0.125, 0.375, 0.625, 0.875])
    assert drawings.position(0.0, TIME) == 0 and drawings.position(9.0, TIME) == 1  # outside the film
    assert drawings.position(2.5, TIME) == pytest.approx(0.5)


def test_frames_that_repeat_or_stand_alone_have_a_place():
    assert drawings.position(2.0, np.array([2.0])) == 0.5
    assert 0 <= drawings.position(1.0, np.array([0.0, 1.0, 1.0])) <= 1
    assert drawings.runs(np.array([True]), np.array([2.0])) == [(2.0, 2.0)]


def test_found_frames_are_drawn_on_their_own_cells():
    found = np.array([True, False, True, True])
    assert drawings.runs(found, TIME) == [(0.5, 1.5), (2.5, 4.5)]
    svg = drawings.spans(drawings.runs(found, TIME), TIME, "found")
    ends = [(float(a), float(b)) for a, b in re.findall(r"left:([\d.]+)%;width:([\d.]+)%", svg)]
    assert ends == [(0, 25), (50, 50)]
    assert drawings.runs(np.zeros(4, dtype=bool), TIME) == []


def test_full_colour_is_the_largest_weight_that_is_seen():
    seen = np.array([True, True, False, True])
    strip = drawings.heat(np.array([0.1, 0.4, 0.9, 0.0]), TIME, "weights", seen=seen)
    assert re.findall(r"opacity:([\d.]+)", strip) == ["0.25", "1.00", "0.00"]
    assert strip.count('class="none"') == 1 and 'aria-label="weights"' in strip
    assert "opacity:0.20" in drawings.heat(np.array([0.1, 0.0]), TIME[:2], "w", largest=0.5)
    assert "nan" not in drawings.heat(np.zeros(4), TIME, "nothing")


def test_points_keep_their_proportions():
    svg = drawings.plane([(0.0, 0.0, 0), (10.0, 0.0, 1), (0.0, 5.0, 1)], ["a", "b"])
    at = np.array([(int(x), int(y)) for x, y in re.findall(r'cx="(-?\d+)" cy="(-?\d+)"', svg)])
    assert at.min() >= 0 and at.max() <= drawings.SIDE
    assert at[1, 0] - at[0, 0] == pytest.approx(2 * (at[2, 1] - at[0, 1]), abs=2)


def test_neighbouring_actions_differ_in_hue():
    hues = np.array([drawings.hue(n) for n in range(30)])
    step = np.abs(np.diff(hues))
    assert np.minimum(step, 360 - step).min() > 90


def test_a_step_of_the_order_is_clear_when_it_exceeds_the_spread_of_both():
    told = {"a": {"mean": 0.9, "std": 0.02}, "b": {"mean": 0.85, "std": 0.02}, "c": {"mean": 0.84, "std": 0.0}}
    names = {v: v.upper() for v in told}
    same = figures.order(told, {"a": 3.0, "b": 2.0, "c": 1.0}, names)
    assert same.startswith("The order is the paper's: A > B > C.") and "1 of 2 steps" in same
    assert figures.order(told, {"a": 1.0, "b": 2.0, "c": 3.0}, names).startswith(
        "Here A > B > C; in the paper C > B > A."
    )
    assert figures.order({"a": told["a"]}, {"a": 1.0}, names) == ""
