"""What ProDA reads: scene graphs and labels in memory, frames sampled from them, batches made of them.

Axes: V video, B video of a batch, T frame, N node, F feature, R relation, C action.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.artifacts import Artifact
from pipeline.errors import ChoreoError
from pipeline.manifest import Manifest
from pipeline.proda.model import Graphs

log = logging.getLogger(__name__)

WINDOWS = ("whole", "published")


@dataclass(frozen=True)
class Graph:
    """The scene graph of one video, all its frames; features stay in half precision until a batch is made.

    Attributes:
        time: (T,) seconds.
        image: (T,F); node: (T,N,F); box: (T,N,4) 0-1; mask: (T,N) bool; relation: (T,N,R) 0/1.
        kind: (N,) class of each node, -1 where there is none.
    """

    time: NDArray
    image: NDArray
    node: NDArray
    box: NDArray
    mask: NDArray
    relation: NDArray
    kind: NDArray

    def __len__(self) -> int:
        return len(self.time)


@dataclass(frozen=True)
class Videos:
    """Some videos: ids, graphs, and labels (V,C) bool."""

    ids: list[str]
    graphs: list[Graph]
    labels: NDArray

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Data:
    """The videos of each role (`train`, `val`, `test`) and the names of actions, classes of nodes and relations."""

    roles: dict[str, Videos]
    actions: list[str]
    objects: list[str]
    relations: list[str]

    @property
    def sizes(self) -> dict[str, int]:
        """Numbers of features, actions, classes and relations, as the model's settings name them."""
        some = next(videos for videos in self.roles.values() if len(videos)).graphs[0]
        names = {"actions": self.actions, "objects": self.objects, "relations": self.relations}
        return {"features": some.image.shape[-1]} | {key: len(value) for key, value in names.items()}


def load(graphs: Sequence[Path], manifest: Path, *, protocol: str = "strict") -> Data:
    """Read scene graphs and labels. A video whose graph failed is left out, and said so in the log.

    Args:
        graphs: artifacts `scene_graphs`, one a shard.
        manifest: the videos, their actions and splits.
        protocol: `strict` or `published`, see `manifest.PROTOCOLS`.

    Raises:
        ChoreoError: no video has an action, shards disagree in their names, or no video of a role has a graph.
    """
    videos = Manifest.read(manifest)
    if not videos.classes:
        raise ChoreoError(f"no video in {manifest} has a label", mend="give the manifest the actions of each video")
    with Artifact(graphs, "scene_graphs") as artifact:
        objects, relations = (_agreed(graphs, name) for name in ("class_name", "relation_name"))
        roles = {}
        for role in ("train", "val", "test"):
            ids = videos.split_ids(protocol)[role]
            found = {i: graph_of(artifact.video(i)) for i in ids if i in artifact}
            found = {i: graph for i, graph in found.items() if len(graph)}
            if lost := [i for i in ids if i not in found]:
                log.warning(
                    "%s: %d of %d videos have no scene graph and are left out: %s",
                    role, len(lost), len(ids), _some(lost, artifact.failures),
                )  # fmt: skip
            if not found:
                raise ChoreoError(
                    f"no video of '{role}' has a scene graph",
                    "the split is empty, or its videos failed",
                    "see failures.tsv",
                )
            shown = [videos.by_id[i].labels for i in found]
            labels = np.array([[action in each for action in videos.classes] for each in shown], dtype=bool)
            roles[role] = Videos(list(found), list(found.values()), labels)
    return Data(roles, videos.classes, objects, relations)


def sample(
    length: int, frames: int = 16, rng: np.random.Generator | None = None, window: str = "whole"
) -> NDArray[np.int64]:
    """Which frames of a graph the model sees: `frames` indices, never falling.

    Args:
        length: frames of the graph.
        frames: frames to take; some are taken again where there are fewer.
        rng: for training: frames at random; None: evenly over the whole video (ProDA, App. D.2).
        window: `whole`; or `published`, which takes every second frame of one window of a long video, as the authors'
            code does: at a random place in training, in the middle otherwise.

    Raises:
        ChoreoError: there is no such window.
    """
    if window not in WINDOWS:
        raise ChoreoError(f"there is no window '{window}'", mend=f"one of {WINDOWS}")
    if window == "published" and length > 2 * frames:
        room = length - 2 * frames
        start = room // 2 if rng is None else rng.integers(room + 1)
        return start + 2 * np.arange(frames)
    if rng is None:
        return np.linspace(0, length - 1, frames).round().astype(np.int64)
    return np.sort(rng.choice(length, frames, replace=length < frames))


def collate(graphs: Sequence[Graph], frames: Sequence[NDArray[np.int64]]) -> Graphs:
    """A batch: the chosen frames (T,) of each graph, in single precision."""

    def stack(name: str, dtype: torch.dtype = torch.float32) -> Tensor:
        rows = [getattr(graph, name)[chosen] for graph, chosen in zip(graphs, frames, strict=True)]
        return torch.from_numpy(np.stack(rows)).to(dtype)

    return Graphs(
        image=stack("image"),
        node=stack("node"),
        box=stack("box"),
        mask=stack("mask", torch.bool),
        kind=torch.from_numpy(np.stack([graph.kind for graph in graphs])),
        relation=stack("relation"),
    )


def blind(graphs: Graphs) -> Graphs:
    """The same batch without its videos: all that a model can still read is the prompt."""
    return Graphs(
        image=torch.zeros_like(graphs.image),
        node=torch.zeros_like(graphs.node),
        box=torch.zeros_like(graphs.box),
        mask=torch.ones_like(graphs.mask),
        kind=torch.zeros_like(graphs.kind),
        relation=torch.zeros_like(graphs.relation),
    )


def graph_of(arrays: dict[str, NDArray]) -> Graph:
    return Graph(
        time=arrays["time"],
        image=arrays["image"],
        node=arrays["feature"],
        box=arrays["box"],
        mask=arrays["mask"].astype(bool),
        relation=arrays["relation"],
        kind=arrays["node_class"].astype(np.int64),
    )


def _agreed(paths: Sequence[Path], name: str) -> list[str]:
    """Names that all shards share."""
    every = []
    for path in paths:
        with Artifact(path, "scene_graphs") as shard:
            every.append(shard[name].tolist())
    for path, names in zip(paths, every, strict=True):
        if names != every[0]:
            raise ChoreoError(
                f"{path} and {paths[0]} have other names of {name.removesuffix('_name')}s",
                "files of two runs were mixed",
            )
    return every[0]


def _some(lost: list[str], reasons: dict[str, str]) -> str:
    told = [f"{i} ({reasons.get(i, 'its graph is not there').splitlines()[0]})" for i in lost[:5]]
    return ", ".join([*told, *(["..."] if len(lost) > 5 else [])])
