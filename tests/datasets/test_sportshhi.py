"""The SportsHHI adapter, on files written by hand in the publisher's format (its own are not at hand)."""

import pickle

import numpy as np
import pytest

from pipeline.datasets import sportshhi
from pipeline.errors import ChoreoError
from tests.films import film

A, B, C = (0.1, 0.2, 0.3, 0.8), (0.4, 0.2, 0.6, 0.8), (0.7, 0.1, 0.9, 0.9)


def line(video, frame, one, two, number):
    return ",".join(map(str, (video, frame, *one, *two, number, 0, 1)))


@pytest.fixture
def root(tmp_path):
    notes = tmp_path / "annotations"
    notes.mkdir()
    train = [line("v_x_c001", 15, A, B, 2), line("v_x_c001", 15, B, A, 3), line("v_x_c001", 5, A, B, 1)]
    (notes / "sports_train_v1.csv").write_text("\n".join(train) + "\n")
    (notes / "sports_val_v1.csv").write_text(line("v_y_c002", 10, B, C, 3) + "\n")
    names = {1: "defend", 2: "pass", 3: "block"}
    text = "".join(f'item {{\n  name: "{name}"\n  id: {n}\n}}\n' for n, name in names.items())
    (notes / "sports_action_list.pbtxt").write_text(text)
    return tmp_path


def proposals(root, split, boxes):
    with open(root / f"annotations/gt_dense_proposals_{split}.pkl", "wb") as file:
        pickle.dump(boxes, file)


def test_videos_have_the_publishers_splits_and_the_match_as_their_group(root):
    (root / "videos").mkdir()
    film(root / "videos/v_x_c001.mkv", frames=4)
    one, two = sportshhi.rows(str(root))
    assert (one.id, one.split, one.labels, one.group) == ("v_x_c001", "train", ("block", "pass"), "v_x")
    assert one.path == root / "videos/v_x_c001.mkv"
    assert (two.id, two.split, two.labels, two.path) == ("v_y_c002", "test", ("block",), root / "videos/v_y_c002.mp4")


def test_six_classes_are_left_out_unless_all_are_asked_for(root):
    assert list(sportshhi.interactions(str(root)).values()) == ["pass", "block"]  # 1 is one of the six
    assert list(sportshhi.interactions(str(root), "all").values()) == ["defend", "pass", "block"]
    assert [k.frame for k in sportshhi.keyframes(str(root))[0]["v_x_c001"]] == [15]
    assert [k.frame for k in sportshhi.keyframes(str(root), "all")[0]["v_x_c001"]] == [5, 15]


def test_a_pair_has_a_direction(root):
    (keyframe,) = sportshhi.keyframes(str(root))[0]["v_x_c001"]
    np.testing.assert_allclose(keyframe.box, [A, B])
    assert dict(keyframe.doing) == {(0, 1): {0}, (1, 0): {1}}


def test_everybody_is_there_once_with_the_proposals(root):
    """Keyframe 3 is frame 15; an annotated box a hair off is the proposed person, an unknown one is added."""
    near = np.array(A) + 0.002
    proposals(root, "train", {"v_x_c001,0003": np.array([C, near]), "v_x_c001,0001": np.array([A])})
    proposals(root, "val", {"v_y_c002,0002": np.array([[*C, 0.99], [*A, 0.5]])})
    found, origin = sportshhi.keyframes(str(root))
    (keyframe,) = found["v_x_c001"]
    assert origin == "dense"
    np.testing.assert_allclose(keyframe.box, [C, near, B])
    assert dict(keyframe.doing) == {(1, 2): {0}, (2, 1): {1}}
    np.testing.assert_allclose(found["v_y_c002"][0].box, [C, B])  # the detection of 0.5 is not sure enough


def test_the_files_that_are_read_are_told(root):
    assert [p.name[:14] for p in sportshhi.files(str(root))] == ["sports_action_", "sports_train_v", "sports_val_v1."]
    proposals(root, "val", {})
    assert sportshhi.files(str(root))[-1].name == "gt_dense_proposals_val.pkl"


def test_without_proposals_only_those_who_interact_are_known(root):
    assert sportshhi.keyframes(str(root))[1] == "interacting"


@pytest.mark.parametrize("bad", ["v,5,0.1", line("v", "x", A, B, 1), line("v", 5, A, ("a", 0, 1, 1), 1)])
def test_a_line_that_cannot_be_read_is_named(root, bad):
    with open(root / "annotations/sports_val_v1.csv", "a") as file:
        file.write(bad + "\n")
    with pytest.raises(ChoreoError, match=r"sports_val_v1\.csv, line 2"):
        list(sportshhi.rows(str(root)))


def test_pictures_are_to_be_packed_into_videos(root):
    (root / "frames/v_x_c001").mkdir(parents=True)
    with pytest.raises(ChoreoError, match=r"ffmpeg .*-c copy"):
        list(sportshhi.rows(str(root)))


def test_missing_files_and_unknown_choices_are_named(root, tmp_path):
    with pytest.raises(ChoreoError, match="'some'"):
        list(sportshhi.rows(str(root), classes="some"))
    (root / "annotations/sports_action_list.pbtxt").unlink()
    with pytest.raises(ChoreoError, match=r"no file .*sports_action_list\.pbtxt"):
        list(sportshhi.rows(str(root)))


def test_a_pickle_of_another_shape_is_refused(root):
    proposals(root, "train", {"v_x_c001,0003": np.zeros((2, 3))})
    with pytest.raises(ChoreoError, match=r"'v_x_c001,0003' holds \(2, 3\)"):
        sportshhi.keyframes(str(root))


def test_overlap_is_intersection_over_union():
    boxes = np.array([[0, 0, 2, 2], [1, 1, 3, 3], [5, 5, 6, 6]], float)
    np.testing.assert_allclose(sportshhi.iou(boxes[0], boxes), [1, 1 / 7, 0])
