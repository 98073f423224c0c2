"""One feature vector a video from a frozen video backbone (DANCE, Sec. 3.1: f)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from numpy.typing import NDArray

from pipeline import encoders
from pipeline.artifacts import create
from pipeline.digest import source_digest
from pipeline.encoders.batching import backing_off, together
from pipeline.engine import process_batches
from pipeline.errors import ChoreoError
from pipeline.manifest import Manifest, Video
from pipeline.video import read, segments, window


def backbone(
    manifest: Path,
    out: Path,
    *,
    encoder: dict | str = "videomae",
    sampling: str = "segments",
    stride: int = 4,
    decoder: str = "pyav",
    workers: int = 0,
) -> None:
    """Features of whole videos; writes `features`.

    Args:
        manifest: the shard's videos.
        out: artifact to write.
        encoder: name of a backbone, with its options.
        sampling: `segments` (the middle frame of equal parts) or `window` (frames `stride` apart around the middle).
        stride: see above.
        decoder: reads the videos.
        workers: processes that decode ahead.
    """
    if sampling not in ("segments", "window"):
        raise ChoreoError(f"there is no sampling '{sampling}'", mend="`segments` or `window`")
    model = encoders.load("backbone", encoder)
    videos = Manifest.read(manifest).usable
    with create(
        out,
        "features",
        ids=[v.id for v in videos],
        stage=source_digest("features.backbone", encoders.module("backbone", encoder)),
        params={"encoder": encoder, "sampling": sampling, "stride": stride, "decoder": decoder},
        inputs=[manifest],
        model=model.identity,
    ) as artifact:
        features = backing_off(model, model.encode)

        def encode(videos: list[Video], clips: list[NDArray] | list[str]) -> Iterator[dict[str, NDArray]]:
            return ({"feature": row} for row in features(clips))

        decode = partial(_decode, frames=model.frames, sampling=sampling, stride=stride, decoder=decoder)
        decode = decode if model.needs_frames else _id
        process_batches(artifact, videos, decode, encode, together=together(model, 1), workers=workers)


def _decode(video: Video, *, frames: int, sampling: str, stride: int, decoder: str) -> NDArray:
    chosen = segments(video.frames, frames) if sampling == "segments" else window(video.frames, frames, stride)
    return read(video.path, chosen, decoder)[0]


def _id(video: Video) -> str:
    return video.id
