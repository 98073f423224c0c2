"""A folder of pictures that is read like a video: its frames, in the natural order of their names (2 before 10).

All pictures are of one kind and one size. They carry no times: they are so many a second as whoever reads them says.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.errors import VideoError

SUFFIXES = (".jpg", ".jpeg", ".png")


def files(folder: Path) -> list[Path]:
    """The pictures of a folder, in order; hidden and other files do not count.

    Raises:
        VideoError: there are none, or pictures of two kinds.
    """
    found = [p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith(".")]
    kinds = sorted({p.suffix.lower() for p in found})
    if not found:
        raise VideoError(
            f"the folder {folder} holds no pictures",
            "it was not unpacked, or is no folder of frames",
            f"put its frames there ({', '.join(SUFFIXES)}), or mend the path",
        )
    if len(kinds) > 1:
        raise VideoError(
            f"the folder {folder} holds pictures of the kinds {' and '.join(kinds)}",
            "masks or previews lie among the frames, and would be taken for frames",
            "leave the frames of one kind there",
        )
    return sorted(found, key=natural)


def natural(path: Path) -> tuple[list[str | int], str]:
    """The key by which names sort as people count: numbers by their value."""
    parts: list[str | int] = [*re.split(r"([0-9]+)", path.stem)]
    parts[1::2] = map(int, parts[1::2])
    return parts, path.name


def load(paths: Iterable[Path]) -> Iterator[NDArray[np.uint8]]:
    """Pictures (H,W,3) RGB, turned as their files say.

    Raises:
        VideoError: one cannot be read, or is of another size than the first; it is named.
    """
    first = None
    for path in paths:
        pixels = _decoded(path)
        first = (path, pixels.shape[:2]) if first is None else first
        if pixels.shape[:2] != first[1]:
            (h, w), (height, width) = first[1], pixels.shape[:2]
            raise VideoError(
                f"{path} is {width} x {height} px, and {first[0].name} before it {w} x {h}",
                "frames of two videos lie in one folder, or some were scaled",
                "bring all frames of the folder to one size, or take out those of another video",
            )
        yield pixels


def digest(folder: Path) -> str:
    """SHA-256 over names and bytes of the pictures, in order; what else lies in the folder does not count."""
    whole = hashlib.sha256()
    for path in files(folder):
        data = path.read_bytes()
        whole.update(f"{path.name} {len(data)}\n".encode() + data)
    return whole.hexdigest()


def _decoded(path: Path) -> NDArray[np.uint8]:
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
        pixels = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    except (OSError, cv2.error):
        pixels = None
    if pixels is None:
        raise VideoError(
            f"{path} is no picture that can be read", "the file was cut, or is of another kind", "fetch it again"
        )
    return np.ascontiguousarray(pixels[..., ::-1])
