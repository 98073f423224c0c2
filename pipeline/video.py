"""Reading videos: the only place that opens one.

Frames are counted, not trusted; presentation times are kept; rotation is applied; pixels are RGB, uint8, (H, W, 3).
PyAV is the default. decord and torchcodec give the same frames on sound files; on damaged ones only PyAV and
torchcodec are to be trusted (decord miscounts after stream-copy cuts). Never mix decoders between stages of one run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import ChoreoError, VideoError

DECODERS = ("pyav", "decord", "torchcodec")
SUFFIXES = (".mp4", ".avi", ".mkv", ".webm", ".mov", ".m4v", ".mpg", ".mpeg", ".gif")


@dataclass(frozen=True)
class Info:
    """What a file says of itself, frames counted packet by packet."""

    frames: int
    fps: float
    duration: float  # s
    height: int  # px, rotation applied
    width: int


@dataclass(frozen=True)
class Frame:
    """One decoded frame: its index, presentation time in seconds and pixels (H, W, 3)."""

    index: int
    time: float
    pixels: NDArray[np.uint8]


def probe(path: Path) -> Info:
    """Count the frames of a video without decoding them.

    Raises:
        VideoError: no such file, no video, or no frames in it.
    """
    with _open(path) as container:
        stream = container.streams.video[0]
        expected = stream.frames
        times, bounds = [], (stream.height, stream.width)
        for packet in container.demux(stream):
            if packet.pts is not None and not packet.is_discard and packet.size:
                times.append(packet.pts * float(packet.time_base))
        _check_count(path, len(times), expected)
        first = next(iter(_frames(path)))
        bounds = first.pixels.shape[:2]
        fps = float(stream.average_rate or 0) or (
            len(times) / max(times[-1] - times[0], 1e-3) if len(times) > 1 else 0.0
        )
    duration = (max(times) - min(times)) + (1 / fps if fps else 0)
    return Info(len(times), fps, duration, *bounds)


def stream(path: Path, decoder: str = "pyav") -> Iterator[Frame]:
    """All frames of a video, one after another.

    Raises:
        VideoError: the file cannot be opened, or breaks off before its end.
    """
    if decoder == "pyav":
        count, expected = 0, _expected(path)
        for frame in _frames(path):
            count += 1
            yield frame
        _check_count(path, count, expected)
    else:
        reader = _reader(path, decoder)
        for index in range(len(reader)):
            pixels, times = reader(np.array([index]))
            yield Frame(index, float(times[0]), pixels[0])


def read(path: Path, indices: Sequence[int], decoder: str = "pyav") -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Chosen frames of a video.

    Args:
        path: the video.
        indices: indices of the frames, rising or equal.

    Returns:
        Pixels (T, H, W, 3) and presentation times (T,) in seconds.

    Raises:
        VideoError: the file cannot be read, or ends before the last of the frames.
    """
    indices = np.asarray(indices, dtype=int)
    if len(indices) == 0 or (np.diff(indices) < 0).any() or indices[0] < 0:
        raise ValueError("indices must be rising, from 0 on, and at least one")
    if decoder != "pyav":
        reader = _reader(path, decoder)
        if indices[-1] >= len(reader):
            raise _ended(path, len(reader), indices[-1])
        return reader(indices)
    wanted, found = set(indices.tolist()), {}
    count = 0
    for frame in _frames(path):
        count = frame.index + 1
        if frame.index in wanted:
            found[frame.index] = frame
            if len(found) == len(wanted):
                break
    if len(found) < len(wanted):
        raise _ended(path, count, indices[-1])
    return np.stack([found[i].pixels for i in indices]), np.array([found[i].time for i in indices])


def segments(frames: int, count: int) -> NDArray[np.int64]:
    """The middle frame of each of `count` equal parts of a video."""
    return np.minimum(((np.arange(count) + 0.5) * frames / count).astype(int), frames - 1)


def window(frames: int, count: int, stride: int) -> NDArray[np.int64]:
    """`count` frames, `stride` apart, around the middle of a video; the last frame repeats where it is too short."""
    start = max(0, (frames - count * stride) // 2)
    return np.minimum(start + np.arange(count) * stride, frames - 1)


def _expected(path: Path) -> int:
    with _open(path) as container:
        return container.streams.video[0].frames


def _frames(path: Path) -> Iterator[Frame]:
    import av

    with _open(path) as container:
        video = container.streams.video[0]
        video.thread_type = "AUTO"
        index = 0
        try:
            for frame in container.decode(video):
                pixels = frame.to_ndarray(format="rgb24")
                if frame.rotation:
                    pixels = np.ascontiguousarray(np.rot90(pixels, frame.rotation // 90))
                yield Frame(index, float(frame.time or 0.0), pixels)
                index += 1
        except av.error.FFmpegError as error:
            raise VideoError(
                f"{path} breaks off after {index} frames ({error})",
                "the file is damaged",
                "fetch it again and run again",
            ) from error


@contextmanager
def _open(path: Path):
    """An open PyAV container with a video stream."""
    import av

    if not Path(path).is_file():
        raise VideoError(
            f"there is no video {path}",
            "the file was moved, or the root folder is wrong",
            "put it back, or mend the manifest",
        )
    try:
        container = av.open(str(path))
    except (av.error.FFmpegError, ValueError, OSError) as error:
        raise VideoError(
            f"{path} is no video that can be read ({error})",
            "the download was cut, or it is another kind of file",
            "fetch it again",
        ) from error
    with container:
        if not container.streams.video:
            raise VideoError(f"{path} holds no pictures", "it is a sound file", "take it out of the manifest")
        yield container


def _check_count(path: Path, found: int, expected: int) -> None:
    """Raise when a file holds clearly fewer frames than its header promises (edit lists cut a few)."""
    if found == 0:
        raise VideoError(f"{path} holds no frames", "the recording was empty", "take it out of the manifest")
    if expected and found < expected - max(5, expected // 10):
        raise VideoError(
            f"{path} ends after {found} of {expected} frames", "the download was cut", "fetch it again and run again"
        )


def _ended(path: Path, count: int, wanted: int) -> VideoError:
    return VideoError(
        f"{path} ends after {count} frames; frame {wanted} was asked for",
        "the file was replaced since the manifest was made, or is damaged",
        "make the manifest anew, or fetch the file again",
    )


# The optional decoders


class _Decord:
    def __init__(self, path: Path) -> None:
        import decord

        self.reader = decord.VideoReader(str(path), num_threads=1)

    def __len__(self) -> int:
        return len(self.reader)

    def __call__(self, indices: NDArray) -> tuple[NDArray, NDArray]:
        times = self.reader.get_frame_timestamp(indices)[:, 0]
        return self.reader.get_batch(indices).asnumpy(), np.asarray(times, dtype=float)


class _TorchCodec:
    def __init__(self, path: Path) -> None:
        from torchcodec.decoders import VideoDecoder

        self.reader = VideoDecoder(str(path), dimension_order="NHWC", num_ffmpeg_threads=1)

    def __len__(self) -> int:
        return len(self.reader)

    def __call__(self, indices: NDArray) -> tuple[NDArray, NDArray]:
        batch = self.reader.get_frames_at(indices.tolist())
        return batch.data.numpy(), batch.pts_seconds.numpy()


def _reader(path: Path, decoder: str):
    if decoder not in DECODERS:
        raise ChoreoError(f"there is no decoder '{decoder}'", mend=f"one of {DECODERS}")
    with _open(path):
        pass  # one error for files that are none
    backend = {"decord": _Decord, "torchcodec": _TorchCodec}[decoder]
    try:
        return _Guarded(path, backend(path))
    except (RuntimeError, ValueError, OSError) as error:
        raise VideoError(
            f"{path} cannot be opened by {decoder} ({str(error)[:200]})", "the file is damaged", "fetch it again"
        ) from error


class _Guarded:
    """A reader whose errors are ours."""

    def __init__(self, path: Path, reader) -> None:
        self.path, self.reader = path, reader

    def __len__(self) -> int:
        return len(self.reader)

    def __call__(self, indices: NDArray) -> tuple[NDArray, NDArray]:
        try:
            return self.reader(indices)
        except (RuntimeError, ValueError, IndexError) as error:
            raise VideoError(
                f"{self.path} breaks off before frame {indices[-1]} ({str(error)[:200]})",
                "the file is damaged",
                "fetch it again",
            ) from error
