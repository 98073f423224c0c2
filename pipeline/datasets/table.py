"""A list of one's own: a CSV file with a row a video."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.datasets import inside
from pipeline.datasets.intervals import Interval, read
from pipeline.datasets.scenes import split_by_scene
from pipeline.datasets.scores import Score, points
from pipeline.errors import ChoreoError
from pipeline.manifest import Video

ROLES = ("id", "path", "labels", "split", "group")


def rows(
    index: str,
    root: str = "",
    columns: dict[str, str] | None = None,
    test: dict[str, Any] | None = None,
    scenes: dict[str, Any] | None = None,
    intervals: str = "",
    scores: str = "",
) -> list[Video]:
    """Videos of a CSV file.

    Args:
        index: the CSV file, with a header.
        root: folder that the paths are relative to; the file's own folder when empty.
        columns: names of the columns where they are not id, path, labels, split, group; the last two may be absent.
            Labels of one video are separated by semicolons.
        test: a column and a value or several, as in {fold: 0} or {scene: [kitchen, garage]}: rows with such a value are
            test, all others train, whatever `split` says.
        scenes: training and test scenes, and the column they are in, as in {column: scene, seed: 0}; see
            `pipeline.datasets.scenes`.
        intervals, scores: read by the functions of these names.

    Raises:
        ChoreoError: no such file, a column is missing, or a path leads outside the root.
    """
    listed = _listed(index, root, columns, test, scenes)
    if scenes is None:
        return [video for video, _ in listed]
    return split_by_scene(listed, {key: value for key, value in scenes.items() if key != "column"})


def lists(index: str, **_: Any) -> list[Path]:
    """The list itself."""
    return [Path(index)]


def intervals(index: str, intervals: str = "", **others: Any) -> list[Interval]:
    """When each action takes place, from a CSV file `id,action,start,end` (seconds).

    Args:
        index: the list of the videos.
        intervals: the file; its ids and actions are those of the list.
        others: as for `rows`; intervals of videos that `scenes` leaves out are left out.

    Raises:
        ChoreoError: no file is named, or it does not fit the list.
    """
    if not intervals:
        raise ChoreoError(
            f"it is not said when the actions of {index} take place",
            "the list of videos has no list of intervals beside it",
            "name a CSV file with the columns id,action,start,end (seconds) in `dataset.intervals`",
        )
    every = rows(index, **others | {"scenes": None})
    chosen = {video.id for video in rows(index, **others)}
    return [i for i in read(Path(intervals), {v.id: v.labels for v in every}) if i.id in chosen]


def scores(index: str, scores: str = "", **others: Any) -> list[Score]:
    """What judges gave each video, from a CSV file with a column `id` and one column a score; an empty cell is none.

    Args:
        index: the list of the videos.
        scores: the file.
        others: as for `rows`; scores of videos that `scenes` leaves out are left out.

    Raises:
        ChoreoError: no file is named, it has no column of scores or a video twice, or a score is no finite number.
    """
    if not scores:
        raise ChoreoError(
            f"it is not said how well the actions of {index} are done",
            "the list of videos has no list of scores beside it",
            "name a CSV file with the column id and one column a score in `dataset.scores`",
        )
    every = {video.id for video in rows(index, **others | {"scenes": None})}
    left_out = every - {video.id for video in rows(index, **others)}
    return [score for score in _scores(Path(scores)) if score.id not in left_out]


def _scores(path: Path) -> Iterator[Score]:
    if not path.is_file():
        raise ChoreoError(f"there is no file of scores {path}", "a wrong path", "set `dataset.scores` to the CSV file")
    with open(path, newline="", encoding="utf-8-sig") as file:
        table, seen = csv.DictReader(file), set()
        columns = [column for column in table.fieldnames or () if column != "id"]
        if not columns or "id" not in table.fieldnames:
            raise ChoreoError(
                f"{path} has the columns {table.fieldnames}", mend="it needs `id` and at least one column of scores"
            )
        for row in table:
            where = f"{path}, line {table.line_num}"
            if row["id"] in seen:
                raise ChoreoError(f"{where}: '{row['id']}' is there twice", "two files were joined", "keep one row")
            seen.add(row["id"])
            yield from (Score(row["id"], c, points(row[c], f"{where}, {c}")) for c in columns if row[c] != "")


def _listed(
    index: str,
    root: str,
    columns: Mapping[str, str] | None,
    test: Mapping[str, Any] | None,
    scenes: Mapping[str, Any] | None,
) -> list[tuple[Video, str]]:
    """Every video of the list and its scene."""
    path = Path(index)
    if not path.is_file():
        raise ChoreoError(
            f"there is no list {path}", "a wrong path", "set `dataset.index` to the CSV file with the videos"
        )
    folder = Path(root) if root else path.parent
    names = {role: role for role in ROLES} | dict(columns or {})
    if unknown := set(columns or ()) - set(ROLES):
        raise ChoreoError(f"`dataset.columns` names {sorted(unknown)}", "a typo", f"known are {ROLES}")
    scene = [] if scenes is None else [scenes.get("column", "scene")]
    found = []
    with open(path, newline="", encoding="utf-8-sig") as file:
        table = csv.DictReader(file)
        needed = [names["id"], names["path"], names["labels"], *(columns or {}).values(), *(test or {}), *scene]
        if missing := [c for c in needed if c not in (table.fieldnames or ())]:
            raise ChoreoError(
                f"{path} lacks the column '{missing[0]}'; it has {table.fieldnames}",
                "the columns have other names",
                "name them in `dataset.columns`, as in {labels: action}",
            )
        for row in table:
            video = Video(
                id=row[names["id"]],
                path=inside(folder, row[names["path"]]),
                labels=tuple(filter(None, (x.strip() for x in row[names["labels"]].split(";")))),
                split=_split(row, test) if test else row.get(names["split"]) or "",
                group=row.get(names["group"]) or "",
            )
            found.append((video, row[scene[0]].strip() if scene else ""))
    return found


def _split(row: Mapping[str, str], test: Mapping[str, Any]) -> str:
    allowed = {c: value if isinstance(value, list) else [value] for c, value in test.items()}
    return "test" if all(row[c] in map(str, values) for c, values in allowed.items()) else "train"
