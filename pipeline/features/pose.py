"""2D poses of one person in the key clips (DANCE, Sec. 3.2.1, "Pose sequence extraction")."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline import encoders
from pipeline.artifacts import Artifact, create
from pipeline.digest import source_digest
from pipeline.encoders.batching import backing_off
from pipeline.encoders.pose import Clip, Poses
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
    with Artifact(keyframes, "keyframes") as known:
        videos = [v for v in Manifest.read(manifest).usable if v.id in known]
        moments = {v.id: known.video(v.id)["keyframe"].tolist() for v in videos}
        counts = {v.id: int(known.video(v.id)["frames"]) for v in videos}
    starts = {i: sorted({clip_start(k, clip_length, counts[i]) for k in keys}) for i, keys in moments.items()}
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
        estimate = backing_off(model, model.encode)

        def encode(video: Video, frames: dict[int, NDArray] | tuple[int, int]) -> dict[str, NDArray]:
            pixels = isinstance(frames, dict)
            found: dict[int, Poses] = {}
            for first, length in stretches(starts[video.id], clip_length):
                index = clip_frames(first, length, counts[video.id])
                stack = np.stack([frames[int(i)] for i in index]) if pixels else None
                poses = estimate(Clip(video.id, video.path, first, stack, length))
                inside = (s for s in starts[video.id] if first <= s < first + length)
                found |= {s: _part(poses, s - first, clip_length) for s in inside}
            clips = [found[s] for s in starts[video.id]]
            return {
                "joints": np.stack([p.joints for p in clips]),
                "confidence": np.stack([p.confidence for p in clips]).clip(0, 1),
                "box": np.stack([p.box for p in clips]),
                "start": starts[video.id],
                "size": next(iter(frames.values())).shape[:2] if pixels else frames,
            }

        decode = partial(_decode, starts=starts, counts=counts, length=clip_length, decoder=decoder)
        process(artifact, videos, decode if model.needs_frames else _size, encode, workers=workers)


def stretches(starts: list[int], length: int) -> list[tuple[int, int]]:
    """Clips that overlap or touch, joined, so that no frame is looked at twice: first frame and frames of each stretch.

    A person is followed through the whole stretch.
    """
    joined: list[tuple[int, int]] = []
    for start in starts:
        if joined and start <= sum(joined[-1]):
            first = joined.pop()[0]
            joined.append((first, start + length - first))
        else:
            joined.append((start, length))
    return joined


def _part(poses: Poses, start: int, length: int) -> Poses:
    part = slice(start, start + length)
    return Poses(poses.joints[part], poses.confidence[part], poses.box[part])


def _decode(
    video: Video, *, starts: dict[str, list[int]], counts: dict[str, int], length: int, decoder: str
) -> dict[int, NDArray]:
    clips = [clip_frames(s, length, counts[video.id]) for s in starts[video.id]]
    wanted = np.unique(np.concatenate(clips)).tolist()
    return dict(zip(wanted, read(video.path, wanted, decoder)[0], strict=True))


def _size(video: Video) -> tuple[int, int]:
    info = probe(video.path)
    return info.height, info.width
