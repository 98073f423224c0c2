"""The published lists of Charades: what papers say of them, and what ProDA's protocol makes of them."""

from __future__ import annotations

import logging
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from pipeline.datasets.charades import EXCLUDED, SCENARIOS, intervals, rows
from pipeline.manifest import Manifest, Video, draw_splits
from pipeline.proda.prompt_only import label_matrices, read_prompts


@pytest.fixture(scope="module")
def root(shared_data: Path) -> str:
    return str(shared_data / "charades_ag")


@pytest.fixture(scope="module")
def videos(root: str) -> list[Video]:
    return rows(root)


def labels(videos: list[Video], split: str) -> list[int]:
    return [len(v.labels) for v in videos if v.split == split]


def test_there_are_7985_training_and_1863_test_videos_of_157_classes(videos):
    assert Counter(v.split for v in videos) == {"train": 7985, "test": 1863}
    assert len(Manifest(videos).classes) == 157
    assert len({label for v in videos if v.split == "train" for label in v.labels}) == 157


def test_a_training_video_has_6_1_distinct_labels_and_a_test_video_8_7(videos):
    """Over all videos, those without labels too; over those with labels it is 6.2 and 9.0."""
    train, test = labels(videos, "train"), labels(videos, "test")
    assert np.mean(train) == pytest.approx(6.10, abs=0.005) and np.mean(test) == pytest.approx(8.74, abs=0.005)
    assert (train.count(0), test.count(0)) == (174, 49) and (max(train), max(test)) == (28, 26)
    assert np.mean([n for n in train if n]) == pytest.approx(6.23, abs=0.005)
    assert np.mean([n for n in test if n]) == pytest.approx(8.98, abs=0.005)


def test_a_video_has_6_8_intervals_as_the_paper_says(root, videos, caplog):
    """ProDA, Sec. 4.1: 9,848 videos, 6.8 action instances each. Seven published intervals end before they start."""
    with caplog.at_level(logging.WARNING):
        found = list(intervals(root))
    assert len(caplog.records) == 7
    assert (len(found) + 7) / len(videos) == pytest.approx(6.8, abs=0.05)
    assert all(0 <= i.start < i.end for i in found)


def test_no_person_is_in_train_and_test_nor_in_val_once_it_is_carved(videos):
    persons = {s: {v.group for v in draw_splits(videos) if v.split == s} for s in ("train", "val", "test")}
    assert len(persons["train"] | persons["val"]) == 214 and len(persons["test"]) == 53
    assert not persons["train"] & persons["val"] and not (persons["train"] | persons["val"]) & persons["test"]


def test_the_authors_leave_out_6_videos_and_those_of_more_than_16_labels(root, videos):
    kept = rows(root, published=True)
    assert {v.id for v in videos} >= EXCLUDED
    assert Counter(v.split for v in kept) == {"train": 7950, "test": 1793}


@pytest.mark.parametrize(
    ("scenario", "train", "test"), [(1, 3898, 935), (2, 2531, 1295), (3, 3498, 1075), (4, 4888, 733), (5, 4183, 895)]
)
def test_every_scenario_leaves_each_test_class_something_to_learn_from(root, scenario, train, test):
    found = rows(root, scenes={"scenario": scenario})
    assert Counter(v.split for v in found) == {"train": train, "test": test}
    learned, asked = ({x for v in found if v.split == s for x in v.labels} for s in ("train", "test"))
    assert len(learned) == 157 and asked <= learned


def test_there_is_no_scene_outside_the_scenarios(root):
    whole = SCENARIOS[1][0].split(", ") + SCENARIOS[1][1].split(", ")
    found = rows(root, scenes={"train": whole[:8], "test": whole[8:]})
    swapped = rows(root, scenes={"train": whole[8:], "test": whole[:8]})
    assert len(found) + len(swapped) == 7985 + 1863


def test_prompts_drawn_from_the_labels_answer_much_of_the_question_by_themselves(videos):
    """The oracle-prompt protocol without any video, on some of the labels and in few epochs: all of them give more."""
    whole = label_matrices(draw_splits(videos))
    some = {split: whole[split][:count] for split, count in (("train", 2000), ("val", 200), ("test", 300))}
    reached = read_prompts(**some, length=16, seed=0, epochs=4)
    assert reached["prior"] < 0.1 < 0.25 < reached["rule"] < reached["learned"]
