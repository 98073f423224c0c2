"""Which of the people found is the person of the clip.

`iou` (default) follows one person: from the largest box of the clip forwards and backwards, always to the box that
overlaps most. `largest` is DANCE as published: the largest box of each frame on its own, so that the person may change.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from pipeline.errors import ChoreoError

Found = tuple[np.ndarray, np.ndarray]  # boxes (n,4) x0 y0 x1 y1, scores (n,)

MODES = ("iou", "largest")


def track(
    boxes: Sequence[np.ndarray | None],
    scores: Sequence[np.ndarray | None],
    mode: str = "iou",
    *,
    min_iou: float = 0.1,
    max_missed: int = 2,
) -> np.ndarray:
    """One person's box in every frame.

    Args:
        boxes: per frame (n,4), x0 y0 x1 y1; None where the detector did not look.
        scores: per frame (n,); decide between boxes of one size.
        mode: iou or largest.
        min_iou: overlap below which a box is somebody else's.
        max_missed: looks in a row at which `iou` may miss the person and still go on.

    Returns:
        (L,4) float32, NaN where nobody is. Between two sightings the box moves on a straight line.
    """
    chosen = choose(boxes, scores, mode, min_iou=min_iou, max_missed=max_missed)
    person = np.full((len(boxes), 4), np.nan, np.float32)
    for t, i in chosen.items():
        person[t] = boxes[t][i]
    looks = [t for t, found in enumerate(boxes) if found is not None]
    bridged = max_missed if mode == "iou" else 0
    for a, b in pairwise(sorted(chosen)):
        if looks.index(b) - looks.index(a) <= bridged + 1:
            share = (np.arange(a, b + 1)[:, None] - a) / (b - a)
            person[a : b + 1] = (1 - share) * person[a] + share * person[b]
    return person


def choose(
    boxes: Sequence[np.ndarray | None],
    scores: Sequence[np.ndarray | None],
    mode: str = "iou",
    *,
    min_iou: float = 0.1,
    max_missed: int = 2,
) -> dict[int, int]:
    """Frame -> index of the person's box, for the frames in which the person was found; arguments as for `track`."""
    if mode not in MODES:
        raise ChoreoError(f"tracking: {mode!r} is no way to follow a person", "", f"known ways: {', '.join(MODES)}")
    largest = {t: _largest(boxes[t], scores[t]) for t, found in enumerate(boxes) if found is not None and len(found)}
    if mode == "largest" or not largest:
        return largest
    first = max(largest, key=lambda t: area(boxes[t]).max())
    chosen = {first: largest[first]}
    for way in (range(first + 1, len(boxes)), range(first - 1, -1, -1)):
        box, missed = boxes[first][largest[first]], 0
        for t in way:
            if boxes[t] is None:
                continue
            overlap = iou(box, boxes[t])
            if len(overlap) and overlap.max() >= min_iou:
                chosen[t], missed = int(overlap.argmax()), 0
                box = boxes[t][chosen[t]]
            elif (missed := missed + 1) > max_missed:
                break
    return chosen


def iou(box: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Intersection over union of one box (4,) with each of (n,4)."""
    overlap = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    intersection = overlap.clip(0).prod(axis=1)
    return intersection / (area(box[None]) + area(boxes) - intersection).clip(1e-9)


def area(boxes: np.ndarray) -> np.ndarray:
    """Area of each of (n,4)."""
    return (boxes[:, 2:] - boxes[:, :2]).clip(0).prod(axis=1)


def _largest(boxes: np.ndarray, scores: np.ndarray) -> int:
    return int(np.lexsort((scores, area(boxes)))[-1])
