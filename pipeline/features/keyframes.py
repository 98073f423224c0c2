"""Keyframes by pixel differences, and the clips around them (DANCE, Sec. 3.2.1, "Key clip selection")."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.artifacts import create
from pipeline.digest import source_digest
from pipeline.engine import process
from pipeline.manifest import Manifest, Video
from pipeline.video import stream


def keyframes(
    manifest: Path,
    out: Path,
    *,
    threshold: float = 0.3,
    threshold_long: float = 0.2,
    long: int = 70,
    count: int = 10,
    noise: int = 0,
    decoder: str = "pyav",
    workers: int = 0,
) -> None:
    """Find the frames at which each video changes most; writes `keyframes`.

    Args:
        manifest: the shard's videos.
        out: artifact to write.
        threshold: a peak must rise this share of the signal's range above its smallest value.
        threshold_long: added to the threshold for videos of more than `long` frames.
        long: see above.
        count: keyframes kept at most (S of the paper), chosen evenly over the list.
        noise: grey levels by which a pixel must differ to be counted; 0 as published, where codec noise counts.
        decoder: reads the videos.
        workers: processes that decode ahead.
    """
    options = {
        "threshold": threshold, "threshold_long": threshold_long, "long": long, "count": count, "noise": noise,
        "decoder": decoder,
    }  # fmt: skip
    videos = Manifest.read(manifest).usable
    digest = source_digest("features.keyframes")
    with create(
        out, "keyframes", ids=[v.id for v in videos], stage=digest, params=options, inputs=[manifest]
    ) as artifact:

        def encode(video: Video, decoded: tuple[NDArray, NDArray]) -> dict[str, NDArray]:
            signal, times = decoded
            rise = threshold + threshold_long * (len(signal) > long)
            chosen = spread(peaks(signal, rise), count)
            span = times[-1] - times[0]
            return {
                "frames": len(signal), "fps": (len(signal) - 1) / span if span > 0 else video.fps,
                "keyframe": chosen, "time": times[chosen], "difference": signal,
            }  # fmt: skip

        process(artifact, videos, partial(differences, noise=noise, decoder=decoder), encode, workers=workers)


def differences(
    video: Video, *, noise: int = 0, decoder: str = "pyav"
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Pixels that differ from the frame before, after grey and a 9x9 Gaussian blur.

    Returns:
        Counts (T,) with 0 for the first frame, and presentation times (T,) in seconds.
    """
    counts, times, before = [], [], None
    for frame in stream(video.path, decoder):
        grey = cv2.GaussianBlur(cv2.cvtColor(frame.pixels, cv2.COLOR_RGB2GRAY), (9, 9), 0)
        counts.append(0 if before is None else int(np.count_nonzero(cv2.absdiff(grey, before) > noise)))
        times.append(frame.time)
        before = grey
    return np.array(counts, np.float32), np.array(times)


def peaks(signal: NDArray, threshold: float) -> NDArray[np.int64]:
    """Local maxima of a signal above its baseline; the whole video's largest value where there is none.

    Args:
        signal: (T,).
        threshold: share of the range above the smallest value that a maximum must reach.
    """
    y = np.asarray(signal, float) - baseline(signal)
    floor = threshold * (y.max() - y.min()) + y.min()
    found = [i for i in _maxima(y) if y[i] > floor]
    return np.array(found or [int(np.argmax(y))])


def baseline(signal: NDArray, degree: int = 2, tolerance: float = 1e-3, iterations: int = 100) -> NDArray[np.float64]:
    """Lower envelope of a signal: a polynomial, refitted to min(signal, fit) until it moves less than `tolerance`.

    Returns:
        The baseline, (T,).
    """
    y = np.asarray(signal, float)
    scale = np.abs(y).max() or 1.0
    x = np.linspace(0, 1, len(y))
    design = np.vander(x, min(degree + 1, len(y)))
    solve = np.linalg.pinv(design)
    work, coefficients = y / scale, np.zeros(design.shape[1])
    for _ in range(iterations):
        new = solve @ work
        if np.linalg.norm(new - coefficients) < tolerance * max(np.linalg.norm(coefficients), 1e-12):
            break
        coefficients = new
        work = np.minimum(work, design @ coefficients)
    return design @ coefficients * scale


def spread(indices: NDArray, count: int) -> NDArray[np.int64]:
    """At most `count` of the indices, evenly over the list."""
    if len(indices) <= count:
        return indices
    return indices[np.linspace(0, len(indices) - 1, count).round().astype(int)]


def clip_start(keyframe: int, length: int, frames: int) -> int:
    """First frame of the clip of `length` frames around a keyframe, shifted to stay inside the video.

    Even L: [k - L/2, k + L/2); odd L: one frame more at the end.
    """
    return int(max(0, min(keyframe - length // 2, frames - length)))


def clip_frames(start: int, length: int, frames: int) -> NDArray[np.int64]:
    """Frames of a clip; the last frame repeats where the video is too short."""
    return np.minimum(np.arange(start, start + length), frames - 1)


def _maxima(y: NDArray) -> list[int]:
    """Indices of the local maxima; a plateau counts once, at its middle."""
    found, i, last = [], 1, len(y) - 1
    while i < last:
        if y[i] > y[i - 1]:
            end = i
            while end < last and y[end + 1] == y[i]:
                end += 1
            if end < last and y[end + 1] < y[i]:
                found.append((i + end) // 2)
            i = end
        i += 1
    return found
