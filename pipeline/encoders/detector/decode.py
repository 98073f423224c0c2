"""From a frame to a detector's input, and from its raw output to things. N image, K candidate box, C class."""

import cv2
import numpy as np

from pipeline.encoders.detector import Detections

GREY = 114  # what YOLOX pads with
STRIDES = (8, 16, 32)  # of YOLOX's three levels


def letterbox(frame: np.ndarray, width: int, height: int) -> tuple[np.ndarray, float]:
    """The whole frame (H,W,3) fitted to the top left of (height, width, 3), grey around it; and the scale."""
    scale = min(width / frame.shape[1], height / frame.shape[0])
    size = (max(1, round(frame.shape[1] * scale)), max(1, round(frame.shape[0] * scale)))
    canvas = np.full((height, width, 3), GREY, np.uint8)
    canvas[: size[1], : size[0]] = cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR)
    return canvas, scale


def yolox(output: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """YOLOX's raw rows (N,K,5+C) -> boxes (N,K,4), x0 y0 x1 y1 in input pixels, and scores (N,K,C).

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
    return np.concatenate([centre - half, centre + half], axis=-1), output[..., 4:5] * output[..., 5:]


def boxes(output: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows (N,K,6), x0 y0 x1 y1 score class -> boxes (N,K,4) and scores (N,K,C), C = `classes`; others score 0."""
    return output[..., :4], output[..., 4:5] * (output[..., 5:6] == np.arange(classes))


def things(box: np.ndarray, scores: np.ndarray, least: float, overlap: float = 0.45) -> Detections:
    """The things among the candidates of one image: those that score above `least`, each once, the surest first.

    Of two candidates of one class that overlap by more than `overlap` (IoU) the surer one stays.

    Args:
        box: (K,4), x0 y0 x1 y1.
        scores: (K,C).
    """
    real = (box[:, 2:] - box[:, :2]).clip(0).prod(axis=1) > 1
    row, kind = np.nonzero((scores > least) & real[:, None])
    box, score = box[row].astype(np.float32), scores[row, kind].astype(np.float32)
    if not len(box):
        return Detections(np.zeros((0, 4), np.float32), score, kind)
    sized = np.concatenate([box[:, :2], box[:, 2:] - box[:, :2]], axis=1)
    kept = np.asarray(cv2.dnn.NMSBoxesBatched(sized.tolist(), score.tolist(), kind.tolist(), least, overlap), int)
    kept = kept[np.argsort(-score[kept], kind="stable")]
    return Detections(box[kept], score[kept], kind[kept])
