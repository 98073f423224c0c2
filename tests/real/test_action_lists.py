"""Real lists and labels of the action data sets: the counts that papers give, and joints where people marked them.

At hand are the labels of Penn Action and poses of J-HMDB as published, and of KTH, HAA500 and UCF-101 the lists of
DANCE's authors, which name the same videos: from these the publishers' files are written here in the publishers'
format. Frame numbers of KTH's sequences are not in them and are made up.
"""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from pipeline import matlab, unpickling
from pipeline.datasets import haa500, kth, penn_action, ucf101
from pipeline.encoders.pose import JOINTS, Clip
from pipeline.encoders.pose.imported import Imported
from pipeline.encoders.pose.joints import to_coco
from pipeline.manifest import Manifest, Video, draw_splits


def authors_list(shared_data: Path, name: str) -> dict[str, tuple[str, int]]:
    """Path without suffix -> split and class number, of DANCE's authors; their `val` is what is tested on."""
    found = {}
    for split, file in (("train", "train.csv"), ("test", "val.csv")):
        with open(shared_data / "concepts/PCBEAR/dataset" / name / file, newline="") as rows:
            found |= {row[0].rpartition(".")[0]: (split, int(row[1])) for row in csv.reader(rows) if row}
    return found


def counts(videos: list[Video]) -> Counter:
    return Counter(v.split for v in videos)


# Penn Action


@pytest.fixture(scope="module")
def penn(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set's folder, with the real labels and no frames."""
    root = tmp_path_factory.mktemp("Penn_Action")
    (root / "labels").symlink_to(shared_data / "penn_action_labels")
    return root


def test_penn_action_has_2326_videos_1258_to_train_on_of_15_actions(penn: Path) -> None:
    videos = list(penn_action.rows(str(penn)))
    assert counts(videos) == {"train": 1258, "test": 1068} and len(videos) == 2326
    assert len(Manifest(videos).classes) == 15
    assert (videos[0].id, videos[0].labels, videos[-1].id) == ("0001", ("baseball_pitch",), "2326")


def test_the_authors_of_dance_list_all_but_three_of_them_with_the_same_split_and_class(
    penn: Path, shared_data: Path
) -> None:
    listed = authors_list(shared_data, "Penn_action")
    videos = {v.id: v for v in penn_action.rows(str(penn))}
    assert len(listed) == 2323 and set(listed) <= set(videos)
    assert {i for i in listed if listed[i][0] != videos[i].split} == set()
    assert len({(videos[i].labels, number) for i, (_, number) in listed.items()}) == 15


def test_marked_joints_of_penn_action_are_poses_of_a_whole_body(penn: Path) -> None:
    """Of everybody's elbows and knees, nearly all are nearer to the shoulder and hip of their own side."""
    encoder = Imported(f"{penn}/labels/{{video_id}}.mat")
    frames, own, marked = 0, [], []
    for video in list(penn_action.rows(str(penn)))[::40]:
        length = len(matlab.load(penn / f"labels/{video.id}.mat", "x")["x"])
        poses = encoder.encode(Clip(video.id, video.path, 0, length=length))
        assert poses.joints.shape == (length, 17, 2)
        assert np.isnan(poses.joints[:, :5]).all() and (poses.confidence[:, :5] == 0).all()
        joints = dict(zip(JOINTS, poses.joints.swapaxes(0, 1), strict=True))
        for near, far in (("shoulder", "elbow"), ("hip", "knee"), ("elbow", "wrist"), ("knee", "ankle")):
            for side, other in (("left", "right"), ("right", "left")):
                to_own = np.linalg.norm(joints[f"{side}_{near}"] - joints[f"{side}_{far}"], axis=1)
                to_other = np.linalg.norm(joints[f"{other}_{near}"] - joints[f"{side}_{far}"], axis=1)
                own.append((to_own <= to_other)[np.isfinite(to_own + to_other)])
        marked.append(np.isfinite(poses.joints[:, 5:, 0]))
        frames += length
    assert frames > 3000
    assert np.concatenate(own).mean() > 0.8 and 0.85 < np.concatenate(marked).mean() < 1


# J-HMDB


def test_poses_of_jhmdb_stand_upright_in_coco(shared_data: Path) -> None:
    """Feet are below knees, knees below hips, hips below shoulders, mostly; a left leg hangs from a left hip."""
    poses = unpickling.load(shared_data / "jhmdb_gt_poses/GT_train_1.pkl")["pose"]
    frames = np.concatenate([np.concatenate([p, np.ones((*p.shape[:2], 1))], axis=2) for p in poses])
    joints = dict(zip(JOINTS, to_coco(frames, "jhmdb15").swapaxes(0, 1), strict=True))
    for above, below in (("shoulder", "hip"), ("hip", "knee"), ("knee", "ankle")):
        for side in ("left", "right"):
            assert (joints[f"{side}_{above}"][:, 1] < joints[f"{side}_{below}"][:, 1]).mean() > 0.75
    for near, far in (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle")):
        for side, other in (("left", "right"), ("right", "left")):
            own, others = (joints[f"{s}_{near}"][:, :2] - joints[f"{side}_{far}"][:, :2] for s in (side, other))
            assert (np.linalg.norm(own, axis=1) <= np.linalg.norm(others, axis=1)).mean() > 0.75, (near, side)


# KTH

SPLIT = """
Training:   person11, 12, 13, 14, 15, 16, 17, 18
Validation: person19, 20, 21, 23, 24, 25, 01, 04
Test:       person22, 02, 03, 05, 06, 07, 08, 09, 10
"""


@pytest.fixture(scope="module")
def kth_root(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """00sequences.txt with as many sequences a file as the authors list; frames are made up."""
    root = tmp_path_factory.mktemp("KTH")
    files = defaultdict(list)
    for name in authors_list(shared_data, "KTH"):
        file, _, number = name.rpartition("_")
        files[file].append(int(number))
    lines = []
    for file, numbers in sorted(files.items()):
        assert sorted(numbers) == list(range(len(numbers)))
        cuts = ", ".join(f"{100 * n + 1}-{100 * n + 80}" for n in numbers)
        lines.append(f"{file}\t\tframes\t{cuts}")
    (root / "00sequences.txt").write_text(SPLIT + "\n" + "\n".join([*lines, "person13_handclapping_d3\t*missing*"]))
    return root


def test_kth_has_1528_sequences_to_train_on_and_863_to_test_on(kth_root: Path, shared_data: Path) -> None:
    videos = list(kth.rows(str(kth_root)))
    assert counts(videos) == {"train": 1528, "test": 863} and len(Manifest(videos).classes) == 6
    listed = authors_list(shared_data, "KTH")
    assert {v.id: v.split for v in videos} == {i: split for i, (split, _) in listed.items()}
    assert len({(v.labels, listed[v.id][1]) for v in videos}) == 6
    assert len({v.path.name.partition("#")[0] for v in videos}) == 599


def test_kth_without_jogging_has_1272_and_719(kth_root: Path) -> None:
    assert counts(list(kth.rows(str(kth_root), leave_out=["jogging"]))) == {"train": 1272, "test": 719}


def test_persons_of_kth_are_in_one_split_each(kth_root: Path) -> None:
    for published in (False, True):
        videos = draw_splits(list(kth.rows(str(kth_root), published_val=published)))
        persons = {split: {v.group for v in videos if v.split == split} for split in ("train", "val", "test")}
        assert len(persons["test"]) == 9 and persons["train"] and persons["val"]
        assert sum(map(len, persons.values())) == 25 == len(set().union(*persons.values()))
        assert not published or len(persons["val"]) == 8


# HAA500


@pytest.mark.parametrize(
    ("name", "classes", "train", "test"), [("HAA100", "haa100", 1600, 400), ("HAA500", "all", 8000, 2000)]
)
def test_haa_has_twenty_clips_a_class(
    name: str, classes: str, train: int, test: int, shared_data: Path, tmp_path: Path
) -> None:
    listed = authors_list(shared_data, name)
    for path in listed:
        (tmp_path / "video" / path).parent.mkdir(parents=True, exist_ok=True)
    videos = list(haa500.rows(str(tmp_path), classes=classes))
    assert counts(videos) == {"train": train, "test": test}
    found = {v.path.relative_to(tmp_path / "video").with_suffix("").as_posix(): v.split for v in videos}
    assert found == {path: split for path, (split, _) in listed.items()}
    published = counts(list(haa500.rows(str(tmp_path), classes=classes, published_val=True)))
    assert published == {"train": train, "val": test // 4, "test": test * 3 // 4}


# UCF-101


def test_ucf101_has_9537_videos_to_train_on_and_3783_to_test_on(shared_data: Path, tmp_path: Path) -> None:
    listed = authors_list(shared_data, "UCF101")
    lists = tmp_path / "ucfTrainTestlist"
    lists.mkdir()
    names = {path.partition("/")[0]: number + 1 for path, (_, number) in listed.items()}  # the publisher's is from 1
    (lists / "classInd.txt").write_text("".join(f"{number} {name}\r\n" for name, number in names.items()))
    lines = {"train": [], "test": []}
    for path, (split, number) in listed.items():
        lines[split].append(f"{path}.avi {number + 1}" if split == "train" else f"{path}.avi")
    for split, file in (("train", "trainlist01.txt"), ("test", "testlist01.txt")):
        (lists / file).write_text("\r\n".join(lines[split]))
    videos = list(ucf101.rows(str(tmp_path)))
    assert counts(videos) == {"train": 9537, "test": 3783} and len(Manifest(videos).classes) == 101
    assert {v.path.relative_to(tmp_path / "UCF-101").with_suffix("").as_posix() for v in videos} == set(listed)
    groups = {split: {v.group for v in draw_splits(videos) if v.split == split} for split in ("train", "val", "test")}
    assert len(set().union(*groups.values())) == sum(map(len, groups.values())) == 101 * 25
