"""Scene graphs with features: the person and the objects of sampled frames as nodes (ProDA, Sec. 3.1 and Sec. A).

Axes: F frame, N node, D feature, R relation.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from pipeline import encoders
from pipeline import scene_graphs as sources
from pipeline.artifacts import create
from pipeline.digest import source_digest
from pipeline.engine import process
from pipeline.errors import ChoreoError, VideoError
from pipeline.manifest import Manifest, Video
from pipeline.scene_graphs import PERSON, RawGraph, Source
from pipeline.video import read, segments

GREY = 114  # around a crop that is not square
BATCH = 32  # frames whose crops are held at a time


def scene_graphs(
    manifest: Path,
    out: Path,
    *,
    source: dict | str,
    encoder: dict | str = "open_clip",
    nodes: int = 10,
    frames: int = 0,
    margin: int = 10,
    side: int = 224,
    decoder: str = "pyav",
    workers: int = 0,
) -> None:
    """Scene graphs of a shard's videos with embeddings of nodes and frames; writes `scene_graphs`.

    Args:
        manifest: the shard's videos.
        out: artifact to write.
        source: name of a source of scene graphs, with its options.
        encoder: name of an image-text encoder, with its options.
        nodes: nodes of a graph (M of the paper): the person and the objects seen most.
        frames: at most so many of a video's frames, evenly spread; 0 takes all that the source knows.
        margin: pixels by which boxes grow on each side, within the frame.
        side: pixels of the squares that crops are fitted into; best the encoder's own input.
        decoder: reads the videos.
        workers: processes that decode ahead.
    """
    if nodes < 2:
        raise ChoreoError(f"nodes: {nodes}", mend="a graph has 2 nodes or more: the person and an object")
    graphs, model = sources.load(source), encoders.load("image_text", encoder)
    videos = Manifest.read(manifest).usable
    wanted = {v.id: _wanted(graphs, v, frames) for v in videos}
    options = {"source": source, "encoder": encoder, "nodes": nodes, "frames": frames, "margin": margin, "side": side}
    with create(
        out,
        "scene_graphs",
        ids=[v.id for v in videos],
        stage=source_digest("features.scene_graphs", encoders.module("image_text", encoder), *sources.modules(source)),
        params=options | {"decoder": decoder},
        inputs=[manifest, *sources.files(source)],
        model=f"{graphs.identity}+{model.identity}",
    ) as artifact:
        artifact.share(class_name=graphs.class_names, relation_name=graphs.relation_names, origin=[graphs.origin])

        def encode(video: Video, seen: tuple[NDArray, NDArray]) -> dict[str, NDArray]:
            pixels, times = seen
            graph = one_each(graphs.graph(video, wanted[video.id], pixels), graphs.class_names)
            if left_out := [graphs.class_names[k] for k in graph.node_class[nodes:]]:
                tqdm.write(f"'{video.id}': more objects than nodes; left out: {', '.join(left_out)}", file=sys.stderr)
            graph = fitted(graph, nodes)
            height, width = pixels.shape[1:3]
            box, mask = grown(graph.box, margin, width, height)
            image, feature = embedded(model, pixels, box, mask, side)
            return {
                "frame": wanted[video.id],
                "time": times,
                "image": image,
                "feature": feature,
                "box": (box / np.array([width, height] * 2)).clip(0, 1),
                "mask": mask,
                "relation": graph.relation & mask[..., None],
                "node_class": graph.node_class,
            }

        process(artifact, videos, partial(_decode, wanted=wanted, decoder=decoder), encode, workers=workers)


def one_each(graph: RawGraph, class_names: list[str]) -> RawGraph:
    """One node a class: the person first, then the objects that are seen, from the one seen in most frames on.

    Of several nodes of a class the one with the largest box stands for it in each frame; classes seen in equally many
    frames go by name. A video without a person keeps the person's node, never seen.
    """
    size = graph.box[..., 2:] - graph.box[..., :2]
    area = np.where((size > 0).all(-1), size.prod(-1), 0)  # (F,K); 0 where NaN
    kinds = {int(k) for k in graph.node_class[(area > 0).any(0)]}
    frames = {k: int((area[:, graph.node_class == k] > 0).any(1).sum()) for k in kinds}
    order = [PERSON, *sorted(kinds - {PERSON}, key=lambda k: (-frames[k], class_names[k]))]
    count = len(graph.box)
    box = np.full((count, len(order), 4), np.nan)
    relation = np.zeros((count, len(order), graph.relation.shape[-1]), bool)
    for n, kind in enumerate(order):
        if len(own := np.flatnonzero(graph.node_class == kind)):
            row, largest = np.arange(count), own[area[:, own].argmax(1)]
            box[:, n], relation[:, n] = graph.box[row, largest], graph.relation[row, largest]
    return RawGraph(box, np.array(order), relation)


def fitted(graph: RawGraph, nodes: int) -> RawGraph:
    """The first `nodes` nodes; where there are fewer, nodes of class -1 that are never seen."""
    more = max(0, nodes - len(graph.node_class))
    return RawGraph(
        np.pad(graph.box[:, :nodes], ((0, 0), (0, more), (0, 0)), constant_values=np.nan),
        np.pad(graph.node_class[:nodes], (0, more), constant_values=-1),
        np.pad(graph.relation[:, :nodes], ((0, 0), (0, more), (0, 0))),
    )


def grown(box: NDArray, margin: int, width: int, height: int) -> tuple[NDArray, NDArray]:
    """Boxes (F,N,4) in px, grown by `margin` and clipped to the frame, 0 where nothing is seen; and mask (F,N) bool.

    A box that is empty, or of which less than a pixel lies in the frame, is not seen.
    """
    limits = np.array([width, height] * 2)
    real = (box[..., 2:] > box[..., :2]).all(-1)  # False where NaN
    inside = box.clip(0, limits)
    mask = real & (inside[..., 2:] - inside[..., :2] >= 1).all(-1)
    larger = (box + np.array([-margin, -margin, margin, margin])).clip(0, limits)
    return np.where(mask[..., None], larger, 0.0), mask


def embedded(model: Any, pixels: NDArray, box: NDArray, mask: NDArray, side: int) -> tuple[NDArray, NDArray]:
    """Embeddings of whole frames (F,D) and of nodes (F,N,D), 0 where they are not seen.

    Args:
        model: an image-text encoder.
        pixels: (F,H,W,3) uint8.
        box: (F,N,4) in px, within the frame.
        mask: (F,N) bool.
        side: see `square`.
    """
    count, height, width = pixels.shape[:3]
    parts = np.concatenate([np.tile([0.0, 0, width, height], (count, 1, 1)), box], axis=1)  # the frame, then its nodes
    seen = np.concatenate([np.ones((count, 1), bool), mask], axis=1)
    feature = np.zeros((*seen.shape, model.dim), np.float32)
    for first in range(0, count, BATCH):
        frame, part = np.nonzero(seen[first : first + BATCH])
        frame += first
        feature[frame, part] = model.images(
            np.stack([square(pixels[t], parts[t, n], side) for t, n in zip(frame, part)])
        )
    return feature[:, 0], feature[:, 1:]


def square(frame: NDArray, box: NDArray, side: int) -> NDArray:
    """A part of a frame, scaled to fit the middle of a grey square (side, side, 3).

    Image-text encoders cut a centred square out of what they are given, which would take the head and feet off a
    person; here nothing is cut off, and nothing is stretched.
    """
    x0, y0 = np.floor(box[:2]).astype(int)
    x1, y1 = np.ceil(box[2:]).astype(int)
    part = frame[y0:y1, x0:x1]
    scale = side / max(part.shape[:2])
    height, width = (max(1, round(length * scale)) for length in part.shape[:2])
    canvas = np.full((side, side, 3), GREY, np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    canvas[top : top + height, left : left + width] = cv2.resize(part, (width, height), interpolation=how)
    return canvas


def _wanted(source: Source, video: Video, most: int) -> NDArray | VideoError:
    """The frames of a video to look at, or why there are none: known before videos are decoded elsewhere."""
    try:
        found = np.asarray(source.frames(video))
    except VideoError as error:
        return error
    if len(found) == 0:
        return VideoError(
            f"video '{video.id}' has no frame with a scene graph",
            "nobody annotated it, or its length is not known",
            "take it out of the data set",
        )
    if found[0] < 0 or found[-1] >= video.frames:
        return VideoError(
            f"video '{video.id}' has {video.frames} frames, its scene graphs go from {found[0]} to {found[-1]}",
            "the graphs were made from another version of the video, or at another frame rate",
            "make them from this file",
        )
    return found[segments(len(found), most)] if 0 < most < len(found) else found


def _decode(video: Video, *, wanted: dict[str, NDArray | VideoError], decoder: str) -> tuple[NDArray, NDArray]:
    frames = wanted[video.id]
    if isinstance(frames, VideoError):
        raise frames
    return read(video.path, frames, decoder)
