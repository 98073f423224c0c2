"""Frames of videos, as JPEG data URIs that stand in the page itself."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import VideoError
from pipeline.manifest import Manifest, Video
from pipeline.video import probe, read, segments

HEIGHT, QUALITY = 112, 72


@dataclass(frozen=True)
class Thumbnail:
    """One frame of a video: its index, its time in seconds, and a small JPEG as a data URI."""

    index: int
    time: float
    image: str


def strip(video: Video, count: int = 8) -> list[Thumbnail]:
    """`count` frames, evenly over a video.

    Raises:
        VideoError: the file cannot be read (any more).
    """
    frames = video.frames or probe(video.path).frames
    return chosen(video, segments(frames, min(count, frames)).tolist())


def film(manifest: Manifest, video_id: str, frames: int | Sequence[int]) -> tuple[list[Thumbnail], str]:
    """The film strip of a video, of so many frames or of chosen ones; or an empty one and why."""
    video = manifest.by_id[video_id]
    try:
        return strip(video, frames) if isinstance(frames, int) else chosen(video, frames), ""
    except VideoError as error:
        return [], error.what


def still(video: Video, frame: int) -> Thumbnail:
    """One frame of a video; see `strip`."""
    return chosen(video, [max(0, min(frame, (video.frames or frame + 1) - 1))])[0]


def chosen(video: Video, indices: Sequence[int], height: int = HEIGHT) -> list[Thumbnail]:
    """Chosen frames of a video, rising, shrunk to a height in px; see `strip`."""
    pixels, times = read(video.path, indices)
    return [Thumbnail(i, float(t), jpeg(p, height)) for i, t, p in zip(indices, times, pixels, strict=True)]


def jpeg(pixels: NDArray[np.uint8], height: int = HEIGHT) -> str:
    """A frame (H,W,3) RGB, shrunk to a height in px, as a data URI."""
    h, w = pixels.shape[:2]
    if h > height:
        pixels = cv2.resize(pixels, (max(1, round(w * height / h)), height), interpolation=cv2.INTER_AREA)
    data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
    return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}"
