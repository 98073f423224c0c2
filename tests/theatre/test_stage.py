"""Performances: what is drawn and what is said to be true of it."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.theatre import actions, corpus, stage
from pipeline.theatre.motions import PRIMITIVES
from pipeline.theatre.props import OBJECTS
from pipeline.theatre.puppet import COCO, POINT
from pipeline.theatre.scenery import SCENES


@pytest.fixture(scope="module")
def script() -> stage.Script:
    return actions.cast(3, 12)[0]


def test_the_same_script_gives_the_same_bytes(script):
    one, two = stage.perform(script), stage.perform(actions.cast(3, 12)[0])
    assert one.frames.tobytes() == two.frames.tobytes()
    assert one.joints.tobytes() == two.joints.tobytes()


def test_another_seed_gives_another_video(script):
    other = stage.perform(replace(script, seed=script.seed + 1)).frames
    frames = stage.perform(script).frames
    shared = min(len(frames), len(other))
    assert np.abs(frames[:shared].astype(int) - other[:shared]).mean() > 5


def test_truth_has_one_row_a_frame_and_agrees_with_the_rendering():
    for script in corpus.scripts(5, 12):
        performance, truth = stage.perform(script), stage.truth(script)
        frames = len(performance.frames)
        assert performance.frames.shape == (frames, 128, 128, 3) and performance.frames.dtype == np.uint8
        assert truth.joints.shape == (frames, 17, 2) and truth.visible.shape == (frames, 17)
        assert truth.box.shape == (frames, 4) and truth.primitive.shape == (frames,)
        assert set(truth.primitive) == {-1, PRIMITIVES.index(script.primitive)}
        np.testing.assert_array_equal(truth.joints, performance.joints)
        np.testing.assert_array_equal(truth.visible, performance.visible)


def test_visible_joints_lie_on_the_drawn_body():
    """A pixel at a visible joint differs from the same stage without the performer."""
    for script in [replace(s, object="") for s in corpus.scripts(6, 16)]:
        full, empty = stage.perform(script), stage.perform(script, empty=True)
        body = np.abs(full.frames.astype(int) - empty.frames).max(-1) > 0
        for t in range(0, len(full.frames), 6):
            for joint in np.flatnonzero(full.visible[t]):
                x, y = np.rint(full.joints[t, joint]).astype(int)
                near = body[t, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
                assert near.any(), f"{script.id}, frame {t}: {COCO[joint]} is beside the body"


def test_hidden_joints_are_out_of_the_picture_or_behind_the_foreground():
    hidden_inside = 0
    for script in corpus.scripts(7, 40):
        truth = stage.truth(script)
        inside = ((truth.joints >= 0) & (truth.joints <= 127)).all(-1)
        assert not (truth.visible & ~inside).any()
        hidden_inside += (inside & ~truth.visible).sum()
    assert hidden_inside > 0, "the foreground hides something in forty videos"


def test_the_box_holds_all_visible_joints():
    for script in corpus.scripts(8, 20):
        truth = stage.truth(script)
        low, high = truth.box[:, None, :2], truth.box[:, None, 2:]
        assert ((truth.joints >= low) & (truth.joints <= high)).all(-1)[truth.visible].all()


def test_left_and_right_are_the_performers_own_in_a_mirrored_view(script):
    """The kicking foot is the right one; mirrored, the picture shows a left-footed performer."""
    kicks = [replace(script, primitive="kick", seed=seed) for seed in range(40)]
    travel = {True: [], False: []}
    for kick in kicks:
        view = stage._view(kick.rng("view"))
        joints = stage.truth(kick).joints
        right, left = (np.ptp(joints[:, COCO.index(f"{side}_ankle")], axis=0).sum() for side in ("right", "left"))
        travel[view.mirrored].append(left > right)
    assert not any(travel[False]) and all(travel[True])


@pytest.mark.parametrize("backward, forward", [("lower", "raise"), ("catch", "throw")])
@pytest.mark.parametrize("thing", ["ball", "barbell"])
def test_reversed_primitives_are_the_exact_time_reversal(script, backward, forward, thing):
    """The body and what it uses, in space, frame by frame."""
    scripts = [replace(script, primitive=name, object=thing) for name in (forward, backward)]
    one, two = (stage.act(s, stage._view(s.rng("view"))) for s in scripts)
    np.testing.assert_array_equal(one.points, two.points[::-1])
    np.testing.assert_array_equal(one.active, two.active[::-1])
    for a, b in zip(one.used, two.used, strict=True):
        np.testing.assert_array_equal(a.points, b.points[::-1])
    assert np.abs(one.points - two.points).max() > 0.1, "which is not the same as the motion itself"


def test_a_thrown_ball_leaves_the_hand_and_flies_forward(script):
    throw = replace(script, primitive="throw", object="ball")
    action = stage.act(throw, stage._view(throw.rng("view")))
    ball, hand = action.used[0].points[:, 0], action.points[:, POINT["right_hand"]]
    distance = np.linalg.norm(ball - hand, axis=-1)
    np.testing.assert_allclose(distance[:5], 0, atol=1e-9)
    assert distance[-1] > 0.5 and ball[-1, 0] > 0.5


def test_the_object_in_use_is_named_first_and_nothing_unknown_is_present():
    for script in corpus.scripts(9, 60):
        truth = stage.truth(script)
        assert set(truth.objects) <= set(OBJECTS) and truth.scene in SCENES
        assert len(set(truth.objects)) == len(truth.objects)
        if script.object:
            assert truth.objects[0] == script.object


@pytest.mark.parametrize("thing", OBJECTS)
def test_every_object_is_drawn(script, thing):
    bare, held = (stage.perform(replace(script, primitive="wave", object=name)).frames for name in ("", thing))
    changed = (np.abs(bare.astype(int) - held).max(-1) > 12).mean((1, 2)) * 128**2
    assert np.median(changed) > 30, "pixels of the picture"


@pytest.mark.parametrize("scene", SCENES)
def test_every_scene_varies_and_is_unlike_the_others(script, scene):
    """Two paintings of one scene differ, and no two scenes are the same painting."""
    one, two = (stage.perform(replace(script, scene=scene, seed=seed), empty=True).frames[0] for seed in (1, 2))
    assert np.abs(one.astype(int) - two).mean() > 3
    others = [stage.perform(replace(script, scene=s, seed=1), empty=True).frames[0] for s in SCENES if s != scene]
    assert min(np.abs(one.astype(int) - other).mean() for other in others) > 10
