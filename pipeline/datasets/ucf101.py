"""UCF-101 (Soomro, Zamir and Shah, 2012): 101 actions in 13,320 videos, three splits, and attributes of the classes.

    ROOT/ucfTrainTestlist/classInd.txt, trainlist01.txt, testlist01.txt (to 03)     the publisher's lists
    ROOT/UCF-101/Archery/v_Archery_g01_c01.avi                                      the videos
    ROOT/class_attributes_UCF101.csv                               115 attributes of each class; optional

Videos of one group (g01) were cut from one source, and are never split apart.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.datasets import inside
from pipeline.datasets.files import lines, need
from pipeline.errors import ChoreoError
from pipeline.manifest import Video

FOLDER, CLASSES, ATTRIBUTES = "ucfTrainTestlist", "classInd.txt", "class_attributes_UCF101.csv"
EXPECTED = {"train": 9537, "test": 3783, "classes": 101}  # of split 1
MEND = (
    "take UCF101.rar and UCF101TrainTestSplits-RecognitionTask.zip from www.crcv.ucf.edu/data/UCF101.php, and unpack"
    " both there, to the folders `UCF-101` and `ucfTrainTestlist`"
)


def rows(root: str, split: int = 1, videos: str = "") -> Iterator[Video]:
    """Videos of one of the publisher's three splits.

    Args:
        root: folder with the folder `ucfTrainTestlist`.
        split: 1, 2 or 3.
        videos: folder with a folder a class; ROOT/UCF-101 when empty.

    Raises:
        ChoreoError: a list is missing, or a line of it cannot be read.
    """
    folder = Path(videos) if videos else Path(root) / "UCF-101"
    if split not in (1, 2, 3):
        raise ChoreoError(f"there is no split {split}", mend="1, 2 or 3")
    need(Path(root), [str(p.relative_to(root)) for p in lists(root, split)], MEND)
    numbers = classes(root)
    _, train, test = lists(root, split)
    for part, path in (("train", train), ("test", test)):
        for where, cells in lines(path):
            video = re.fullmatch(r"(\w+)/(v_(\w+_g\d+)_c\d+)\.avi", cells[0])
            number = numbers.get(video[1]) if video else None
            if number is None or cells[1:] not in ([[number]] if part == "train" else [[], [number]]):
                raise ChoreoError(
                    f"{where} cannot be read: {' '.join(cells)!r}",
                    "the column with the class is missing, or the lists are of two releases",
                    "a line of a training list reads as in `Archery/v_Archery_g08_c01.avi 3`; fetch the lists again",
                )
            yield Video(video[2], inside(folder, cells[0]), part, (video[1],), group=video[3])


def classes(root: str) -> dict[str, str]:
    """Class -> its number, as the publisher writes it."""
    path = Path(root) / FOLDER / CLASSES
    need(Path(root), [f"{FOLDER}/{CLASSES}"], MEND)
    found = {}
    for where, cells in lines(path):
        if len(cells) != 2:
            raise ChoreoError(f"{where} cannot be read: {' '.join(cells)!r}", "a column is missing", MEND)
        found[cells[1]] = cells[0]
    return found


def attributes(root: str, split: int = 1, videos: str = "") -> dict[str, dict[str, int]]:
    """The publisher's attributes of each video, those of its class: id -> attribute -> 1 or 0; arguments as for `rows`.

    Raises:
        ChoreoError: the file is missing, a class has no column in it, or a value is neither 0 nor 1.
    """
    of_class = class_attributes(root)
    return {video.id: of_class[video.labels[0]] for video in rows(root, split, videos)}


def class_attributes(root: str) -> dict[str, dict[str, int]]:
    """Class -> attribute ("Body Motion = Flipping") -> 1 or 0; see `attributes`."""
    path = Path(root) / ATTRIBUTES
    need(Path(root), [ATTRIBUTES], "take the class attributes of UCF-101 from the page of the THUMOS 2013 challenge")
    names = {name.lower(): name for name in classes(root)}
    with open(path, newline="", encoding="utf-8-sig") as file:
        header, *table = csv.reader(file)
    columns = [names.get(title.replace(" ", "").lower()) for title in header[1:]]  # "Clean and Jerk" -> CleanAndJerk
    if missing := sorted(set(names.values()) - set(columns)):
        raise ChoreoError(
            f"{path} lacks the column '{missing[0]}'", "it is another file, or was edited", "fetch it again"
        )
    found: dict[str, dict[str, int]] = {name: {} for name in names.values()}
    for attribute, *values in filter(any, table):
        if not any(values):
            continue  # a heading
        if len(values) != len(columns):
            raise ChoreoError(
                f"{path}: '{attribute}' has {len(values)} values for {len(columns)} classes", "a column is missing"
            )
        for name, value in zip(columns, values, strict=True):
            if value not in ("0", "1"):
                raise ChoreoError(
                    f"{path}: '{attribute}' of {name} is {value!r}", "the file was edited", "write 0 or 1"
                )
            if name:
                found[name][attribute] = int(value)
    return found


def lists(root: str, split: int = 1, **_: Any) -> list[Path]:
    """The publisher's list of classes and the two of a split."""
    return [Path(root) / FOLDER / name for name in (CLASSES, f"trainlist{split:02d}.txt", f"testlist{split:02d}.txt")]
