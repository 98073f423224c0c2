"""The backbone of short clips: what it is trained on, and what the one that ships knows of routines it never saw."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import RidgeClassifierCV, RidgeCV

from pipeline import encoders
from pipeline.encoders.frames import resized
from pipeline.theatre import encoders_clip, routines
from pipeline.theatre.elements import ELEMENTS
from pipeline.theatre.puppet import COCO

WEIGHTS = Path(encoders_clip.__file__).parent / "weights"
FRESH = 123456  # a seed of the corpus that no training uses
FRAMES, SIDE = encoders_clip.FRAMES, encoders_clip.SIDE


@pytest.fixture(scope="module")
def data() -> encoders_clip.Routines:
    return encoders_clip.clips(FRESH, 2)


@pytest.fixture(scope="module")
def backbone():
    return encoders.load("backbone", {"name": "onnx", "model": str(WEIGHTS / "clip.onnx")})


@pytest.fixture(scope="module")
def read(backbone) -> dict[str, np.ndarray]:
    """Features (N,D), elements (N,), executions (N,) of clips within one turn, of 40 routines by ten performers."""
    rows: dict[str, list] = {"feature": [], "element": [], "execution": [], "group": []}
    for script in routines.corpus(FRESH, 40):
        frames = np.stack(list(routines.perform(script).frames))
        starts = [start for turn in script.turns for start in range(turn.start, turn.end - FRAMES + 1, FRAMES)]
        owners = [turn for turn in script.turns for _ in range(turn.start, turn.end - FRAMES + 1, FRAMES)]
        rows["feature"] += list(backbone.encode([frames[start : start + FRAMES] for start in starts]))
        rows["element"] += [turn.element for turn in owners]
        rows["execution"] += [turn.execution for turn in owners]
        rows["group"] += [script.group] * len(owners)
    return {name: np.array(values) for name, values in rows.items()}


def test_training_is_told_nothing_that_judges_know(data):
    """Neither difficulty nor execution nor total is part of what it sees."""
    assert {field.name for field in fields(encoders_clip.Routines)} == {"frames", "joints", "motion"}
    assert {field.name for field in fields(encoders_clip.Batch)} == {"clips", "joints", "motion"}


def test_routines_of_training_hold_one_row_a_frame_and_joints_in_torso_lengths(data):
    for script, frames, joints, motion in zip(
        routines.corpus(FRESH, 2), data.frames, data.joints, data.motion, strict=True
    ):
        length = script.turns[-1].end
        assert frames.shape == (length, SIDE, SIDE, 3) and joints.shape == (length, 17, 2)
        for turn in script.turns:
            expected = turn.element if turn.element >= 0 else len(ELEMENTS)
            assert (motion[turn.start : turn.end] == expected).all()
        hips = joints[:, [COCO.index("left_hip"), COCO.index("right_hip")]].mean(1)
        shoulders = joints[:, [COCO.index("left_shoulder"), COCO.index("right_shoulder")]].mean(1)
        np.testing.assert_allclose(hips, 0, atol=1e-6)
        assert 0.7 < np.median(np.linalg.norm(shoulders, axis=-1)) <= 1.1


def test_pace_is_the_mean_change_and_the_mean_change_of_change(data):
    batch = encoders_clip.clip_batch(data, 3, np.random.default_rng(0))
    assert batch.clips.shape == (3, FRAMES, SIDE, SIDE, 3) and batch.clips.dtype == torch.uint8
    np.testing.assert_allclose(batch.motion.sum(1), 1, rtol=1e-6)
    joints, nose = batch.joints.double().numpy()[1], 0
    speeds = [np.hypot(*(joints[t + 1, nose] - joints[t, nose])) for t in range(FRAMES - 1)]
    turns = [np.hypot(*(joints[t + 2, nose] - 2 * joints[t + 1, nose] + joints[t, nose])) for t in range(FRAMES - 2)]
    literal = np.log([np.mean(speeds) + 0.02, np.mean(turns) + 0.02])
    np.testing.assert_allclose(batch.pace[1, [nose, 17 + nose]], literal, rtol=1e-4)


def test_training_writes_a_file_that_the_plug_in_loads(tmp_path, data):
    encoders_clip.train_clip(tmp_path, videos=1, steps=2, batch=4, dim=8)
    loaded = encoders.load("backbone", {"name": "onnx", "model": str(tmp_path / "clip.onnx")})
    assert (loaded.dim, loaded.frames) == (8, FRAMES)
    assert loaded.encode([data.frames[0][:FRAMES]]).shape == (1, 8)


def test_what_ships_is_small_and_gives_a_clip_the_same_features_alone_and_among_others(backbone, data):
    assert (WEIGHTS / "clip.onnx").stat().st_size < 3e6
    assert (backbone.dim, backbone.frames) == (128, FRAMES)
    clips = [data.frames[0][start : start + FRAMES] for start in range(0, 80, FRAMES)]
    together = backbone.encode(clips)
    alone = np.concatenate([backbone.encode([clip]) for clip in clips])
    np.testing.assert_allclose(together, alone, atol=1e-4)
    large = [np.stack([np.kron(frame, np.ones((2, 2, 1), np.uint8)) for frame in clip]) for clip in clips]
    np.testing.assert_array_equal(resized(large[0], SIDE, SIDE), clips[0])


def test_what_ships_tells_elements_and_executions_of_unseen_performers_apart(read):
    """A linear readout from half of the performers, read on the other half."""
    groups = sorted(set(read["group"]))
    train = np.isin(read["group"], groups[::2])
    kinds = RidgeClassifierCV(np.logspace(-1, 4, 6)).fit(read["feature"][train], read["element"][train])
    assert kinds.score(read["feature"][~train], read["element"][~train]) > 0.8
    element = read["element"] >= 0
    readout = RidgeCV(np.logspace(-1, 4, 6)).fit(read["feature"][train & element], read["execution"][train & element])
    assert readout.score(read["feature"][~train & element], read["execution"][~train & element]) > 0.4
