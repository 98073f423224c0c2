"""Pose encoders: the joints of one person through a clip of frames.

Joints are COCO-17, top to bottom and left before right. Coordinates are pixels of the frame, with (0, 0) the centre of
the top-left pixel. Where nobody was found nothing is made up: joints and box are NaN and the confidence is 0.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

JOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear",
    "left_shoulder", "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
    "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle",
)  # fmt: skip


@dataclass(frozen=True)
class Clip:
    """L neighbouring frames of a video.

    Attributes:
        video_id: id of the video in the manifest.
        path: the video file.
        start: frame of the video at which the clip starts.
        frames: (L,H,W,3) uint8 RGB; None for an encoder with `needs_frames = False`.
        length: L; follows from the frames where there are any.
    """

    video_id: str
    path: Path
    start: int
    frames: np.ndarray | None = None
    length: int = 0

    def __post_init__(self) -> None:
        if self.frames is not None:
            object.__setattr__(self, "length", len(self.frames))
        if self.length < 1:
            raise ValueError(f"a clip of {self.video_id!r} has neither frames nor a length")


@dataclass(frozen=True)
class Poses:
    """One person in each frame of a clip.

    Attributes:
        joints: (L,17,2) float32, x and y in pixels; NaN where nobody was found, or a joint was not.
        confidence: (L,17) float32 in 0-1; 0 where nobody was found.
        box: (L,4) float32, x0 y0 x1 y1 in pixels; NaN where nobody was found.
    """

    joints: np.ndarray
    confidence: np.ndarray
    box: np.ndarray

    @classmethod
    def nobody(cls, length: int) -> "Poses":
        """A clip in which nobody was found."""
        joints = np.full((length, len(JOINTS), 2), np.nan, np.float32)
        return cls(joints, np.zeros((length, len(JOINTS)), np.float32), np.full((length, 4), np.nan, np.float32))


class PoseEncoder(Protocol):
    """What every pose encoder offers."""

    identity: str  # name and digest of the weights
    needs_frames: bool  # False where the poses were made elsewhere

    def encode(self, clip: Clip) -> Poses:
        """The poses of one person through the clip."""
        ...
