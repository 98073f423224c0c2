"""Object detectors: which things are where in a frame.

Boxes are x0 y0 x1 y1 in pixels of the frame; the kind of a thing is an index into the detector's `classes`.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class Detections:
    """The things found in one frame, the surest first.

    Attributes:
        box: (K,4) float32, x0 y0 x1 y1 in pixels, within the frame.
        score: (K,) float32 in 0-1.
        kind: (K,) int64, index into the detector's `classes`.
    """

    box: np.ndarray
    score: np.ndarray
    kind: np.ndarray

    def of(self, kind: int) -> tuple[np.ndarray, np.ndarray]:
        """Boxes and scores of the things of one class."""
        return self.box[self.kind == kind], self.score[self.kind == kind]


class Detector(Protocol):
    """What every detector offers."""

    classes: tuple[str, ...]
    identity: str  # name and digest of the weights

    def detect(self, frames: np.ndarray) -> list[Detections]:
        """The things in each frame (N,H,W,3) uint8 RGB."""
        ...
