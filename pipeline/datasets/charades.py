"""Charades (Sigurdsson et al., ECCV 2016): daily activities at home, several at once, with their intervals.

    ROOT/Charades_v1_train.csv, Charades_v1_test.csv, Charades_v1_classes.txt     the publisher's lists
    ROOT/videos/ID.mp4                                                            the videos, of any size

Labels are the names of the 157 classes ("Holding a pillow"), each once a video; groups are the persons filmed, so that
val shows other persons than train. The publisher's test list is what papers call validation.
"""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.datasets import inside
from pipeline.datasets.intervals import Interval
from pipeline.datasets.scenes import split_by_scene
from pipeline.errors import ChoreoError
from pipeline.manifest import Video

LISTS = {"train": "Charades_v1_train.csv", "test": "Charades_v1_test.csv"}
CLASSES = "Charades_v1_classes.txt"
EXPECTED = {"train": 7985, "test": 1863, "classes": 157}

# What ProDA's authors leave out of both splits: six videos by name, and those of too many labels.
EXCLUDED = {"R4SJJ", "FC2SK", "C10FA", "X2LBW", "OZIJ7", "LKH9A"}
MOST_LABELS = 16

# Training and test scenes of ProDA's domain shift (Table 10).
SCENARIOS = {
    1: (
        "Stairs, Laundry room, Home Office, Hallway, Bedroom, Pantry, Dining room, Entryway",
        "Living room, Closet, Kitchen, Bathroom, Garage, Recreation room, Basement, Other",
    ),
    2: (
        "Laundry room, Bathroom, Pantry, Closet, Entryway, Recreation room, Garage, Other",
        "Bedroom, Living room, Kitchen, Home Office, Hallway, Stairs, Basement, Dining room",
    ),
    3: (
        "Stairs, Laundry room, Bedroom, Basement, Bathroom, Entryway, Recreation room, Other",
        "Living room, Closet, Kitchen, Home Office, Garage, Hallway, Pantry, Dining room",
    ),
    4: (
        "Kitchen, Stairs, Laundry room, Home Office, Bedroom, Bathroom, Pantry, Dining room",
        "Living room, Closet, Garage, Hallway, Recreation room, Entryway, Basement, Other",
    ),
    5: (
        "Kitchen, Laundry room, Hallway, Basement, Dining room, Living room, Closet, Other",
        "Bedroom, Home Office, Bathroom, Garage, Stairs, Recreation room, Entryway, Pantry",
    ),
}

log = logging.getLogger(__name__)


def rows(root: str, videos: str = "", published: bool = False, scenes: dict[str, Any] | None = None) -> list[Video]:
    """Videos of the publisher's lists, train and test as published.

    Args:
        root: folder with the three lists.
        videos: folder with the videos, ID.mp4; ROOT/videos when empty.
        published: leave out what ProDA's authors leave out: six videos, and all of more than 16 labels.
        scenes: a domain split: {scenario: 1} to 5 (ProDA, Table 10), {seed: 0}, or {train: [...], test: [...]}; see
            `pipeline.datasets.scenes`. Scenes are called by the first of the publisher's names, as in "Closet".

    Raises:
        ChoreoError: a list is missing or is not of this form, or there is no such scene.
    """
    return [video for video, _ in _chosen(root, videos, published, scenes)]


def lists(root: str, **_: Any) -> list[Path]:
    """The publisher's three lists."""
    return [Path(root) / name for name in (*LISTS.values(), CLASSES)]


def intervals(
    root: str, videos: str = "", published: bool = False, scenes: dict[str, Any] | None = None
) -> Iterator[Interval]:
    """When each action takes place, as the publisher says; the few intervals that end before they start are left out.

    Args: those of `rows`.
    """
    for video, entry in _chosen(root, videos, published, scenes):
        for action, start, end in entry.actions:
            if start < end:
                yield Interval(video.id, action, start, end)
            else:
                log.warning("%s: '%s' from %g s to %g s is no interval: left out", video.id, action, start, end)


@dataclass(frozen=True)
class _Entry:
    """A row of the publisher's lists."""

    id: str
    split: str
    subject: str
    scene: str
    actions: tuple[tuple[str, float, float], ...]  # name, start and end in seconds

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(action for action, _, _ in self.actions))


def _chosen(root: str, videos: str, published: bool, scenes: dict[str, Any] | None) -> list[tuple[Video, _Entry]]:
    folder = Path(videos) if videos else Path(root) / "videos"
    entries = {e.id: e for e in _entries(Path(root))}
    if published:
        entries = {i: e for i, e in entries.items() if i not in EXCLUDED and len(e.labels) <= MOST_LABELS}
    listed = [
        Video(id=i, path=inside(folder, f"{i}.mp4"), split=e.split, labels=e.labels, group=e.subject)
        for i, e in entries.items()
    ]
    if scenes is not None:
        listed = split_by_scene([(video, entries[video.id].scene) for video in listed], _scenario(scenes))
    return [(video, entries[video.id]) for video in listed]


def _scenario(scenes: dict[str, Any]) -> dict[str, Any]:
    """Training and test scenes of a numbered scenario; other forms as they are."""
    if set(scenes) != {"scenario"}:
        return scenes
    if scenes["scenario"] not in SCENARIOS:
        raise ChoreoError(f"there is no scenario {scenes['scenario']}", mend=f"one of {list(SCENARIOS)}")
    train, test = SCENARIOS[scenes["scenario"]]
    return {"train": train.split(", "), "test": test.split(", ")}


def _entries(root: Path) -> Iterator[_Entry]:
    _check_files(root)
    lines = (root / CLASSES).read_text(encoding="utf-8").splitlines()
    names = dict(line.split(" ", 1) for line in lines if line.strip())  # c000 -> Holding some clothes
    for split, name in LISTS.items():
        with open(root / name, newline="", encoding="utf-8") as file:
            table = csv.DictReader(file)
            if missing := [c for c in ("id", "subject", "scene", "actions") if c not in (table.fieldnames or ())]:
                raise ChoreoError(
                    f"{root / name} lacks the column '{missing[0]}'", "it is another file", "fetch it again"
                )
            for row in table:
                scene = re.split(r" [/(]", row["scene"])[0]  # "Closet / Walk-in closet / Spear closet"
                actions = _actions(row["actions"], names, f"{root / name}: video '{row['id']}'")
                yield _Entry(row["id"], split, row["subject"], scene, actions)


def _actions(text: str, names: dict[str, str], where: str) -> tuple[tuple[str, float, float], ...]:
    """`c092 11.90 21.20;c147 0.00 12.60` by name."""
    actions = []
    for one in filter(None, text.split(";")):
        try:
            code, start, end = one.split()
            actions.append((names[code], float(start), float(end)))
        except (ValueError, KeyError) as error:
            raise ChoreoError(
                f"{where} has the action '{one}'",
                f"a cut file, or a class that {CLASSES} does not name",
                "an action is a code and two times, as in 'c092 11.90 21.20'; fetch the lists again",
            ) from error
    return tuple(actions)


def _check_files(root: Path) -> None:
    absent = [name for name in (*LISTS.values(), CLASSES) if not (root / name).is_file()]
    if absent:
        raise ChoreoError(
            f"{root} lacks {', '.join(absent)}",
            "the lists of Charades are not there yet, or `dataset.root` is another folder",
            "unpack the archive of annotations (Charades.zip) from the data set's page at the Allen Institute for AI"
            " there, and one of the archives of videos (such as Charades_v1_480.zip) to its folder `videos`",
        )
