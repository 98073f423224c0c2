"""What a trained AQA model is measured by: its scores, how well its queries keep apart, and where in time they look.

Axes: V video, Q query, T clip, D width. Attention has rows that sum to 1: one row a query, over queries or over clips.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

NAN = float("nan")


# Scores ----------------------------------------------------------------------------------------------------------


def spearman(predicted: ArrayLike, true: ArrayLike) -> float:
    """Spearman's rank correlation (Eq. 7): Pearson's of the ranks, ties share their mean rank; (V,), (V,).

    NaN where it is not defined: fewer than two videos, or one side is the same everywhere.
    """
    p, q = (rankdata(_finite(x)) for x in (predicted, true))
    if p.shape != q.shape:
        raise ValueError(f"{len(p)} predicted and {len(q)} true scores")
    p, q = p - (len(p) + 1) / 2, q - (len(q) + 1) / 2  # the mean of ranks 1 to V
    scale = np.sqrt((p**2).sum() * (q**2).sum())
    return float((p * q).sum() / scale) if scale else NAN


def relative_l2(predicted: ArrayLike, true: ArrayLike, span: tuple[float, float] | None = None) -> float:
    """Relative L2 distance (Eq. 8), times 100 as in the paper's tables; (V,), (V,), on the same scale.

    NaN where it is not defined: no video, or a range of 0.

    Args:
        predicted, true: scores.
        span: y_min and y_max; None: of the true scores given, as published.
    """
    y, t = _finite(predicted), _finite(true)
    if y.shape != t.shape:
        raise ValueError(f"{len(y)} predicted and {len(t)} true scores")
    if not len(t):
        return NAN
    low, high = (t.min(), t.max()) if span is None else span
    return float(100 * (((y - t) / (high - low)) ** 2).mean()) if high > low else NAN


def bootstrap(
    statistic: Callable[..., float], *values: ArrayLike, samples: int = 1000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Confidence interval of a statistic over videos: percentiles of it on videos drawn anew with replacement.

    Two models on the same videos are compared by the interval of their difference, all drawn alike:
    `bootstrap(lambda a, b, true: spearman(a, true) - spearman(b, true), a, b, true)`.

    Args:
        statistic: of as many arrays as are given; draws on which it is NaN are left out.
        values: arrays (V,...) with one row a video.
        samples: draws.
        level: share of the draws between both ends.
        seed: of the draws.

    Returns:
        Lower and upper end; NaN and NaN where the statistic is NaN on every draw.
    """
    arrays = [np.asarray(x) for x in values]
    if len({len(x) for x in arrays}) != 1:
        raise ValueError(f"arrays of {', '.join(str(len(x)) for x in arrays)} rows: one row a video is asked for")
    rng, count = np.random.default_rng(seed), len(arrays[0])
    draws = rng.integers(0, count, (samples, count)) if count else np.zeros((samples, 0), dtype=int)
    found = np.array([statistic(*(x[rows] for x in arrays)) for rows in draws], dtype=float)
    found = found[~np.isnan(found)]
    if not len(found):
        return NAN, NAN
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    found = np.asarray(values, dtype=np.float64)
    if not np.isfinite(found).all():
        raise ValueError("a score is not a finite number")
    return found


# Queries ---------------------------------------------------------------------------------------------------------


def skipping_index(attention: ArrayLike) -> NDArray[np.float64]:
    """Temporal skipping: how far from its diagonal a self-attention lies; (...,Q,Q) -> (...).

    The mean distance |j - k| from a query k to where it looks, j, as a share of that of attention which is the same
    everywhere, (Q^2 - 1) / (3 Q): 0 is a clear diagonal, 1 uniform attention, and above 1 (up to 2.25) what avoids the
    diagonal. A band around the diagonal counts by its width. NaN for a single query.

    The paper shows the skipping in Figure 2 and puts no number to it: 2(a), which suffers from it, is smooth and alike
    in all rows (1 here), 2(c) has a distinct diagonal (0 here). Its text calls two things the self-attention map: where
    queries look, and L_S of Eq. 1, how alike their outputs are. This measures whichever it is given. They are not the
    same: L_S tends to a diagonal as soon as outputs differ, for nothing is more like a query than itself.
    """
    a = np.asarray(attention, dtype=np.float64)
    count = a.shape[-1]
    if count == 1:
        return np.full(a.shape[:-2], NAN)
    place = np.arange(count)
    distance = (a * np.abs(place[:, None] - place)).sum(axis=-1).mean(axis=-1)
    return distance / ((count**2 - 1) / (3 * count))


def effective_rank(queries: ArrayLike) -> NDArray[np.float64]:
    """How many directions some queries use: exp of the entropy of their singular values; (...,Q,D) -> (...).

    From 1, all queries are multiples of one, to min(Q, D), all directions alike (Roy and Vetterli, 2007). Nothing is
    subtracted first, so that queries which are all the same have rank 1. NaN where all are 0.
    """
    singular = np.linalg.svd(np.asarray(queries, dtype=np.float64), compute_uv=False)
    total = singular.sum(axis=-1, keepdims=True)
    share = np.divide(singular, total, out=np.full_like(singular, NAN), where=total > 0)
    return np.exp(-(share * np.log(np.where(share == 0, 1, share))).sum(axis=-1))


# Time ------------------------------------------------------------------------------------------------------------


class Alignment(NamedTuple):
    """Shares of attention near the diagonal: what was found, and what looking everywhere alike would give."""

    mass: float
    chance: float

    @property
    def above_chance(self) -> float:
        """0 as by chance, 1 all of it near the diagonal, negative below chance; NaN where all clips are near."""
        return (self.mass - self.chance) / (1 - self.chance) if self.chance < 1 else NAN


def alignment(attention: ArrayLike, width: float = 0.1) -> Alignment:
    """Whether query k looks at the k-th part of the video: attention near the diagonal of (Q,T), without padding.

    Query k stands for the time (k + 1/2) / Q of the video and clip t for (t + 1/2) / T. Near are those at most `width`
    apart, and a query's nearest clip always is.

    Args:
        attention: cross-attention (Q,T) of one video to its clips.
        width: in videos.
    """
    a = np.asarray(attention, dtype=np.float64)
    queries, clips = ((np.arange(n) + 0.5) / n for n in a.shape)
    distance = np.abs(queries[:, None] - clips)
    near = distance <= np.maximum(width, distance.min(axis=1, keepdims=True)) + 1e-9
    return Alignment(float((a * near).sum(axis=1).mean()), float(near.mean()))


def on_time(weight: ArrayLike, quality: ArrayLike, attention: ArrayLike) -> tuple[NDArray, NDArray]:
    """Weight and score of every clip, from those of queries, by where the queries looked; (T,), (T,).

    A query's weight is parted over the clips as its attention is, w_t = sum_k w_k a_kt, and the score of a clip is that
    of the queries that looked at it, s_t = sum_k w_k a_kt s_k / w_t. Both keep what the queries add up to: the weights
    sum to 1, and sum_t w_t s_t is the score of the video (Eq. 4). A clip at which no query looks weighs 0, and has the
    score of the video.

    Args:
        weight: (Q,) of the queries.
        quality: (Q,) of the queries, in any unit.
        attention: (Q,T) cross-attention of the last layer to the clips, without padding.
    """
    w, s, a = (np.asarray(x, dtype=np.float64) for x in (weight, quality, attention))
    part = w[:, None] * a / a.sum(axis=1, keepdims=True)  # (Q,T); rows of float32 sum to 1 only nearly
    clip_weight, points = part.sum(axis=0), s @ part
    clip_score = np.divide(points, clip_weight, out=np.full_like(points, w @ s / w.sum()), where=clip_weight > 0)
    return clip_weight, clip_score
