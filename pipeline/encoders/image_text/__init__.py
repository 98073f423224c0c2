"""Image-text encoders: frames and words as points of one space, in which nearness means "shows" (DANCE, Sec. 3.2.2)."""

from typing import Protocol

import numpy as np


class ImageTextEncoder(Protocol):
    """What every image-text encoder offers; equal inputs give equal outputs, whatever else is in the call.

    Attributes:
        identity: id and digest of the weights.
        dim: D.
    """

    identity: str
    dim: int

    def images(self, frames: np.ndarray) -> np.ndarray:
        """(N,H,W,3) uint8 RGB -> (N,D) float32, L2-normalised."""
        ...

    def texts(self, texts: list[str]) -> np.ndarray:
        """M texts -> (M,D) float32, L2-normalised."""
        ...
