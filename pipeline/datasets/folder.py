"""A folder of one's own: videos in it, or in one subfolder a class; a folder of pictures is a video too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pipeline import pictures
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
    for path in sorted(p for p in folder.rglob("*") if _is_video(p)):
        name = path.relative_to(folder)
        label = name.parts[0] if len(name.parts) > 1 else ""
        yield Video(
            id=(name if path.is_dir() else name.with_suffix("")).as_posix(),
            path=inside(folder, str(name)),
            labels=(label,) if label else (),
        )


def _is_video(path: Path) -> bool:
    """A video file, or a folder that holds pictures and nothing deeper; pictures beside videos are previews."""
    if path.name.startswith("."):
        return False
    if not path.is_dir():
        return path.suffix.lower() in SUFFIXES
    held = [p for p in path.iterdir() if not p.name.startswith(".")]
    kinds = {p.suffix.lower() for p in held}
    return bool(kinds & {*pictures.SUFFIXES}) and not kinds & {*SUFFIXES} and not any(p.is_dir() for p in held)
