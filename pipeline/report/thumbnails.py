"""Frames of videos, as JPEG data URIs that stand in the page itself."""

from __future__ import annotations

import base64
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.manifest import Video
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
    return _thumbnails(video, segments(frames, min(count, frames)).tolist())


def still(video: Video, frame: int) -> Thumbnail:
    """One frame of a video; see `strip`."""
    return _thumbnails(video, [max(0, min(frame, (video.frames or frame + 1) - 1))])[0]


def jpeg(pixels: NDArray[np.uint8], height: int = HEIGHT) -> str:
    """A frame (H,W,3) RGB, shrunk to a height in px, as a data URI."""
    h, w = pixels.shape[:2]
    if h > height:
        pixels = cv2.resize(pixels, (max(1, round(w * height / h)), height), interpolation=cv2.INTER_AREA)
    data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
    return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}"


def _thumbnails(video: Video, indices: list[int]) -> list[Thumbnail]:
    pixels, times = read(video.path, indices)
    return [Thumbnail(i, float(t), jpeg(p)) for i, t, p in zip(indices, times, pixels, strict=True)]
