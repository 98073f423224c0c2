"""From attributes to score: what each property of an action is worth in points, on real labels.

A concept bottleneck of which the concepts are known: ridge regression of a score on the one-hot attributes (of a dive:
position, armstand, rotation, somersaults, twists). Attributes do not overlap, so the prediction is a sum of one weight
an attribute, told as points above or below the mean score.

Axes: V video, K value of an attribute (columns of the one-hot matrix, values seen in train).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import Ridge

from pipeline import plain
from pipeline.aqa.measures import bootstrap, spearman
from pipeline.datasets import adapter, listed, options
from pipeline.errors import ChoreoError
from pipeline.manifest import draw_splits

log = logging.getLogger(__name__)

PENALTIES = tuple(10.0**e for e in range(3, -5, -1))  # of ridge, the strongest first
Attributes = Mapping[str, str]  # attribute -> value, of one video


def aqa_attributes(out: Path, *, dataset: dict, score: str = "difficulty", val: float = 0.15, seed: int = 0) -> None:
    """How far the attributes of an action tell its score, and what each is worth in points.

    Writes JSON: `readings` (Spearman's correlation on test with its 95 % interval, and mean error in points, of ridge
    and of a look-up of whole combinations), `attributes` (the share of the spread of predictions that each brings, the
    correlation with it alone and without it) and `values` (points of every value above or below the mean).

    Args:
        out: the JSON file to write.
        dataset: name of an adapter that knows attributes and scores, and its options.
        score: the score to tell.
        val: share of the videos that choose the penalty, where the data set has no val split of its own.
        seed: seed of the draw of val and of the intervals.

    Raises:
        ChoreoError: the adapter knows of no attributes or of no such score, or a split is empty.
    """
    roles = _read(dataset, score, val, seed)
    train, test = roles["train"], roles["test"]
    whole = _fit(roles, tuple(train.attributes[0]))
    readings = {
        "ridge": _reading(whole.predict(test), test.scores, seed) | {"penalty": whole.penalty},
        "combinations": _reading(look_up(train, test, whole), test.scores, seed),
    }
    combinations = {tuple(each.values()) for each in train.attributes}
    report = {
        "score": score,
        "seed": seed,
        "videos": {role: len(videos.scores) for role, videos in roles.items()},
        "mean": whole.mean,
        "unseen_combinations": sum(tuple(each.values()) not in combinations for each in test.attributes),
        "readings": readings,
        "attributes": _attributes(roles, whole),
        "values": whole.table(train),
    }
    plain.write(out, report, digits=6)
    told = readings["ridge"]
    log.info("%s: Spearman %.3f (%.3f to %.3f) on %d videos", score, told["srcc"], *told["interval"], len(test.scores))


@dataclass(frozen=True)
class Judged:
    """Some videos: what they are made of, and their scores (V,) in points."""

    attributes: Sequence[Attributes]
    scores: NDArray[np.float64]


@dataclass(frozen=True)
class Worth:
    """What each value of an attribute is worth.

    Attributes:
        values: (attribute, value) of every column.
        points: (K,) above or below the mean; those of one attribute average to 0 over the training videos.
        mean: of the training scores, in points.
        penalty: of ridge, as chosen on val.
    """

    values: list[tuple[str, str]]
    points: NDArray[np.float64]
    mean: float
    penalty: float

    def predict(self, videos: Judged) -> NDArray[np.float64]:
        """Scores of the videos (V,): the mean and one weight an attribute; a value that train lacks is worth 0."""
        return self.mean + one_hot(videos.attributes, self.values) @ self.points

    def parts(self, videos: Judged) -> dict[str, NDArray[np.float64]]:
        """What each attribute brings to the score of each video (V,); their sum and the mean is the prediction."""
        brought = one_hot(videos.attributes, self.values) * self.points
        columns = {name: [k for k, (of, _) in enumerate(self.values) if of == name] for name, _ in self.values}
        return {name: brought[:, at].sum(axis=1) for name, at in columns.items()}

    def table(self, videos: Judged) -> list[dict[str, object]]:
        """A row a value: its points, and how many of the videos have it."""
        counts = one_hot(videos.attributes, self.values).sum(axis=0)
        rows = zip(self.values, self.points, counts, strict=True)
        return [{"attribute": a, "value": v, "points": float(p), "videos": int(n)} for (a, v), p, n in rows]


def one_hot(attributes: Iterable[Attributes], values: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
    """1 where a video has a value: (V,K)."""
    return np.array([[each[name] == value for name, value in values] for each in attributes], dtype=np.float64)


def worth(train: Judged, names: Sequence[str], penalty: float) -> Worth:
    """Ridge regression on the one-hot values of some attributes, its weights centred attribute by attribute.

    One-hot columns of an attribute sum to 1, so that a constant can move from one attribute to another; here it all
    goes to the mean, which makes the weights comparable.
    """
    values = sorted({(name, each[name]) for each in train.attributes for name in names}, key=_order(names))
    matrix = one_hot(train.attributes, values)
    points = Ridge(alpha=penalty).fit(matrix, train.scores).coef_.copy()
    for name in names:
        of_name = np.array([of == name for of, _ in values])
        points[of_name] -= (matrix[:, of_name] @ points[of_name]).mean()
    return Worth(values, points, float(train.scores.mean()), penalty)


def look_up(train: Judged, videos: Judged, fallback: Worth) -> NDArray[np.float64]:
    """The mean score of the training videos with the very same attributes (V,): all that attributes can tell.

    A combination that train lacks gets the prediction of `fallback`.
    """
    found: dict[tuple[str, ...], list[float]] = {}
    for each, score in zip(train.attributes, train.scores, strict=True):
        found.setdefault(tuple(each.values()), []).append(score)
    keys = [tuple(each.values()) for each in videos.attributes]
    said = fallback.predict(videos)
    return np.array([np.mean(found[key]) if key in found else other for key, other in zip(keys, said, strict=True)])


def _order(names: Sequence[str]) -> Callable[[tuple[str, str]], tuple[int, str]]:
    return lambda pair: (list(names).index(pair[0]), pair[1])


def _fit(roles: Mapping[str, Judged], names: Sequence[str]) -> Worth:
    """With the penalty that is best on val (least squared error); of equals the strongest."""
    tried = [worth(roles["train"], names, penalty) for penalty in PENALTIES]
    val = roles["val"]
    return min(tried, key=lambda fitted: float(((fitted.predict(val) - val.scores) ** 2).mean()))


def _reading(said: NDArray, true: NDArray, seed: int) -> dict[str, object]:
    srcc, interval = spearman(said, true), bootstrap(spearman, said, true, seed=seed)
    return {
        "srcc": srcc,
        "interval": list(interval),
        "error": float(np.abs(said - true).mean()),
    }


def _attributes(roles: Mapping[str, Judged], whole: Worth) -> list[dict[str, object]]:
    """What each attribute brings: its share of the spread of the predictions on test, alone, and left out.

    Shares are covariances of an attribute's part with the prediction, divided by the prediction's variance; they sum
    to 1.
    """
    test = roles["test"]
    parts = whole.parts(test)
    said = whole.predict(test) - whole.mean
    spread = float(((said - said.mean()) ** 2).mean())
    rows = []
    for name, part in parts.items():
        alone = _fit(roles, [name]).predict(test)
        others = [other for other in parts if other != name]
        without = _fit(roles, others).predict(test) if others else np.full(len(test.scores), whole.mean)
        rows.append(
            {
                "attribute": name,
                "share": float(((part - part.mean()) * (said - said.mean())).mean() / spread) if spread else 0.0,
                "alone": spearman(alone, test.scores),
                "without": spearman(without, test.scores),
            }
        )
    return rows


def _read(dataset: dict, score: str, val: float, seed: int) -> dict[str, Judged]:
    """The videos of each split."""
    module = adapter(dataset)
    if not (hasattr(module, "attributes") and hasattr(module, "scores")):
        raise ChoreoError(
            f"the data set adapter '{dataset['name']}' knows of no attributes with scores",
            mend="use `mtl_aqa`, or an adapter with the functions `attributes` and `scores`",
        )
    given = options(dataset)
    attributes, scores = module.attributes(**given), list(module.scores(**given))
    values = {s.id: s.value for s in scores if s.name == score}
    if not values:
        raise ChoreoError(f"there is no score '{score}'", mend=f"one of {sorted({s.name for s in scores})}")
    videos = draw_splits(listed(dataset), val=val, seed=seed)
    roles = {}
    for role in ("train", "val", "test"):
        ids = sorted(v.id for v in videos if v.split == role and v.id in attributes and v.id in values)
        if not ids:
            raise ChoreoError(
                f"no video of '{role}' has attributes and the score '{score}'", mend="see `val` and the lists"
            )
        roles[role] = Judged([attributes[i] for i in ids], np.array([values[i] for i in ids]))
    return roles
