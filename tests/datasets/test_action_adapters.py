"""KTH, Penn Action, HAA500, UCF-101 and SCUBA: lists in the publishers' formats, written by hand, become rows.

`tests/real/test_action_lists.py` reads what is at hand of the real ones.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from films import film, picture
from scipy.io import savemat

from pipeline import matlab
from pipeline.datasets import haa500, kth, listed, lists, manifest, penn_action, scuba, ucf101
from pipeline.errors import ChoreoError
from pipeline.manifest import Manifest


def frames(path: Path, count: int, name: str = "{:06d}.jpg") -> None:
    path.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        cv2.imwrite(str(path / name.format(i + 1)), picture(i)[..., ::-1])


# KTH

SEQUENCES = """
This database contains sequences of six classes of actions performed by
25 subjects in four different conditions (see below).

Training:   person11, 12
Validation: person19
Test:       person22, 02

person02_boxing_d1\t\tframes\t1-105, 106-228, 229-314, 315-428
person11_jogging_d4\t\tframes\t1-64, 270-332, 194-264, 490-570
person11_boxing_d4    \t\tframes\t1-106, 107-194, 195-250
person12_handclapping_d3\t*missing*

person19_walking_d1\t\tframes\t1-8, 9-12
"""


@pytest.fixture
def kth_root(tmp_path: Path) -> Path:
    (tmp_path / "00sequences.txt").write_text(SEQUENCES)
    film(tmp_path / "videos/walking/person19_walking_d1_uncomp.avi", 12, codec="mpeg4")
    film(tmp_path / "videos/person11_boxing_d4_uncomp.avi", 250, codec="mpeg4")
    return tmp_path


def test_a_file_of_kth_is_as_many_videos_as_it_has_sequences(kth_root: Path) -> None:
    found = {v.id: v for v in kth.rows(str(kth_root))}
    assert len(found) == 4 + 4 + 3 + 2
    one = found["person11_boxing_d4_2"]
    assert one.path == kth_root / "videos/person11_boxing_d4_uncomp.avi#frames=194-249"
    assert (one.labels, one.split, one.group) == (("boxing",), "train", "person11")
    assert found["person19_walking_d1_1"].path.parent.name == "walking"
    assert [found[f"person11_jogging_d4_{i}"].path.name.partition("#")[2] for i in range(4)] == [
        "frames=0-63", "frames=269-331", "frames=193-263", "frames=489-569",
    ]  # fmt: skip


def test_splits_of_kth_are_those_of_the_persons(kth_root: Path) -> None:
    def splits(**options: bool) -> dict[str, str]:
        return {v.group: v.split for v in kth.rows(str(kth_root), **options)}

    assert splits() == {"person02": "test", "person11": "train", "person19": "train"}
    assert splits(published_val=True) == {"person02": "test", "person11": "train", "person19": "val"}


def test_an_action_of_kth_may_be_left_out(kth_root: Path) -> None:
    assert {v.labels[0] for v in kth.rows(str(kth_root), leave_out=["jogging"])} == {"boxing", "walking"}
    with pytest.raises(ChoreoError, match=r"no action \['joging'\]"):
        list(kth.rows(str(kth_root), leave_out=["joging"]))


def test_sequences_of_kth_are_cut_out_of_their_file(kth_root: Path) -> None:
    text = "\n".join(line for line in SEQUENCES.splitlines() if "jogging" not in line and "person02_" not in line)
    (kth_root / "00sequences.txt").write_text(text)
    manifest(kth_root / "m.csv", [], dataset={"name": "kth", "root": str(kth_root)}, val=0)
    found = Manifest.read(kth_root / "m.csv").by_id
    assert [(i, v.frames) for i, v in found.items()] == [
        ("person11_boxing_d4_0", 106), ("person11_boxing_d4_1", 88), ("person11_boxing_d4_2", 56),
        ("person19_walking_d1_0", 8), ("person19_walking_d1_1", 4),
    ]  # fmt: skip
    assert len({v.sha256 for v in found.values()}) == 5


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("frames\t1-8, 9-12", "", r"line 14 cannot be read(.|\n)*a column is missing"),
        ("frames\t1-8, 9-12", "1-8, 9-12", "line 14 cannot be read"),
        ("1-8, 9-12", "1-8, 9-", "line 14 cannot be read"),
        ("1-8, 9-12", "8-1", "line 14 cannot be read"),
        ("person19_walking_d1", "person9_walking_d1", "line 14 cannot be read"),
        ("1-8, 9-12", "0-8", "line 14 cannot be read"),
        ("Validation: person19\n", "", "does not say who is in val"),
        ("person11, 12", "person12", "person 11 is in no split"),
    ],
)
def test_a_list_of_kth_that_was_edited_is_refused(kth_root: Path, old: str, new: str, words: str) -> None:
    assert old in SEQUENCES
    (kth_root / "00sequences.txt").write_text(SEQUENCES.replace(old, new))
    with pytest.raises(ChoreoError, match=words):
        list(kth.rows(str(kth_root)))


# Penn Action


def penn_label(path: Path, action: str = "golf_swing", train: int = 1, **others: object) -> None:
    """A label with the variables, types and shapes of the publisher's files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = {
        "action": action, "pose": "left", "train": np.array([[train]], np.int32), "nframes": np.uint8(6),
        "x": np.full((6, 13), 20.0), "y": np.full((6, 13), 30.0), "visibility": np.ones((6, 13), np.uint8),
        "bbox": np.ones((6, 4)), "dimensions": np.array([[48, 64, 6]], np.uint16),
    }  # fmt: skip
    savemat(path, {key: value for key, value in (values | others).items() if key != others.get("without")})


@pytest.fixture
def penn_root(tmp_path: Path) -> Path:
    for number, (action, train) in enumerate([("golf_swing", 1), ("squat", 1), ("squat", -1)], start=1):
        penn_label(tmp_path / f"labels/{number:04d}.mat", action, train)
    frames(tmp_path / "frames/0001", 6)
    frames(tmp_path / "frames/0002", 6)
    return tmp_path


def test_labels_of_penn_action_give_action_and_split(penn_root: Path) -> None:
    found = list(penn_action.rows(str(penn_root)))
    assert [(v.id, v.labels, v.split) for v in found] == [
        ("0001", ("golf_swing",), "train"), ("0002", ("squat",), "train"), ("0003", ("squat",), "test"),
    ]  # fmt: skip
    assert found[0].path == penn_root / "frames/0001"
    assert lists({"name": "penn_action", "root": str(penn_root)}) == sorted(penn_root.glob("labels/*.mat"))


def test_a_video_of_penn_action_that_is_not_there_keeps_its_row_with_the_problem(penn_root: Path) -> None:
    manifest(penn_root / "m.csv", [], dataset={"name": "penn_action", "root": str(penn_root)}, val=0)
    found = Manifest.read(penn_root / "m.csv")
    assert [v.id for v in found.usable] == ["0001", "0002"] and found.by_id["0001"].frames == 6
    assert "there is no video" in found.by_id["0003"].problem


def test_a_video_of_penn_action_with_fewer_frames_than_its_label_has_a_problem(penn_root: Path) -> None:
    (penn_root / "frames/0001/000004.jpg").unlink()
    problems = [v.problem for v in penn_action.rows(str(penn_root))]
    assert "0001 holds 5 of 6 frames. unpack Penn_Action.tar.gz" in problems[0] and problems[1:] == ["", ""]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"without": "train"}, r"0002\.mat lacks the variable 'train'"),
        ({"without": "action"}, r"0002\.mat lacks the variable 'action'"),
        ({"train": np.array([[0]])}, r"0002\.mat: action squat, train 0"),
        ({"action": np.ones((1, 1))}, r"0002\.mat: action 1"),
        ({"action": {"name": "squat"}}, r"'action' is neither numbers nor text"),
    ],
)
def test_a_label_of_penn_action_without_its_variables_is_named(penn_root: Path, wrong: dict, words: str) -> None:
    penn_label(penn_root / "labels/0002.mat", **{"action": "squat"} | wrong)
    with pytest.raises(ChoreoError, match=words):
        list(penn_action.rows(str(penn_root)))


@pytest.mark.parametrize("keep", [0, 40, 300])
def test_a_matlab_file_that_was_cut_is_refused(tmp_path: Path, keep: int) -> None:
    penn_label(tmp_path / "a.mat")
    (tmp_path / "a.mat").write_bytes((tmp_path / "a.mat").read_bytes()[:keep])
    with pytest.raises(ChoreoError, match=r"a\.mat (cannot be read as a MATLAB file|lacks the variable)"):
        matlab.load(tmp_path / "a.mat", "x", "train")
    with pytest.raises(ChoreoError, match="there is no file"):
        matlab.load(tmp_path / "gone.mat", "x")


# HAA500


@pytest.fixture
def haa_root(tmp_path: Path) -> Path:
    for name in ("arm_wave", "jump rope"):
        (tmp_path / "video" / name).mkdir(parents=True)
    return tmp_path


def test_of_twenty_clips_sixteen_are_train_and_four_test_or_one_val_as_published(haa_root: Path) -> None:
    names = ["jump rope", "arm_wave"]
    found = {v.id: v for v in haa500.rows(str(haa_root), classes=names)}
    assert len(found) == 40 and [v.split for v in list(found.values())[:20]] == ["train"] * 16 + ["test"] * 4
    one = found["jump rope_016"]
    assert (one.path, one.labels) == (haa_root / "video/jump rope/jump rope_016.mp4", ("jump rope",))
    published = [v.split for v in haa500.rows(str(haa_root), classes=names, published_val=True)]
    assert published == 2 * (["train"] * 16 + ["val"] + ["test"] * 3)


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        ("all", "holds 2 classes, not 500"),
        ("haa100", r"lacks the class 'atlatl_throw'(.|\n)*haa500_v1_1\.zip"),
        (["jump_rope"], "did you mean 'jump rope'"),
        ("haa10", "no classes 'haa10'"),
    ],
)
def test_classes_of_haa500_that_are_not_there_are_named(haa_root: Path, classes: str | list, words: str) -> None:
    with pytest.raises(ChoreoError, match=words):
        list(haa500.rows(str(haa_root), classes=classes))


# UCF-101

CLASSES = ["Archery", "HandstandPushups", "WalkingWithDog"]
TRAIN = [
    "Archery/v_Archery_g08_c01.avi 1",
    "HandstandPushups/v_HandStandPushups_g08_c01.avi 2",
    "WalkingWithDog/v_WalkingWithDog_g08_c02.avi 3",
]
TEST = ["Archery/v_Archery_g01_c01.avi", "WalkingWithDog/v_WalkingWithDog_g02_c04.avi"]
TABLE = """Actions,Handstand Pushups,Archery,Walking with dog
Attributes,,,
,,,
Body Motion = Flipping,0,0,1
Outdoor,1,1,0
"""


@pytest.fixture
def ucf_root(tmp_path: Path) -> Path:
    folder = tmp_path / "ucfTrainTestlist"
    folder.mkdir()
    (folder / "classInd.txt").write_bytes("".join(f"{i} {n}\r\n" for i, n in enumerate(CLASSES, 1)).encode())
    for split in (1, 2, 3):
        (folder / f"trainlist{split:02d}.txt").write_bytes("\r\n".join(TRAIN[split - 1 :]).encode())
        (folder / f"testlist{split:02d}.txt").write_bytes("\r\n".join(TEST).encode())
    (tmp_path / "class_attributes_UCF101.csv").write_text(TABLE)
    return tmp_path


def test_a_split_of_ucf101_is_that_of_its_lists(ucf_root: Path) -> None:
    found = {v.id: v for v in ucf101.rows(str(ucf_root))}
    assert [v.split for v in found.values()] == ["train"] * 3 + ["test"] * 2
    one = found["v_HandStandPushups_g08_c01"]  # written in two ways by the publisher
    assert (one.labels, one.group) == (("HandstandPushups",), "HandStandPushups_g08")
    assert one.path == ucf_root / "UCF-101/HandstandPushups/v_HandStandPushups_g08_c01.avi"
    assert len(list(ucf101.rows(str(ucf_root), split=3))) == 3
    with pytest.raises(ChoreoError, match="no split 4"):
        list(ucf101.rows(str(ucf_root), split=4))


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("trainlist01.txt", "Archery/v_Archery_g08_c01.avi"),
        ("trainlist01.txt", "Archery/v_Archery_g08_c01.avi 2"),
        ("trainlist01.txt", "Arching/v_Archery_g08_c01.avi 1"),
        ("testlist01.txt", "v_Archery_g01_c01.avi"),
        ("testlist01.txt", "../Archery/v_Archery_g01_c01.avi"),
        ("classInd.txt", "Archery"),
    ],
)
def test_a_line_of_ucf101_with_a_column_missing_or_of_another_release_is_named(
    ucf_root: Path, file: str, line: str
) -> None:
    (ucf_root / "ucfTrainTestlist" / file).write_text(line)
    with pytest.raises(ChoreoError, match=rf"{file}, line 1 cannot be read"):
        list(ucf101.rows(str(ucf_root)))


def test_attributes_of_a_video_are_those_of_its_class(ucf_root: Path) -> None:
    assert ucf101.class_attributes(str(ucf_root))["WalkingWithDog"] == {"Body Motion = Flipping": 1, "Outdoor": 0}
    found = ucf101.attributes(str(ucf_root))
    assert found["v_HandStandPushups_g08_c01"] == {"Body Motion = Flipping": 0, "Outdoor": 1}
    assert set(found) == {v.id for v in ucf101.rows(str(ucf_root))}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("Archery", "Arching", "lacks the column 'Archery'"),
        ("Outdoor,1,1,0", "Outdoor,1,1", "'Outdoor' has 2 values for 3 classes"),
        ("Outdoor,1,1,0", "Outdoor,1,yes,0", "'Outdoor' of Archery is 'yes'"),
    ],
)
def test_attributes_that_cannot_be_meant_are_refused(ucf_root: Path, old: str, new: str, words: str) -> None:
    (ucf_root / "class_attributes_UCF101.csv").write_text(TABLE.replace(old, new))
    with pytest.raises(ChoreoError, match=words):
        ucf101.class_attributes(str(ucf_root))


# SCUBA


@pytest.fixture
def scuba_options(ucf_root: Path) -> dict[str, str]:
    root = ucf_root / "scuba"
    lines = []
    for background in range(2):
        name = f"v_WalkingWithDog_g02_c04__{background}"
        frames(root / name, 5, "frame{:06d}.jpg")
        lines.append(f"{name} 5 2")
    (ucf_root / "testlist01.txt").write_text("\n".join(lines) + "\nv_Archery_g01_c01__0 30 0\n")
    return {"root": str(root), "index": str(ucf_root / "testlist01.txt"), "ucf101_root": str(ucf_root)}


def test_scuba_is_tested_on_after_training_on_ucf101(scuba_options: dict[str, str]) -> None:
    found = {v.id: v for v in scuba.rows(**scuba_options)}
    assert [v.split for v in found.values()] == ["train"] * 3 + ["test"] * 3
    assert {v.id for v in found.values() if v.split == "train"} == {Path(t.split()[0]).stem for t in TRAIN}
    one = found["v_WalkingWithDog_g02_c04__1"]
    assert (one.labels, one.group, one.problem) == (("WalkingWithDog",), "WalkingWithDog_g02", "")
    assert len(lists({"name": "scuba"} | scuba_options)) == 4


def test_a_video_of_scuba_that_lacks_frames_keeps_its_row_with_the_problem(scuba_options: dict[str, str]) -> None:
    root = Path(scuba_options["root"])
    (root / "v_WalkingWithDog_g02_c04__0/frame000003.jpg").unlink()
    for line in TRAIN:
        film(Path(scuba_options["ucf101_root"], "UCF-101", line.split()[0]), 3, codec="mpeg4")
    manifest(root / "m.csv", [], dataset={"name": "scuba"} | scuba_options, val=0)
    found = Manifest.read(root / "m.csv").by_id
    assert "holds 4 of 5 frames" in found["v_WalkingWithDog_g02_c04__0"].problem
    assert found["v_WalkingWithDog_g02_c04__1"].frames == 5 and not found["v_WalkingWithDog_g02_c04__1"].problem
    assert "there is no video" in found["v_Archery_g01_c01__0"].problem


@pytest.mark.parametrize(
    "line",
    ["v_Archery_g01_c01__0 0", "v_Archery_g01_c01__0 30 2", "v_Archery_g01_c01 30 0", "v_Arching_g01_c01__0 30 0", "a"],
)
def test_a_line_of_scuba_that_cannot_be_meant_is_named(scuba_options: dict[str, str], line: str) -> None:
    Path(scuba_options["index"]).write_text(line + "\n")
    with pytest.raises(ChoreoError, match=r"testlist01\.txt, line 1 cannot be read"):
        list(scuba.rows(**scuba_options))


# All


@pytest.mark.parametrize(
    ("dataset", "words"),
    [
        ({"name": "kth"}, r"lacks 00sequences\.txt(.|\n)*www\.csc\.kth\.se/cvap/actions"),
        ({"name": "penn_action"}, r"lacks labels(.|\n)*Penn_Action\.tar\.gz from dreamdragon\.github\.io"),
        ({"name": "haa500"}, r"lacks video(.|\n)*haa500_v1_1\.zip from www\.cse\.ust\.hk/haa"),
        ({"name": "ucf101"}, r"lacks .*classInd\.txt, .*trainlist01\.txt, .*testlist01\.txt(.|\n)*www\.crcv\.ucf\.edu"),
        ({"name": "ucf101", "split": 2}, r"trainlist02\.txt"),
        ({"name": "scuba", "index": "{}/list.txt", "ucf101_root": "{}"}, r"classInd\.txt(.|\n)*www\.crcv\.ucf\.edu"),
    ],
)
def test_files_that_are_missing_are_named_with_where_they_come_from(tmp_path: Path, dataset: dict, words: str) -> None:
    given = {key: v.format(tmp_path) if isinstance(v, str) else v for key, v in dataset.items()}
    with pytest.raises(ChoreoError, match=words):
        listed(given | {"root": str(tmp_path)})


def test_a_missing_list_of_scuba_and_a_table_of_attributes_are_named_too(scuba_options: dict[str, str]) -> None:
    with pytest.raises(ChoreoError, match=r"lacks gone\.txt(.|\n)*StillMix"):
        list(scuba.rows(**scuba_options | {"index": scuba_options["index"].replace("testlist01", "gone")}))
    Path(scuba_options["ucf101_root"], "class_attributes_UCF101.csv").unlink()
    with pytest.raises(ChoreoError, match=r"lacks class_attributes_UCF101\.csv(.|\n)*THUMOS"):
        ucf101.class_attributes(scuba_options["ucf101_root"])
