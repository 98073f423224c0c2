"""Which of the people found is the person of the clip."""

import numpy as np
import pytest

from pipeline.encoders.pose.tracking import iou, track
from pipeline.errors import ChoreoError

NOBODY = np.zeros((0, 4), np.float32)


def square(x: float, side: float = 10, y: float = 0) -> list[float]:
    return [x, y, x + side, y + side]


def person(boxes: list, mode: str = "iou", **options) -> np.ndarray:
    boxes = [None if b is None else np.array(b, np.float32).reshape(-1, 4) for b in boxes]
    scores = [None if b is None else np.ones(len(b), np.float32) for b in boxes]
    return track(boxes, scores, mode, **options)


def test_iou_is_the_shared_area_over_the_joint_area():
    boxes = np.array([square(0), square(5), square(10), square(0, 20)], float)
    assert iou(np.array(square(0), float), boxes) == pytest.approx([1, 50 / 150, 0, 100 / 400])


def test_the_person_stays_the_same_when_somebody_larger_passes():
    """At frame 2 another box is larger, though not the clip's largest: `iou` stays, `largest` jumps."""
    boxes = [[square(0, 12)], [square(1, 11)], [square(2, 8), square(50, 10)], [square(3, 8)]]
    assert person(boxes)[2] == pytest.approx(square(2, 8))
    assert person(boxes, "largest")[2] == pytest.approx(square(50, 10))


def test_the_person_is_followed_backwards_from_the_largest_box():
    boxes = [[square(0, 8), square(40, 9)], [square(1, 9), square(41, 9)], [square(2, 20), square(42, 9)]]
    assert person(boxes)[:, 0] == pytest.approx([0, 1, 2])


def test_a_short_gap_is_bridged_on_a_straight_line_and_a_long_one_ends_the_track():
    boxes = [[square(0)], NOBODY, NOBODY, [square(3)], NOBODY, NOBODY, NOBODY, [square(7)]]
    found = person(boxes, max_missed=2)
    assert found[:4, 0] == pytest.approx([0, 1, 2, 3])
    assert np.isnan(found[4:]).all()


def test_frames_at_which_nobody_looked_lie_between_the_sightings():
    boxes = [[square(0)], None, None, None, [square(4, 18)]]
    found = person(boxes)
    assert found[:, 0] == pytest.approx([0, 1, 2, 3, 4])
    assert (found[:, 2] - found[:, 0]) == pytest.approx([10, 12, 14, 16, 18])


def test_largest_takes_every_frame_on_its_own_and_bridges_no_look_in_vain():
    boxes = [[square(0), square(50, 20)], [square(1)], NOBODY, [square(90)]]
    found = person(boxes, "largest")
    assert found[[0, 1, 3], 0] == pytest.approx([50, 1, 90])
    assert np.isnan(found[2]).all()


def test_somebody_elsewhere_is_not_the_person():
    found = person([[square(0, 20)], [square(200)]])
    assert np.isnan(found[1]).all()


def test_a_clip_without_people_has_no_box():
    """Never the whole image: a made-up person would become a motion concept."""
    assert np.isnan(person([NOBODY, NOBODY, NOBODY])).all()
    assert np.isnan(person([NOBODY, None, NOBODY], "largest")).all()


def test_of_two_boxes_of_one_size_the_surer_one_is_the_person():
    boxes = [np.array([square(0), square(40)], np.float32)]
    assert track(boxes, [np.array([0.3, 0.9])])[0] == pytest.approx(square(40))
    assert track(boxes, [np.array([0.9, 0.3])])[0] == pytest.approx(square(0))


def test_an_unknown_mode_names_the_known_ones():
    with pytest.raises(ChoreoError, match="iou, largest"):
        person([[square(0)]], "nearest")
