"""Skeletons of other tools and data sets, and their joints in COCO-17.

A skeleton names its joints in its own order. A joint of COCO-17 that it lacks is absent, NaN with confidence 0: nothing
stands in for it, as the middle of a head is no nose.
"""

from __future__ import annotations

import numpy as np

from pipeline.encoders.pose import JOINTS

SKELETONS: dict[str, tuple[str, ...]] = {
    "coco17": JOINTS,
    # BODY_18 of OpenPose: COCO's joints and a neck.
    "openpose18": (
        "nose", "neck",
        "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
        "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
        "right_eye", "left_eye", "right_ear", "left_ear",
    ),
    # BODY_25 of OpenPose.
    "openpose25": (
        "nose", "neck",
        "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist",
        "mid_hip", "right_hip", "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle",
        "right_eye", "left_eye", "right_ear", "left_ear",
        "left_big_toe", "left_small_toe", "left_heel", "right_big_toe", "right_small_toe", "right_heel",
    ),
    # BlazePose (MediaPipe).
    "blazepose33": (
        "nose", "left_eye_inner", "left_eye", "left_eye_outer", "right_eye_inner", "right_eye", "right_eye_outer",
        "left_ear", "right_ear", "mouth_left", "mouth_right",
        "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
        "left_pinky", "right_pinky", "left_index", "right_index", "left_thumb", "right_thumb",
        "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
        "left_heel", "right_heel", "left_foot_index", "right_foot_index",
    ),
    # Penn Action.
    "penn13": (
        "head", "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
        "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
    ),
    # J-HMDB.
    "jhmdb15": (
        "neck", "belly", "face", "right_shoulder", "left_shoulder", "right_hip", "left_hip",
        "right_elbow", "left_elbow", "right_knee", "left_knee", "right_wrist", "left_wrist",
        "right_ankle", "left_ankle",
    ),
}  # fmt: skip


def told(joints: int) -> str | None:
    """The skeleton that has so many joints; no two have as many."""
    return next((name for name, names in SKELETONS.items() if len(names) == joints), None)


def to_coco(people: np.ndarray, skeleton: str) -> np.ndarray:
    """People of any skeleton in COCO-17: (P,J,3) x y confidence -> (P,17,3), absent joints NaN NaN 0."""
    names = SKELETONS[skeleton]
    there = [name in names for name in JOINTS]
    coco = np.full((len(people), len(JOINTS), 3), (np.nan, np.nan, 0.0))
    coco[:, there] = people[:, [names.index(name) for name in JOINTS if name in names]]
    return coco
