"""Adapters of scored data sets, on small files in the publishers' very format, and on files that are not."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from pipeline.datasets import adapter, listed, lists, manifest, named, options
from pipeline.datasets.scores import scores
from pipeline.errors import ChoreoError
from pipeline.manifest import Manifest

# The lists of Rhythmic Gymnastics, as ACTION-NET gives them (tabs and blanks in the header) and in GDLT's columns.
RG = {
    "ACTION-NET": (
        "Video_Name\tDifficulty_Score    Execution_Score Total_Score\tPenalty\tVideo_length\n",
        "{0}\t9.10\t7.60\t16.70\t0.00\t91\n",
    ),
    "GDLT": ("Video_Name\tDifficulty_Score\tExecution_Score\tTotal_Score\n", "{0}\t9.10\t7.60\t16.70\n"),
}
DIVE = {
    "primary_view": 0, "start_frame": 7377, "end_frame": 7462, "position": 2, "difficulty": 3.2, "armstand": 0,
    "rotation_type": 2, "ss_no": 7, "tw_no": 0, "final_score": 88.0,
}  # fmt: skip


def rg(root: Path, form: str = "ACTION-NET", *, test: str = "Ball_022") -> dict:
    header, line = RG[form]
    train = ("Ball_001", "Clubs_002", "Hoop_003", "Ribbon_004")
    (root / "train.txt").write_text(header + "".join(line.format(name) for name in train))
    (root / "test.txt").write_text(header + line.format(test))
    return {"name": "rg", "root": str(root)}


def fisv(root: Path, name: str = "{}.txt", train: str = "1 28.71 29.36 1\n3 28.79 27.89\n") -> dict:
    (root / name.format("train")).write_text(train)
    (root / name.format("test")).write_text("2 28.88 27.08 1\n")
    return {"name": "fisv", "root": str(root)}


def dumped(root: Path, files: dict[str, object]) -> str:
    for name, content in files.items():
        (root / name).write_bytes(pickle.dumps(content, protocol=2))
    return str(root)


def logo(root: Path, score: object = 90.25, **more: object) -> dict:
    clips = {("WorldChampionship2019_free_final", 0): "free", ("WorldChampionship2019_free_final", 11): "free"}
    annotations = {clip: [event, score, 1.0, [76, 141], [12, 12, 3]] for clip, event in clips.items()}
    annotations["../../secret", 1] = ["tech", score, 1.0, [], []]
    train, test = ([clip] for clip in clips)
    files = {"anno_dict.pkl": annotations, "train_split3.pkl": train, "test_split3.pkl": test} | more
    return {"name": "logo", "root": dumped(root, files)}


def mtl_aqa(root: Path, **changed: object) -> dict:
    dive = {key: value for key, value in (DIVE | changed).items() if value is not None}
    annotations = {(1, 1): dive, (26, 4): DIVE | {"position": 0, "armstand": 1, "ss_no": 4, "tw_no": 3}}
    files = {"final_annotations_dict.pkl": annotations, "train_split_0.pkl": [(1, 1)], "test_split_0.pkl": [(26, 4)]}
    return {"name": "mtl_aqa", "root": dumped(root, files)}


def values(dataset: dict) -> dict[tuple[str, str], float]:
    return {(s.id, s.name): s.value for s in adapter(dataset).scores(**options(dataset))}


# What the files say


@pytest.mark.parametrize("form", RG)
def test_rhythmic_gymnastics_in_both_forms(form: str, tmp_path: Path) -> None:
    dataset = rg(tmp_path, form)
    found = listed(dataset)
    assert [(v.id, v.split, v.labels) for v in found][-2:] == [
        ("Ribbon_004", "train", ("Ribbon",)),
        ("Ball_022", "test", ("Ball",)),
    ]
    assert found[0].path == tmp_path / "videos/Ball_001.mp4"
    assert {values(dataset)["Ball_022", name] for name in ("difficulty", "execution", "total")} == {9.1, 7.6, 16.7}
    assert lists(dataset) == [tmp_path / "train.txt", tmp_path / "test.txt"]


@pytest.mark.parametrize("name", ["{}.txt", "{}_dataset.txt"])
def test_fisv_by_both_names_of_its_lists(name: str, tmp_path: Path) -> None:
    dataset = fisv(tmp_path, name)
    assert [(v.id, v.split, v.path.name) for v in listed(dataset)] == [
        ("1", "train", "1.mp4"),
        ("3", "train", "3.mp4"),
        ("2", "test", "2.mp4"),
    ]
    assert values(dataset)["2", "TES"] == 28.88 and values(dataset)["3", "PCS"] == 27.89
    assert lists(dataset) == [tmp_path / name.format(split) for split in ("train", "test")]


def test_logo(tmp_path: Path) -> None:
    dataset = logo(tmp_path, np.float64(90.25))
    train, test = listed(dataset)
    assert (train.id, train.split) == ("WorldChampionship2019_free_final_0", "train")
    assert (test.id, test.split) == ("WorldChampionship2019_free_final_11", "test")
    assert values(dataset)[test.id, "total"] == 90.25
    assert [path.name for path in lists(dataset)] == ["anno_dict.pkl", "train_split3.pkl", "test_split3.pkl"]


def test_mtl_aqa_says_of_what_a_dive_is_made(tmp_path: Path) -> None:
    dataset = mtl_aqa(tmp_path)
    assert [(v.id, v.split) for v in listed(dataset)] == [("01_001", "train"), ("26_004", "test")]
    assert values(dataset)["01_001", "difficulty"] == 3.2 and values(dataset)["01_001", "final_score"] == 88.0
    dive = {"position": "tuck", "armstand": "no", "rotation": "inward", "somersaults": "3.5", "twists": "0"}
    stand = {"position": "straight or free", "armstand": "yes", "somersaults": "2", "twists": "1.5"}
    assert adapter(dataset).attributes(**options(dataset)) == {"01_001": dive, "26_004": dive | stand}


@pytest.mark.parametrize("make", [rg, fisv, logo, mtl_aqa])
def test_every_video_has_every_score_once(make, tmp_path: Path) -> None:
    dataset = make(tmp_path)
    scores(tmp_path / "scores.csv", dataset=dataset)  # refuses what is there twice when it is read
    names = {name for _, name in values(dataset)}
    assert set(values(dataset)) == {(v.id, name) for v in listed(dataset) for name in names}


# Published features in place of videos


@pytest.mark.parametrize("make", [rg, fisv, logo, mtl_aqa])
def test_features_stand_for_videos_and_those_that_lack_are_problems(make, tmp_path: Path) -> None:
    dataset = make(tmp_path) | {"features": "swintx/{video_id}.npy"}
    *others, last = listed(dataset)
    last.path.parent.mkdir()
    for video in others:
        np.save(video.path, np.zeros((3, 4), np.float32))
    manifest(tmp_path / "m.csv", [], dataset=dataset, val=0)
    found = Manifest.read(tmp_path / "m.csv")
    there = found.by_id[others[0].id]
    assert (there.problem, there.frames, len(there.sha256)) == ("", 0, 64)
    assert [v.id for v in found.usable] == sorted(v.id for v in others)
    assert f"there is no feature file {last.path}" in found.by_id[last.id].problem
    np.save(there.path, np.ones((3, 4), np.float32))
    manifest(tmp_path / "m.csv", [], dataset=dataset, val=0)
    assert Manifest.read(tmp_path / "m.csv").by_id[there.id].sha256 != there.sha256  # a replaced file is another


def test_a_pattern_may_lead_anywhere_and_an_id_may_not(tmp_path: Path) -> None:
    assert named(str(tmp_path), "a/x_{video_id}_y.npy", "7") == tmp_path / "a/x_7_y.npy"
    assert named(str(tmp_path), "{video_id}.npy", "7") == tmp_path / "7.npy"
    assert named("/elsewhere", f"{tmp_path}/{{video_id}}.npy", "7") == tmp_path / "7.npy"
    with pytest.raises(ChoreoError, match="leads out of"):
        named(str(tmp_path), "a/{video_id}.npy", "../../secret")
    with pytest.raises(ChoreoError, match="names the same file for every video"):
        named(str(tmp_path), "a/features.npy", "7")
    with pytest.raises(ChoreoError, match="leads out of"):
        listed(logo(tmp_path, **{"train_split3.pkl": [("../../secret", 1)]}) | {"features": "a/{video_id}.npy"})


# What cannot be


@pytest.mark.parametrize(
    ("list_of_train", "words"),
    [
        ("Video_Name\tExecution_Score\tTotal_Score\nBall_1\t7\t9\n", "lacks the column of 'difficulty'"),
        ("", "lacks the column of 'difficulty'"),
        (RG["GDLT"][0] + "Ball_001\t9.1\t7.6\n", r"train\.txt, line 2: 3 cells for 4 columns"),
        (RG["GDLT"][0] + "\nRope_001\t9.1\t7.6\t16.7\n", "line 3: 'Rope_001' is no video of Ball, Clubs"),
        (RG["GDLT"][0] + "Ball_001\t9.1\tnan\t16.7\n", "line 2, execution: the score is nan"),
        (RG["GDLT"][0] + "Ball_001\t9.1\t7.6\t25.5\n", r"total: the score 25\.5 is outside 0 to 25"),
        (RG["GDLT"][0] + "Ball_001\t9,1\t7.6\t16.7\n", "difficulty: the score '9,1' is no number"),
        (RG["GDLT"][0] + RG["GDLT"][1].format("Ball_022"), "two videos have the id 'Ball_022'"),
        (None, r"no file .*train\.txt(.|\n)*ACTION-NET"),
    ],
)
def test_lists_of_rhythmic_gymnastics_that_cannot_be(list_of_train: str | None, words: str, tmp_path: Path) -> None:
    dataset = rg(tmp_path)
    (tmp_path / "train.txt").unlink()
    if list_of_train is not None:
        (tmp_path / "train.txt").write_text(list_of_train)
    with pytest.raises(ChoreoError, match=words):
        listed(dataset)


@pytest.mark.parametrize(
    ("train", "words"),
    [
        ("1 28.71\n", "line 1: '1 28.71' is no number of a video, TES and PCS"),
        ("number TES PCS\n", "'number TES PCS' is no number of a video"),
        ("1 nan 29.36 1\n", "line 1, TES: the score is nan"),
        ("1 28.71 43.1\n", r"PCS: the score 43\.1 is outside 0 to 43"),
        ("1 -1 20\n", "TES: the score -1 is outside"),
    ],
)
def test_lists_of_fisv_that_cannot_be(train: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ChoreoError, match=words):
        listed(fisv(tmp_path, train=train))


def test_missing_lists_of_fisv_are_named_with_both_sources(tmp_path: Path) -> None:
    with pytest.raises(ChoreoError, match=r"no file .*train\.txt(.|\n)*MS_LSTM(.|\n)*GDLT"):
        listed({"name": "fisv", "root": str(tmp_path)})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"score": float("nan")}, r"anno_dict\.pkl: \('World.*', 0\): the score is nan"),
        ({"score": 101.0}, "the score 101 is outside 0 to 100"),
        ({"score": None}, "the score 'None' is no number"),
        ({"train_split3.pkl": [("Tokyo", 3)]}, r"lists \('Tokyo', 3\), of which anno_dict.pkl has no score"),
        ({"train_split3.pkl": [7]}, "lists 7, of which"),
        ({"anno_dict.pkl": []}, "of which anno_dict.pkl has no score"),
    ],
)
def test_files_of_logo_that_cannot_be(changes: dict, words: str, tmp_path: Path) -> None:
    with pytest.raises(ChoreoError, match=words):
        listed(logo(tmp_path, **changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"difficulty": float("nan")}, "dive '01_001', difficulty: the score is nan"),
        ({"difficulty": 32.0}, "difficulty: the score 32 is outside 1 to 5"),
        ({"final_score": -1.0}, "final_score: the score -1 is outside 0 to 150"),
        ({"final_score": None}, "dive '01_001' lacks 'final_score'; it has"),
    ],
)
def test_scores_of_mtl_aqa_that_cannot_be(changes: dict, words: str, tmp_path: Path) -> None:
    with pytest.raises(ChoreoError, match=words):
        values(mtl_aqa(tmp_path, **changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"position": 3}, "'position' is 3, not 0 to 2"),
        ({"ss_no": 3.5}, "'ss_no' is 3.5, not 0 to 9"),
        ({"rotation_type": "back"}, "'rotation_type' is back"),
        ({"tw_no": None}, "lacks 'tw_no'"),
    ],
)
def test_attributes_of_mtl_aqa_that_cannot_be(changes: dict, words: str, tmp_path: Path) -> None:
    dataset = mtl_aqa(tmp_path, **changes)
    with pytest.raises(ChoreoError, match=words):
        adapter(dataset).attributes(**options(dataset))


def test_a_dive_without_annotations_is_named(tmp_path: Path) -> None:
    dataset = mtl_aqa(tmp_path)
    dumped(tmp_path, {"test_split_0.pkl": [(2, 2)]})
    with pytest.raises(ChoreoError, match=r"test_split_0\.pkl lists \(2, 2\), which final_annotations_dict"):
        listed(dataset)


class Harm:
    """A pickle of it makes a file when it is read carelessly."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.mark), "w")


@pytest.mark.parametrize(
    ("make", "name"),
    [(make, name) for make in (logo, mtl_aqa) for name in ("annotations", "train", "test")],
)
def test_a_pickle_that_would_run_code_is_refused(make, name: str, tmp_path: Path) -> None:
    dataset = make(tmp_path)
    at = ("annotations", "train", "test").index(name)
    path = lists(dataset)[at]
    dumped(tmp_path, {path.name: {(1, 1): Harm(tmp_path / "mark")}})
    with pytest.raises(ChoreoError, match=rf"{path.name} asks for `[\w.]*open`.*nothing of it was run"):
        listed(dataset)
    assert not (tmp_path / "mark").exists()


@pytest.mark.parametrize(("name", "source"), [("logo", "shiyi-zh0408/LOGO"), ("mtl_aqa", "ParitoshParmar/MTL-AQA")])
def test_missing_pickles_are_named_with_their_source(name: str, source: str, tmp_path: Path) -> None:
    with pytest.raises(ChoreoError, match=rf"no file .*\.pkl(.|\n)*{source}"):
        listed({"name": name, "root": str(tmp_path)})
