"""Fis-V (Xu et al., IEEE TCSVT 2020): ladies' short programs of figure skating, with technical and component score.

ROOT/train.txt, test.txt                     id, TES, PCS; no header; columns that follow are not read
or ROOT/train_dataset.txt, test_dataset.txt  the same from the data set's authors, who add the deductions
ROOT/videos/ID.mp4                           the videos, ID a number; or published features, see `rows`
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.datasets import named
from pipeline.datasets.files import lines, there
from pipeline.datasets.scores import Score, points
from pipeline.errors import ChoreoError
from pipeline.manifest import Video

SCORES = ("TES", "PCS")  # total element score and program component score, points, both in RANGE
RANGE = (0.0, 43.0)
SPLITS = ("train", "test")
EXPECTED = {"train": 400, "test": 100}
NAMES = ("{split}.txt", "{split}_dataset.txt")
MEND = (
    "take train_dataset.txt and test_dataset.txt from github.com/chmxu/MS_LSTM, or train.txt and test.txt with the"
    " features from the README of github.com/xuangch/CVPR22_GDLT"
)


def rows(root: str, videos: str = "videos/{video_id}.mp4", features: str = "") -> Iterator[Video]:
    """Videos of the publisher's lists, train and test as published.

    Args:
        root: folder with the two lists.
        videos: where the video of an id is, below the root.
        features: where its published features are, as in `swintx_avg_fps25_clip32/{video_id}.npy`; then it needs no
            video.

    Raises:
        ChoreoError: a list is missing or is not of this form.
    """
    for split in SPLITS:
        for name, _ in _entries(Path(root), split):
            yield Video(id=name, path=named(root, features or videos, name), split=split)


def scores(root: str, **_: Any) -> Iterator[Score]:
    """TES and PCS."""
    for split in SPLITS:
        for name, values in _entries(Path(root), split):
            yield from (Score(name, score, value) for score, value in values.items())


def lists(root: str, **_: Any) -> list[Path]:
    """The publisher's two lists, by the names that they have in this folder."""
    return [_list(Path(root), split) for split in SPLITS]


def _list(root: Path, split: str) -> Path:
    paths = [root / name.format(split=split) for name in NAMES]
    return next((path for path in paths if path.is_file()), paths[0])


def _entries(root: Path, split: str) -> Iterator[tuple[str, dict[str, float]]]:
    """Id and scores of every video of a list."""
    for where, cells in lines(there(_list(root, split), MEND)):
        if len(cells) <= len(SCORES) or not cells[0].isdecimal():
            raise ChoreoError(
                f"{where}: '{' '.join(cells)}' is no number of a video, TES and PCS",
                "another file, or it was cut",
                MEND,
            )
        given = zip(SCORES, cells[1:], strict=False)
        yield cells[0], {score: points(value, f"{where}, {score}", *RANGE) for score, value in given}
