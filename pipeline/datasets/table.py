"""A list of one's own: a CSV file with a row a video."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from pipeline.datasets import inside
from pipeline.errors import ChoreoError
from pipeline.manifest import Video

ROLES = ("id", "path", "labels", "split", "group")


def rows(
    index: str, root: str = "", columns: dict[str, str] | None = None, test: dict[str, str] | None = None
) -> Iterator[Video]:
    """Videos of a CSV file.

    Args:
        index: the CSV file, with a header.
        root: folder that the paths are relative to; the file's own folder when empty.
        columns: names of the columns where they are not id, path, labels, split, group; the last two may be absent.
            Labels of one video are separated by semicolons.
        test: a column and a value, as in {fold: 0}: rows with that value are test, all others train, whatever `split`
            says.

    Raises:
        ChoreoError: no such file, a column is missing, or a path leads outside the root.
    """
    path = Path(index)
    if not path.is_file():
        raise ChoreoError(
            f"there is no list {path}", "a wrong path", "set `dataset.index` to the CSV file with the videos"
        )
    folder = Path(root) if root else path.parent
    names = {role: role for role in ROLES} | (columns or {})
    if unknown := set(columns or ()) - set(ROLES):
        raise ChoreoError(f"`dataset.columns` names {sorted(unknown)}", "a typo", f"known are {ROLES}")
    with open(path, newline="", encoding="utf-8-sig") as file:
        table = csv.DictReader(file)
        needed = [names["id"], names["path"], names["labels"], *(columns or {}).values(), *(test or {})]
        if missing := [c for c in needed if c not in (table.fieldnames or ())]:
            raise ChoreoError(
                f"{path} lacks the column '{missing[0]}'; it has {table.fieldnames}",
                "the columns have other names",
                "name them in `dataset.columns`, as in {labels: action}",
            )
        for row in table:
            yield Video(
                id=row[names["id"]],
                path=inside(folder, row[names["path"]]),
                labels=tuple(filter(None, (x.strip() for x in row[names["labels"]].split(";")))),
                split=_split(row, test) if test else row.get(names["split"]) or "",
                group=row.get(names["group"]) or "",
            )


def _split(row: dict[str, str], test: dict[str, str]) -> str:
    return "test" if all(row[column] == str(value) for column, value in test.items()) else "train"
