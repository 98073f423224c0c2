"""What DANCE is compared with: a classifier without a bottleneck, and one that sees nothing but poses.

Both are logistic regressions on standardised inputs; whatever is to be chosen is chosen on the validation videos.

Axes: B video, D input, T frame, J joint (COCO-17).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from pipeline.artifacts import Artifact
from pipeline.concepts.motion import normalise

log = logging.getLogger(__name__)

STRENGTHS = tuple(10.0**e for e in range(-5, 2))  # inverse of the l2 penalty, as scikit-learn's C
POINTS = 32  # frames to which the poses of a video are resampled


@dataclass(frozen=True)
class Probe:
    """A fitted baseline.

    Attributes:
        inputs: name of the inputs that were chosen.
        strength: the inverse penalty that was chosen.
        val: accuracy on the validation videos, before any refit.
        classifier: predicts classes from inputs (B,D).
    """

    inputs: str
    strength: float
    val: float
    classifier: Pipeline

    def score(self, inputs: Mapping[str, NDArray], label: NDArray) -> float:
        """Accuracy on other videos: name of the inputs -> inputs (B,D), (B,)."""
        return float(self.classifier.score(inputs[self.inputs], label))


def probe(
    train: Mapping[str, NDArray],
    train_label: NDArray,
    val: Mapping[str, NDArray],
    val_label: NDArray,
    *,
    refit: bool = False,
) -> Probe:
    """The logistic regression that is best on val, over kinds of inputs and strengths; of equals the more penalised.

    Args:
        train, val: name of the inputs -> inputs (B,D).
        train_label, val_label: classes (B,).
        refit: fit what was chosen once more, on train and val together.
    """
    best = None
    for name in train:
        for strength in STRENGTHS:
            classifier = _classifier(strength).fit(train[name], train_label)
            accuracy = float(classifier.score(val[name], val_label))
            if best is None or accuracy > best.val:
                best = Probe(name, strength, accuracy, classifier)
    log.info("%s, C=%g: %.3f on val", best.inputs, best.strength, best.val)
    if refit:
        both = np.concatenate([train[best.inputs], val[best.inputs]])
        best.classifier.fit(both, np.concatenate([train_label, val_label]))
    return best


def _classifier(strength: float) -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))


def pose_inputs(poses: Artifact, frames: Mapping[str, int]) -> dict[str, NDArray]:
    """Inputs of the pose-only classifier: id -> frames of the video, to name -> (B,D).

    `track`: joints at `POINTS` moments of the whole video, from its key clips; one centre and one scale a video.
    `shape`: the joints at the same moments, each frame centred and stretched by itself.
    A video in which nobody was found gets zeros; a joint that no pose of a video has stands still, amid the others.
    """
    tracks = [_track(poses.video(i), n) if i in poses else np.zeros((POINTS, 17, 2)) for i, n in frames.items()]
    names = {"track": "clip", "shape": "frame"}
    return {name: np.stack([normalise(t, how).ravel() for t in tracks]) for name, how in names.items()}


def _track(video: Mapping[str, NDArray], frames: int) -> NDArray:
    """Poses at `POINTS` moments of a video, from its key clips; gaps are interpolated: (POINTS,J,2) px."""
    starts, joints = video["start"], video["joints"]  # (N,), (N,L,J,2)
    absent = np.isnan(joints).all(axis=(0, 1, 3))  # (J,)
    if absent.any() and not absent.all():
        joints = np.where(absent[:, None], np.nanmean(joints, axis=(0, 1, 2)), joints)
    moments = (starts[:, None] + np.arange(joints.shape[1])).ravel()
    poses = joints.reshape(len(moments), -1)  # (N*L, J*2)
    seen = ~np.isnan(poses).any(axis=1)
    if not seen.any():
        return np.zeros((POINTS, *joints.shape[2:]))
    moments, first = np.unique(moments[seen], return_index=True)  # overlapping clips share frames
    at = np.linspace(0, frames - 1, POINTS)
    track = [np.interp(at, moments, column) for column in poses[seen][first].T]
    return np.stack(track, axis=1).reshape(POINTS, *joints.shape[2:])
