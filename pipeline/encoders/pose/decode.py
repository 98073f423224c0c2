"""From a model's raw output to boxes and joints. N image, K candidate box, J joint."""

import cv2
import numpy as np

from pipeline.encoders.pose.tracking import Found, area

STRIDES = (8, 16, 32)  # of YOLOX's three levels
SPLIT = 2  # SimCC bins per pixel of RTMPose


def yolox(output: np.ndarray, width: int, height: int) -> np.ndarray:
    """YOLOX's raw rows (N,K,5+classes) -> (N,K,5): x0 y0 x1 y1 in input pixels and the score of a person (class 0).

    A row holds the offset in its cell, log width and height in strides, objectness and class probabilities
    (Ge et al., YOLOX, 2021, Sec. 2.1).
    """
    cells, strides = [], []
    for stride in STRIDES:
        y, x = np.mgrid[: height // stride, : width // stride]
        cells.append(np.stack([x, y], axis=-1).reshape(-1, 2))
        strides.append(np.full((len(cells[-1]), 1), stride))
    cell, stride = np.concatenate(cells), np.concatenate(strides)
    centre = (output[..., :2] + cell) * stride
    half = np.exp(output[..., 2:4]) * stride / 2
    score = output[..., 4:5] * output[..., 5:6]
    return np.concatenate([centre - half, centre + half, score], axis=-1)


def people(candidates: np.ndarray, score: float, overlap: float = 0.45) -> Found:
    """The people among candidates (K,5), x0 y0 x1 y1 score: those above `score`, each once.

    Of two candidates that overlap by more than `overlap` (IoU) the surer one stays.
    """
    kept = candidates[(candidates[:, 4] > score) & (area(candidates[:, :4]) > 1)].astype(np.float32)
    if not len(kept):
        return np.zeros((0, 4), np.float32), np.zeros(0, np.float32)
    sized = np.concatenate([kept[:, :2], kept[:, 2:4] - kept[:, :2]], axis=1)
    order = np.asarray(cv2.dnn.NMSBoxes(sized.tolist(), kept[:, 4].tolist(), score, overlap), int).ravel()
    return kept[order, :4], kept[order, 4]


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
