"""MTL-AQA (Parmar and Morris, CVPR 2019): dives with what they are made of, their difficulty and their score.

    ROOT/final_annotations_dict.pkl            (event, dive) -> attributes and scores
    ROOT/train_split_0.pkl, test_split_0.pkl   lists of (event, dive)
    ROOT/videos/EVENT_DIVE.mp4                 the dives, as in 01_007; or features in their place, see `rows`

The publisher links to videos of whole events, and says at which frames a dive starts and ends: cut the dives out of
them. The pickles are read so that they cannot run code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline import unpickling
from pipeline.datasets import named
from pipeline.datasets.files import there
from pipeline.datasets.scores import Score, points
from pipeline.errors import ChoreoError
from pipeline.manifest import Video

ANNOTATIONS = "final_annotations_dict.pkl"
SPLITS = {"train": "train_split_0.pkl", "test": "test_split_0.pkl"}
EXPECTED = {"train": 1059, "test": 353}
# Score -> range. A dive's score is its difficulty times the sum of three judges' marks of at most 10.
SCORES = {"difficulty": (1.0, 5.0), "final_score": (0.0, 150.0)}
# Attribute -> the publisher's key, and its values in words. The publisher does not say what the numbers stand for: the
# difficulty that the rules of diving give each combination, and the commentators' words, leave only these.
ATTRIBUTES: dict[str, tuple[str, tuple[str, ...]]] = {
    "position": ("position", ("straight or free", "pike", "tuck")),
    "armstand": ("armstand", ("no", "yes")),
    "rotation": ("rotation_type", ("back", "forward", "inward", "reverse")),
    "somersaults": ("ss_no", tuple(f"{halves / 2:g}" for halves in range(10))),  # told in halves
    "twists": ("tw_no", tuple(f"{halves / 2:g}" for halves in range(10))),
}
MEND = (
    "take final_annotations_dict.pkl, train_split_0.pkl and test_split_0.pkl from the folder"
    " MTL-AQA_dataset_release/Ready_2_Use/MTL-AQA_split_0_data of github.com/ParitoshParmar/MTL-AQA"
)


def rows(root: str, videos: str = "videos/{video_id}.mp4", features: str = "") -> Iterator[Video]:
    """Dives of the publisher's lists, train and test as published.

    Args:
        root: folder with the three pickles.
        videos: where the video of a dive is, below the root; its id is EVENT_DIVE, as in 01_007.
        features: where its features are, as in `features/{video_id}.npy`; then no video is needed.

    Raises:
        ChoreoError: a file is missing or is not of this form.
    """
    for split, name, _ in _entries(Path(root)):
        yield Video(id=name, path=named(root, features or videos, name), split=split)


def scores(root: str, **_: Any) -> Iterator[Score]:
    """Difficulty and final score of each dive."""
    for _, name, dive in _entries(Path(root)):
        for score, span in SCORES.items():
            where = f"{Path(root) / ANNOTATIONS}: dive '{name}'"
            yield Score(name, score, points(_value(dive, score, where), f"{where}, {score}", *span))


def attributes(root: str, **_: Any) -> dict[str, dict[str, str]]:
    """What each dive is made of, in words: id -> attribute -> value."""
    where = str(Path(root) / ANNOTATIONS)
    return {
        name: {attribute: _word(dive, attribute, f"{where}: dive '{name}'") for attribute in ATTRIBUTES}
        for _, name, dive in _entries(Path(root))
    }


def lists(root: str, **_: Any) -> list[Path]:
    """The publisher's annotations and two lists."""
    return [Path(root) / name for name in (ANNOTATIONS, *SPLITS.values())]


def _entries(root: Path) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Split, id and annotations of every dive."""
    annotations = unpickling.load(there(root / ANNOTATIONS, MEND))
    for split, listed in SPLITS.items():
        for dive in unpickling.load(there(root / listed, MEND)):
            try:
                (event, number), found = dive, annotations[tuple(dive)]
                name = f"{event:02d}_{number:03d}"
            except (KeyError, TypeError, ValueError) as error:
                raise ChoreoError(
                    f"{root / listed} lists {dive!r}, which {ANNOTATIONS} does not have", "files of two releases", MEND
                ) from error
            yield split, name, found


def _value(dive: Mapping[str, Any], key: str, where: str) -> Any:
    if key not in dive:
        raise ChoreoError(f"{where} lacks '{key}'; it has {sorted(dive)}", "another release", MEND)
    return dive[key]


def _word(dive: Mapping[str, Any], attribute: str, where: str) -> str:
    key, words = ATTRIBUTES[attribute]
    number = _value(dive, key, where)
    if number not in range(len(words)):
        raise ChoreoError(f"{where}: '{key}' is {number}, not 0 to {len(words) - 1}", "another release", MEND)
    return words[int(number)]
