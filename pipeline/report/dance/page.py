"""The report of a DANCE: what was found, how well it does, and why it says what it says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.manifest import Manifest
from pipeline.metrics import read_metrics
from pipeline.report import page
from pipeline.report.dance import concepts, drawings, videos
from pipeline.report.dance.concepts import Explained
from pipeline.report.numbers import percent
from pipeline.report.scores import Words, scores

NEEDED = {"protocol", "classes", "concepts", "confusion", "weights", "motion", "pairs", "videos", "edits"}
ENCODERS = {"pose": "Poses", "features": "Backbone", "embeddings": "Images and texts"}  # by the artifact they make

WORDS = Words(
    bars={
        "accuracy": ("DANCE", "every decision passes through the concepts below"),
        "accuracy/probe": ("Linear probe", "the same features without the concepts: the price of explaining"),
        "accuracy/without_motion": ("Without motion concepts", "the same model, its motion concepts removed"),
        "accuracy/without_context": ("Without objects and scenes", "the same model, its objects and scenes removed"),
        "accuracy/pose_only": ("Poses alone", "a plain classifier on the pose sequences"),
    },
    others={
        "accuracy/val": ("Accuracy on val", "on the validation videos"),
        "accuracy/retrained_without_motion": (
            "Trained anew without motion",
            "a classifier on the activations of objects and scenes; what it has above the labels' figure has leaked in",
        ),
        "accuracy/retrained_without_context": (
            "Trained anew without context",
            "a classifier on the activations of motion",
        ),
        "accuracy/labels": ("Concept labels", "a classifier on the concept labels themselves, no backbone"),
        "accuracy/labels_without_motion": ("Labels without motion", "on the labels of objects and scenes alone"),
        "accuracy/labels_without_context": ("Labels without context", "on the motion labels alone"),
        "motion/purity": ("Motion purity", "share of clips that show the commonest true motion of their cluster"),
        "motion/nmi": ("Motion NMI", "what clusters and true motions tell of each other: 0 is nothing, 1 is all"),
        "motion/test_accuracy": (
            "Motion, test clips",
            "share of test clips whose concept stands for their true motion",
        ),
        "motion/clips": ("Usable clips", "share of key clips whose poses were sound enough to cluster"),
        "objects/ap": ("Objects, pseudo labels", "average precision of the labels against the objects truly there"),
        "objects/predicted_ap": ("Objects, predicted", "the same, of what the model itself says"),
        "scenes/ap": ("Scenes, pseudo labels", "average precision of the labels against the true scene"),
        "scenes/predicted_ap": ("Scenes, predicted", "the same, of what the model itself says"),
        "pose/torso_distance": ("Pose error", "mean distance of found and true joints, in lengths of the torso"),
        "pose/found": ("Person found", "share of frames of the key clips in which a person was found"),
        "sparsity": ("Weights in use", "share of the classifier's weights that are not zero: fewer are easier to read"),
        "weights_per_class": ("Weights a class", "concepts that a class's score looks at, on average"),
        "concepts/motion": ("Motion concepts", "in the model"),
        "concepts/object": ("Object concepts", "in the model"),
        "concepts/scene": ("Scene concepts", "in the model"),
    },
    ours="accuracy",
    folded=frozenset(
        {
            "accuracy/val",
            "accuracy/retrained_without_motion",
            "accuracy/retrained_without_context",
            "accuracy/labels",
            "accuracy/labels_without_motion",
            "accuracy/labels_without_context",
            "concepts/motion",
            "concepts/object",
            "concepts/scene",
            "motion/test_accuracy",
            "motion/clips",
            "pose/found",
        }
    ),
)


def dance_report(
    metrics: Path,
    explanations: Path,
    motion: Path,
    pseudo: Path,
    vocabulary: Path,
    dropped: Path,
    failures: Path,
    manifest: Path,
    artifacts: list[Path],
    out: Path,
    *,
    title: str = "",
    frames: int = 8,
) -> None:
    """Write the report of a DANCE: one HTML page that opens from disk and loads nothing.

    Args:
        metrics: its `metrics.json`.
        explanations: what `dance_explain` wrote.
        motion, pseudo: artifacts `motion_concepts` and `pseudo_labels`.
        vocabulary, dropped: tables of the stage `vocabulary`.
        failures: table of the stage `failures`.
        manifest: the videos, whose frames are shown where their files can be read.
        artifacts: others whose provenance is told; poses among them are drawn beside the motion concepts. May be empty.
        out: page to write.
        title: name of the run; the one in the metrics when empty.
        frames: frames in the film strip of a video.

    Raises:
        ChoreoError: an input is missing or has another form.
    """
    files = [manifest, vocabulary, dropped, failures, explanations, metrics]
    known = [*artifacts, motion, pseudo]
    page.check_inputs([*files, *known])
    figured, explained = read_metrics(metrics), page.read(explanations, NEEDED, "dance_explain")
    found = Manifest.read(manifest)
    counts = np.array(explained["confusion"])
    fates = concepts.fates(explained, vocabulary, dropped, pseudo)
    values = page.head(title, figured, manifest, failures, files, known, ENCODERS)
    values |= {
        "lead": lead(figured["figures"], explained),
        "figures": scores(figured, WORDS, line=float(counts.sum(axis=1).max(initial=0) / max(counts.sum(), 1))),
        "motion": concepts.motion(explained, motion, found),
        "words": concepts.words(fates),
        "fates": fates,
        "classes": concepts.classes(explained),
        "pairs": concepts.pairs(explained),
        "videos": videos.videos(explained, found, page.of_kind(artifacts, "pose"), frames),
        "edits": videos.edits(explained),
        "confusion": drawings.confusion(counts, explained["classes"]) if counts.sum() else "",
        "confused": videos.confused(counts, explained["classes"]),
        "parts": drawings.PARTS,
        "head": drawings.HEAD,
    }
    page.write("dance", out, values)


def lead(figures: Mapping[str, Any], explained: Explained) -> str:
    """The run in two sentences."""
    if "accuracy" not in figures:
        return ""
    tested = int(np.sum(explained["confusion"]))
    text = f"DANCE names the class of {percent(figures['accuracy']['mean'])} of {tested} test videos"
    if probe := figures.get("accuracy/probe"):
        text += f"; a linear probe on the same features, which explains nothing, of {percent(probe['mean'])}"
    kinds = Counter(c["kind"] for c in explained["concepts"])
    found = [f"{kinds[k]} {k}" for k in ("motion", "object", "scene") if kinds[k]]
    listed = " and ".join(filter(None, [", ".join(found[:-1]), found[-1]]))
    return f"{text}. Every score is a sum over {listed} concepts."
