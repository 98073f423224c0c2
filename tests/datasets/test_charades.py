"""Charades: the publisher's lists become rows, and what may be left out is left out only when asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from films import film

from pipeline.datasets import listed, manifest
from pipeline.datasets.charades import CLASSES, EXCLUDED, LISTS, SCENARIOS, intervals, rows
from pipeline.datasets.intervals import Interval
from pipeline.errors import ChoreoError
from pipeline.manifest import Manifest

HEADER = "id,subject,scene,quality,script,actions,length"
TRAIN = [
    'AAAAA,P1,Kitchen,6,"Cooks; eats.",c001 11.90 21.20;c000 0.00 12.60;c001 25.00 27.50,30.1',
    "BBBBB,P1,Closet / Walk-in closet / Spear closet,6,Looks.,,20.0",
    "CCCCC,P2,Home Office / Study (A room in a house used for work),6,Sits.,c002 18.00 10.00;c002 1.00 2.00,9.0",
    f"{min(EXCLUDED)},P3,Kitchen,6,Left out by the authors.,c000 0.00 1.00,9.0",
    f"MANYX,P3,Stairs,6,Does all.,{';'.join(f'c{i:03} 0.00 1.00' for i in range(17))},9.0",
]
TEST = [
    "DDDDD,P4,Garage,6,Waves.,c000 0.00 5.00,9.0",
    "EEEEE,P5,Kitchen,6,Waves.,c001 0.00 5.00,9.0",
    f"FFFFF,P5,Kitchen,6,Does nearly all.,{';'.join(f'c{i:03} 0.00 1.00' for i in range(16))},9.0",
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The publisher's three lists, in small; one video of eight is there."""
    (tmp_path / LISTS["train"]).write_text("\n".join([HEADER, *TRAIN]) + "\n")
    (tmp_path / LISTS["test"]).write_text("\n".join([HEADER, *TEST]) + "\n")
    names = ["Washing a cup/glass", "Holding some food", "Sitting on a chair", *(f"Doing {i}" for i in range(3, 20))]
    (tmp_path / CLASSES).write_text("".join(f"c{i:03} {name}\n" for i, name in enumerate(names)))
    film(tmp_path / "videos" / "AAAAA.mp4", 6)
    return tmp_path


def test_a_row_has_each_action_once_by_name_and_the_person_as_its_group(root: Path) -> None:
    found = {v.id: v for v in rows(str(root))}
    assert list(found) == ["AAAAA", "BBBBB", "CCCCC", min(EXCLUDED), "MANYX", "DDDDD", "EEEEE", "FFFFF"]
    one = found["AAAAA"]
    assert one.labels == ("Holding some food", "Washing a cup/glass")
    assert (one.split, one.group, one.path) == ("train", "P1", root / "videos" / "AAAAA.mp4")
    assert found["BBBBB"].labels == () and found["DDDDD"].split == "test"
    assert rows(str(root), videos="elsewhere")[0].path == Path("elsewhere/AAAAA.mp4")


def test_published_leaves_out_the_named_videos_and_those_of_more_than_16_labels(root: Path) -> None:
    assert [v.id for v in rows(str(root), published=True)] == ["AAAAA", "BBBBB", "CCCCC", "DDDDD", "EEEEE", "FFFFF"]


def test_a_scene_goes_by_the_first_of_its_names(root: Path) -> None:
    found = rows(str(root), scenes={"train": ["Kitchen", "Home Office", "Closet"], "test": ["Garage"]})
    assert [(v.id, v.split) for v in found] == [
        ("AAAAA", "train"), ("BBBBB", "train"), ("CCCCC", "train"), (min(EXCLUDED), "train"), ("DDDDD", "test"),
    ]  # fmt: skip


def test_every_scenario_of_the_paper_divides_the_same_16_scenes_in_halves() -> None:
    for train, test in SCENARIOS.values():
        train, test = train.split(", "), test.split(", ")
        assert len(train) == len(test) == 8 and len({*train, *test}) == 16
    assert len({frozenset(train.split(", ") + test.split(", ")) for train, test in SCENARIOS.values()}) == 1


def test_intervals_are_those_of_the_list_and_impossible_ones_are_left_out_aloud(root: Path, caplog) -> None:
    found = list(intervals(str(root), published=True))
    assert Interval("AAAAA", "Holding some food", 11.9, 21.2) in found
    assert [i for i in found if i.id == "CCCCC"] == [Interval("CCCCC", "Sitting on a chair", 1.0, 2.0)]
    assert "CCCCC" in caplog.text and "18 s to 10 s" in caplog.text
    assert {i.id for i in found} == {"AAAAA", "CCCCC", "DDDDD", "EEEEE", "FFFFF"}
    assert {i.id for i in intervals(str(root), scenes={"train": ["Stairs"], "test": ["Garage"]})} == {"MANYX", "DDDDD"}


def test_missing_lists_are_named_with_where_they_come_from(root: Path) -> None:
    for name in (LISTS["test"], CLASSES):
        (root / name).unlink()
    with pytest.raises(ChoreoError, match=rf"lacks {LISTS['test']}, {CLASSES}(.|\n)*Allen Institute"):
        rows(str(root))


@pytest.mark.parametrize(
    ("actions", "scenes", "words"),
    [
        ("c000 0.00", None, "'AAAAA' has the action 'c000 0.00'"),
        ("c000 zero 1.00", None, "'AAAAA' has the action"),
        ("c156 0.00 1.00", None, "'AAAAA' has the action 'c156 0.00 1.00'"),
        ("c000 0.00 1.00", {"scenario": 6}, "no scenario 6"),
        ("c000 0.00 1.00", {"scenario": 1}, "no video has the scene"),
    ],
)
def test_lists_and_scenes_that_cannot_be_meant_are_refused(root: Path, actions, scenes, words) -> None:
    text = f"{HEADER}\nAAAAA,P1,Kitchen,6,Cooks.,{actions},9.0\n"
    (root / LISTS["train"]).write_text(text)
    with pytest.raises(ChoreoError, match=words):
        rows(str(root), scenes=scenes)


def test_a_list_of_another_form_is_refused(root: Path) -> None:
    (root / LISTS["train"]).write_text("id,label\nAAAAA,c000\n")
    with pytest.raises(ChoreoError, match="lacks the column 'subject'"):
        rows(str(root))


def test_an_id_that_leads_out_of_the_folder_of_videos_is_refused(root: Path) -> None:
    (root / LISTS["train"]).write_text(f"{HEADER}\n../secret,P1,Kitchen,6,Cooks.,,9.0\n")
    with pytest.raises(ChoreoError, match="leads out of"):
        rows(str(root))


def test_videos_that_are_not_there_keep_their_row_with_the_problem(root: Path) -> None:
    (root / LISTS["train"]).write_text("\n".join([HEADER, TRAIN[0], TRAIN[1]]) + "\n")
    (root / LISTS["test"]).write_text("\n".join([HEADER, TEST[1]]) + "\n")
    manifest(root / "m.csv", [], dataset={"name": "charades", "root": str(root)}, val=0)
    found = Manifest.read(root / "m.csv")
    assert [v.id for v in found.usable] == ["AAAAA"]
    assert [v.id for v in found.videos] == ["AAAAA", "BBBBB", "EEEEE"]
    assert "there is no video" in found.by_id["EEEEE"].problem


def test_a_mistyped_option_gets_the_nearest(root: Path) -> None:
    with pytest.raises(ChoreoError, match="did you mean 'published'"):
        listed({"name": "charades", "root": str(root), "publishd": True})
    with pytest.raises(ChoreoError, match=r"needs `dataset\.root`"):
        listed({"name": "charades"})
