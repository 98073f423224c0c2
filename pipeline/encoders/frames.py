"""Frames on their way into a network, as its own pre-processing wants them."""

from collections.abc import Callable

import cv2
import numpy as np
import torch
from PIL import Image
from torch import Tensor


def transformed(frames: np.ndarray, transform: Callable[[Image.Image], Tensor]) -> Tensor:
    """A model's own transform of PIL images, frame by frame: (N,H,W,3) uint8 -> (N,3,S,S) float32."""
    return torch.stack([transform(Image.fromarray(frame)) for frame in frames])


def resized(frames: np.ndarray, height: int, width: int) -> np.ndarray:
    """The whole picture at another size, its aspect ratio given up: (N,H,W,3) uint8 -> (N,height,width,3) uint8."""
    if frames.shape[1:3] == (height, width):
        return frames
    shrinks = frames.shape[1] > height and frames.shape[2] > width
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.stack([cv2.resize(frame, (width, height), interpolation=how) for frame in frames])


def channels_first(clip: np.ndarray) -> Tensor:
    """(T,H,W,3) uint8 -> (T,3,H,W) uint8."""
    return torch.from_numpy(np.ascontiguousarray(clip)).permute(0, 3, 1, 2)
