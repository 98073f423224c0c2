"""Why a trained DANCE says what it says, and what changes when a person edits it (DANCE, Secs. 4.1 and 4.3).

The contribution of a concept to a class is its z-scored activation times its weight; with the bias, the contributions
of all concepts add up to the class's score. To deactivate a concept is to set its activation to zero, the mean over the
training videos.

Axes: B video, M concept, C class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations, zip_longest
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline import plain
from pipeline.artifacts import Artifact
from pipeline.concepts.motion import whole
from pipeline.manifest import Manifest

# Explaining ------------------------------------------------------------------------------------------------------


def contributions(activation: NDArray, weight: NDArray) -> NDArray:
    """Contribution of every concept to every class: (B,M), (C,M) -> (B,C,M)."""
    return activation[:, None] * weight[None]


def top(contribution: NDArray, count: int) -> tuple[list[int], float]:
    """The concepts that contribute most, by size, and the sum of all others: (M,) -> indices, rest."""
    order = np.argsort(-np.abs(contribution), kind="stable")
    order = order[contribution[order] != 0]
    return order[:count].tolist(), float(contribution[order[count:]].sum())


def compare(weight: NDArray, one: int, two: int) -> list[int]:
    """Concepts that either of two classes uses, by the size of their weights: (C,M) -> indices."""
    size = np.abs(weight[[one, two]]).sum(axis=0)
    order = np.argsort(-size, kind="stable")
    return order[size[order] > 0].tolist()


def similar_pairs(weight: NDArray, count: int) -> list[tuple[int, int]]:
    """The pairs of classes that share most positive weight: (C,M) -> pairs of classes."""
    positive = np.maximum(weight, 0)
    shared = {(a, b): np.minimum(positive[a], positive[b]).sum() for a, b in combinations(range(len(weight)), 2)}
    return sorted(shared, key=lambda pair: (-shared[pair], pair))[:count]


# Intervening -----------------------------------------------------------------------------------------------------


def deactivate(activation: NDArray, concept: int) -> NDArray:
    """A copy of activations in which one concept is at the mean of the training videos: (B,M) -> (B,M)."""
    activation = activation.copy()
    activation[:, concept] = 0
    return activation


def repair(activation: NDArray, weight: NDArray, bias: NDArray, true: int) -> int | None:
    """The concept whose deactivation alone gives the true class (Fig. 9): (M,), (C,M), (C,) -> index, or None.

    Of several, the one that contributes most to the class that was predicted.
    """
    contribution = activation * weight  # (C,M)
    score = contribution.sum(axis=1) + bias  # (C,)
    mended = (score[:, None] - contribution).argmax(axis=0) == true  # (M,)
    if score.argmax() == true or not mended.any():
        return None
    return int(np.where(mended, contribution[score.argmax()], -np.inf).argmax())


def set_weight(weight: NDArray, target: int, concept: int, value: float) -> NDArray:
    """A copy of the weights with one of them set (Fig. 10): (C,M) -> (C,M)."""
    weight = weight.copy()
    weight[target, concept] = value
    return weight


@dataclass(frozen=True)
class Effect:
    """What an edit did: numbers of videos that it fixed, that it broke, that stayed right, and that stayed wrong."""

    fixed: int
    broken: int
    kept: int
    wrong: int


def effect(before: NDArray, after: NDArray, true: NDArray) -> Effect:
    """Compare predictions before and after an edit: (B,), (B,), (B,)."""
    was, now = before == true, after == true
    return Effect(*(int(n.sum()) for n in (~was & now, was & ~now, was & now, ~was & ~now)))


def best_edits(
    activation: NDArray, weight: NDArray, bias: NDArray, true: NDArray, value: float, count: int
) -> list[tuple[int, int]]:
    """Zero weights (class, concept) that, set to `value`, make most more videos right: (B,M), (C,M), (C,), (B,)."""
    score = activation @ weight.T + bias  # (B,C)
    right = (score.argmax(axis=1) == true).sum()
    gains = {}
    for c in range(len(weight)):
        others = np.delete(score, c, axis=1)
        rival = others.argmax(axis=1)
        rival_right = rival + (rival >= c) == true  # (B,)
        wins = score[:, c, None] + value * activation > others.max(axis=1)[:, None]  # (B,M)
        now = np.where(wins, (true == c)[:, None], rival_right[:, None]).sum(axis=0)  # (M,)
        gains |= {(c, int(m)): int(now[m] - right) for m in np.flatnonzero(weight[c] == 0) if now[m] > right}
    return sorted(gains, key=lambda edit: (-gains[edit], edit))[:count]


# Stage -----------------------------------------------------------------------------------------------------------


def dance_explain(
    model: Path,
    predictions: Path,
    motion: Path,
    concepts: Path,
    manifest: Path,
    out: Path,
    *,
    videos: int = 12,
    bars: int = 6,
    pairs: int = 3,
    edits: int = 3,
    edit: float = 1.0,
    protocol: str = "strict",
) -> None:
    """Everything that the report draws of one trained DANCE, as JSON.

    Concepts and classes are told by their index into `concepts` and `classes`. All figures are rounded.

    - `protocol`; `classes`: names; `concepts`: {name, kind} (a motion concept's name is its number in the clustering)
    - `accuracy`: share of right videos in `train`, `val` and `test`
    - `confusion`: test videos by true class (row; classes seen in training) and predicted class (column)
    - `weights`: by class, [[concept, weight], ...], weights of zero left out, largest first; `bias`: by class
    - `motion`: by motion concept {concept, members, video, start, poses}: its medoid's clip and its normalised poses
      (frame, joint, xy), y down, COCO-17
    - `pairs`: classes that share most weight: {classes: [a, b], weights: [[concept, weight for a, for b], ...]}
    - `videos`: chosen test videos, about a third of them wrong, classes in turn:
        - `id`, `true` and `predicted` class (`true` is null for a class that is not in training), `scores`: by class
        - `bars`: [[concept, activation, weight, contribution], ...] to the predicted class, largest first; `rest`: the
          sum of all other contributions; `bias`: bars + rest + bias = score
        - `clips`: [[first frame, motion concept or null], ...] of the key clips
        - `repair`: for a wrong video, {concept, scores}: the concept whose deactivation alone mends it; else null
    - `edits`: weights that were zero and, set to `value`, mend most val videos: {class, concept, value, val, test};
      `val` and `test` hold the numbers of videos {fixed, broken, kept, wrong}. They are chosen on val, never on test.

    Args:
        model, predictions: artifacts of the same seed.
        motion: artifact `motion_labels`.
        concepts: artifact `motion_concepts`.
        manifest: the videos.
        out: JSON file to write.
        videos: number of test videos to explain.
        bars: contributions a video that are told one by one.
        pairs: number of pairs of classes.
        edits: largest number of edits.
        edit: value that an edited weight gets.
        protocol: the protocol that the model was trained under.
    """
    with (
        Artifact(model, "dance") as trained,
        Artifact(predictions, "predictions") as said,
        Artifact(motion, "motion_labels") as labels,
        Artifact(concepts, "motion_concepts") as clusters,
    ):
        explained = _Explained(trained, said, Manifest.read(manifest), protocol)
        weight, bias = explained.weight, explained.bias
        chosen = choose(explained.ids["test"], explained.true["test"], explained.predicted("test"), videos)
        result = {
            "protocol": protocol,
            "classes": explained.classes,
            "concepts": [{"name": n, "kind": k} for n, k in zip(explained.names, explained.kinds, strict=True)],
            "accuracy": {r: float((explained.predicted(r) == t).mean()) for r, t in explained.true.items()},
            "confusion": _confusion(explained.true["test"], explained.predicted("test"), len(weight)),
            "weights": [[[m, w[m]] for m in top(w, len(w))[0]] for w in weight],
            "bias": bias,
            "motion": _pictures(explained, clusters),
            "pairs": [
                {"classes": pair, "weights": [[m, *weight[list(pair), m]] for m in compare(weight, *pair)]}
                for pair in similar_pairs(weight, pairs)
            ],
            "videos": [_video(explained, labels, row, bars) for row in chosen],
            "edits": _edits(explained, edit, edits),
        }
    out.parent.mkdir(parents=True, exist_ok=True)
    plain.write(out, result)


class _Explained:
    """A model, what it says of each role's videos, and the truth (class index; -1: a class unknown in training)."""

    def __init__(self, model: Artifact, predictions: Artifact, manifest: Manifest, protocol: str) -> None:
        self.weight, self.bias = model["weight"].astype(float), model["bias"].astype(float)
        self.classes, self.names, self.kinds = (model[n].tolist() for n in ("class_name", "concept", "kind"))
        index = {name: c for c, name in enumerate(self.classes)}
        roles = manifest.split_ids(protocol)
        self.ids = {role: [i for i in roles[role] if i in predictions] for role in ("train", "val", "test")}
        self.activation = {r: predictions.rows("activation", ids).astype(float) for r, ids in self.ids.items()}
        self.true = {
            role: np.array([index.get(manifest.by_id[i].labels[0], -1) for i in ids]) for role, ids in self.ids.items()
        }

    def scores(self, role: str) -> NDArray:
        """Scores of the videos of a role: (B,C)."""
        return self.activation[role] @ self.weight.T + self.bias

    def predicted(self, role: str) -> NDArray:
        """Classes predicted for the videos of a role: (B,)."""
        return self.scores(role).argmax(axis=1)


def choose(ids: Sequence[str], true: NDArray, predicted: NDArray, count: int) -> list[int]:
    """Rows of some right and, up to a third, some wrong videos: true classes in turn, within a class by id."""
    order = sorted(range(len(ids)), key=lambda row: ids[row])

    def in_turn(rows: list[int]) -> list[int]:
        by_class = [[row for row in rows if true[row] == c] for c in sorted(set(true[rows].tolist()))]
        return [row for turn in zip_longest(*by_class) for row in turn if row is not None]

    wrong = in_turn([row for row in order if predicted[row] != true[row]])
    right = in_turn([row for row in order if predicted[row] == true[row]])
    few = wrong[: max(count // 3, count - len(right))]
    return right[: count - len(few)] + few


def _confusion(true: NDArray, predicted: NDArray, classes: int) -> NDArray:
    table = np.zeros((classes, classes), dtype=int)
    np.add.at(table, (true[true >= 0], predicted[true >= 0]), 1)
    return table


def _pictures(explained: _Explained, clusters: Artifact) -> list[dict[str, object]]:
    """The medoid of every motion concept of the model."""
    arrays = {n: clusters[n] for n in ("members", "example_video", "example_start", "medoid")}
    return [
        {
            "concept": m,
            "members": arrays["members"][int(name)],
            "video": arrays["example_video"][int(name)],
            "start": arrays["example_start"][int(name)],
            "poses": whole(arrays["medoid"][int(name)], clusters.params.get("joints", ())),
        }
        for m, (name, kind) in enumerate(zip(explained.names, explained.kinds, strict=True))
        if kind == "motion"
    ]


def _video(explained: _Explained, labels: Artifact, row: int, bars: int) -> dict[str, object]:
    """The explanation of one test video."""
    video_id, true = explained.ids["test"][row], int(explained.true["test"][row])
    activation, score = explained.activation["test"][row], explained.scores("test")[row]
    predicted = int(score.argmax())
    weight = explained.weight[predicted]
    contribution = contributions(activation[None], explained.weight)[0, predicted]
    largest, rest = top(contribution, bars)
    concept = repair(activation, explained.weight, explained.bias, true)
    mended = None
    if concept is not None:
        without = deactivate(activation[None], concept)[0]
        mended = {"concept": concept, "scores": explained.weight @ without + explained.bias}
    return {
        "id": video_id,
        "true": true if true >= 0 else None,
        "predicted": predicted,
        "scores": score,
        "bars": [[m, activation[m], weight[m], contribution[m]] for m in largest],
        "rest": rest,
        "bias": explained.bias[predicted],
        "clips": _clips(explained, labels, video_id),
        "repair": mended,
    }


def _clips(explained: _Explained, labels: Artifact, video_id: str) -> list[list[int | None]]:
    """First frame and motion concept of each key clip; None where the clip was filtered out."""
    if video_id not in labels:
        return []
    motion = {name: m for m, name in enumerate(explained.names) if explained.kinds[m] == "motion"}
    video = labels.video(video_id)
    return [[int(start), motion.get(str(k))] for start, k in zip(video["start"], video["concept"], strict=True)]


def _edits(explained: _Explained, value: float, count: int) -> list[dict[str, object]]:
    """The edits that are best on val, with what they do on val and test."""
    weight, bias = explained.weight, explained.bias
    found = best_edits(explained.activation["val"], weight, bias, explained.true["val"], value, count)
    result = []
    for c, m in found:
        edited = set_weight(weight, c, m, value)
        after = {role: (a @ edited.T + bias).argmax(axis=1) for role, a in explained.activation.items()}
        outcome = {
            role: asdict(effect(explained.predicted(role), after[role], explained.true[role]))
            for role in ("val", "test")
        }
        result.append({"class": c, "concept": m, "value": value, **outcome})
    return result
