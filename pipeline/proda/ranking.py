"""Average precision: how well scores put the videos of a class before the others.

Axes: V video (or whatever is ranked), C class.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.errors import ChoreoError


def average_precision(scores: ArrayLike, labels: ArrayLike) -> NDArray[np.float64]:
    """Average precision of every class: the mean over its videos of the precision down to each of them.

    Equal scores share one rank, as in scikit-learn, so that the order of the rows never matters.

    Args:
        scores: (V,C), higher means more likely.
        labels: (V,C), true where the video shows the class.

    Returns:
        (C,), 0-1; NaN for a class that no video shows.

    Raises:
        ChoreoError: the shapes differ, or a score is not finite.
    """
    scores, labels = np.asarray(scores), np.asarray(labels, dtype=bool)
    if scores.shape != labels.shape or scores.ndim != 2:
        raise ChoreoError(f"scores {scores.shape} and labels {labels.shape} are not of one shape (video, class)")
    if not np.isfinite(scores).all():
        raise ChoreoError("a score is not finite", "the model diverged in training", "lower its learning rate")
    videos = len(scores)
    order = np.argsort(-scores, axis=0)
    ranked, hits = np.take_along_axis(scores, order, axis=0), np.take_along_axis(labels, order, axis=0)
    last = np.ones(scores.shape, dtype=bool)  # of those with an equal score
    last[:-1] = ranked[:-1] != ranked[1:]
    rank = np.where(last, np.arange(videos)[:, None], videos)
    rank = np.minimum.accumulate(rank[::-1], axis=0)[::-1]
    precision = np.take_along_axis(hits.cumsum(axis=0), rank, axis=0) / (rank + 1)
    shown = hits.sum(axis=0)
    return np.divide((precision * hits).sum(axis=0), shown, where=shown > 0, out=np.full(scores.shape[1], np.nan))


def mean_average_precision(scores: ArrayLike, labels: ArrayLike) -> float:
    """Mean of the average precision over the classes that some video shows (mAP, 0-1); NaN when there is none."""
    values = average_precision(scores, labels)
    shown = ~np.isnan(values)
    return float(values[shown].mean()) if shown.any() else float("nan")
