"""Rhythmic Gymnastics (Zeng et al., ACM MM 2020): routines with ball, clubs, hoop or ribbon, and what judges gave them.

    ROOT/train.txt, test.txt     name, difficulty, execution, total; with a header; columns that follow are not read
    ROOT/videos/ID.mp4           the videos, ID as in Ball_084; or published features in their place, see `rows`

Labels are the four apparatus. The lists come with the code of ACTION-NET and with the features of GDLT (Xu et al.,
CVPR 2022).
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

APPARATUS = ("Ball", "Clubs", "Hoop", "Ribbon")
SCORES = ("difficulty", "execution", "total")  # points, all in RANGE
RANGE = (0.0, 25.0)
SPLITS = ("train", "test")
EXPECTED = {"train": 800, "test": 200, "classes": 4}
MEND = (
    "take train.txt and test.txt from the folder `data` of github.com/qinghuannn/ACTION-NET, or with the features from"
    " the README of github.com/xuangch/CVPR22_GDLT"
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
            label = (name.rpartition("_")[0],)
            yield Video(id=name, path=named(root, features or videos, name), split=split, labels=label)


def scores(root: str, **_: Any) -> Iterator[Score]:
    """Difficulty, execution and their total less penalties."""
    for split in SPLITS:
        for name, values in _entries(Path(root), split):
            yield from (Score(name, score, value) for score, value in values.items())


def lists(root: str, **_: Any) -> list[Path]:
    """The publisher's two lists."""
    return [Path(root) / f"{split}.txt" for split in SPLITS]


def _entries(root: Path, split: str) -> Iterator[tuple[str, dict[str, float]]]:
    """Name and scores of every video of a list."""
    path = root / f"{split}.txt"
    table = lines(there(path, MEND))
    _, header = next(table, ("", []))
    column = {score: _column(header, score, path) for score in SCORES}
    for where, cells in table:
        if len(cells) < len(header):
            raise ChoreoError(f"{where}: {len(cells)} cells for {len(header)} columns", "the file was cut", MEND)
        if cells[0].rpartition("_")[0] not in APPARATUS:
            raise ChoreoError(
                f"{where}: '{cells[0]}' is no video of {', '.join(APPARATUS)}", "the list of another data set", MEND
            )
        yield cells[0], {score: points(cells[at], f"{where}, {score}", *RANGE) for score, at in column.items()}


def _column(header: list[str], score: str, path: Path) -> int:
    """Where the header has a score, as in Difficulty_Score."""
    found = [at for at, title in enumerate(header) if title.lower().startswith(score)]
    if not found:
        raise ChoreoError(f"{path} lacks the column of '{score}'; it has {header}", "another file", MEND)
    return found[0]
