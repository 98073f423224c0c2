"""Explanations scored against what is true: which element of a routine was when, how difficult, and how well done.

A model's curves and the truth meet on one grid of moments, `STEP` seconds apart. The true weight of a moment is the
difficulty of the element that is performed then, and 0 between elements; the true score is the element's execution, and
is not defined between elements. Correlations are Pearson's. A model whose curve is flat has found nothing: its
correlation counts as 0. A video whose truth is flat cannot tell right from wrong and is left out.

Axes: S moment of the grid, T clip, E element.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.aqa.measures import on_time
from pipeline.aqa.trained import Answer
from pipeline.artifacts import Artifact

STEP = 0.5  # s
FLAT = 1e-5  # of its mean: a curve that varies less, as rounding makes it, says nothing


@dataclass(frozen=True)
class Elements:
    """The elements of one routine, in the order of time: names, and (E,) seconds, points and shares."""

    name: list[str]
    start: NDArray
    end: NDArray
    difficulty: NDArray
    execution: NDArray

    def __len__(self) -> int:
        return len(self.name)

    def at(self, time: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Difficulty (0 between elements) and execution (NaN between elements) at moments in s: (S,) -> (S,), (S,)."""
        difficulty, execution = np.zeros(len(time)), np.full(len(time), np.nan)
        for e in range(len(self)):
            here = self.hold(e, time)
            difficulty[here], execution[here] = self.difficulty[e], self.execution[e]
        return difficulty, execution

    def hold(self, element: int, time: NDArray) -> NDArray[np.bool_]:
        """The moments at which an element is performed: (S,) s -> (S,)."""
        return (self.start[element] <= time) & (time < self.end[element])


@dataclass(frozen=True)
class Curves:
    """What a model says of every moment of a video.

    Attributes:
        time: (S,) s, `STEP` apart.
        weight: (S,) its weight a second; over the seconds of the whole video it adds up to 1.
        score: (S,) its score in points; weighted, it adds up to the score of the video.
    """

    time: NDArray
    weight: NDArray
    score: NDArray


def read(elements: Sequence[Path], ids: Iterable[str]) -> dict[str, Elements]:
    """The true elements of those videos that have some.

    Args:
        elements: artifacts `elements`, one a shard.
        ids: the videos.
    """
    with Artifact(elements, "elements") as artifact:
        names = artifact["element_name"].tolist()
        found = {i: artifact.video(i) for i in ids if i in artifact}
    result = {}
    for video_id, arrays in found.items():
        order = np.argsort(arrays["start"], kind="stable")
        numbers = [arrays[n][order].astype(np.float64) for n in ("start", "end", "difficulty", "execution")]
        result[video_id] = Elements([names[e] for e in arrays["element"][order]], *numbers)
    return {video_id: routine for video_id, routine in result.items() if len(routine)}


def moments(start: NDArray, end: NDArray, step: float = STEP) -> NDArray[np.float64]:
    """The grid of a video: middles of steps of so many seconds, from its first clip to its last: (T,), (T,) -> (S,)."""
    first, last = float(np.min(start)), float(np.max(end))
    return first + step * (np.arange(max(1, int((last - first) / step + 1e-6))) + 0.5)


def on_moments(time: NDArray, start: NDArray, end: NDArray, values: NDArray) -> NDArray[np.float64]:
    """Values of clips at moments, of the clip that holds each; NaN where none does: (S,), 3 times (T,) s -> (S,)."""
    order = np.argsort(start, kind="stable")
    row = np.searchsorted(start[order], time, side="right") - 1
    clip = order[np.maximum(row, 0)]
    return np.where((row >= 0) & (time < end[clip]), np.asarray(values, dtype=np.float64)[clip], np.nan)


def pearson(found: NDArray, true: NDArray) -> float:
    """Correlation of a curve with the truth: 0 where the curve is flat, NaN where the truth is: (S,), (S,)."""
    found, true = (np.asarray(v, dtype=np.float64) for v in (found, true))
    if len(true) < 2 or _flat(true):
        return float("nan")
    if _flat(found):
        return 0.0
    found, true = found - found.mean(), true - true.mean()
    return float((found * true).sum() / np.sqrt((found**2).sum() * (true**2).sum()))


def _flat(values: NDArray) -> bool:
    return bool(np.ptp(values) <= FLAT * max(abs(float(values.mean())), FLAT))


def curves(answer: Answer) -> Curves:
    """What a model says of a video, on the grid; moments that no clip holds are left out."""
    weight, score = on_time(answer.weight, answer.quality, answer.cross_attention[-1])
    time = moments(answer.start, answer.end)
    density, level = (
        on_moments(time, answer.start, answer.end, values) for values in (weight / (answer.end - answer.start), score)
    )
    held = ~np.isnan(density)
    return Curves(time[held], density[held], level[held])


# Figures -----------------------------------------------------------------------------------------------------------

Compare = Callable[[Curves, Elements], float]


def figures(curves: Mapping[str, Curves], truth: Mapping[str, Elements]) -> dict[str, float]:
    """How well the curves of test videos tell the truth; means over videos unless said otherwise.

    - `weight_correlation`: of the weight a second with the difficulty a second;
      `.../chance`: with the difficulties of the other videos instead, over the seconds that both have;
      `.../elements_alone`: of a curve that is 1 during elements and 0 between them: knowing when, but not how difficult
    - `score_correlation`: of the score with the execution, over the moments of elements; `.../chance`: as above;
      `.../pooled`: over the moments of all videos together
    - `element_weight_correlation`: of an element's whole weight with its difficulty; `element_score_correlation`: of
      its mean score, weighted, with its execution, over the elements of all videos together;
      `element_contribution_correlation`: of weight x score with difficulty x execution, as the former

    A figure that no video defines is left out.

    Args:
        curves: of the videos.
        truth: of the same videos; those without are left out.
    """
    both = {i: (curves[i], truth[i]) for i in curves if i in truth}
    found = {
        "weight_correlation": _mean(weight_correlation(c, t) for c, t in both.values()),
        "weight_correlation/chance": _chance(both, weight_correlation),
        "weight_correlation/elements_alone": _mean(elements_alone(c, t) for c, t in both.values()),
        "score_correlation": _mean(score_correlation(c, t) for c, t in both.values()),
        "score_correlation/chance": _chance(both, score_correlation),
        "score_correlation/pooled": _pooled(both.values()),
    } | _by_element(both.values())
    return {name: value for name, value in found.items() if not np.isnan(value)}


def weight_correlation(curves: Curves, truth: Elements) -> float:
    """Weight a second against difficulty a second, over the whole video."""
    return pearson(curves.weight, truth.at(curves.time)[0])


def score_correlation(curves: Curves, truth: Elements) -> float:
    """Score against execution, over the moments at which an element is performed."""
    return pearson(*_during(curves, truth))


def elements_alone(curves: Curves, truth: Elements) -> float:
    """What a curve reaches that knows when elements are and nothing else."""
    difficulty, execution = truth.at(curves.time)
    return pearson(~np.isnan(execution), difficulty)


def _during(curves: Curves, truth: Elements) -> tuple[NDArray, NDArray]:
    """Score and execution at the moments of elements."""
    execution = truth.at(curves.time)[1]
    performed = ~np.isnan(execution)
    return curves.score[performed], execution[performed]


def _chance(both: Mapping[str, tuple[Curves, Elements]], compare: Compare) -> float:
    """Mean of a comparison of every video's curves with every other video's truth."""
    return _mean(
        compare(_until(curves, truth.end.max()), truth)
        for one, (curves, _) in both.items()
        for other, (_, truth) in both.items()
        if other != one
    )


def _until(curves: Curves, end: float) -> Curves:
    """The curves as far as a routine that ends then goes."""
    kept = curves.time < end
    return Curves(curves.time[kept], curves.weight[kept], curves.score[kept])


def _pooled(both: Iterable[tuple[Curves, Elements]]) -> float:
    pairs = [_during(curves, truth) for curves, truth in both]
    return pearson(*(np.concatenate(values) for values in zip(*pairs, strict=True))) if pairs else float("nan")


def by_element(curves: Curves, truth: Elements) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weight (sum over the element's moments) and score (their weighted mean) of each element: (E,), (E,).

    An element on no moment of the grid has weight and score NaN; one without any weight the plain mean of its score.
    """
    weight, score = np.full(len(truth), np.nan), np.full(len(truth), np.nan)
    for e in range(len(truth)):
        here = truth.hold(e, curves.time)
        if here.any():
            w = curves.weight[here]
            weight[e] = w.sum() * STEP
            score[e] = np.average(curves.score[here], weights=w if w.sum() > 0 else None)
    return weight, score


def _by_element(both: Iterable[tuple[Curves, Elements]]) -> dict[str, float]:
    weights, scores, parts = [], [], []
    for curves, truth in both:
        weight, score = by_element(curves, truth)
        seen = ~np.isnan(weight)
        weights.append(pearson(weight[seen], truth.difficulty[seen]))
        parts.append(pearson((weight * score)[seen], (truth.difficulty * truth.execution)[seen]))
        scores.append((score[seen], truth.execution[seen]))
    together = [np.concatenate(values) for values in zip(*scores, strict=True)] if scores else [np.zeros(0)] * 2
    return {
        "element_weight_correlation": _mean(weights),
        "element_score_correlation": pearson(*together),
        "element_contribution_correlation": _mean(parts),
    }


def _mean(values: Iterable[float]) -> float:
    """Mean of those that are defined; NaN when none is."""
    some = [v for v in values if not np.isnan(v)]
    return float(np.mean(some)) if some else float("nan")
