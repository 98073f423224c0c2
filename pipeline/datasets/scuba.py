"""UCF-101-SCUBA (Li et al., ICCV 2023): people of UCF-101 cut out and put before other backgrounds, to test on.

    INDEX                                                the publisher's list: video, frames and class
    ROOT/v_WalkingWithDog_g02_c04__0/frame000001.jpg     the videos, as pictures
    UCF101_ROOT/                                         what a model is trained on, see `pipeline.datasets.ucf101`

A model learns from the training part of UCF-101, and is tested on these videos; their classes are 24 of the 101.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pipeline.datasets import inside, ucf101
from pipeline.datasets.files import lacking, lines, need
from pipeline.errors import ChoreoError
from pipeline.manifest import Video

EXPECTED = {"train": 9537, "classes": 101}  # of UCF-101; tests differ in their numbers
MEND = (
    "take one of the archives UCF101-SCUBA-*.tar.gz, and its list, from the links in the README of"
    " github.com/lihaoxin05/StillMix"
)


def rows(root: str, index: str, ucf101_root: str, split: int = 1) -> Iterator[Video]:
    """The training videos of UCF-101, and those of SCUBA as test.

    Args:
        root: folder with a folder of pictures for each video of SCUBA.
        index: the publisher's list of them.
        ucf101_root: folder of UCF-101.
        split: of UCF-101, whose test videos the list was made from.

    Raises:
        ChoreoError: the list, or one of UCF-101's, is missing, or a line of it cannot be read.
    """
    numbers = {name.lower(): (name, int(number) - 1) for name, number in ucf101.classes(ucf101_root).items()}
    for path in (Path(root), Path(index)):
        need(path.parent, [path.name], MEND)
    yield from (video for video in ucf101.rows(ucf101_root, split) if video.split == "train")
    for where, cells in lines(Path(index)):
        clip = re.fullmatch(r"v_((.+)_g\d+)_c\d+__\d+", cells[0])
        name, number = numbers.get(clip[2].lower(), ("", -1)) if clip else ("", -1)
        if len(cells) != 3 or cells[2] != str(number) or not cells[1].isdigit():
            raise ChoreoError(
                f"{where} cannot be read: {' '.join(cells)!r}",
                "a column is missing, or it is the list of another data set",
                "a line reads as in `v_WalkingWithDog_g02_c04__0 240 97`: video, frames, class counted from 0",
            )
        folder = inside(Path(root), cells[0])
        yield Video(cells[0], folder, "test", (name,), clip[1], problem=lacking(folder, int(cells[1]), MEND))


def lists(root: str, index: str, ucf101_root: str, split: int = 1) -> list[Path]:
    """The publisher's list, and those of UCF-101."""
    return [Path(index), *ucf101.lists(ucf101_root, split)]
