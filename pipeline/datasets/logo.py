"""LOGO (Zhang et al., CVPR 2023): routines of artistic swimming in groups, some 200 s long, and their scores.

    ROOT/anno_dict.pkl                         (game, clip) -> [event, score, ...], the publisher's annotations
    ROOT/train_split3.pkl, test_split3.pkl     lists of (game, clip)
    ROOT/videos/GAME_CLIP.mp4                  the videos; or published features in their place, see `rows`

The publisher gives pictures: pack those of each clip, without loss, with
`ffmpeg -framerate 25 -i GAME/CLIP/%05d.jpg -c copy videos/GAME_CLIP.mkv`, and set `videos` to `videos/{video_id}.mkv`.
The pickles are read so that they cannot run code.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline import unpickling
from pipeline.datasets import named
from pipeline.datasets.files import there
from pipeline.datasets.scores import Score, points
from pipeline.errors import ChoreoError
from pipeline.manifest import Video

ANNOTATIONS = "anno_dict.pkl"
SPLITS = {"train": "train_split3.pkl", "test": "test_split3.pkl"}
EXPECTED = {"train": 150, "test": 50}
SCORE = 1  # its place in a clip's annotation
RANGE = (0.0, 100.0)
MEND = (
    f"take {ANNOTATIONS}, {' and '.join(SPLITS.values())} from `Annotations and Split` in the README of"
    " github.com/shiyi-zh0408/LOGO"
)


def rows(root: str, videos: str = "videos/{video_id}.mp4", features: str = "") -> Iterator[Video]:
    """Clips of the publisher's lists, train and test as published.

    Args:
        root: folder with the three pickles.
        videos: where the video of a clip is, below the root; its id is GAME_CLIP.
        features: where its published features are, as in `features/{video_id}.npy`; then no video is needed.

    Raises:
        ChoreoError: a file is missing or is not of this form.
    """
    for split, name, _ in _entries(Path(root)):
        yield Video(id=name, path=named(root, features or videos, name), split=split)


def scores(root: str, **_: Any) -> Iterator[Score]:
    """The score of the judges, `total`."""
    return (Score(name, "total", value) for _, name, value in _entries(Path(root)))


def lists(root: str, **_: Any) -> list[Path]:
    """The publisher's annotations and two lists."""
    return [Path(root) / name for name in (ANNOTATIONS, *SPLITS.values())]


def _entries(root: Path) -> Iterator[tuple[str, str, float]]:
    """Split, id and score of every clip."""
    annotations = unpickling.load(there(root / ANNOTATIONS, MEND))
    for split, listed in SPLITS.items():
        for clip in unpickling.load(there(root / listed, MEND)):
            try:
                (game, number), value = clip, annotations[tuple(clip)][SCORE]
            except (KeyError, IndexError, TypeError, ValueError) as error:
                raise ChoreoError(
                    f"{root / listed} lists {clip!r}, of which {ANNOTATIONS} has no score",
                    "files of two releases",
                    MEND,
                ) from error
            yield split, f"{game}_{number}", points(value, f"{root / ANNOTATIONS}: {clip!r}", *RANGE)
