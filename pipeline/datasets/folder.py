"""A folder of one's own: videos in it, or in one subfolder a class."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pipeline.datasets import inside
from pipeline.errors import ChoreoError
from pipeline.manifest import Video
from pipeline.video import SUFFIXES


def rows(root: str) -> Iterator[Video]:
    """Videos below a folder; the id is the path without suffix, the label the subfolder's name.

    Raises:
        ChoreoError: no such folder, or two files differ only in their suffix.
    """
    folder = Path(root)
    if not folder.is_dir():
        raise ChoreoError(
            f"there is no folder {folder}", "a wrong path", "set `dataset.root` to the folder with the videos"
        )
    files = (p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
    for path in sorted(files):
        name = path.relative_to(folder)
        label = name.parts[0] if len(name.parts) > 1 else ""
        yield Video(
            id=name.with_suffix("").as_posix(), path=inside(folder, str(name)), labels=(label,) if label else ()
        )
