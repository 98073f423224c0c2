"""The manifest: one row a video, its labels, split and shard; the key everywhere is its id.

A manifest is a CSV file with the columns of `COLUMNS`; workflow/schemas/manifest.schema.yaml describes them.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from pipeline.errors import ChoreoError
from pipeline.writing import replacing

COLUMNS = ("id", "path", "split", "labels", "group", "duration", "frames", "fps", "sha256", "problem")
SPLITS = ("train", "val", "test")
PROTOCOLS = {
    "strict": "concepts, pruning and model choice see train and val only; test is read once",
    "published": "as the authors' code does: concepts are discovered on all videos, and pruning and model choice see"
    " the test videos, so that figures are optimistic",
}


@dataclass(frozen=True)
class Video:
    """One video of a data set.

    Attributes:
        id: unique name, the key in every artifact.
        path: the video file, or a folder of frames.
        split: `train`, `val` or `test`; empty until splits are drawn.
        labels: names of the classes that the video shows.
        group: videos of one group (subject, source) are never split apart; empty when it is a group of its own.
        duration, frames, fps: seconds, frames that can be decoded, mean frames a second; 0 when unknown.
        sha256: digest of the file's bytes; a replaced file is another video.
        problem: why the video cannot be used; empty when it can.
    """

    id: str
    path: Path
    split: str = ""
    labels: tuple[str, ...] = ()
    group: str = ""
    duration: float = 0.0
    frames: int = 0
    fps: float = 0.0
    sha256: str = ""
    problem: str = ""


class Manifest:
    """The videos of a data set, sorted by id."""

    def __init__(self, videos: Iterable[Video]) -> None:
        self.videos = sorted(videos, key=lambda v: v.id)
        for one, two in zip(self.videos, self.videos[1:], strict=False):
            if one.id == two.id:
                raise ChoreoError(
                    f"two videos have the id '{one.id}' ({one.path} and {two.path})",
                    "file stems were taken as ids, or two lists were joined",
                    "give every row of the manifest an id of its own",
                )

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Read a manifest.

        Raises:
            ChoreoError: a column is missing, a value cannot be read, or two ids are equal.
        """
        if not path.is_file():
            raise ChoreoError(
                f"there is no manifest {path}", "the stage `manifest` has not run", "run it, or `snakemake`"
            )
        with open(path, newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            missing = set(COLUMNS) - set(rows.fieldnames or ())
            if missing:
                raise ChoreoError(f"{path} lacks the columns {sorted(missing)}", "it is no manifest of this pipeline")
            return cls(_video(row, path, line) for line, row in enumerate(rows, start=2))

    def write(self, path: Path) -> None:
        """Write the manifest; the same videos give the same bytes.

        Raises:
            ChoreoError: a label holds a semicolon, which separates labels in the file.
        """
        if odd := [label for label in self.classes if ";" in label]:
            raise ChoreoError(f"the label '{odd[0]}' holds a semicolon", mend="rename the class")
        with replacing(path) as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(COLUMNS)
            for v in self.videos:
                numbers = (f"{v.duration:.6f}", v.frames, f"{v.fps:.6f}")
                table.writerow([v.id, v.path, v.split, ";".join(v.labels), v.group, *numbers, v.sha256, v.problem])

    @property
    def usable(self) -> list[Video]:
        """The videos without a known problem."""
        return [v for v in self.videos if not v.problem]

    @cached_property
    def by_id(self) -> dict[str, Video]:
        """The videos by their id."""
        return {v.id: v for v in self.videos}

    @cached_property
    def classes(self) -> list[str]:
        """Names of all classes, sorted."""
        return sorted({label for v in self.videos for label in v.labels})

    def ids(self, split: str) -> list[str]:
        """Ids of the usable videos of a split."""
        return [v.id for v in self.usable if v.split == split]

    def split_ids(self, protocol: str = "strict") -> dict[str, list[str]]:
        """Ids by role: `discover` (vocabularies), `train`, `val` (model choice), `test`; see `PROTOCOLS`."""
        train, val, test = (self.ids(s) for s in SPLITS)
        if protocol == "strict":
            return {"discover": train, "train": train, "val": val, "test": test}
        if protocol == "published":
            return {"discover": train + val + test, "train": train + val, "val": test, "test": test}
        raise ChoreoError(f"there is no protocol '{protocol}'", mend=f"one of {sorted(PROTOCOLS)}")

    def shard(self, index: int, shards: int) -> Manifest:
        """The videos of one shard, without labels, splits and groups, which no slow stage reads."""
        mine = (v for v in self.videos if shard_of(v.id, shards) == index)
        return Manifest(replace(v, split="", labels=(), group="") for v in mine)


def shard_of(video_id: str, shards: int) -> int:
    """The shard of a video: a stable hash of its id, so that a new video changes one shard."""
    return int.from_bytes(hashlib.sha256(video_id.encode()).digest()[:8]) % shards


def draw_splits(videos: Sequence[Video], *, val: float = 0.15, test: float = 0.25, seed: int = 0) -> list[Video]:
    """Give every video a split, whole groups together, classes in proportion.

    Rows that have a split keep it. When only `val` is missing it is carved out of train; when none is given all are
    drawn.

    Args:
        videos: rows, some without a split.
        val, test: shares of the videos, 0 to 0.5.
        seed: seed of the draw.

    Raises:
        ChoreoError: a share is out of range, some rows have a split and others none, or there are too few groups.
    """
    for name, share in (("val", val), ("test", test)):
        if not 0 <= share <= 0.5:
            raise ChoreoError(f"the share of '{name}' is {share}", mend="choose a share from 0 to 0.5")
    given = {v.split for v in videos}  # also of those with a problem: a published split stays one
    if not given <= {"", *SPLITS} or ("" in given and len(given) > 1):
        raise ChoreoError(
            f"splits are {sorted(given)}",
            "some rows have a split and others have none",
            f"use {SPLITS} in all rows, or in none",
        )
    videos = list(videos)
    if given == {""}:
        videos = [replace(v, split="train") for v in videos]
        videos = _carve(videos, "test", test, seed) if test > 0 else videos
        val = min(0.5, val / (1 - test))
    if "val" not in given and val > 0:
        videos = _carve(videos, "val", val, seed)
    return videos


def _carve(videos: list[Video], split: str, share: float, seed: int) -> list[Video]:
    """Move about `share` of the train videos, in whole groups, to another split."""
    from sklearn.model_selection import StratifiedGroupKFold

    pool = [v for v in videos if v.split == "train" and not v.problem]
    groups = [v.group or v.id for v in pool]
    folds = max(2, round(1 / share))
    if len(set(groups)) < folds:
        raise ChoreoError(
            f"'{split}' cannot be carved out of train: {len(set(groups))} groups for {folds} parts",
            "most videos share one group",
            "give the manifest finer groups, or a split of its own",
        )
    labels = [v.labels[0] if v.labels else "" for v in pool]
    counts = min(labels.count(label) for label in set(labels))
    if counts < folds:
        labels = [""] * len(pool)  # a class with fewer videos than parts cannot be kept in proportion
    cut = StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(pool, labels, groups)
    chosen = {pool[i].id for i in next(iter(cut))[1]}
    return [replace(v, split=split) if v.id in chosen else v for v in videos]


def _video(row: dict[str, str], path: Path, line: int) -> Video:
    if None in row or None in row.values():
        raise ChoreoError(
            f"{path}, line {line}: more or fewer cells than columns", "a comma was not quoted", "mend the line"
        )
    try:
        return Video(
            id=row["id"],
            path=Path(row["path"]),
            split=row["split"],
            labels=tuple(filter(None, row["labels"].split(";"))),
            group=row["group"],
            duration=float(row["duration"] or 0),
            frames=int(row["frames"] or 0),
            fps=float(row["fps"] or 0),
            sha256=row["sha256"],
            problem=row["problem"],
        )
    except ValueError as error:
        raise ChoreoError(f"{path}, line {line}: {error}", "a number was edited by hand", "mend the line") from error
