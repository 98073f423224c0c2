"""Intervals: when each action of a video takes place, `id,action,start,end` in seconds, a row an occurrence."""

from __future__ import annotations

import csv
import math
from collections.abc import Container, Mapping
from pathlib import Path
from typing import NamedTuple

from pipeline.datasets import adapter, options
from pipeline.errors import ChoreoError
from pipeline.writing import replacing


class Interval(NamedTuple):
    """One occurrence of an action: id of the video, name of the class, seconds from the video's start."""

    id: str
    action: str
    start: float
    end: float


def intervals(out: Path, *, dataset: dict) -> None:
    """When each action takes place, from the data set's own files.

    Args:
        out: the CSV file to write.
        dataset: name of an adapter and its options, as for `manifest`.

    Raises:
        ChoreoError: the adapter knows of no intervals, or its files say what cannot be.
    """
    module = adapter(dataset)
    if not hasattr(module, "intervals"):
        raise ChoreoError(
            f"the data set adapter '{dataset['name']}' knows of no intervals",
            "only some publishers say when an action takes place",
            "list the videos for the adapter `csv`, and name a file with the columns id,action,start,end in its option"
            " `intervals`",
        )
    found = sorted(module.intervals(**options(dataset)))
    with replacing(out) as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(Interval._fields)
        table.writerows((i.id, i.action, f"{i.start:.3f}", f"{i.end:.3f}") for i in found)


def read(path: Path, labels: Mapping[str, Container[str]]) -> list[Interval]:
    """Intervals from a CSV file of that form.

    Args:
        path: the file.
        labels: classes of every listed video, by id.

    Raises:
        ChoreoError: no such file, a column is missing, a number is none, an interval is empty, or it belongs to no
            listed video or to a class that its video does not have.
    """
    if not path.is_file():
        raise ChoreoError(
            f"there is no file of intervals {path}", "a wrong path", "set `dataset.intervals` to the CSV file"
        )
    with open(path, newline="", encoding="utf-8-sig") as file:
        table = csv.DictReader(file)
        if missing := [c for c in Interval._fields if c not in (table.fieldnames or ())]:
            raise ChoreoError(
                f"{path} lacks the column '{missing[0]}'; it has {table.fieldnames}",
                mend=f"its columns are {','.join(Interval._fields)}, with times in seconds",
            )
        return [_interval(row, f"{path}, line {table.line_num}", labels) for row in table]


def _interval(row: Mapping[str, str], where: str, labels: Mapping[str, Container[str]]) -> Interval:
    video, action = row["id"], row["action"]
    if video not in labels:
        raise ChoreoError(f"{where}: no video is called '{video}'", "a typo, or the list of another data set")
    if action not in labels[video]:
        raise ChoreoError(
            f"{where}: '{action}' is no label of the video '{video}'",
            "a typo, or the list of videos lacks it",
            "give the video the label, or mend the interval",
        )
    try:
        start, end = float(row["start"]), float(row["end"])
    except (TypeError, ValueError) as error:
        raise ChoreoError(
            f"{where}: '{row['start']}' to '{row['end']}' is no interval", mend="write numbers of seconds"
        ) from error
    if not 0 <= start < end < math.inf:
        raise ChoreoError(
            f"{where}: the interval {start} to {end} is empty or impossible", "start and end are swapped, or minutes"
        )
    return Interval(video, action, start, end)
