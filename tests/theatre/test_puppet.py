"""The puppet's kinematics and its motions."""

import numpy as np
import pytest

from pipeline.theatre import motions
from pipeline.theatre.puppet import COCO, FIELDS, POINT, Body, pose, skeleton

FORWARD = [name for name in motions.PRIMITIVES if name not in motions.BACKWARDS]


def played(name: str, seed: int = 0) -> motions.Motion:
    return motions.play(name, np.random.default_rng(seed))


def point(points, name):
    return points[:, POINT[name]]


def test_standing_at_rest_is_one_body_height_on_the_ground_and_upright():
    points = skeleton(pose()[None], Body())[0]
    named = dict(zip(POINT, points[list(POINT.values())], strict=True))
    assert 0 <= min(named["left_toe"][1], named["right_toe"][1]) < 0.05
    assert named["head"][1] + Body().head == pytest.approx(1.0, abs=0.06)
    for left in [name for name in COCO if name.startswith("left")]:
        assert named[left][2] < 0 < named[left.replace("left", "right")][2], "z points to the performer's right"


def test_an_arm_points_where_its_angles_say():
    """Forward kinematics by hand: no lean, no twist, arm straight."""
    for flex, direction in ((0, (0, -1, 0)), (90, (1, 0, 0)), (180, (0, 1, 0))):
        straight = {"right_flex": flex, "right_out": 0, "right_elbow": 0, "right_fore": 0}
        points = skeleton(pose(lean=0, **straight)[None], Body())
        arm = point(points, "right_wrist") - point(points, "right_shoulder")
        length = Body().upper_arm + Body().forearm
        np.testing.assert_allclose(arm[0], np.multiply(direction, length), atol=1e-9)


@pytest.mark.parametrize("name", FORWARD)
@pytest.mark.parametrize("grip", [None, 0.1])
def test_bones_keep_their_lengths_in_every_motion(name, grip):
    body = Body(thigh=0.25, forearm=0.16)
    points = skeleton(played(name).poses, body, grip)
    bones = {
        ("hip", "knee"): body.thigh,
        ("knee", "ankle"): body.shin,
        ("shoulder", "elbow"): body.upper_arm,
        ("elbow", "wrist"): body.forearm,
    }
    for (first, second), length in bones.items():
        for side in ("left", "right"):
            bone = point(points, f"{side}_{second}") - point(points, f"{side}_{first}")
            np.testing.assert_allclose(np.linalg.norm(bone, axis=-1), length, atol=2e-3)


def test_hands_with_a_grip_stay_that_far_apart():
    points = skeleton(played("raise").poses, Body(), grip=0.1)
    apart = point(points, "right_wrist") - point(points, "left_wrist")
    np.testing.assert_allclose(np.linalg.norm(apart, axis=-1), 0.2, atol=0.02)


@pytest.mark.parametrize("name", FORWARD)
def test_nobody_sinks_into_the_ground_or_jumps_between_frames(name):
    for seed in range(5):
        points = skeleton(played(name, seed).poses, Body())
        assert points[..., 1].min() > -0.02
        assert np.abs(np.diff(points, axis=0)).max() < 0.45, "body heights a frame; a fast hand does 0.4"


def test_a_standing_foot_stays_where_it_is_during_a_kick():
    points = skeleton(played("kick").poses, Body())
    assert np.ptp(point(points, "left_ankle"), axis=0).max() < 0.02
    assert np.ptp(point(points, "right_ankle"), axis=0).max() > 0.3


@pytest.mark.parametrize("name", FORWARD)
def test_a_motion_is_idle_then_active_then_idle(name):
    for seed in range(10):
        motion = played(name, seed)
        changes = np.diff(motion.active.astype(int))
        assert 42 <= len(motion.poses) <= 56
        assert not motion.active[0] and not motion.active[-1]
        assert (changes == 1).sum() == 1 and (changes == -1).sum() == 1
        if motion.release is not None:
            assert motion.active[motion.release]


def test_every_primitive_can_be_played_or_is_the_reversal_of_one():
    assert set(motions.BACKWARDS) < set(motions.PRIMITIVES)
    assert set(motions.BACKWARDS.values()) <= set(FORWARD)
    with pytest.raises(KeyError, match="lower"):
        played("lower")


def test_an_unknown_pose_field_is_named_with_those_that_exist():
    with pytest.raises(KeyError, match=f"right_flx.*{FIELDS[0]}"):
        pose(right_flx=3)
