"""Poses of real tennis players: YOLOX-nano and MoveNet Lightning against BlazePose-lite, another model's opinion."""

import csv
from pathlib import Path

import numpy as np
import pytest

from pipeline.encoders.pose import JOINTS, Clip
from pipeline.encoders.pose.imported import Imported
from pipeline.encoders.pose.onnx import Onnx
from pipeline.video import probe, read

CLIPS, LENGTH = 12, 16


def torso(joints: np.ndarray) -> float:
    """Median over frames (T,17,2) of the distance from the middle of the shoulders to the middle of the hips."""
    shoulders, hips = (joints[:, [JOINTS.index(f"{side}_{part}") for side in ("left", "right")]].mean(axis=1)
                       for part in ("shoulder", "hip"))  # fmt: skip
    return float(np.nanmedian(np.linalg.norm(shoulders - hips, axis=-1)))


@pytest.fixture(scope="module")
def tennis(shared_data) -> Path:
    return shared_data / "tennis_strokes"


@pytest.fixture(scope="module")
def measured(shared_data, tennis) -> list[tuple[float, float]]:
    """Per clip: mean distance of the joints in lengths of the torso, share of frames without a person."""
    weights = shared_data / "weights"
    found = Onnx(weights / "yolox/yolox_nano.onnx", weights / "onnx/movenet_lightning.onnx", detect_every=4)
    reference = Imported(str(tennis / "ref_blazepose_lite_keypoints.npz"), normalised=True)
    with open(tennis / "index.csv") as file:
        rows = list(csv.DictReader(file))
    figures = []
    for row in (rows[i] for i in np.linspace(0, len(rows) - 1, CLIPS).astype(int)):
        path = tennis / row["video"]
        start = (probe(path).frames - LENGTH) // 2
        frames, _ = read(path, range(start, start + LENGTH))
        ours = found.encode(Clip(row["id"], path, start, frames))
        theirs = reference.encode(Clip(row["id"], path, start, length=LENGTH))
        distance = np.linalg.norm(ours.joints - theirs.joints, axis=-1) / torso(theirs.joints)
        figures.append((np.nanmean(distance), np.isnan(ours.box[:, 0]).mean()))
    return figures


def test_two_models_agree_on_where_the_joints_are(measured):
    """Median over clips; 0.11 when measured first. Single clips may follow another person than the reference does."""
    assert np.median([distance for distance, _ in measured]) < 0.15
    assert sorted(distance for distance, _ in measured)[-2] < 0.5


def test_the_player_is_found_in_nearly_all_frames(measured):
    assert np.mean([lost for _, lost in measured]) < 0.1
