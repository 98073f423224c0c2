"""Features of the consecutive clips of a video, from a frozen backbone (AQA, Sec. 3: f).

A video is never wholly in memory: its clips are cut while it is decoded, and wait in a pipe that holds few of them.

How the published features were made, each of 1024 numbers:

- RG and Fis-V, Video Swin-B: 25 frames a second, clips of 32 frames, remainder `both`; short side 256, the middle 224
  rows and 300 columns squeezed to 224 x 224, mean and deviation of ImageNet.
- LOGO, I3D: 48 clips of 16 frames, evenly over the video; short side 256, the middle 224 x 224, values from -1 to 1.

`i3d` sees its pictures just so, and `torchvision` with `model: swin3d_b` and `crop: [224, 300]` as well; but it learnt
from Kinetics-400, and the one of the published features from Kinetics-600.

Axes: K clip, L frame of a clip, H W pixel, D feature.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from math import floor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline import encoders
from pipeline.artifacts import create
from pipeline.digest import source_digest
from pipeline.encoders.backbone import with_short_side
from pipeline.encoders.batching import backing_off
from pipeline.engine import process, process_streams
from pipeline.errors import ChoreoError, VideoError
from pipeline.manifest import Manifest, Video
from pipeline.video import Frame, probe, stream

Part = tuple[NDArray[np.uint8], NDArray[np.float64], NDArray[np.float64]]  # clips (K,L,H,W,3), start (K,), end (K,)
NEAREST = 0.5 + 1e-6  # rounds up from a half, and from what a sum of floats makes of one


def clip_features(
    manifest: Path,
    out: Path,
    *,
    encoder: dict | str = "torchvision:swin3d_b",
    fps: float = 25,
    length: int | None = None,
    clips: int | None = None,
    remainder: str = "both",
    short_side: int | None = None,
    batch: int = 4,
    decoder: str = "pyav",
    workers: int = 0,
) -> None:
    """Features of the clips of long videos, one after another; writes `clip_features`.

    A video of less than one clip is one clip, its last frame repeated.

    Args:
        manifest: the shard's videos.
        out: artifact to write.
        encoder: name of a backbone, with its options.
        fps: frames a second that are shown to the backbone; 0: all frames of the video.
        length: frames of a clip; none: as many as the backbone was trained with.
        clips: number of clips that every video is cut into, their frames evenly over it; none: clips without a gap.
        remainder: frames that fill no clip are left out at `both` ends equally, as published, or at the `end`.
        short_side: pixels that larger frames are shrunk to while they are decoded, which saves memory; none: not.
        batch: clips that are read and encoded together; a few times as many are held by every worker.
        decoder: reads the videos.
        workers: processes that decode ahead.
    """
    model = encoders.load("backbone", encoder)
    cut = Cut(fps, length or model.frames, clips, remainder)
    if batch < 1 or (short_side is not None and short_side < 1):
        raise ChoreoError(f"short_side is {short_side} and batch {batch}", mend="give positive numbers")
    videos = Manifest.read(manifest).usable
    with create(
        out,
        "clip_features",
        ids=[v.id for v in videos],
        stage=source_digest("features.clip_features", encoders.module("backbone", encoder)),
        params={"encoder": encoder, **asdict(cut), "short_side": short_side, "decoder": decoder},
        inputs=[manifest],
        model=model.identity,
    ) as artifact:
        features = backing_off(model, model.encode)

        def encode(video: Video, part: Part) -> dict[str, NDArray]:
            pixels, start, end = part
            return {"feature": features(list(pixels)), "start": start, "end": end}

        def look_up(video: Video, rows: NDArray) -> dict[str, NDArray]:
            start, end = cut.spans(len(rows), video)
            return {"feature": rows, "start": start, "end": end}

        if model.needs_frames:
            decode = partial(read_clips, cut=cut, short_side=short_side, batch=batch, decoder=decoder)
            process_streams(artifact, videos, decode, encode, workers=workers)
        else:
            process(artifact, videos, lambda video: model.rows(video.id), look_up)


@dataclass(frozen=True)
class Cut:
    """How a video is cut into clips; a tick is a moment at which a frame is shown, `fps` times a second.

    Args:
        fps, length, clips, remainder: as in `clip_features`.

    Raises:
        ChoreoError: a value is out of its range, or the length of a clip is not known.
    """

    fps: float
    length: int
    clips: int | None = None
    remainder: str = "both"

    def __post_init__(self) -> None:
        if self.length == 0:
            raise ChoreoError(
                "the length of a clip is not known",
                "the features were made elsewhere",
                "set `length` to the number of frames of their clips",
            )
        if self.fps < 0 or self.length < 0 or (self.clips is not None and self.clips < 1):
            raise ChoreoError(
                f"fps is {self.fps}, length {self.length} and clips {self.clips}",
                mend="give positive numbers; `fps: 0` takes all frames, `clips: none` as many clips as there are",
            )
        if self.remainder not in ("both", "end"):
            raise ChoreoError(f"there is no remainder '{self.remainder}'", mend="`both` or `end`")

    def plan(self, ticks: int) -> tuple[NDArray[np.int64], float]:
        """The ticks of the clips of a video of so many, (K,L), rising; and how many lie between one and the next."""
        if self.clips is not None:
            count = self.clips * self.length
            return (np.arange(count) * ticks // count).reshape(-1, self.length), max(1.0, ticks / count)
        clips = max(1, ticks // self.length)
        over = max(0, ticks - clips * self.length)
        first = over // 2 if self.remainder == "both" else 0
        chosen = np.minimum(np.arange(first, first + clips * self.length), ticks - 1)
        return chosen.reshape(-1, self.length), 1.0

    def spans(self, clips: int, video: Video) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Start and end (K,) in seconds of clips that were cut elsewhere, taken to be cut in this way.

        Raises:
            VideoError: clips are of consecutive frames of a video whose frame rate is not known.
        """
        if not (self.fps or video.fps):
            raise VideoError(
                f"when the clips of '{video.id}' begin is not known",
                "`fps` is 0, and the manifest does not know the frame rate",
                "set `fps` to the rate that the features were made with",
            )
        step = self.length / (self.fps or video.fps)
        if self.clips is not None and video.duration:
            step = video.duration / clips
        first = max(0.0, video.duration - clips * step) / 2 if self.remainder == "both" else 0.0
        start = first + step * np.arange(clips)
        return start, start + step


def read_clips(video: Video, *, cut: Cut, short_side: int | None, batch: int, decoder: str) -> Iterator[Part]:
    """The clips of a video, `batch` at a time, while it is decoded.

    Raises:
        VideoError: the file cannot be opened, or breaks off before its end.
    """
    info = probe(video.path)
    rate = info.fps or 25.0  # of a single frame
    last = (info.frames - 1) / rate
    seconds = info.duration if info.duration > last + 1e-6 else last + 1 / rate  # not every file says when it ends
    chosen, stride = cut.plan(max(1, floor(seconds * cut.fps + NEAREST)) if cut.fps else info.frames)
    frames = shown(stream(video.path, decoder), cut.fps, chosen.ravel())
    for first in range(0, len(chosen), batch):
        shape = chosen[first : first + batch].shape  # (K,L)
        part = [(f.time, _shrunk(f.pixels, short_side)) for f in islice(frames, shape[0] * shape[1])]
        times = np.reshape([time for time, _ in part], shape)
        pixels = np.stack([image for _, image in part])  # (K*L,H,W,3)
        yield pixels.reshape(*shape, *pixels.shape[1:]), times[:, 0], times[:, -1] + stride / (cut.fps or rate)


def shown(frames: Iterator[Frame], fps: float, ticks: NDArray[np.int64]) -> Iterator[Frame]:
    """The frames that a screen of `fps` pictures a second shows at some of its ticks, with the times of the ticks.

    A frame is shown from the tick on that its presentation time is nearest to until the next frame is, as by the filter
    `fps` of FFmpeg: where the video is faster frames are left out, where it is slower they are shown again.

    Args:
        frames: of a video, at least one.
        fps: ticks a second; 0: every frame is a tick.
        ticks: numbers of ticks, rising; the last frame is shown at those after the end.
    """
    now = following = next(frames)
    start = now.time

    def first_tick(frame: Frame) -> int:
        return floor((frame.time - start) * fps + NEAREST) if fps else frame.index

    for tick in ticks.tolist():
        while following is not None and first_tick(following) <= tick:
            now, following = following, next(frames, None)
        yield Frame(now.index, start + tick / fps if fps else now.time, now.pixels)


def _shrunk(pixels: NDArray[np.uint8], short_side: int | None) -> NDArray[np.uint8]:
    return with_short_side(pixels, short_side) if short_side and short_side < min(pixels.shape[:2]) else pixels
