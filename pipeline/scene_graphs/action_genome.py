"""Action Genome (Ji et al., CVPR 2020): scene graphs of frames of Charades, as its publishers' files give them.

- `object_classes.txt`: 36 names, the first `person`; `relationship_classes.txt`: 26 names, 3 of attention, 6 of space,
  17 of contact.
- `person_bbox.pkl`: {"VIDEO.mp4/000123.png": {bbox: (P,4) x0 y0 x1 y1, found by a detector; bbox_size; ...}}.
- `object_bbox_and_relationship.pkl`: {the same keys: a list of {class; bbox: (x, y, width, height), None where it is
  not visible; attention_relationship, spatial_relationship, contacting_relationship: lists of names; ...}}.

The keys of the last are the annotated frames; `frame_list.txt` lists the same. Their numbers are those of
`ffmpeg -i VIDEO.mp4 %06d.png`, with which the publishers dump frames. It counts from 1: file 000123 is the frame of
index 122. It writes at a constant rate: where a video's rate varies, frames are repeated or dropped, and numbers may be
off by some.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from pipeline import unpickling
from pipeline.errors import ChoreoError, VideoError
from pipeline.manifest import Video
from pipeline.scene_graphs import PERSON, RawGraph, Thing, gather

CLASSES, RELATIONS = "object_classes.txt", "relationship_classes.txt"
PEOPLE, OBJECTS = "person_bbox.pkl", "object_bbox_and_relationship.pkl"
GROUPS = ("attention_relationship", "spatial_relationship", "contacting_relationship")


class ActionGenome:
    """Annotated scene graphs of Charades. A video is known by the name of its file.

    Args:
        root: the folder with the publishers' four files.
    """

    origin = "annotated"
    identity = "action_genome"

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self.class_names, self.relation_names = names(self.root / CLASSES), names(self.root / RELATIONS)
        self._classes = {_plain(name): i for i, name in enumerate(self.class_names)}
        self._relations = {_plain(name): i for i, name in enumerate(self.relation_names)}
        self.people, self.objects = unpickling.load(self.root / PEOPLE), unpickling.load(self.root / OBJECTS)
        self.keys: dict[str, dict[int, str]] = defaultdict(dict)  # video -> frame -> key
        for key in self.objects:
            path = PurePosixPath(key)
            self.keys[PurePosixPath(path.parent.name).stem][int(path.stem) - 1] = key

    def frames(self, video: Video) -> NDArray:
        """The annotated frames (F,) of a video."""
        name = video.path.stem
        if name not in self.keys:
            raise VideoError(
                f"video '{video.id}' is not in Action Genome: {self.root / OBJECTS} has no frame of {name}.mp4",
                "Action Genome annotates most videos of Charades, not all; or the file was renamed",
                "leave it out, or give the file its name in Charades",
            )
        return np.array(sorted(self.keys[name]))

    def graph(self, video: Video, frames: NDArray, pixels: NDArray) -> RawGraph:
        """The graphs of annotated frames (F,); of the pixels (F,H,W,3) only the size is looked at.

        Raises:
            VideoError: the video is of another size than the frames that were annotated.
        """
        keys = [self.keys[video.path.stem][frame] for frame in frames.tolist()]
        for key in keys:
            self._check_size(key, pixels.shape[2], pixels.shape[1])
        return gather([self._things(key) for key in keys], len(self.relation_names))

    @staticmethod
    def files(root: Path) -> list[Path]:
        """The publishers' files."""
        return [Path(root) / name for name in (CLASSES, RELATIONS, PEOPLE, OBJECTS)]

    def _things(self, key: str) -> list[Thing]:
        """The people and visible objects of a frame."""
        boxes = np.asarray(self.people.get(key, {}).get("bbox", ()), float).reshape(-1, 4)
        things = [Thing(PERSON, box) for box in boxes]
        for item in self.objects[key]:
            if item["bbox"] is not None:
                x, y, width, height = item["bbox"]
                told = [name for group in GROUPS for name in item.get(group) or ()]
                relations = [self._index(self._relations, name, RELATIONS) for name in told]
                kind = self._index(self._classes, item["class"], CLASSES)
                things.append(Thing(kind, (x, y, x + width, y + height), relations))
        return things

    def _index(self, known: dict[str, int], name: str, file: str) -> int:
        if _plain(name) not in known:
            raise ChoreoError(
                f"{self.root / OBJECTS} names '{name}', which is not in {file}",
                "the files are of two versions of Action Genome",
                "fetch all of them again, from one place",
            )
        return known[_plain(name)]

    def _check_size(self, key: str, width: int, height: int) -> None:
        size = self.people.get(key, {}).get("bbox_size")  # of the frame that the detector saw
        if size is not None and sorted(map(int, size)) != sorted((width, height)):
            raise VideoError(
                f"{key} was annotated at {int(size[0])} x {int(size[1])} px, the video has {width} x {height}",
                "the video was scaled, or is of another edition of Charades",
                "use Charades' videos at 480p",
            )


def names(file: Path) -> list[str]:
    """The names in a file, one a line."""
    if not file.is_file():
        raise ChoreoError(
            f"there is no file {file}", "it was not fetched", "fetch Action Genome's annotations, and set `root`"
        )
    return [line.strip() for line in file.read_text().splitlines() if line.strip()]


def _plain(name: str) -> str:
    """Letters only: the lists say `closetcabinet` and `lookingat`, the pickle closet/cabinet and looking_at."""
    return "".join(letter for letter in name.lower() if letter.isalnum())
