"""2D poses of one person in the key clips (DANCE, Sec. 3.2.1, "Pose sequence extraction")."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline import encoders
from pipeline.artifacts import Artifact, create
from pipeline.digest import source_digest
from pipeline.encoders.pose import Clip
from pipeline.engine import process
from pipeline.features.keyframes import clip_frames, clip_start
from pipeline.manifest import Manifest, Video
from pipeline.video import probe, read


def pose(
    manifest: Path,
    keyframes: Path,
    out: Path,
    *,
    encoder: dict | str = "vitpose",
    clip_length: int = 16,
    decoder: str = "pyav",
    workers: int = 0,
) -> None:
    """Poses in the clips around the keyframes; writes `pose`.

    Args:
        manifest: the shard's videos.
        keyframes: the shard's keyframes.
        out: artifact to write.
        encoder: name of a pose encoder, with its options.
        clip_length: frames of a clip (L of the paper).
        decoder: reads the videos.
        workers: processes that decode ahead.
    """
    model = encoders.load("pose", encoder)
    with Artifact(keyframes, "keyframes") as found:
        videos = [v for v in Manifest.read(manifest).usable if v.id in found]
        clips = {v.id: _clips(found.video(v.id), clip_length) for v in videos}
    options = {"encoder": encoder, "clip_length": clip_length, "decoder": decoder}
    with create(
        out,
        "pose",
        ids=[v.id for v in videos],
        stage=source_digest("features.pose", encoders.module("pose", encoder)),
        params=options,
        inputs=[manifest, keyframes],
        model=model.identity,
    ) as artifact:

        def encode(video: Video, frames: dict[int, NDArray] | tuple[int, int]) -> dict[str, NDArray]:
            starts, indices = clips[video.id]
            pixels = isinstance(frames, dict)
            stacks = (np.stack([frames[i] for i in index]) if pixels else None for index in indices)
            poses = [
                model.encode(Clip(video.id, video.path, start, stack, clip_length))
                for start, stack in zip(starts, stacks, strict=True)
            ]
            return {
                "joints": np.stack([p.joints for p in poses]),
                "confidence": np.stack([p.confidence for p in poses]).clip(0, 1),
                "box": np.stack([p.box for p in poses]),
                "start": starts,
                "size": next(iter(frames.values())).shape[:2] if pixels else frames,
            }

        wanted = {i: sorted({int(f) for index in indices for f in index}) for i, (_, indices) in clips.items()}
        decode = partial(_decode, wanted=wanted, decoder=decoder) if model.needs_frames else _size
        process(artifact, videos, decode, encode, workers=workers)


def _clips(found: dict[str, NDArray], length: int) -> tuple[list[int], list[NDArray]]:
    """Starts of the key clips, without repeats, and the frames of each."""
    frames = int(found["frames"])
    starts = sorted({clip_start(int(k), length, frames) for k in found["keyframe"]})
    return starts, [clip_frames(s, length, frames) for s in starts]


def _decode(video: Video, *, wanted: dict[str, list[int]], decoder: str) -> dict[int, NDArray]:
    pixels, _ = read(video.path, wanted[video.id], decoder)
    return dict(zip(wanted[video.id], pixels, strict=True))


def _size(video: Video) -> tuple[int, int]:
    info = probe(video.path)
    return info.height, info.width
