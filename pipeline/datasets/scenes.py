"""Domain shift: learned in some scenes, tested in others (as in ProDA, App. D.1)."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from pipeline.errors import ChoreoError
from pipeline.manifest import Video


def split_by_scene(videos: Iterable[tuple[Video, str]], scenes: Mapping[str, Any]) -> list[Video]:
    """Training videos in the training scenes and test videos in the test scenes; all others are left out.

    Args:
        videos: every video and its scene; one without a split may become train or test, as its scene says.
        scenes: {train: [...], test: [...]}, or {seed: 0}, which draws half of the scenes for each.

    Raises:
        ChoreoError: another form, a scene that no video has, one that is in both lists, or nothing to draw from.
    """
    videos = list(videos)
    known = sorted({scene for _, scene in videos} - {""})
    train, test = _halves(known, scenes["seed"]) if set(scenes) == {"seed"} else _given(known, scenes)
    role = dict.fromkeys(train, "train") | dict.fromkeys(test, "test")
    chosen = []
    for video, scene in videos:
        split = video.split or role.get(scene, "")
        if scene in role and (split == "test") == (role[scene] == "test"):  # val is carved out of training scenes
            chosen.append(replace(video, split=split))
    return chosen


def _halves(known: list[str], seed: int) -> tuple[list[str], list[str]]:
    if len(known) < 2:
        raise ChoreoError(
            f"training and test need a scene each, and the videos have {known or 'none'}",
            "the column of scenes is empty, or is another one",
            "name it in `dataset.scenes`, as in {column: place, seed: 0}",
        )
    shuffled = random.Random(seed).sample(known, len(known))
    half = (len(known) + 1) // 2
    return shuffled[:half], shuffled[half:]


def _given(known: list[str], scenes: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    if set(scenes) != {"train", "test"} or not all(isinstance(names, list) for names in scenes.values()):
        raise ChoreoError(
            f"`dataset.scenes` is {dict(scenes)}",
            mend="write {seed: 0}, or {train: [kitchen, hall], test: [garage]}",
        )
    train, test = ([str(name) for name in scenes[split]] for split in ("train", "test"))
    if both := set(train) & set(test):
        raise ChoreoError(
            f"the scenes {sorted(both)} are training and test scenes at once", mend="leave each in one list"
        )
    for name in train + test:
        if name not in known:
            near = get_close_matches(name, known, 1)
            raise ChoreoError(
                f"no video has the scene '{name}'",
                f"did you mean '{near[0]}'?" if near else "",
                f"the scenes are {', '.join(known)}",
            )
    return train, test
