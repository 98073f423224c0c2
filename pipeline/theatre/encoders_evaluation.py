"""How good the theatre's small encoders are, on plays of the corpus that no training has seen, and on the demo's cast.

    python -m pipeline.theatre.encoders_evaluation pipeline/theatre/weights

Axes: N video, T frame, J joint, D feature, K concept.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy import ndarray
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import average_precision_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from pipeline import encoders
from pipeline.encoders.backbone import Backbone
from pipeline.encoders.pose import Clip
from pipeline.encoders.pose.tracking import iou
from pipeline.theatre import actions, corpus, home, routines, stage
from pipeline.theatre.elements import DIFFICULTY, FPS
from pipeline.theatre.props import OBJECTS
from pipeline.theatre.scenery import SCENES
from pipeline.video import segments

STILLS, FRAMES, LENGTH = 8, 16, 16  # frames of a video for the image encoder and the backbone; of a clip for poses


@dataclass(frozen=True)
class Sample:
    """One play, reduced to what the encoders are shown."""

    script: stage.Script
    objects: tuple[str, ...]
    stills: ndarray  # (STILLS,H,W,3)
    frames: ndarray  # (FRAMES,H,W,3)


def evaluate(weights: Path, *, videos: int = 400, cast: int = 432, seed: int = 999) -> str:
    """Figures of the encoders in a folder, as text.

    Args:
        weights: the folder.
        videos: plays of the corpus; neither they nor their performers are those of training, which has other seeds.
        cast: videos of the demo's act.
        seed: of those plays.
    """
    fresh = [sample(script) for script in corpus.scripts(seed, videos)]
    readout = [sample(script) for script in corpus.scripts(seed + 1, 2 * videos)]
    played = [sample(script) for script in actions.cast(0, cast)]
    return "\n".join(
        [
            *pose_figures(weights, seed, min(videos, 60)),
            *detector_figures(weights, seed, min(videos, 60)),
            *image_text_figures(weights, fresh, played),
            *backbone_figures(weights, readout, fresh, played),
            *clip_figures(weights, seed, videos // 4),
        ]
    )


def sample(script: stage.Script) -> Sample:
    """Perform a script and keep a few frames."""
    play = stage.perform(script)
    count = len(play.frames)
    return Sample(script, play.objects, play.frames[segments(count, STILLS)], play.frames[segments(count, FRAMES)])


def pose_figures(weights: Path, seed: int, videos: int) -> list[str]:
    """Distance of the joints in torso lengths; what the detector makes of full and of empty stages."""
    files = {"detector": str(weights / "detector.onnx"), "pose": str(weights / "pose.onnx")}
    encoder = encoders.load("pose", {"name": "onnx", "detector_format": "boxes", "pose_format": "heatmap", **files})
    distances, seen, missed, false = [], [], 0, 0
    for script in corpus.scripts(seed, videos):
        play = stage.perform(script)
        part = slice(len(play.frames) // 2 - LENGTH // 2, len(play.frames) // 2 + LENGTH // 2)
        found, joints = encoder.encode(Clip(script.id, Path(), part.start, play.frames[part])), play.joints[part]
        torso = np.linalg.norm(joints[:, [5, 6]].mean(1) - joints[:, [11, 12]].mean(1), axis=-1)
        distances.append(np.linalg.norm(found.joints - joints, axis=-1) / np.median(torso))
        seen.append(play.visible[part])
        missed += int(np.isnan(found.box[:, 0]).sum())
        false += sum(len(boxes) > 0 for boxes, _ in encoder.detect(stage.perform(script, empty=True).frames[::8]))
    distance, seen = np.concatenate(distances), np.concatenate(seen)
    return [
        f"pose: joint distance in torso lengths, mean {np.nanmean(distance[seen]):.3f}, "
        f"median {np.nanmedian(distance[seen]):.3f}, within 0.2: {np.mean(distance[seen] < 0.2):.3f}; by joint "
        + " ".join(f"{value:.2f}" for value in np.nanmean(np.where(seen, distance, np.nan), axis=0)),
        f"detector: nobody found in {missed} of {len(seen)} frames with a performer, somebody in {false} empty ones",
    ]


def image_text_figures(weights: Path, fresh: list[Sample], cast: list[Sample]) -> list[str]:
    """Average precision of the cosines with 'A video of ...', and how well a linear probe tells the demo's classes."""
    files = {"model": str(weights / "image_text.json"), "pretrained": str(weights / "image_text.safetensors")}
    encoder = encoders.load("image_text", {"name": "open_clip", **files})
    lines = []
    for kind, samples in (("fresh", fresh), ("cast", cast)):
        videos = np.stack([encoder.images(s.stills).mean(0) for s in samples])  # (N,D)
        videos /= np.linalg.norm(videos, axis=1, keepdims=True)
        for names in (OBJECTS, SCENES):
            cosine, true = videos @ encoder.texts([f"A video of {name}" for name in names]).T, shown(samples, names)
            lines.append(
                f"image-text, {kind}: average precision {precision(true, cosine)}; cosine where shown "
                f"{cosine[true].mean():.2f}, else {cosine[~true].mean():.2f}"
            )
    return [*lines, f"image-text: linear probe of the demo's classes {probe(videos, cast):.3f}"]


def backbone_figures(weights: Path, readout: list[Sample], fresh: list[Sample], cast: list[Sample]) -> list[str]:
    """Linear readouts of the independent factors, fitted on `readout`, read on `fresh`; a probe of the classes."""
    encoder = encoders.load("backbone", {"name": "onnx", "model": str(weights / "backbone.onnx")})
    fitted, read, played = (encoder.encode([s.frames for s in samples]) for samples in (readout, fresh, cast))
    lines = []
    for factor in ("primitive", "scene"):
        before, after = ([getattr(s.script, factor) for s in samples] for samples in (readout, fresh))
        lines.append(f"backbone: linear readout of the {factor} {linear().fit(fitted, before).score(read, after):.3f}")
    true = shown(readout, OBJECTS)
    scores = [linear().fit(fitted, true[:, k]).decision_function(read) for k in range(len(OBJECTS))]
    lines.append(f"backbone: average precision of the objects {precision(shown(fresh, OBJECTS), np.stack(scores, 1))}")
    reverse = encoder.encode([s.frames[::-1] for s in fresh])
    apart = np.linalg.norm(reverse - read, axis=1).mean(), np.linalg.norm(read[1:] - read[:-1], axis=1).mean()
    lines.append(f"backbone: a reversal moves the feature by {apart[0]:.1f}; two plays are {apart[1]:.1f} apart")
    return [*lines, f"backbone: linear probe of the demo's classes {probe(played, cast):.3f}"]


def clip_figures(weights: Path, seed: int, videos: int) -> list[str]:
    """Linear readouts of what a second of a routine holds, fitted on other routines, whose performers are others."""
    encoder = encoders.load("backbone", {"name": "onnx", "model": str(weights / "clip.onnx")})
    readout, fresh = (_seconds(encoder, routines.corpus(*draw)) for draw in ((seed + 1, 2 * videos), (seed, videos)))
    within, seen = readout.element >= 0, fresh.element >= 0
    named = linear().fit(readout.feature, readout.element).predict(fresh.feature) == fresh.element
    worth = [np.where(each.element >= 0, DIFFICULTY[each.element], 0.0) for each in (readout, fresh)]
    difficulty = ridge().fit(readout.feature, worth[0]).score(fresh.feature, worth[1])
    execution = ridge().fit(readout.feature[within], readout.execution[within])
    share = execution.score(fresh.feature[seen], fresh.execution[seen])
    whole = _by(fresh.turn[seen], execution.predict(fresh.feature[seen]))
    true = _by(fresh.turn[seen], fresh.execution[seen])
    return [
        f"clip: linear readout of the element, or none, {named.mean():.3f} of all seconds, {named[seen].mean():.3f} of "
        f"those within one; R2 of the difficulty, 0 between, {difficulty:.3f}; of the execution {share:.3f} a second, "
        f"{1 - np.mean((whole - true) ** 2) / true.var():.3f} an element"
    ]


@dataclass(frozen=True)
class Seconds:
    """Seconds of routines, N in all, as the clip backbone sees them.

    Attributes:
        feature: (N,D).
        element: (N,) index into `ELEMENTS` of what fills most of it, -1 between elements.
        turn: (N,) which performance that is, numbered over all routines.
        execution: (N,) how well it was done.
    """

    feature: ndarray
    element: ndarray
    turn: ndarray
    execution: ndarray


def _seconds(encoder: Backbone, scripts: list[routines.Script]) -> Seconds:
    """All whole seconds of routines; frames that fill none at their end are left out."""
    features, elements, turns, executions, before = [], [], [], [], 0
    for script in scripts:
        frames = np.stack(list(routines.perform(script).frames))
        count = len(frames) // FPS
        features.append(encoder.encode(list(frames[: count * FPS].reshape(count, FPS, *frames.shape[1:]))))
        starts = np.array([turn.start for turn in script.turns])
        for k in range(count):
            turn = np.bincount(np.searchsorted(starts, np.arange(k * FPS, (k + 1) * FPS), side="right") - 1).argmax()
            elements.append(script.turns[turn].element)
            executions.append(script.turns[turn].execution)
            turns.append(before + turn)
        before += len(script.turns)
    return Seconds(np.concatenate(features), np.array(elements), np.array(turns), np.array(executions))


def _by(group: ndarray, values: ndarray) -> ndarray:
    """Mean of each group."""
    return np.array([values[group == each].mean() for each in np.unique(group)])


def detector_figures(weights: Path, seed: int, videos: int, score: float = 0.4) -> list[str]:
    """Shares of the things in view that the object detector finds, and of its finds that are right (IoU above 0.5)."""
    detector = encoders.load("detector", {"name": "onnx", "model": weights / "objects.onnx", "format": "boxes"})
    there, found, right = np.zeros((3, len(home.NODES)))
    for script in home.corpus(seed, videos):
        play = home.perform(script)
        frames = np.arange(4, len(play.frames), 16)
        for t, seen in zip(frames, detector.detect(play.frames[frames]), strict=True):
            for kind in range(len(home.NODES)):
                boxes, scores = seen.of(kind)
                true = play.boxes[t, play.nodes == kind]
                known = np.isfinite(true).all() and len(true)
                there[kind] += bool(known)
                if len(boxes) and scores[0] >= score:
                    found[kind] += 1
                    right[kind] += bool(known) and iou(true[0], boxes[:1])[0] > 0.5
    shares = (" ".join(f"{value:.2f}" for value in right / total) for total in (there, found))
    names = ("finds, of what is in view:", "right, of what it finds:")
    return [f"objects.onnx, {', '.join(home.NODES)}; {name} {share}" for name, share in zip(names, shares, strict=True)]


def shown(samples: list[Sample], names: tuple[str, ...]) -> ndarray:
    """(N,K) bool: which plays show which objects or scenes."""
    return np.array([[name in (*s.objects, s.script.scene) for name in names] for s in samples])


def precision(true: ndarray, scores: ndarray) -> str:
    """Mean over the concepts that occur, and each of them."""
    each = [average_precision_score(true[:, k], scores[:, k]) for k in range(true.shape[1]) if true[:, k].any()]
    return f"{np.mean(each):.3f} ({' '.join(f'{value:.2f}' for value in each)})"


def linear() -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))


def ridge() -> Pipeline:
    return make_pipeline(StandardScaler(), Ridge(1.0))


def probe(features: ndarray, cast: list[Sample]) -> float:
    """Test accuracy of a logistic regression on the train performers' videos."""
    labels, splits = (np.array([getattr(s.script, name) for s in cast]) for name in ("label", "split"))
    train, test = splits == "train", splits == "test"
    return linear().fit(features[train], labels[train]).score(features[test], labels[test])


if __name__ == "__main__":
    print(evaluate(Path(sys.argv[1])))
