"""Scores: what judges gave a video, `id,score,value`, a row a score, so that a video may have several."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import NamedTuple

from pipeline.datasets import adapter, options
from pipeline.errors import ChoreoError
from pipeline.writing import replacing


class Score(NamedTuple):
    """One score of a video: id of the video, name of the score, points."""

    id: str
    name: str
    value: float


COLUMNS = ("id", "score", "value")


def scores(out: Path, *, dataset: dict) -> None:
    """What judges gave each video, from the data set's own files.

    Args:
        out: the CSV file to write.
        dataset: name of an adapter and its options, as for `manifest`.

    Raises:
        ChoreoError: the adapter knows of no scores, or its files say what cannot be.
    """
    module = adapter(dataset)
    if not hasattr(module, "scores"):
        raise ChoreoError(
            f"the data set adapter '{dataset['name']}' knows of no scores",
            "only some publishers say how well an action was done",
            "list the videos for the adapter `csv`, and name a file with the column id and one column a score in its"
            " option `scores`",
        )
    found = sorted(module.scores(**options(dataset)))
    if not found:
        raise ChoreoError(f"no video of the data set '{dataset['name']}' has a score", "an empty file of scores")
    with replacing(out) as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows((s.id, s.name, repr(float(s.value))) for s in found)


def read(path: Path) -> dict[str, dict[str, float]]:
    """Scores from a file that `scores` wrote: name of the score -> id of the video -> points.

    Raises:
        ChoreoError: no such file, a column is missing, a value is no number, or a video has one score twice.
    """
    if not path.is_file():
        raise ChoreoError(f"there is no file of scores {path}", "the stage `scores` has not run", "run it")
    found: dict[str, dict[str, float]] = {}
    with open(path, newline="", encoding="utf-8-sig") as file:
        table = csv.DictReader(file)
        if missing := [c for c in COLUMNS if c not in (table.fieldnames or ())]:
            raise ChoreoError(
                f"{path} lacks the column '{missing[0]}'; it has {table.fieldnames}",
                mend=f"its columns are {','.join(COLUMNS)}",
            )
        for row in table:
            where = f"{path}, line {table.line_num}"
            of_name = found.setdefault(row["score"], {})
            if row["id"] in of_name:
                raise ChoreoError(
                    f"{where}: '{row['id']}' has the score '{row['score']}' twice", "two files were joined"
                )
            of_name[row["id"]] = points(row["value"], where)
    return found


def points(value: object, where: str, low: float = -math.inf, high: float = math.inf) -> float:
    """A score as a number that can be.

    Args:
        value: what the file says.
        where: file and line or video, for the error.
        low, high: the range that the publisher's scores lie in.

    Raises:
        ChoreoError: it is no number, not finite, or outside the range.
    """
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise ChoreoError(f"{where}: the score '{value}' is no number", "an empty cell, or another column") from error
    if not math.isfinite(number):
        raise ChoreoError(
            f"{where}: the score is {value}", "it is missing", "leave the video out, or fetch the file again"
        )
    if not low <= number <= high:
        raise ChoreoError(
            f"{where}: the score {number:g} is outside {low:g} to {high:g}",
            "another column, or another version of the file",
        )
    return number
