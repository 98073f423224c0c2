"""A small contest with a known truth: routines of a few elements, each of a difficulty and an execution.

The features of a clip tell the difficulty and the execution of its element, with noise. The judges' score is the mean
execution weighted by difficulty, so a model that says which seconds earned it can be held against the truth.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.artifacts import create
from pipeline.manifest import Manifest, Video

LABELS = ("Ball", "Ribbon")
RANGE = (0.0, 25.0)
SECONDS = 2.0  # of a clip
TASK = {"score": "total", "label": None, "range": list(RANGE)}


@dataclass(frozen=True)
class Size:
    """How large the contest is; `clips` are the fewest and the most of a routine."""

    videos: int = 200
    features: int = 12
    clips: tuple[int, int] = (6, 12)
    noise: float = 0.2
    splits: tuple[str, ...] = ("train", "train", "test", "train", "val")


@dataclass(frozen=True)
class Contest:
    """Where the contest was written, and its truth: id -> difficulty and execution (T,) of every clip, 0-1."""

    manifest: Path
    features: list[Path]
    scores: Path
    elements: list[Path]
    difficulty: dict[str, NDArray]
    execution: dict[str, NDArray]


def hold(folder: Path, size: Size = Size(), seed: int = 0) -> Contest:
    """Write manifest, clip features, elements and scores of a small contest, in two shards."""
    rng = np.random.default_rng(seed)
    look = rng.normal(size=(2, size.features))  # how difficulty and execution show
    ids = [f"r{n:03d}" for n in range(size.videos)]
    difficulty, execution, elements = {}, {}, {}
    for i in ids:
        difficulty[i], execution[i], elements[i] = _routine(int(rng.integers(size.clips[0], size.clips[1] + 1)), rng)
    manifest, scores = folder / "manifest.csv", folder / "scores.csv"
    rows = [Video(i, Path(f"{i}.mp4"), size.splits[n % len(size.splits)], (LABELS[n % 2],)) for n, i in enumerate(ids)]
    Manifest(rows).write(manifest)
    total = {i: RANGE[1] * float(np.average(execution[i], weights=difficulty[i])) for i in ids}
    write_scores(scores, total=total, difficulty={i: float(difficulty[i].mean()) for i in ids})
    files = {kind: [folder / f"{kind}{shard}.h5" for shard in range(2)] for kind in ("clip_features", "elements")}
    for shard in range(2):
        with create(files["clip_features"][shard], "clip_features", ids=ids[shard::2]) as writer:
            for i in ids[shard::2]:
                shown = np.stack([difficulty[i], execution[i]], axis=1) @ look
                writer.add(i, **clips(shown + size.noise * rng.normal(size=shown.shape)))
        with create(files["elements"][shard], "elements", ids=ids[shard::2]) as writer:
            for i in ids[shard::2]:
                writer.add(i, **elements[i])
            writer.share(element_name=["turn", "leap", "throw"])
    return Contest(manifest, files["clip_features"], scores, files["elements"], difficulty, execution)


def clips(feature: NDArray) -> dict[str, NDArray]:
    """The arrays of one video of `clip_features`."""
    start = SECONDS * np.arange(len(feature))
    return {"feature": feature.astype(np.float32), "start": start, "end": start + SECONDS}


def write_scores(path: Path, **scores: dict[str, float]) -> None:
    """A file of scores: name -> id -> value."""
    with open(path, "w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("id", "score", "value"))
        table.writerows((i, name, value) for name, values in scores.items() for i, value in values.items())


def _routine(length: int, rng: np.random.Generator) -> tuple[NDArray, NDArray, dict[str, NDArray]]:
    """Difficulty and execution of every clip, and the elements of one or two clips each."""
    counts = []
    while sum(counts) < length:
        counts.append(int(min(rng.integers(1, 3), length - sum(counts))))
    first = np.concatenate([[0], np.cumsum(counts)])
    difficulty, execution = rng.uniform(0.1, 1, len(counts)), rng.uniform(0, 1, len(counts))
    elements = {
        "element": np.minimum(3 * difficulty, 2).astype(int),
        "start": SECONDS * first[:-1],
        "end": SECONDS * first[1:],
        "difficulty": difficulty,
        "execution": execution,
    }
    return np.repeat(difficulty, counts), np.repeat(execution, counts), elements
