"""Sources of scene graphs: who and what is where in a video's frames, and how the person relates to it.

One file a source, one line of registration here. A source tells which frames it knows and what is in them; features,
the choice of nodes and the artifact are `pipeline.features.scene_graphs`'. Axes: F frame, K node, R relation.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline import encoders
from pipeline.errors import ChoreoError
from pipeline.manifest import Video

PERSON = 0  # the class of the person, in every source

SOURCES = {
    "annotations": "pipeline.scene_graphs.annotations:Annotations",
    "action_genome": "pipeline.scene_graphs.action_genome:ActionGenome",
    "detector": "pipeline.scene_graphs.detector:Detected",
}


@dataclass(frozen=True)
class RawGraph:
    """The scene graphs of a video's frames.

    Attributes:
        box: (F,K,4) float, x0 y0 x1 y1 in pixels; NaN where the node is not seen.
        node_class: (K,) int, index into the source's `class_names`; 0 is the person. Several nodes may be of a class.
        relation: (F,K,R) bool, of the person to the node.
    """

    box: NDArray
    node_class: NDArray
    relation: NDArray


class Source(Protocol):
    """What every source offers."""

    class_names: Sequence[str]  # the first is the person's
    relation_names: Sequence[str]
    origin: str  # `annotated` or `predicted`
    identity: str  # its name; of a detector with its weights

    def frames(self, video: Video) -> NDArray:
        """The frames (F,) with a graph, rising.

        Raises:
            VideoError: the source does not know the video.
        """
        ...

    def graph(self, video: Video, frames: NDArray, pixels: NDArray) -> RawGraph:
        """The graphs of some of these frames (F,), whose pixels are (F,H,W,3) uint8 RGB."""
        ...

    @staticmethod
    def files(**options: Any) -> list[Path]:
        """Files that a source of these options reads."""
        ...


@dataclass(frozen=True)
class Thing:
    """Something seen in one frame: its class, box (x0 y0 x1 y1, px) and indices of the person's relations to it."""

    kind: int
    box: Sequence[float]
    relations: Sequence[int] = ()


def gather(frames: Sequence[Sequence[Thing]], relations: int) -> RawGraph:
    """The graphs of frames given as lists of things: the n-th thing of a class in a frame is the class's n-th node.

    Args:
        frames: the things in each frame.
        relations: R.
    """
    numbered = [_numbered(things) for things in frames]
    nodes = sorted({key for things in numbered for key in things})
    box = np.full((len(frames), len(nodes), 4), np.nan)
    relation = np.zeros((len(frames), len(nodes), relations), bool)
    for t, things in enumerate(numbered):
        for key, thing in things.items():
            box[t, nodes.index(key)] = thing.box
            relation[t, nodes.index(key), list(thing.relations)] = True
    return RawGraph(box, np.array([kind for kind, _ in nodes], int), relation)


def _numbered(things: Sequence[Thing]) -> dict[tuple[int, int], Thing]:
    """The things of a frame by class and number within it."""
    found: dict[tuple[int, int], Thing] = {}
    for thing in things:
        found[thing.kind, sum(kind == thing.kind for kind, _ in found)] = thing
    return found


def load(spec: str | Mapping[str, Any]) -> Source:
    """The source that a configuration asks for.

    Args:
        spec: a name, or {name: ..., **options}.

    Raises:
        ChoreoError: there is no such source or option, one is missing, or its files cannot be read.
    """
    name, options = parse(spec)
    source = _import(name)
    known = inspect.signature(source).parameters
    needed = [key for key, parameter in known.items() if parameter.default is parameter.empty]
    odd, missing = [key for key in options if key not in known], [key for key in needed if key not in options]
    if odd or missing:
        raise ChoreoError(
            f"the source of scene graphs '{name}' "
            + (f"has no option '{odd[0]}'" if odd else f"was not told: {', '.join(missing)}"),
            mend=f"its options: {', '.join(known)}",
        )
    return source(**options)


def modules(spec: str | Mapping[str, Any]) -> list[str]:
    """The modules of a source and of the detector it looks through, as `pipeline.digest.source_digest` takes them."""
    name, options = parse(spec)
    own = SOURCES[name].partition(":")[0].removeprefix("pipeline.")
    return [own, *([encoders.module("detector", options["encoder"])] if "encoder" in options else [])]


def files(spec: str | Mapping[str, Any]) -> list[Path]:
    """The files that a source reads: data and weights."""
    name, options = parse(spec)
    return _import(name).files(**options)


def parse(spec: str | Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Name and options of a spec.

    Raises:
        ChoreoError: there is no such source.
    """
    options = {"name": spec} if isinstance(spec, str) else dict(spec)
    name = options.pop("name", "")
    if name not in SOURCES:
        near = get_close_matches(str(name), SOURCES, 1)
        raise ChoreoError(
            f"there is no source of scene graphs '{name}'",
            f"did you mean '{near[0]}'?" if near else "",
            f"one of {sorted(SOURCES)}",
        )
    return name, options


def _import(name: str) -> Any:
    module, _, attribute = SOURCES[name].partition(":")
    return getattr(import_module(module), attribute)
