"""Top-down pose: find people, follow one of them, and estimate the joints in that person's boxes."""

from collections.abc import Callable

import numpy as np

from pipeline.encoders.pose import Poses
from pipeline.encoders.pose.tracking import Found, track

Detect = Callable[[np.ndarray], list[Found]]  # frames (N,H,W,3) -> per frame boxes and scores
Estimate = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]  # frames, boxes (N,4) -> (N,17,2), (N,17)


def top_down(frames: np.ndarray, detect: Detect, estimate: Estimate, *, every: int = 1, tracking: str = "iou") -> Poses:
    """Poses of one person in frames (L,H,W,3); frames without the person stay empty.

    Args:
        every: look for people in every so-manieth frame and the last; in between the box moves on a straight line.
        tracking: iou or largest, see `tracking`.
    """
    length = len(frames)
    looks = sorted({*range(0, length, every), length - 1})
    boxes: list = [None] * length
    scores: list = [None] * length
    for t, (found, score) in zip(looks, detect(frames[looks]), strict=True):
        boxes[t], scores[t] = found, score
    box = track(boxes, scores, tracking)
    seen = np.isfinite(box).all(axis=1)
    poses = Poses.nobody(length)
    poses.box[:] = box
    if seen.any():
        poses.joints[seen], poses.confidence[seen] = estimate(frames[seen], box[seen])
    return poses
