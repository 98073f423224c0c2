"""From a pose model's raw output to joints. N image, J joint."""

import numpy as np

SPLIT = 2  # SimCC bins per pixel of RTMPose


def movenet(output: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """(N,1,17,3), y x score in 0-1 -> joints (N,17,2) in pixels of the crop, confidence (N,17)."""
    y, x, score = np.moveaxis(output[:, 0], -1, 0)
    return np.stack([x * width, y * height], axis=-1), score.clip(0, 1)


def heatmaps(output: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Heatmaps (N,J,h,w) -> joints (N,J,2) in pixels of the crop, confidence (N,J) = the peak.

    Cell (i, j) stands for pixel (i * height / h, j * width / w). The peak between the cells is that of the Gaussian
    through the highest cell and its two neighbours on each axis (the Taylor step of Zhang et al., DARK, CVPR 2020,
    with a diagonal Hessian).
    """
    n, joints, h, w = output.shape
    peak = output.reshape(n, joints, -1).argmax(-1)
    row, column = np.divmod(peak, w)
    image, joint = np.ogrid[:n, :joints]
    logs = np.log(np.maximum(output, 1e-6)).astype(np.float64)
    x = column + _vertex(*(logs[image, joint, row, (column + d).clip(0, w - 1)] for d in (-1, 0, 1)))
    y = row + _vertex(*(logs[image, joint, (row + d).clip(0, h - 1), column] for d in (-1, 0, 1)))
    return np.stack([x * (width / w), y * (height / h)], axis=-1), output[image, joint, row, column].clip(0, 1)


def simcc(along_x: np.ndarray, along_y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """SimCC (N,J,Wx) and (N,J,Hy) -> joints (N,J,2) in pixels of the crop, confidence (N,J) = the lower peak.

    Li et al., SimCC, ECCV 2022; the confidence is RTMPose's (Jiang et al., 2023).
    """
    joints = np.stack([along_x.argmax(-1), along_y.argmax(-1)], axis=-1) / SPLIT
    return joints, np.minimum(along_x.max(-1), along_y.max(-1)).clip(0, 1)


def _vertex(before: np.ndarray, at: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Where between -0.5 and 0.5 the parabola through three neighbours has its top; 0 where it has none."""
    bend = before - 2 * at + after
    return np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, -1), 0).clip(-0.5, 0.5)
