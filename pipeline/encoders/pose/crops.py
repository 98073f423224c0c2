"""From frames to a model's input and back: the letterbox of a detector and the crop of a pose model."""

import cv2
import numpy as np

GREY = 114  # what YOLOX pads with


def letterbox(frame: np.ndarray, width: int, height: int) -> tuple[np.ndarray, float]:
    """The whole frame (H,W,3) fitted to the top left of (height, width, 3), grey around it; and the scale."""
    scale = min(width / frame.shape[1], height / frame.shape[0])
    size = (max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale)))
    canvas = np.full((height, width, 3), GREY, np.uint8)
    canvas[: size[1], : size[0]] = cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR)
    return canvas, scale


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
