"""How good a trained DANCE is, and how true its concepts are.

Axes: B video, M concept, C class, N clip, T frame, J joint (COCO-17).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score
from sklearn.preprocessing import StandardScaler

from pipeline import metrics
from pipeline.artifacts import Artifact
from pipeline.concepts.motion import nmi, purity
from pipeline.dance.baselines import pose_inputs, probe
from pipeline.dance.elastic_net import ElasticNetClassifier
from pipeline.dance.model import KINDS
from pipeline.dance.training import Data, Videos, from_arrays, load
from pipeline.manifest import Manifest
from pipeline.metrics import figure

CONTEXT = ("object", "scene")
SHOULDERS, HIPS = (5, 6), (11, 12)  # COCO-17


def dance_evaluate(
    models: list[Path],
    features: list[Path],
    poses: list[Path],
    motion: Path,
    pseudo: Path,
    manifest: Path,
    out: Path,
    *,
    run: str = "",
    annotations: Path | None = None,
    paper: dict | None = None,
    protocol: str = "strict",
) -> None:
    """Figures of DANCE on the test videos, over seeds, beside its baselines and ablations; writes `metrics.json`.

    - `accuracy`; `accuracy/val`; `accuracy/probe`: no bottleneck, same features and training videos;
      `accuracy/pose_only`: logistic regression on poses alone, chosen on val and refitted on train and val.
    - `accuracy/without_motion`, `accuracy/without_context`: the trained model with its motion concepts removed, or its
      objects and scenes: what the bottleneck uses. `accuracy/retrained_without_motion`, `..._without_context`: a
      classifier trained anew on the other activations. `accuracy/labels`, `accuracy/labels_without_motion`,
      `.../labels_without_context`: one trained and tested on the concept labels themselves. What the activations of a
      kind tell beyond its labels is leakage: a linear readout of a feature carries more than its concept.
    - `sparsity`: share of the classifier's weights with |w| > 1e-5; `weights_per_class`: their number for a class.
    - `concepts/motion`, `concepts/object`, `concepts/scene`: concepts in the model.

    With annotations, also:

    - `motion/purity`, `motion/nmi`: concepts of the training videos' clips, against the primitive that most frames of a
      clip show (idle is one). `motion/test_accuracy`: share of test clips that show the commonest primitive of their
      concept. `motion/clips`: share of all clips that passed the filters.
    - `objects/ap`, `scenes/ap`: average precision of the pseudo labels over the test videos, mean over names in both
      vocabularies; `objects/predicted_ap`, `scenes/predicted_ap`: of the model's activations.
    - `pose/torso_distance`: mean distance of found and true visible joints in torso lengths, all clips;
      `pose/found`: share of their frames with a person found.

    Args:
        models: artifacts `dance`, one a seed.
        features, poses: artifacts, one a shard.
        motion, pseudo: artifacts `motion_labels` and `pseudo_labels`.
        manifest: the videos.
        out: `metrics.json` to write.
        run: name of the run.
        annotations: artifact `annotations`, where the truth is known.
        paper: the paper's figures by name, as shares, such as {accuracy: 0.875}.
        protocol: the protocol that the models were trained under.
    """
    data = load(features, motion, pseudo, manifest, protocol=protocol)
    figures = accuracies(data, poses, Manifest.read(manifest)) | over_seeds([of_model(path, data) for path in models])
    if annotations is not None:
        with Artifact(annotations, "annotations") as truth:
            figures |= motion_truth(motion, poses, truth, data)
            figures |= word_truth(pseudo, truth, data.roles["test"].ids)
            figures |= over_seeds([predicted_words(path, data, truth) for path in models])
            figures |= pose_truth(poses, truth)
    seeds = []
    for path in models:
        with Artifact(path, "dance") as model:
            seeds.append(model.params["seed"])
    metrics.write_metrics(
        out, run=run, model="dance", protocol=protocol, seeds=seeds, figures=dict(sorted(figures.items())), paper=paper
    )


def over_seeds(each: Sequence[Mapping[str, tuple[float, str]]]) -> dict[str, dict[str, object]]:
    """Mean, spread and number over seeds of every figure: name -> (value, unit) by seed."""
    names = {name: unit for one in each for name, (_, unit) in one.items()}
    return {name: figure([one[name][0] for one in each if name in one], unit) for name, unit in names.items()}


# Accuracy --------------------------------------------------------------------------------------------------------


def accuracies(data: Data, poses: Sequence[Path], manifest: Manifest) -> dict[str, dict[str, object]]:
    """Figures of the baselines, which depend on no seed."""
    train, val, test = (data.roles[role] for role in ("train", "val", "test"))
    free = probe({"feature": train.feature}, train.label, {"feature": val.feature}, val.label)
    with Artifact(poses, "pose") as artifact:
        frames = {role: {i: manifest.by_id[i].frames for i in videos.ids} for role, videos in data.roles.items()}
        inputs = {role: pose_inputs(artifact, counts) for role, counts in frames.items()}
    pose_only = probe(inputs["train"], train.label, inputs["val"], val.label, refit=True)
    return {
        "accuracy/probe": figure(free.score({"feature": test.feature}, test.label)),
        "accuracy/pose_only": figure(pose_only.score(inputs["test"], test.label)),
    } | of_labels(train, test)


def of_labels(train: Videos, test: Videos) -> dict[str, dict[str, object]]:
    """Accuracy of sparse classifiers on the concept labels themselves: all, and with motion or context left out."""
    result = {}
    for name, kinds in (("", KINDS), ("_without_motion", CONTEXT), ("_without_context", ("motion",))):
        kinds = [kind for kind in kinds if kind in train.targets]
        if kinds:
            x, x_test = (np.concatenate([v.targets[kind] for kind in kinds], axis=1) for v in (train, test))
            scaler = StandardScaler().fit(x)
            net = ElasticNetClassifier().fit(scaler.transform(x), train.label.astype(str))
            correct = net.predict(scaler.transform(x_test)) == test.label
            result[f"accuracy/labels{name}"] = figure(float(correct.mean()))
    return result


def of_model(path: Path, data: Data) -> dict[str, tuple[float, str]]:
    """Figures of one trained model: name -> (value, unit)."""
    with Artifact(path, "dance") as model:
        options, network, kind, classes = model.params, from_arrays(model), model["kind"], model["class_name"]
        weight, bias = model["weight"], model["bias"]
    activation = {role: network(torch.as_tensor(videos.feature))[0].numpy() for role, videos in data.roles.items()}
    label = {role: videos.label for role, videos in data.roles.items()}
    used = np.abs(weight) > 1e-5
    result = {
        "accuracy": (_accuracy(activation["test"] @ weight.T + bias, classes, label["test"]), "share"),
        "accuracy/val": (_accuracy(activation["val"] @ weight.T + bias, classes, label["val"]), "share"),
        "sparsity": (float(used.mean()), "share"),
        "weights_per_class": (float(used.sum(axis=1).mean()), "weights"),
    }
    result |= {f"concepts/{k}": (float((kind == k).sum()), "concepts") for k in ("motion", *CONTEXT)}
    for name, gone in (("motion", kind == "motion"), ("context", np.isin(kind, CONTEXT))):
        if gone.all() or not gone.any():
            continue
        rest = {role: a[:, ~gone] for role, a in activation.items()}
        net = ElasticNetClassifier(options["lam"], options["alpha"]).fit(rest["train"], label["train"].astype(str))
        anew = float((net.predict(rest["test"]) == label["test"]).mean())
        removed = _accuracy(rest["test"] @ weight[:, ~gone].T + bias, classes, label["test"])
        result[f"accuracy/without_{name}"] = (removed, "share")
        result[f"accuracy/retrained_without_{name}"] = (anew, "share")
    return result


def _accuracy(score: NDArray, classes: NDArray, label: NDArray) -> float:
    return float((classes[score.argmax(axis=1)] == label).mean())


# Truth of the concepts -------------------------------------------------------------------------------------------


def motion_truth(motion: Path, poses: Sequence[Path], truth: Artifact, data: Data) -> dict[str, dict[str, object]]:
    """Agreement of motion concepts with the true primitives of their clips."""
    with Artifact(motion, "motion_labels") as labels, Artifact(poses, "pose") as clips:
        length = clips["joints"].shape[1]
        found, true = clip_truth(labels, truth, data.roles["train"].ids, length)
        test_found, test_true = clip_truth(labels, truth, data.roles["test"].ids, length)
        passed = (labels["concept"] >= 0).mean()
    figures = {"motion/clips": figure(float(passed))}
    if len(found) and len(test_found):
        commonest = {k: Counter(true[found == k].tolist()).most_common(1)[0][0] for k in np.unique(found)}
        right = [commonest.get(k) == t for k, t in zip(test_found, test_true, strict=True)]
        figures["motion/purity"] = figure(purity(found, true))
        figures["motion/nmi"] = figure(nmi(found, true))
        figures["motion/test_accuracy"] = figure(float(np.mean(right)))
    return figures


def clip_truth(labels: Artifact, truth: Artifact, ids: Sequence[str], length: int) -> tuple[NDArray, NDArray]:
    """Motion concept and true primitive, that of most of its frames, of every clip that has both: (N,), (N,)."""
    found, true = [], []
    for video_id in ids:
        if video_id in labels and video_id in truth:
            video, primitive = labels.video(video_id), truth.video(video_id)["primitive"]
            for concept, start in zip(video["concept"], video["start"], strict=True):
                if concept >= 0:
                    frames = np.minimum(start + np.arange(length), len(primitive) - 1)  # the last frame is repeated
                    found.append(concept)
                    true.append(np.bincount(primitive[frames] + 1).argmax() - 1)
    return np.array(found, dtype=int), np.array(true, dtype=int)


def word_truth(pseudo: Path, truth: Artifact, ids: Sequence[str]) -> dict[str, dict[str, object]]:
    """Average precision of the pseudo labels of objects and scenes, mean over names, on the given videos."""
    with Artifact(pseudo, "pseudo_labels") as labels:
        ids = [i for i in ids if i in labels and i in truth]
        found = mean_ap(labels.rows("similarity", ids), labels["concept"], labels["kind"], truth, ids)
    return {f"{kind}s/ap": figure(value) for kind, value in found.items()}


def predicted_words(path: Path, data: Data, truth: Artifact) -> dict[str, tuple[float, str]]:
    """Average precision of a model's object and scene activations on the test videos."""
    test = data.roles["test"]
    known = [i in truth for i in test.ids]
    with Artifact(path, "dance") as model:
        activation = from_arrays(model)(torch.as_tensor(test.feature[known]))[0].numpy()
        ids = [i for i in test.ids if i in truth]
        found = mean_ap(activation, model["concept"], model["kind"], truth, ids)
    return {f"{kind}s/predicted_ap": (value, "share") for kind, value in found.items()}


def mean_ap(
    value: NDArray, concept: Sequence[str], kind: Sequence[str], truth: Artifact, ids: Sequence[str]
) -> dict[str, float]:
    """Mean average precision over the names known to both, by kind: concept values (B,M) -> object, scene.

    A name counts when some of the videos show it and some do not.
    """
    if not ids:
        return {}
    scene = truth.rows("scene", ids)
    shown = {
        "object": dict(zip(map(plain, truth["object_names"]), truth.rows("objects", ids).T, strict=True)),
        "scene": {plain(name): scene == k for k, name in enumerate(truth["scene_names"])},
    }
    result = {}
    for k, names in shown.items():
        columns = [(m, names[plain(c)]) for m, c in enumerate(concept) if kind[m] == k and plain(c) in names]
        precisions = [average_precision_score(y, value[:, m]) for m, y in columns if 0 < y.sum() < len(y)]
        if precisions:
            result[k] = float(np.mean(precisions))
    return result


def plain(name: str) -> str:
    """A concept without article and capitals: `A tennis court` is `tennis court`."""
    return re.sub(r"^(an?|the) ", "", name.strip().lower())


def pose_truth(poses: Sequence[Path], truth: Artifact) -> dict[str, dict[str, object]]:
    """Distance of found and true visible joints in torso lengths, all clips; share of frames with a person found."""
    distances, frames, seen = [], 0, 0
    with Artifact(poses, "pose") as found:
        for video_id in found.ids:
            if video_id not in truth:
                continue
            clips, true = found.video(video_id), truth.video(video_id)
            last = len(true["joints"]) - 1
            at = np.minimum(clips["start"][:, None] + np.arange(clips["joints"].shape[1]), last)  # (N,L)
            distance = np.linalg.norm(clips["joints"] - true["joints"][at], axis=-1)  # (N,L,J)
            distance /= torso(true["joints"])
            distances.append(distance[true["visible"][at].astype(bool) & np.isfinite(distance)])
            frames += at.size
            seen += int(np.isfinite(clips["joints"]).all(axis=(2, 3)).sum())
    distances = np.concatenate(distances) if distances else np.array([])
    if not len(distances):
        return {}
    return {"pose/torso_distance": figure(float(distances.mean()), "torso"), "pose/found": figure(seen / frames)}


def torso(joints: NDArray) -> float:
    """Length from mid-shoulder to mid-hip, median over a video: (T,J,2) px -> px."""
    shoulders, hips = joints[:, SHOULDERS].mean(axis=1), joints[:, HIPS].mean(axis=1)
    return float(np.nanmedian(np.linalg.norm(shoulders - hips, axis=1)))
