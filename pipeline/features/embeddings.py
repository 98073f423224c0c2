"""Embeddings of sampled frames in the space that images and texts share (DANCE, Sec. 3.2.2, Eq. 3: E_V)."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from numpy.typing import NDArray

from pipeline import encoders
from pipeline.artifacts import create
from pipeline.digest import source_digest
from pipeline.engine import process
from pipeline.manifest import Manifest, Video
from pipeline.video import read, segments


def embeddings(
    manifest: Path,
    out: Path,
    *,
    encoder: dict | str = "open_clip",
    frames: int = 8,
    decoder: str = "pyav",
    workers: int = 0,
) -> None:
    """Image embeddings of evenly sampled frames; writes `embeddings`.

    Args:
        manifest: the shard's videos.
        out: artifact to write.
        encoder: name of an image-text encoder, with its options.
        frames: frames sampled from a video, the middle of as many equal parts.
        decoder: reads the videos.
        workers: processes that decode ahead.
    """
    model = encoders.load("image_text", encoder)
    videos = Manifest.read(manifest).usable
    with create(
        out,
        "embeddings",
        ids=[v.id for v in videos],
        stage=source_digest("features.embeddings", encoders.module("image_text", encoder)),
        params={"encoder": encoder, "frames": frames, "decoder": decoder},
        inputs=[manifest],
        model=model.identity,
    ) as artifact:

        def encode(video: Video, pixels: NDArray) -> dict[str, NDArray]:
            return {"embedding": model.images(pixels), "frame": segments(video.frames, frames)}

        process(artifact, videos, partial(_decode, frames=frames, decoder=decoder), encode, workers=workers)


def _decode(video: Video, *, frames: int, decoder: str) -> NDArray:
    return read(video.path, segments(video.frames, frames), decoder)[0]
