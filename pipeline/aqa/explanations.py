"""Which seconds of a video earned its score, and where the model looked to say so.

Axes: S moment, T clip, Q query, E element.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline import plain
from pipeline.aqa import trained, truth
from pipeline.aqa.data import Data, load
from pipeline.aqa.evaluation import name_of
from pipeline.aqa.measures import on_time
from pipeline.aqa.trained import Answer, Trained, answers
from pipeline.aqa.truth import STEP, Curves, Elements
from pipeline.errors import ChoreoError

MOMENTS = 5  # at most, of a video
TOP = 0.5  # of the largest earnings of a clip: from here on it belongs to a moment


def aqa_explain(
    models: list[Path],
    features: list[Path],
    scores: Path,
    manifest: Path,
    out: Path,
    *,
    tasks: dict,
    elements: list[Path] | None = None,
    videos: int = 6,
    protocol: str = "strict",
    max_failed_fraction: float = 0.1,
) -> None:
    """Everything that the report draws of trained AQA models, one a task, as JSON.

    Scores are in points. All numbers are rounded, those of maps to whole percents of the largest.

    - `step`: seconds between moments
    - `tasks`: rows of `name`, `score`, `label`, `range`, `variant`, `seed`, and `videos`, chosen test videos:
        - `id`; `true`, `predicted`: score; `worst`: whether no other test video was missed by more
        - `queries`: `weight`, `score` (Q); the sum of their products is `predicted` (Eq. 4)
        - `clips`: `start`, `end` in seconds, `weight`, `score` (T): the same on time, through the cross-attention of
          the last layer; the sum of their products is `predicted` again
        - `time` (S): seconds; `weight` (S): a second; `score` (S), and `difficulty`, `execution` (S), the truth, the
          latter null between elements, both null where nothing is known
        - `moments`: runs of clips that each earn at least half of what the best clip earns, the five that earn most, in
          the order of time: `start`, `end`, `weight`, `score`, `contribution` (weight x score); `rest`: `weight` and
          `contribution` of all other clips
        - `self_attention` (Q,Q), `cross_attention` (Q,T), a map a layer: `largest`, and `percent` of it, a row a query
        - `elements`: `name`, `start`, `end`, `difficulty`, `execution` and the model's `weight`, `score`,
          `contribution`; null where nothing is known
        - `correlation`: {weight, score}: of `weight` with `difficulty`, of `score` with `execution`; null where unknown

    The videos are spread evenly over the true scores, from the highest to the lowest, the worst among them.

    Args:
        models: checkpoints, one a task.
        features: artifacts `clip_features`, one a shard.
        scores: CSV file `id,score,value`.
        manifest: the videos, their labels and splits.
        out: JSON file to write.
        tasks: the tasks by name, {name: {score, label, range}}.
        elements: artifacts `elements`, where it is known what the videos are made of.
        videos: test videos of each task to explain.
        protocol: the protocol that the models were trained under.
        max_failed_fraction: share of the videos that may lack their features or their score.
    """
    if videos < 1:
        raise ChoreoError(f"{videos} videos of a task are to be explained", mend="set `videos` to 1 or more")
    tolerated = {"protocol": protocol, "max_failed_fraction": max_failed_fraction}
    data = {n: load(features, manifest, scores, task=options, **tolerated) for n, options in tasks.items()}
    rows = []
    for path in models:
        network = trained.load(path)
        name = name_of(network.task, data, path)
        rows.append({"name": name} | _task(trained.load(path, data[name]), data[name], elements, videos))
    plain.write(out, {"step": STEP, "tasks": rows}, digits=4)


def _task(network: Trained, data: Data, elements: list[Path] | None, count: int) -> dict[str, object]:
    """One model and its videos."""
    test = data.roles["test"]
    true, said = data.task.points(test.targets), answers(network, test)
    rows = choose(true, np.array([answer.score for answer in said]), count)
    known = truth.read(elements, [test.ids[row] for row in rows]) if elements else {}
    worst = int(np.argmax([abs(a.score - t) for a, t in zip(said, true, strict=True)]))
    shown = [
        {"id": test.ids[row], "true": true[row], "predicted": said[row].score, "worst": row == worst}
        | _video(said[row], known.get(test.ids[row]))
        for row in rows
    ]
    return {**data.task.options, "variant": network.variant, "seed": network.recipe["seed"], "videos": shown}


def choose(true: NDArray, predicted: NDArray, count: int) -> list[int]:
    """Rows of some videos, evenly over their true scores, the highest first, the most missed among them: (V,), (V,)."""
    order = np.argsort(-true, kind="stable")
    worst = int(np.argmax(np.abs(predicted - true)))
    others = order[order != worst]
    few = others[np.linspace(0, len(others) - 1, min(count - 1, len(others))).round().astype(int)]
    return [int(row) for row in order if row in {worst, *few.tolist()}]


def _video(answer: Answer, known: Elements | None) -> dict[str, object]:
    """All that is told of one video."""
    weight, score = on_time(answer.weight, answer.quality, answer.cross_attention[-1])
    curves = truth.curves(answer)
    moments, rest = top(weight, score, answer.start, answer.end)
    difficulty, execution = known.at(curves.time) if known else (None, None)
    return {
        "queries": {"weight": answer.weight, "score": answer.quality},
        "clips": {"start": answer.start, "end": answer.end, "weight": weight, "score": score},
        "time": curves.time,
        "weight": curves.weight,
        "score": curves.score,
        "difficulty": difficulty,
        "execution": execution,
        "moments": moments,
        "rest": rest,
        "self_attention": [_percent(one) for one in answer.self_attention],
        "cross_attention": [_percent(one) for one in answer.cross_attention],
        "elements": _elements(curves, known) if known else None,
        "correlation": _correlation(curves, known),
    }


def top(
    weight: NDArray, score: NDArray, start: NDArray, end: NDArray
) -> tuple[list[dict[str, float]], dict[str, float]]:
    """The moments that earn most, and all the rest together: 4 times (T,).

    A clip belongs to a moment where it earns at least `TOP` of what the best clip does a second; neighbours join.
    """
    earned = weight * score
    rate = earned / (end - start)
    high = (rate >= TOP * rate.max()) & (rate > 0)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], high.astype(int), [0]])))
    runs = [slice(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    best = sorted(sorted(runs, key=lambda run: -earned[run].sum())[:MOMENTS], key=lambda run: run.start)
    moments = [
        {"start": float(start[run][0]), "end": float(end[run][-1])} | _sum(weight[run], score[run]) for run in best
    ]
    taken = np.zeros(len(weight), dtype=bool)
    for run in best:
        taken[run] = True
    rest = _sum(weight[~taken], score[~taken])
    return moments, {name: rest[name] for name in ("weight", "contribution")}


def _sum(weight: NDArray, score: NDArray) -> dict[str, float]:
    """Some clips together: whole weight, weighted mean score, and what they earn."""
    total, earned = float(weight.sum()), float((weight * score).sum())
    return {"weight": total, "score": earned / total if total else float("nan"), "contribution": earned}


def _percent(attention: NDArray) -> dict[str, object]:
    """A map in whole percents of its largest value."""
    largest = float(attention.max())
    return {"largest": largest, "percent": np.rint(100 * attention / largest).astype(int)}


def _correlation(curves: Curves, known: Elements | None) -> dict[str, float | None]:
    """How well both curves tell the truth of one video."""
    compared = {"weight": truth.weight_correlation, "score": truth.score_correlation}
    return {name: compare(curves, known) if known else None for name, compare in compared.items()}


def _elements(curves: Curves, known: Elements) -> list[Mapping[str, object]]:
    """The true elements, and what the model says of each."""
    weight, score = truth.by_element(curves, known)
    return [
        {
            "name": known.name[e],
            "start": known.start[e],
            "end": known.end[e],
            "difficulty": known.difficulty[e],
            "execution": known.execution[e],
            "weight": weight[e],
            "score": score[e],
            "contribution": weight[e] * score[e],
        }
        for e in range(len(known))
    ]
