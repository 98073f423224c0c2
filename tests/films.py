"""Small videos for tests, made with PyAV, and ways to damage them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

TURNS = {
    0: (1, 0, 0, 1),
    90: (0, 1, -1, 0),
    180: (-1, 0, 0, -1),
    270: (0, -1, 1, 0),
}  # clockwise, as a phone writes them


def picture(index: int, height: int = 48, width: int = 64) -> NDArray[np.uint8]:
    """A smooth picture, another one for every index, with a red corner at the top left; (H, W, 3)."""
    y, x = np.mgrid[:height, :width]
    image = np.stack([x * 2 + index * 5, y * 3, np.full_like(x, index * 11)], -1) % 256
    image[: height // 3, : width // 4] = (255, 0, 0)
    return image.astype(np.uint8)


def film(
    path: Path,
    frames: int | Sequence[NDArray] = 30,
    *,
    size: tuple[int, int] = (48, 64),
    codec: str = "libx264",
    pixels: str = "yuv420p",
    times: Sequence[int] | None = None,
    rate: int = 25,
    options: dict[str, str] | None = None,
    **container: str,
) -> Path:
    """Write a video.

    Args:
        path: the file; its suffix chooses the container.
        frames: a number of `picture`s, or the frames (H, W, 3).
        size: height and width of the pictures.
        codec, pixels: encoder and pixel format.
        times: presentation times in ms; even when not given.
        rate: frames a second.
        options: of the encoder.
        container: options of the container.
    """
    images = [picture(i, *size) for i in range(frames)] if isinstance(frames, int) else frames
    base = Fraction(1, 1000) if times is not None else Fraction(1, rate)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=container) as file:
        track = file.add_stream(codec, rate=rate, options=options or {})
        track.height, track.width, track.pix_fmt = images[0].shape[0], images[0].shape[1], pixels
        track.codec_context.time_base = base
        track.codec_context.thread_count = 1
        for index, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = (index if times is None else int(times[index])), base
            file.mux(track.encode(frame))
        file.mux(track.encode())
    return path


def sound(path: Path) -> Path:
    """A sound file of one second."""
    with av.open(str(path), "w") as file:
        track = file.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 16000, 0
        file.mux(track.encode(frame))
        file.mux(track.encode())
    return path


def turned(path: Path, source: Path, degrees: int) -> Path:
    """A copy of an MP4 file whose header says that the picture is to be turned clockwise."""
    data = bytearray(source.read_bytes())
    matrix = data.index(b"tkhd") + 44  # after version, flags, times, id, duration, layer, group and volume
    a, b, c, d = (x << 16 for x in TURNS[degrees])
    data[matrix : matrix + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def cut_without_encoding(path: Path, source: Path, frames: int) -> Path:
    """A copy without the first frames, as a stream copy makes it: they stay in the file, hidden by an edit list."""
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        track = old.streams.video[0]
        copy = new.add_stream_from_template(track)
        skip = int(frames / track.average_rate / track.time_base)
        for packet in old.demux(track):
            if packet.dts is not None:
                packet.pts, packet.dts, packet.stream = packet.pts - skip, packet.dts - skip, copy
                new.mux(packet)
    return path
