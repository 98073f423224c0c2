"""What AQA reads: clip features and scores in memory, parts cut out of long videos, batches padded with a mask.

Axes: V video, B video of a batch, T clip, D feature.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.artifacts import Artifact
from pipeline.datasets.scores import read as read_scores
from pipeline.errors import ChoreoError
from pipeline.manifest import Manifest

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """What one model is to say of a video.

    Attributes:
        score: name of the score in the file of scores.
        low, high: its declared range, in points.
        label: class that the task is restricted to; None: all videos.
    """

    score: str
    low: float
    high: float
    label: str | None = None

    @classmethod
    def of(cls, options: Mapping[str, object]) -> Task:
        """A task as the config says it: {score: total, label: Ball, range: [0, 25]}.

        Raises:
            ChoreoError: a key is missing or unknown, or the range is none.
        """
        unknown, missing = set(options) - {"score", "label", "range"}, {"score", "range"} - set(options)
        if unknown or missing:
            raise ChoreoError(
                f"a task has an unknown key '{min(unknown)}'" if unknown else f"a task lacks its `{min(missing)}`",
                mend="write it as {score: total, label: Ball, range: [0, 25]}; `label` may be left out",
            )
        try:
            low, high = map(float, options["range"])
        except (TypeError, ValueError):
            low = high = math.nan
        if not -math.inf < low < high < math.inf:
            raise ChoreoError(
                f"the range of '{options['score']}' is {options['range']}",
                mend="name the lowest and the highest score that can be given, such as [0, 25]",
            )
        return cls(str(options["score"]), low, high, options.get("label"))

    @property
    def options(self) -> dict[str, object]:
        """The same as the config says it."""
        return {"score": self.score, "label": self.label, "range": [self.low, self.high]}

    def share(self, points: NDArray | float) -> NDArray | float:
        """A score in points as its share of the range, 0-1."""
        return (points - self.low) / (self.high - self.low)

    def points(self, share: NDArray | float) -> NDArray | float:
        """A share of the range in points."""
        return self.low + share * (self.high - self.low)


@dataclass(frozen=True)
class Clips:
    """The clips of one video: feature (T,D), start and end (T,) in seconds."""

    feature: NDArray
    start: NDArray
    end: NDArray

    def __len__(self) -> int:
        return len(self.feature)

    def __getitem__(self, part: slice) -> Clips:
        return Clips(self.feature[part], self.start[part], self.end[part])


@dataclass(frozen=True)
class Videos:
    """Some videos: ids, clips, and targets (V,), the scores as shares of the range."""

    ids: list[str]
    clips: list[Clips]
    targets: NDArray

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Data:
    """The videos of each role (`train`, `val`, `test`) and the task.

    Attributes:
        roles: see `Manifest.split_ids`.
        task: what is asked of them.
        left_out: videos of the task that could not be used, and why.
    """

    roles: dict[str, Videos]
    task: Task
    left_out: dict[str, str]

    @property
    def features(self) -> int:
        """Length of the feature vectors (D)."""
        return self.roles["train"].clips[0].feature.shape[1]


# Reading ----------------------------------------------------------------------------------------------------


def load(
    features: Sequence[Path],
    manifest: Path,
    scores: Path,
    *,
    task: Mapping[str, object],
    protocol: str = "strict",
    max_failed_fraction: float = 0.1,
) -> Data:
    """Read the clips and the scores of one task.

    A video that lacks its features or its score is left out, and said so in the log.

    Args:
        features: artifacts `clip_features`, one a shard.
        manifest: the videos, their labels and splits.
        scores: CSV file `id,score,value`.
        task: {score, label, range}, see `Task.of`.
        protocol: `strict` or `published`, see `manifest.PROTOCOLS`.
        max_failed_fraction: share of the videos that may lack their features or their score.

    Raises:
        ChoreoError: the task names what is not there, more is missing than tolerated, features have two lengths or
            hold NaN, a score is outside its range, a role has no video, or all scores of train are equal.
    """
    wanted, videos = Task.of(task), Manifest.read(manifest)
    values = _named(read_scores(scores), wanted.score, scores)
    roles = {role: _asked(videos, ids, wanted.label) for role, ids in videos.split_ids(protocol).items()}
    asked = sorted({i for ids in roles.values() for i in ids})
    with Artifact(features, "clip_features") as artifact:
        clips = {i: _clips(artifact.video(i)) for i in asked if i in artifact}
        left_out = _unknown(videos, artifact.ids, values) | _lacking(asked, clips, artifact.failures, values)
    _check_left_out(left_out, len({*asked, *left_out}), max_failed_fraction)
    clips = {i: found for i, found in clips.items() if i not in left_out}
    _check_features(clips)
    _check_range(clips, values, wanted, scores)
    chosen = {}
    for role in ("train", "val", "test"):
        ids = [i for i in roles[role] if i in clips]
        targets = np.array([wanted.share(values[i]) for i in ids])
        _check_role(role, targets, wanted)
        chosen[role] = Videos(ids, [clips[i] for i in ids], targets)
    return Data(chosen, wanted, left_out)


def _named(scores: Mapping[str, Mapping[str, float]], name: str, path: Path) -> Mapping[str, float]:
    if name not in scores:
        raise ChoreoError(
            f"{path} has no score '{name}'; it has {', '.join(sorted(scores)) or 'none'}",
            "a typo, or the adapter of another data set",
            "name one of these in `tasks`",
        )
    return scores[name]


def _asked(videos: Manifest, ids: Iterable[str], label: str | None) -> list[str]:
    """The videos that a task asks of."""
    if label is not None and label not in videos.classes:
        known = ", ".join(videos.classes) or "there is none"
        raise ChoreoError(f"no video has the label '{label}'", f"a typo; known: {known}", "mend `label` in `tasks`")
    return [i for i in ids if label is None or label in videos.by_id[i].labels]


def _clips(arrays: Mapping[str, NDArray]) -> Clips:
    return Clips(arrays["feature"], arrays["start"], arrays["end"])


# Bad input --------------------------------------------------------------------------------------------------


def _unknown(videos: Manifest, featured: Iterable[str], scored: Iterable[str]) -> dict[str, str]:
    """Ids with features or a score that the manifest does not have."""
    scores = {i: "it has a score and is no video of the manifest" for i in scored if i not in videos.by_id}
    return scores | {i: "it has features and is no video of the manifest" for i in featured if i not in videos.by_id}


def _lacking(
    asked: Iterable[str], clips: Mapping[str, Clips], failures: Mapping[str, str], scored: Iterable[str]
) -> dict[str, str]:
    """Videos that the task asks of and that have a score without features, features without a score, or neither."""
    lost = {i: "it has features and no score" for i in asked if i not in scored}
    lost |= {i: "its features have no clip" for i, found in clips.items() if not len(found)}
    return lost | {i: failures.get(i, "it has no features").splitlines()[0] for i in asked if i not in clips}


def _check_left_out(lost: Mapping[str, str], total: int, tolerated: float) -> None:
    if not lost:
        return
    told = f"{len(lost)} of {total} videos lack their features or their score"
    listed = "\n".join(f"  {i}: {why}" for i, why in sorted(lost.items()))
    if len(lost) > tolerated * total:
        raise ChoreoError(
            f"{told}; `max_failed_fraction` is {tolerated:.0%}:\n{listed}",
            "features and scores are of two data sets, ids are written in two ways, or features failed",
            "mend the ids or the features, or raise `max_failed_fraction`",
        )
    log.warning("%s and are left out:\n%s", told, listed)


def _check_features(clips: Mapping[str, Clips]) -> None:
    """All features are finite and of one length."""
    lengths: dict[int, str] = {}
    for i, found in clips.items():
        lengths.setdefault(found.feature.shape[1], i)
        if not np.isfinite(found.feature).all():
            raise ChoreoError(
                f"the features of video '{i}' hold NaN or infinity",
                "the file is damaged, or it was exported from a training that had failed",
                "make its features anew, or leave the video out of the manifest",
            )
    if len(lengths) > 1:
        told = ", ".join(f"{length} ('{i}')" for length, i in lengths.items())
        raise ChoreoError(
            f"features have {len(lengths)} lengths: {told}",
            "files of two backbones were mixed",
            "make all features with one backbone",
        )


def _check_range(ids: Iterable[str], values: Mapping[str, float], task: Task, path: Path) -> None:
    outside = {i: values[i] for i in ids if not task.low <= values[i] <= task.high}
    if outside:
        told = ", ".join(f"'{i}': {value:g}" for i, value in list(outside.items())[:5])
        raise ChoreoError(
            f"{path}: {len(outside)} values of '{task.score}' are outside {task.low:g} to {task.high:g}: {told}",
            "the range of another score, or a comma for a decimal point",
            "mend the value, or the `range` in `tasks`",
        )


def _check_role(role: str, targets: NDArray, task: Task) -> None:
    """A role has videos; train has something to learn, and in val and test there is something to rank."""
    asked = f"'{task.score}'" + (f" with the label '{task.label}'" if task.label else "")
    if not len(targets):
        raise ChoreoError(
            f"no video of '{role}' has features and {asked}",
            "the split is empty, or its videos failed",
            "see failures.tsv and the manifest",
        )
    if len(targets) > 1 and np.ptp(targets) > 0:
        return
    told = f"all scores of '{role}' are equal ({task.points(float(targets[0])):g})"
    if role == "train":
        raise ChoreoError(f"{told}: there is nothing to learn", "a wrong column of the labels", "see the scores")
    log.warning("%s: Spearman's correlation is undefined there", told)


# Batches ----------------------------------------------------------------------------------------------------


def crop(length: int, longest: int, rng: np.random.Generator | None = None) -> slice:
    """Which clips of a video are seen: all, or with `rng` at most `longest` consecutive ones from a random place."""
    if rng is None or length <= longest:
        return slice(0, length)
    first = int(rng.integers(length - longest + 1))
    return slice(first, first + longest)


def collate(features: Sequence[NDArray], *, length: int = 0, masked: bool = True) -> tuple[Tensor, Tensor]:
    """A batch: clips (B,T,D) in single precision with zero rows after the last clip, and a mask (B,T).

    Args:
        features: (T,D) of each video.
        length: clips of the batch, T; 0, or less than the longest: as many as the longest has.
        masked: the mask is False where there is no clip; false: it is True everywhere, as published.
    """
    longest = max(length, *map(len, features))
    clips = torch.zeros(len(features), longest, features[0].shape[1])
    mask = torch.full((len(features), longest), not masked)
    for row, feature in enumerate(features):
        clips[row, : len(feature)] = torch.from_numpy(np.ascontiguousarray(feature))
        mask[row, : len(feature)] = True
    return clips, mask
