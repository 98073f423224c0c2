"""SportsHHI (Wu et al., CVPR 2024): who does what to whom, in keyframes of basketball and volleyball videos.

Below `root`, as the publisher lays it out:

    annotations/sports_{train,val}_v1.csv       video, frame, box of the one who acts, box of the other, class, both ids
    annotations/sports_action_list.pbtxt        names of the classes
    annotations/gt_dense_proposals_{train,val}.pkl    {"video,0001": (n,4|5)}: everybody's box in keyframe 1; optional
    videos/VIDEO.mp4                            or any other suffix

Boxes are x1 y1 x2 y2, 0-1. The publisher's `val` is the test split; our `val` is carved out of its `train`.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline import unpickling
from pipeline.encoders.pose.tracking import iou
from pipeline.errors import ChoreoError
from pipeline.manifest import Video
from pipeline.video import SUFFIXES

EVERY = 5  # frames from one keyframe to the next
REMOVED = (1, 4, 7, 12, 20, 30)  # classes that the publisher's experiments leave out
SPLITS = {"train": "train", "val": "test"}  # the publisher's, and ours
SAME = 0.9  # IoU from which two boxes are one person, as in the publisher's evaluation
SURE = 0.9  # score from which a detected box counts, likewise


@dataclass
class Keyframe:
    """The persons of one keyframe and what they do to each other.

    Attributes:
        frame: index in the video, from 0.
        box: (P,4) x1 y1 x2 y2, 0-1.
        doing: (subject, object), rows of `box` -> indices of the classes.
    """

    frame: int
    box: NDArray = field(default_factory=lambda: np.zeros((0, 4)))
    doing: dict[tuple[int, int], set[int]] = field(default_factory=lambda: defaultdict(set))

    def person(self, box: NDArray) -> int:
        """The row of a box: that of the person it is, or a new one."""
        overlap = iou(box, self.box)
        if len(overlap) and overlap.max() >= SAME:
            return int(overlap.argmax())
        self.box = np.concatenate([self.box, box[None]])
        return len(self.box) - 1


def rows(root: str, classes: str = "published") -> Iterator[Video]:
    """Videos, each with the interactions in it; clips of one match are one group.

    Args:
        root: folder of the data set.
        classes: `published` (without the six that the publisher's experiments leave out) or `all`.

    Raises:
        ChoreoError: a file is missing or a line of it cannot be read; the videos were never packed from their frames.
    """
    folder, names = Path(root), interactions(root, classes)
    for published, split in SPLITS.items():
        labels: dict[str, set[str]] = defaultdict(set)
        for video, _, _, _, number in _lines(folder, published):
            labels[video] |= {names[number]} if number in names else set()
        for video, shown in sorted(labels.items()):
            yield Video(
                id=video,
                path=_file(folder, video),
                split=split,
                labels=tuple(sorted(shown)),
                group=re.sub(r"_c\d+$", "", video),
            )


def interactions(root: str, classes: str = "published") -> dict[int, str]:
    """The publisher's number and the name of every class that is used, in the publisher's order."""
    if classes not in ("published", "all"):
        raise ChoreoError(f"there are no classes '{classes}'", mend="`published` or `all`")
    path = _there(Path(root) / "annotations/sports_action_list.pbtxt")
    found = re.findall(r'name:\s*"([^"]*)"\s*(?:label_)?id:\s*(\d+)', path.read_text(encoding="utf-8"))
    return {int(n): name for name, n in found if classes == "all" or int(n) not in REMOVED}


def keyframes(root: str, classes: str = "published") -> tuple[dict[str, list[Keyframe]], str]:
    """All keyframes in which somebody interacts, by video; and whose boxes are known.

    Returns:
        Keyframes by video, frames rising; `dense` where everybody's box is known, `interacting` without the proposals.
    """
    folder, order = Path(root), list(interactions(root, classes))
    found: dict[str, dict[int, Keyframe]] = defaultdict(dict)
    origins = set()
    for published in SPLITS:
        boxes = _proposals(folder, published)
        origins.add("interacting" if boxes is None else "dense")
        for video, frame, one, two, number in _lines(folder, published):
            if number not in order:
                continue
            if frame not in found[video]:
                everybody = (boxes or {}).get(f"{video},{frame // EVERY:04d}", np.zeros((0, 4)))
                found[video][frame] = Keyframe(frame, everybody)
            keyframe = found[video][frame]
            keyframe.doing[keyframe.person(one), keyframe.person(two)].add(order.index(number))
    by_video = {video: [of[frame] for frame in sorted(of)] for video, of in found.items()}
    return by_video, "dense" if origins == {"dense"} else "interacting"


def lists(root: str, classes: str = "published") -> list[Path]:
    """The publisher's lists of classes and interactions."""
    notes = Path(root) / "annotations"
    return [notes / "sports_action_list.pbtxt", *(notes / f"sports_{split}_v1.csv" for split in SPLITS)]


def files(root: str, classes: str = "published") -> list[Path]:
    """The files that `keyframes` reads: the lists, and everybody's boxes where they are there."""
    boxes = [Path(root) / f"annotations/gt_dense_proposals_{split}.pkl" for split in SPLITS]
    return lists(root) + [path for path in boxes if path.is_file()]


def _lines(folder: Path, split: str) -> Iterator[tuple[str, int, NDArray, NDArray, int]]:
    """Video, keyframe, both boxes and class of every row."""
    path = _there(folder / f"annotations/sports_{split}_v1.csv")
    with open(path, newline="", encoding="utf-8") as file:
        for line, row in enumerate(csv.reader(file), start=1):
            try:
                video, frame, *boxes, number, _, _ = row
                one, two = np.array(boxes, dtype=float).reshape(2, 4)
                # The publisher counts keyframes: keyframe k is frame 5 k, counted from 0.
                yield video, int(frame) // EVERY * EVERY, one, two, int(number)
            except ValueError as error:
                raise ChoreoError(
                    f"{path}, line {line} cannot be read: {error}",
                    "the file was edited, or is of another version",
                    "fetch it again: 13 columns, no header",
                ) from error


def _proposals(folder: Path, split: str) -> dict[str, NDArray] | None:
    """Everybody's boxes by 'video,keyframe'; None when the file is not there. Unsure detections are left out."""
    path = folder / f"annotations/gt_dense_proposals_{split}.pkl"
    if not path.is_file():
        return None
    boxes = {}
    for key, given in unpickling.load(path).items():
        rows = np.asarray(given, dtype=float)
        if rows.ndim != 2 or rows.shape[1] not in (4, 5):
            raise ChoreoError(f"{path}: '{key}' holds {rows.shape}, not (n,4) or (n,5)", "another kind of file")
        sure = rows[:, 4] >= min(SURE, rows[:, 4].max(initial=0)) if rows.shape[1] == 5 else slice(None)
        boxes[key] = rows[sure, :4]
    return boxes


def _file(folder: Path, video: str) -> Path:
    """The video's file; one that is nowhere keeps its row, with the problem that the manifest finds."""
    named = folder / "videos" / f"{video}.mp4"
    found = [path for suffix in SUFFIXES if (path := named.with_suffix(suffix)).is_file()]
    pictures = folder / "frames" / video
    if not found and pictures.is_dir():
        raise ChoreoError(
            f"'{video}' is there as pictures ({pictures}), not as a video",
            "the data set comes as pictures",
            "pack every folder, without loss: ffmpeg -framerate 25 -i frames/VIDEO/%06d.jpg -c copy videos/VIDEO.mkv",
        )
    return found[0] if found else named


def _there(path: Path) -> Path:
    if not path.is_file():
        raise ChoreoError(f"there is no file {path}", "a wrong `dataset.root`", "set it to the folder of SportsHHI")
    return path
