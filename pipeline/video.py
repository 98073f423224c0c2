"""Reading videos: the only place that opens one.

A video is a file or a folder of pictures. After a `#`, a path may name a part of it, first and last frame from 0, and
say how many pictures of a folder make a second: `a.avi#frames=95-184`, `frames/0001#frames=0-9&fps=30`.

Frames are counted, not trusted; presentation times are kept; rotation is applied; pixels are RGB, uint8, (H, W, 3).
PyAV is the default. decord and torchcodec give the same frames on sound files, and are refused where they count
other frames than PyAV (decord does after stream-copy cuts). Never mix decoders between stages of one run.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline import pictures
from pipeline.digest import file_digest
from pipeline.errors import ChoreoError, VideoError

DECODERS = ("pyav", "decord", "torchcodec")
SUFFIXES = (".mp4", ".avi", ".mkv", ".webm", ".mov", ".m4v", ".mpg", ".mpeg", ".gif")
RATE = 25.0  # pictures of a folder that make a second, where its path does not say
_threads = 0  # of PyAV in this process; see `decoder_threads`


def decoder_threads(count: int) -> None:
    """How many threads PyAV may decode one video with in this process; 0: as many as suits the machine."""
    global _threads
    _threads = count


@dataclass(frozen=True)
class Info:
    """What a file says of itself, frames counted packet by packet."""

    frames: int
    fps: float  # mean over the video; 0 for a single frame
    duration: float  # s
    height: int  # px, rotation applied
    width: int


@dataclass(frozen=True)
class Frame:
    """One decoded frame: its index, presentation time in seconds and pixels (H, W, 3)."""

    index: int
    time: float
    pixels: NDArray[np.uint8]


@dataclass(frozen=True)
class Source:
    """What a path names: a video file or a folder of pictures, or a part of one.

    Attributes:
        path: the file or the folder.
        part: what the path says after `#`; empty where it names the whole.
        first, last: frames of the part, both included; the last is None to the end. A part that goes on after the end
            of the video ends there.
        fps: pictures a second, of a folder.
    """

    path: Path
    part: str = ""
    first: int = 0
    last: int | None = None
    fps: float = RATE

    @classmethod
    def of(cls, path: Path) -> Source:
        """Read a path; a `#` in the name of a file or folder that is there is part of the name.

        Raises:
            VideoError: what comes after `#` cannot be meant.
        """
        name, mark, part = Path(path).name.rpartition("#")
        if not mark or not name or Path(path).exists():
            return cls(Path(path))
        given = re.fullmatch(r"(?:frames=(\d+)-(\d+))?(?:(?:^|&)fps=(\d+(?:\.\d+)?))?", part)
        first, last, fps = given.groups() if given and part else (None, None, None)
        source = cls(Path(path).with_name(name), part, int(first or 0), last and int(last), float(fps or RATE))
        empty = source.last is not None and source.last < source.first
        if first is fps is None or empty or source.fps <= 0 or (fps and source.path.is_file()):
            raise VideoError(
                f"{path}: `{part}` names no part of a video",
                "a typo, or `fps` of a file, which has times of its own",
                "write #frames=FIRST-LAST, counted from 0, #fps=NUMBER of a folder of pictures, or both with & between",
            )
        return source

    @property
    def is_folder(self) -> bool:
        return self.path.is_dir()


def digest(path: Path) -> str:
    """SHA-256 of a video, hexadecimal: its file's bytes, or names and bytes of its pictures, and which part it is.

    Raises:
        VideoError: a folder without pictures, or no part of a video.
    """
    source = Source.of(path)
    whole = pictures.digest(source.path) if source.is_folder else file_digest(source.path)
    return hashlib.sha256(f"{whole}#{source.part}".encode()).hexdigest() if source.part else whole


def probe(path: Path) -> Info:
    """Count the frames of a video; only the first one is decoded, and of a folder all, so that no odd one is left.

    Raises:
        VideoError: no such file, no video, no frames in it, or clearly less than its header promises; an odd picture.
    """
    source = Source.of(path)
    times, end = _times(source)
    with closing(_whole(source)) as frames:
        height, width = next(frames).pixels.shape[:2]
        if source.is_folder:
            for _ in frames:
                pass
    span = float(times[-1] - times[0])
    fps = (len(times) - 1) / span if span > 0 else 0.0
    return Info(len(times), fps, end - float(times[0]), height, width)


def stream(path: Path, decoder: str = "pyav") -> Iterator[Frame]:
    """All frames of a video, one after another; those of a part count from 0, and its times from 0 s.

    Raises:
        VideoError: the file cannot be opened, or breaks off before its end.
    """
    source = Source.of(path)
    if decoder == "pyav" or source.is_folder:
        yield from _frames(source)
        return
    reader = _Checked(source, decoder)
    for index, time in enumerate(reader.times):
        yield Frame(index, float(time), reader(np.array([index]))[0])


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
    source = Source.of(path)
    if source.is_folder or decoder != "pyav":
        reader = _Pictures(source) if source.is_folder else _Checked(source, decoder)
        if indices[-1] >= len(reader):
            raise _ended(path, len(reader), indices[-1])
        return reader(indices), reader.times[indices]
    wanted, found = set(indices.tolist()), {}
    count = 0
    with closing(_frames(source)) as frames:
        for frame in frames:
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


def _times(source: Source) -> tuple[NDArray[np.float64], float]:
    """Presentation times of all frames (T,) and the end of the last, in seconds; those of a part count from 0."""
    if source.is_folder:
        times = np.arange(len(pictures.files(source.path))) / source.fps
        end = len(times) / source.fps
    else:
        times, end = _packet_times(source.path)
    if source.last is None:
        return times, end
    if source.first >= len(times):
        raise _starts_late(source, len(times))
    end = times[source.last + 1] if source.last + 1 < len(times) else end
    part = times[source.first : source.last + 1]
    return part - part[0], float(end - part[0])


def _frames(source: Source) -> Iterator[Frame]:
    """The frames of a video or of a part of it."""
    if source.last is None:
        yield from _whole(source)
        return
    with closing(_whole(source)) as frames:
        start, count = None, 0
        for frame in frames:
            count = frame.index + 1
            if frame.index >= source.first:
                start = frame.time if start is None else start
                yield Frame(frame.index - source.first, frame.time - start, frame.pixels)
            if frame.index == source.last:
                return
        if start is None:
            raise _starts_late(source, count)


def _whole(source: Source) -> Iterator[Frame]:
    """All frames of the file or folder, whatever part of it is named."""
    if not source.is_folder:
        yield from _decoded(source.path)
        return
    for index, pixels in enumerate(pictures.load(pictures.files(source.path))):
        yield Frame(index, index / source.fps, pixels)


def _packet_times(path: Path) -> tuple[NDArray[np.float64], float]:
    """Presentation times of all frames (T,) and the end of the last, in seconds, from the packets: none is decoded."""
    with _open(path) as container:
        video = container.streams.video[0]
        rate, promised = _rate(video), _promised(container, video)
        times, end = [], 0.0
        for packet in container.demux(video):
            if packet.size and not packet.is_discard:
                stamp = packet.dts if packet.pts is None else packet.pts
                times.append(len(times) / rate if stamp is None else float(stamp * packet.time_base))
                end = max(end, times[-1] + float((packet.duration or 0) * packet.time_base))
    _check_end(path, len(times), min(times, default=0.0), end, promised)
    return np.sort(times), end


def _decoded(path: Path) -> Iterator[Frame]:
    """All frames of a file."""
    import av
    from av.video.reformatter import VideoReformatter

    with _open(path) as container:
        video = container.streams.video[0]
        video.thread_type, video.thread_count = "AUTO", _threads
        rate, promised = _rate(video), _promised(container, video)
        convert = VideoReformatter()  # one for all frames: to set one up costs more than to convert a frame
        count, start, last, end = 0, 0.0, 0.0, 0.0
        try:
            for frame in container.decode(video):
                time = count / rate if frame.time is None else frame.time
                if count and time <= last:  # AVI keeps no presentation times of B frames
                    time = last + 1 / rate
                start, last = (start if count else time), time
                end = time + float((frame.duration or 0) * (frame.time_base or 0))
                pixels = convert.reformat(frame, format="rgb24", threads=1).to_ndarray()
                if frame.rotation:  # degrees anticlockwise, as rot90 turns
                    pixels = np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90)))
                yield Frame(count, time, pixels)
                count += 1
        except av.error.FFmpegError as error:
            raise VideoError(
                f"{path} breaks off after {count} frames ({error})",
                "the file is damaged",
                "fetch it again and run again",
            ) from error
        _check_end(path, count, start, end, promised)


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


def _rate(video) -> float:
    return float(video.average_rate or video.guessed_rate or 25)


def _promised(container, video) -> float:
    """Seconds of pictures that the header promises; 0 where it does not say."""
    if video.duration:
        return float(video.duration * video.time_base)
    alone = len(container.streams) == 1  # else the sound may be what lasts so long
    return container.duration / 1e6 if alone and container.duration else 0.0


def _check_end(path: Path, count: int, start: float, end: float, promised: float) -> None:
    """Raise when a file holds no frames, or clearly less than its header promises.

    Times are compared, not frames: headers miscount edit lists and variable frame rates.
    """
    if count == 0:
        raise VideoError(f"{path} holds no frames", "the recording was empty", "take it out of the manifest")
    held = end - min(start, 0.0)  # some headers promise a last time, others a length
    if held < promised - max(5 * held / count, 0.1 * promised):
        raise VideoError(
            f"{path} ends after {count} frames, {held:.2f} of {promised:.2f} s",
            "the download was cut",
            "fetch it again and run again",
        )


def _ended(path: Path, count: int, wanted: int) -> VideoError:
    return VideoError(
        f"{path} ends after {count} frames; frame {wanted} was asked for",
        "the file was replaced since the manifest was made, or is damaged",
        "make the manifest anew, or fetch the file again",
    )


def _starts_late(source: Source, count: int) -> VideoError:
    return VideoError(
        f"{source.path} ends after {count} frames; the part {source.part} begins later",
        "the file is another version, or was cut",
        "fetch it again, or mend the list that names the part",
    )


class _Pictures:
    """A reader of a folder of pictures: only those that are asked for are opened."""

    def __init__(self, source: Source) -> None:
        self.times, _ = _times(source)
        self.files = pictures.files(source.path)[source.first :]

    def __len__(self) -> int:
        return len(self.times)

    def __call__(self, indices: NDArray) -> NDArray[np.uint8]:
        return np.stack([*pictures.load(self.files[i] for i in indices)])


# The optional decoders: each opens a file, says how many frames it holds, and reads some of them.


def _backend(decoder: str) -> Callable[[Path], _Decord | _TorchCodec]:
    if decoder not in DECODERS:
        raise ChoreoError(f"there is no decoder '{decoder}'", mend=f"one of {DECODERS}")
    try:
        import_module(decoder)
    except (ImportError, RuntimeError, OSError) as error:
        raise ChoreoError(
            f"the decoder '{decoder}' cannot be loaded ({str(error).strip()[:200]})",
            "it is not installed here, or lacks its libraries (torchcodec needs those of FFmpeg)",
            f"install {decoder}, or set `decoder: pyav`",
        ) from error
    return {"decord": _Decord, "torchcodec": _TorchCodec}[decoder]


class _Decord:
    def __init__(self, path: Path) -> None:
        import decord

        self.reader = decord.VideoReader(str(path), num_threads=1)

    def __len__(self) -> int:
        return len(self.reader)

    def __call__(self, indices: NDArray) -> NDArray[np.uint8]:
        return self.reader.get_batch(indices).asnumpy()


class _TorchCodec:
    def __init__(self, path: Path) -> None:
        from torchcodec.decoders import VideoDecoder

        self.reader = VideoDecoder(str(path), dimension_order="NHWC", num_ffmpeg_threads=1)

    def __len__(self) -> int:
        return len(self.reader)

    def __call__(self, indices: NDArray) -> NDArray[np.uint8]:
        return self.reader.get_frames_at(indices.tolist()).data.numpy()


class _Checked:
    """A reader whose frames are those of PyAV, and whose errors are ours."""

    def __init__(self, source: Source, decoder: str) -> None:
        self.path, self.first, self.decoder = source.path, source.first, decoder
        backend = _backend(decoder)
        self.times, _ = _times(source)
        self.reader = self._guarded(backend, self.path)
        there = len(self) if source.last is None else len(_packet_times(self.path)[0])
        if len(self.reader) != there:
            raise VideoError(
                f"{decoder} finds {len(self.reader)} frames in {self.path}, there are {there}",
                "the file was cut without re-encoding, and the decoder shows what was cut away",
                "set `decoder: pyav`",
            )

    def __len__(self) -> int:
        return len(self.times)

    def __call__(self, indices: NDArray) -> NDArray[np.uint8]:
        return self._guarded(self.reader, indices + self.first)

    def _guarded(self, function, argument):
        try:
            return function(argument)
        except Exception as error:  # each library has its own
            raise VideoError(
                f"{self.decoder} cannot read {self.path} ({str(error).strip()[:200]})",
                "the file is damaged, or of a kind that this decoder does not know",
                "set `decoder: pyav`, or fetch the file again",
            ) from error
