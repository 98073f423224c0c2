"""A publisher's files: all that are missing are named at once, with where they come from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline import pictures
from pipeline.errors import ChoreoError


def need(root: Path, names: Iterable[str], mend: str) -> None:
    """Files or folders that must be there.

    Args:
        root: folder of the data set.
        names: paths below it.
        mend: where they come from.

    Raises:
        ChoreoError: some are not there.
    """
    absent = [name for name in names if not (root / name).exists()]
    if absent:
        raise ChoreoError(
            f"{root} lacks {', '.join(absent)}", "not fetched yet, or `dataset.root` is another folder", mend
        )


def there(path: Path, mend: str) -> Path:
    """A publisher's file, if it is there."""
    if not path.is_file():
        raise ChoreoError(f"there is no file {path}", "not fetched yet, or `dataset.root` is another folder", mend)
    return path


def lines(path: Path) -> Iterator[tuple[str, list[str]]]:
    """The cells of a list, separated by white space, and where each line is; empty lines are left out."""
    with open(path, encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if cells := line.split():
                yield f"{path}, line {number}", cells


def lacking(folder: Path, frames: int, mend: str) -> str:
    """Why a folder of pictures is not whole; empty where it is, or is not there at all, which the manifest finds."""
    there = sum(p.suffix.lower() in pictures.SUFFIXES for p in folder.iterdir()) if folder.is_dir() else frames
    return f"{folder} holds {there} of {frames} frames. {mend}" if there < frames else ""
