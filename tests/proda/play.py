"""A small world of scene graphs with a known truth: somebody does things with objects, each in an interval of frames.

An action is a verb and an object. Features tell what an object is, and whether it is handled or watched; relations say
so too. Only the path of its box tells what is done with a handled object. Many objects lie about unused, so an object
alone gives no action away.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.artifacts import create
from pipeline.manifest import Manifest, Video

VERBS = ("hold", "lift", "lower", "watch")
RELATIONS = ("holding", "looking", "near")


@dataclass(frozen=True)
class Size:
    """How large the world is."""

    videos: int = 90
    objects: int = 3
    frames: int = 12
    nodes: int = 4
    features: int = 32
    noise: float = 0.5
    splits: tuple[str, ...] = ("train", "train", "train", "val", "test")


@dataclass(frozen=True)
class Play:
    """Where the world was written, and which frames show each action: id -> action -> (T,) bool."""

    manifest: Path
    graphs: list[Path]
    truth: dict[str, dict[str, NDArray]]


def perform(folder: Path, size: Size = Size(), seed: int = 0) -> Play:
    """Write manifest and scene graphs of a small world, in two shards."""
    rng = np.random.default_rng(seed)
    looks = rng.normal(size=(size.objects + 3, size.features))  # person, things, something handled, watched
    ids = [f"v{n:04d}" for n in range(size.videos)]
    played = {i: _video(size, looks, rng) for i in ids}
    truth = {i: shown for i, (_, shown) in played.items()}
    manifest, graphs = folder / "manifest.csv", [folder / f"graphs{shard}.h5" for shard in range(2)]
    split = dict(zip(ids, size.splits * size.videos, strict=False))
    Manifest(Video(i, Path(f"{i}.mp4"), split[i], tuple(truth[i])) for i in ids).write(manifest)
    for shard, path in enumerate(graphs):
        with create(path, "scene_graphs", ids=ids[shard::2]) as writer:
            for i in ids[shard::2]:
                writer.add(i, **played[i][0])
            names = ["person", *(f"thing{n}" for n in range(size.objects))]
            writer.share(class_name=names, relation_name=RELATIONS, origin=["annotated"])
    return Play(manifest, graphs, truth)


def _video(size: Size, looks: NDArray, rng: np.random.Generator) -> tuple[dict[str, NDArray], dict[str, NDArray]]:
    """The arrays of one video, and its actions with the frames that show them."""
    T, N = size.frames, size.nodes
    things = rng.permutation(size.objects)[: rng.integers(2, N)]
    kind = np.full(N, -1)
    kind[: len(things) + 1] = [0, *(things + 1)]
    centre = np.tile(rng.uniform(0.3, 0.7, (N, 2)), (T, 1, 1))
    relation = np.zeros((T, N, len(RELATIONS)), dtype=np.uint8)
    feature = looks[np.maximum(kind, 0)] + size.noise * rng.normal(size=(T, N, size.features))
    truth: dict[str, NDArray] = {}
    for node, thing in enumerate(things, start=1):
        relation[:, node, 2] = rng.random(T) < 0.5
        for start, stop in _intervals(T, rng):
            verb = int(rng.integers(len(VERBS)))
            _act(verb, node, slice(start, stop), centre, relation)
            feature[start:stop, node] += looks[-1 - int(VERBS[verb] == "watch")]
            shown = truth.setdefault(f"{VERBS[verb]} thing{thing}", np.zeros(T, dtype=bool))
            shown[start:stop] = True
    mask = np.tile(kind >= 0, (T, 1))
    mask[:, 1:] &= rng.random((T, N - 1)) < 0.95
    feature *= mask[..., None]
    box = np.concatenate([centre - 0.1, centre + 0.1], axis=-1) + 0.005 * rng.normal(size=(T, N, 4))
    arrays = {
        "frame": 2 * np.arange(T),
        "time": np.arange(T) / 8,
        "image": feature.mean(axis=1) + size.noise * rng.normal(size=(T, size.features)),
        "feature": feature,
        "box": np.clip(box, 0, 1) * mask[..., None],
        "mask": mask,
        "relation": relation * mask[..., None],
        "node_class": kind,
    }
    return arrays, truth


def _intervals(frames: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """When a thing is used: mostly never, else once or twice."""
    half = frames // 2
    spans = []
    for first in (0, half):
        if rng.random() < 0.35:
            length = int(rng.integers(half // 2, half + 1))
            start = first + int(rng.integers(half - length + 1))
            spans.append((start, start + length))
    return spans


def _act(verb: int, node: int, when: slice, centre: NDArray, relation: NDArray) -> None:
    """One action: what it does to the relation and the path of a thing."""
    held = VERBS[verb] != "watch"
    relation[when, node, 0 if held else 1] = 1
    path = {"lift": -0.25, "lower": 0.25}.get(VERBS[verb], 0.0)
    steps = np.linspace(-0.5, 0.5, when.stop - when.start)
    centre[when, node, 1] = np.clip(centre[when, node, 1] + path * steps, 0.1, 0.9)
