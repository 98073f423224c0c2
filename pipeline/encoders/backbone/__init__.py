"""Backbones: one vector for a clip of frames, from a frozen network (DANCE, Sec. 3.1: f).

Axes: B clip, T frame, H W pixel, N frame of any clip, D feature.
"""

from collections.abc import Callable
from typing import Protocol

import cv2
import numpy as np


class Backbone(Protocol):
    """What every backbone offers; equal clips give equal features, whatever else is in the call.

    Attributes:
        identity: id and digest of the weights.
        dim: D.
        frames: T, the frames that it wants of a clip; image models take any number and average.
        needs_frames: False where the features were made elsewhere; `encode` then takes ids of videos, and
            `rows(video_id) -> (T,D)` gives those of the clips of one.
    """

    identity: str
    dim: int
    frames: int
    needs_frames: bool

    def encode(self, clips: list[np.ndarray] | list[str]) -> np.ndarray:
        """B clips (T,H,W,3) uint8 RGB, or B ids -> (B,D) float32."""
        ...


def mean_over_frames(clips: list[np.ndarray], features: Callable[[np.ndarray], np.ndarray], batch: int) -> np.ndarray:
    """Clips as the means of their frames -> (B,D); `features` takes (N,H,W,3) to (N,D), `batch` frames at a time."""

    def mean(clip: np.ndarray) -> np.ndarray:
        rows = [features(clip[i : i + batch]) for i in range(0, len(clip), batch)]
        return np.concatenate(rows).mean(0, dtype=np.float32)

    return np.stack([mean(clip) for clip in clips])


def with_short_side(frame: np.ndarray, pixels: int) -> np.ndarray:
    """(H,W,3) uint8 at another size, its aspect ratio kept, bilinear as the publishers of video networks do it."""
    height, width = frame.shape[:2]
    scale = pixels / min(height, width)
    size = round(width * scale), round(height * scale)  # as OpenCV wants it
    return frame if size == (width, height) else cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR)
