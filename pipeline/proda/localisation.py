"""When an action happens, read from the weights that the readout gives to frames (ProDA, Sec. 4.4, Tables 8-9).

No interval is seen in training. A curve over the sampled frames is cut at a threshold theta; the frames above it are
compared with the frames that lie in the action's true intervals.

Axes: P a (video, action) that is asked, S sample (a video and a specification), T sampled frame, C action.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from pipeline.errors import ChoreoError

THETAS = IOUS = (0.2, 0.5, 0.7)  # Tables 8-9
GRID = np.round(np.arange(0, 1, 0.01), 2)  # thresholds among which val chooses; 0 keeps every frame that has weight

Intervals = Mapping[tuple[str, str], Sequence[tuple[float, float]]]


def read_intervals(path: Path) -> dict[tuple[str, str], list[tuple[float, float]]]:
    """The true intervals in seconds by (video, action), from a CSV `id,action,start,end`.

    Raises:
        ChoreoError: the file is missing, lacks a column, or a time is no number.
    """
    if not Path(path).is_file():
        raise ChoreoError(f"there is no file of intervals {path}", "the stage `intervals` has not run", "run it")
    result: dict[tuple[str, str], list[tuple[float, float]]] = {}
    with open(path, newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        if missing := {"id", "action", "start", "end"} - set(rows.fieldnames or ()):
            raise ChoreoError(f"{path} lacks the columns {sorted(missing)}", "it is no file of intervals")
        for line, row in enumerate(rows, start=2):
            try:
                span = float(row["start"]), float(row["end"])
            except (TypeError, ValueError) as error:
                raise ChoreoError(f"{path}, line {line}: {error}", "a time is no number", "mend the line") from error
            result.setdefault((row["id"], row["action"]), []).append(span)
    return result


def inside(time: NDArray, intervals: Sequence[tuple[float, float]]) -> NDArray[np.bool_]:
    """Whether each time lies in one of the intervals, ends included: (T,) s -> (T,)."""
    result = np.zeros(time.shape, dtype=bool)
    for start, end in intervals:
        result |= (start <= time) & (time <= end)
    return result


def truth(ids: Sequence[str], time: NDArray, actions: Sequence[str], intervals: Intervals) -> NDArray[np.bool_]:
    """The sampled frames at which each action happens: times (B,T) s -> (B,C,T)."""
    return np.array([[inside(t, intervals.get((i, a), ())) for a in actions] for i, t in zip(ids, time, strict=True)])


# Curves ----------------------------------------------------------------------------------------------------------


def curve(weight: NDArray) -> NDArray:
    """Frame weights s, squared, over the largest of the video: (...,T) -> (...,T) in 0-1 (as the authors' code)."""
    return _over_largest(np.square(weight))


def occlusion_curve(drop: NDArray) -> NDArray:
    """What a frame adds to the action's logit, over the largest; frames that add nothing are 0: (...,T) -> (...,T)."""
    return _over_largest(np.maximum(drop, 0))


def _over_largest(value: NDArray) -> NDArray:
    largest = value.max(axis=-1, keepdims=True)
    return np.divide(value, largest, out=np.zeros_like(value), where=largest > 0)


# Figures ---------------------------------------------------------------------------------------------------------


def iou(one: NDArray, two: NDArray) -> NDArray:
    """Intersection over union of sets of frames: (...,T), (...,T) bool -> (...); 0 where both are empty."""
    union = (one | two).sum(axis=-1)
    return np.divide((one & two).sum(axis=-1), union, out=np.zeros(union.shape), where=union > 0)


def recall(found: NDArray, true: NDArray, threshold: float = 0.5) -> float:
    """Share of the true (video, action) whose frames are found with at least this IoU: (P,T), (P,T) bool.

    An action that falls between the sampled frames counts as missed.
    """
    return float((iou(found, true) >= threshold).mean())


def choose_theta(curves: NDArray, true: NDArray, threshold: float = 0.5) -> float:
    """The theta of the grid with the highest recall, the lowest of equals: (P,T), (P,T) bool of the val videos."""
    return float(max(GRID, key=lambda theta: (recall(curves > theta, true, threshold), -theta)))


def best_stretch(evidence: NDArray, length: int) -> NDArray[np.bool_]:
    """The `length` neighbouring frames whose evidence adds up to most, the first of equals: (P,T) -> (P,T)."""
    frames = evidence.shape[1]
    sums = np.lib.stride_tricks.sliding_window_view(evidence, length, axis=1).sum(-1)  # (P,T-length+1)
    place = np.arange(frames) - sums.argmax(axis=1)[:, None]
    return (place >= 0) & (place < length)


def choose_length(evidence: NDArray, true: NDArray, threshold: float = 0.5) -> int:
    """The length of stretches with the highest recall, the shortest of equals: (P,T), (P,T) bool of the val videos."""
    every = range(1, evidence.shape[1] + 1)
    return max(every, key=lambda length: (recall(best_stretch(evidence, length), true, threshold), -length))


def middle_half(frames: int) -> NDArray[np.bool_]:
    """The guess that looks at nothing: the middle half of the frames, (T,)."""
    position = (np.arange(frames) + 0.5) / frames
    return (position >= 0.25) & (position < 0.75)


def paper_map(curves: NDArray, true: NDArray, present: NDArray, theta: float, threshold: float) -> float:
    """What Tables 8-9 call mAP, as the authors' code computes it: mean over all actions of TP / (TP + FP).

    A sample counts for each action that it specifies and that the video shows; it is a true positive where the frames
    above theta have an IoU above the threshold with the frames in which any of those actions happens (a specification
    has one curve). An action without samples counts 0. There is no ranking in it: it is a share of samples.

    Args:
        curves: (S,T).
        true: (S,C,T), frames of each action in the sample's video.
        present: (S,C), the actions that are specified and shown.
    """
    hit = iou(curves > theta, (true & present[:, :, None]).any(axis=1)) > threshold  # (S,)
    samples = present.sum(axis=0)
    return float(np.divide(hit.astype(float) @ present, samples, out=np.zeros(len(samples)), where=samples > 0).mean())


def paper_table(curves: NDArray, true: NDArray, present: NDArray) -> list[list[float]]:
    """`paper_map` at every theta (rows) and IoU (columns) of Tables 8-9."""
    return [[paper_map(curves, true, present, theta, threshold) for threshold in IOUS] for theta in THETAS]


def frame_map(score: NDArray, true: NDArray, shown: NDArray) -> float:
    """Frame-level mAP: average precision of frame scores against the true frames, mean over actions.

    Args:
        score: (B,C,T), of each action asked alone.
        true: (B,C,T).
        shown: (B,C) bool, the videos that are ranked for an action.
    """
    each = [
        average_precision_score(true[rows, c].ravel(), score[rows, c].ravel())
        for c, rows in enumerate(shown.T)
        if true[rows, c].any()
    ]
    return float(np.mean(each)) if each else 0.0
