"""One small artifact of every kind and layout, kept for ever: what was written once must stay readable.

`python tests/archive/make.py` adds the files of new kinds and layouts, and never touches those that are there.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline import artifacts
from pipeline.errors import VideoError
from pipeline.kinds import KINDS, TEXT, Array, Kind

ARCHIVE = Path(__file__).parent
ROWS = {"v_1": 2, "v_2": 0, "v_ü": 3}  # rows along every ragged axis; a fourth video failed
FAILED = "v_4"


def archived(kind: Kind) -> Path:
    """The file of a kind in its present layout."""
    return ARCHIVE / f"{kind.name}-{kind.version}.h5"


def values(kind: Kind, name: str, rows: int = 0, seed: int = 0) -> NDArray:
    """Made-up contents of an array, always the same; `rows` along its ragged axis."""
    declared = kind.arrays[name]
    rng = np.random.default_rng([seed, zlib.crc32(f"{kind.name}/{name}".encode())])
    axes = declared.axes[1:] if kind.storage(name) == "video" else declared.axes
    shape = tuple(rows if axis in kind.ragged else 2 + len(axis) % 3 for axis in axes)
    if declared.dtype == TEXT:
        return np.array([f"{name} {i} Ä" for i in range(int(np.prod(shape)))]).reshape(shape)
    return _numbers(declared, rng, shape)


def _numbers(declared: Array, rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray:
    low, high = declared.range or (0, 9)
    if np.dtype(declared.dtype).kind in "iu":
        return rng.integers(int(low), int(high) + 1, shape).astype(declared.dtype)
    found = rng.uniform(low, high, shape).astype(declared.dtype)
    if declared.missing is not None and found.size:
        found.flat[0] = np.nan
    return found


def write(path: Path, kind: Kind) -> Path:
    """An artifact with `values` in every array."""
    ids = [*ROWS, FAILED] if kind.per_video else []
    with artifacts.create(path, kind.name, ids=ids, stage="0123456789ab", params={"a": 1}, model="tiny") as artifact:
        artifact.share(**{n: values(kind, n) for n in kind.arrays if kind.storage(n) == "shared"})
        for seed, video_id in enumerate(ids):
            if video_id == FAILED:
                artifact.fail(video_id, VideoError("it ends after 3 frames", "a cut", "fetch it again"))
            else:
                rows = {n: values(kind, n, ROWS[video_id], seed) for n in kind.per_video}
                artifact.add(video_id, **rows)
    return path


if __name__ == "__main__":
    for each in KINDS.values():
        if not archived(each).exists():
            print(write(archived(each), each))
