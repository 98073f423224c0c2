"""Domain shift: what is learned in some scenes is tested in others, and never in both."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.datasets.scenes import split_by_scene
from pipeline.errors import ChoreoError
from pipeline.manifest import Video

SCENES = ("hall", "garage", "kitchen", "stairs", "attic")


def videos(*splits: str) -> list[tuple[Video, str]]:
    """Two videos of each split in every scene."""
    return [
        (Video(id=f"{scene}-{split}-{i}", path=Path("x.mp4"), split=split), scene)
        for scene in SCENES
        for split in splits
        for i in range(2)
    ]


def test_training_scenes_are_of_training_videos_and_test_scenes_of_test_videos() -> None:
    found = split_by_scene(videos("train", "val", "test"), {"train": ["hall", "attic"], "test": ["garage"]})
    assert {(v.id.split("-")[0], v.split) for v in found} == {
        ("hall", "train"), ("hall", "val"), ("attic", "train"), ("attic", "val"), ("garage", "test"),
    }  # fmt: skip
    assert len(found) == 10 and all(v.split == v.id.split("-")[1] for v in found)


def test_videos_without_a_split_get_that_of_their_scene() -> None:
    found = split_by_scene(videos(""), {"train": ["hall"], "test": ["garage", "attic"]})
    assert {v.id[:4]: v.split for v in found} == {"hall": "train", "gara": "test", "atti": "test"}


def test_a_seed_draws_half_of_the_scenes_for_each_and_never_one_for_both() -> None:
    def parts(seed: int) -> tuple[set[str], set[str]]:
        found = split_by_scene(videos("train", "test"), {"seed": seed})
        return tuple({v.id.split("-")[0] for v in found if v.split == s} for s in ("train", "test"))

    for seed in range(10):
        train, test = parts(seed)
        assert train | test == set(SCENES) and not train & test and (len(train), len(test)) == (3, 2)
    assert parts(3) == parts(3) and len({frozenset(parts(seed)[0]) for seed in range(10)}) > 3


@pytest.mark.parametrize(
    ("scenes", "words"),
    [
        ({"train": ["hall"], "test": ["kitchn"]}, "did you mean 'kitchen'"),
        ({"train": ["hall"], "test": ["garage", "hall"]}, "training and test scenes at once"),
        ({"train": ["hall"]}, "seed: 0"),
        ({"train": "hall", "test": "garage"}, "seed: 0"),
        ({}, "seed: 0"),
    ],
)
def test_scenes_that_cannot_be_meant_are_refused(scenes: dict, words: str) -> None:
    with pytest.raises(ChoreoError, match=words):
        split_by_scene(videos("train", "test"), scenes)


def test_one_scene_cannot_be_split() -> None:
    one, two = (Video(id=i, path=Path("x.mp4")) for i in "ab")
    with pytest.raises(ChoreoError, match="a scene each"):
        split_by_scene([(one, "hall"), (two, "")], {"seed": 0})
