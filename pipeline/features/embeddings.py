"""Embeddings of sampled frames in the space that images and texts share (DANCE, Sec. 3.2.2, Eq. 3: E_V)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline import encoders
from pipeline.artifacts import create
from pipeline.digest import source_digest
from pipeline.encoders.batching import backing_off, together
from pipeline.engine import process_batches
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
        images, several = backing_off(model, model.images), together(model, frames)

        def encode(videos: list[Video], pixels: list[NDArray]) -> Iterator[dict[str, NDArray]]:
            same = len({p.shape for p in pixels}) == 1
            rows = images(np.concatenate(pixels)) if same else np.concatenate([images(p) for p in pixels])
            for video, own in zip(videos, np.split(rows, len(videos)), strict=True):
                yield {"embedding": own, "frame": segments(video.frames, frames)}

        decode = partial(_decode, frames=frames, decoder=decoder)
        process_batches(artifact, videos, decode, encode, together=several, workers=workers)


def _decode(video: Video, *, frames: int, decoder: str) -> NDArray:
    return read(video.path, segments(video.frames, frames), decoder)[0]
