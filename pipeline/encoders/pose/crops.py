"""From frames to a pose model's input and back: the crop around a person."""

import cv2
import numpy as np


def windows(boxes: np.ndarray, aspect: float, scale: float) -> np.ndarray:
    """What a pose model looks at: each box, `scale` times larger, then widened or heightened to the aspect.

    Args:
        boxes: (N,4), x0 y0 x1 y1.
        aspect: width over height.
        scale: side of the window over that of the box.

    Returns:
        (N,4), x0 y0 width height; it may reach outside the frame.
    """
    centre, size = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) * scale
    width = np.maximum(size[:, 0], size[:, 1] * aspect)
    size = np.stack([width, width / aspect], axis=1)
    return np.concatenate([centre - size / 2, size], axis=1)


def crop(frame: np.ndarray, window: np.ndarray, width: int, height: int) -> np.ndarray:
    """The window (x0 y0 width height) of a frame as (height, width, 3) uint8, black outside the frame."""
    scale_x, scale_y = width / window[2], height / window[3]
    matrix = np.array([[scale_x, 0, -window[0] * scale_x], [0, scale_y, -window[1] * scale_y]])
    return cv2.warpAffine(frame, matrix, (width, height), flags=cv2.INTER_LINEAR)


def to_frame(joints: np.ndarray, windows: np.ndarray, width: int, height: int) -> np.ndarray:
    """Joints (N,17,2) in pixels of the crops -> pixels of the frames: the inverse of `crop`."""
    return joints * (windows[:, None, 2:] / (width, height)) + windows[:, None, :2]
