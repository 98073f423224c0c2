"""Action Genome's files, in the publishers' format: written by hand here, with their real lists of names."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from pipeline import scene_graphs
from pipeline.errors import ChoreoError, VideoError
from pipeline.manifest import Video
from pipeline.scene_graphs.action_genome import CLASSES, OBJECTS, PEOPLE, RELATIONS, names

VIDEO = Video("001YG", Path("Charades_v1_480/001YG.mp4"), frames=200)
PIXELS = np.zeros((2, 270, 480, 3), np.uint8)


def thing(name: str, bbox: tuple | None, attention=None, spatial=None, contacting=None) -> dict:
    return {
        "class": name, "bbox": bbox, "visible": bbox is not None,
        "attention_relationship": attention, "spatial_relationship": spatial, "contacting_relationship": contacting,
        "metadata": {"tag": "001YG.mp4/x", "set": "train"},
    }  # fmt: skip


def person(*boxes: tuple) -> dict:
    found = np.array(boxes, np.float32).reshape(-1, 4)
    return {
        "bbox": found, "bbox_score": np.ones(len(found), np.float32), "bbox_size": (480, 270), "bbox_mode": "xyxy",
    }  # fmt: skip


OBJECT_BOXES = {
    "001YG.mp4/000123.png": [
        thing("cup/glass/bottle", (10, 20, 30, 40), ["looking_at"], ["in_front_of"], ["holding", "drinking_from"]),
        thing("chair", None),
    ],
    "001YG.mp4/000011.png": [
        thing("chair", (5.5, 6.5, 10.0, 20.0), ["not_looking_at"], ["beneath", "behind"], ["sitting_on"]),
        thing("chair", (100, 100, 50, 50), ["unsure"], ["on_the_side_of"], ["not_contacting"]),
    ],
    "OTHER.mp4/000001.png": [],
}
PERSON_BOXES = {
    "001YG.mp4/000123.png": person((50, 60, 110, 220)),
    "001YG.mp4/000011.png": person(),
    "OTHER.mp4/000001.png": person(),
}


@pytest.fixture
def root(tmp_path: Path, shared_data: Path) -> Path:
    for name in (CLASSES, RELATIONS):
        (tmp_path / name).write_bytes((shared_data / "charades_ag" / name).read_bytes())
    (tmp_path / PEOPLE).write_bytes(pickle.dumps(PERSON_BOXES, protocol=2))
    (tmp_path / OBJECTS).write_bytes(pickle.dumps(OBJECT_BOXES))
    return tmp_path


@pytest.fixture
def source(root: Path):
    return scene_graphs.load({"name": "action_genome", "root": str(root)})


def test_the_real_lists_hold_36_classes_the_person_first_and_26_relations(shared_data):
    classes, relations = (names(shared_data / "charades_ag" / name) for name in (CLASSES, RELATIONS))
    assert len(classes) == len(set(classes)) == 36 and classes[0] == "person" and "closetcabinet" in classes
    assert len(relations) == len(set(relations)) == 26


def test_frames_count_from_nought_where_the_dumped_files_count_from_one(source):
    assert source.frames(VIDEO).tolist() == [10, 122]


def test_boxes_are_corners_and_what_is_not_visible_is_absent(source):
    graph = source.graph(VIDEO, np.array([10, 122]), PIXELS)
    classes = [source.class_names[k] for k in graph.node_class]
    assert classes == ["person", "chair", "chair", "cupglassbottle"]
    nan = [np.nan] * 4
    np.testing.assert_array_equal(graph.box[0], [nan, [5.5, 6.5, 15.5, 26.5], [100, 100, 150, 150], nan])
    np.testing.assert_array_equal(graph.box[1], [[50, 60, 110, 220], nan, nan, [10, 20, 40, 60]])


def test_relations_are_multi_hot_over_all_three_groups(source):
    graph = source.graph(VIDEO, np.array([10, 122]), PIXELS)
    assert said(source, graph.relation[1, 3]) == {"lookingat", "infrontof", "holding", "drinkingfrom"}
    assert said(source, graph.relation[0, 1]) == {"notlookingat", "beneath", "behind", "sittingon"}
    assert said(source, graph.relation[0, 2]) == {"unsure", "onthesideof", "notcontacting"}
    assert graph.relation.sum() == 4 + 4 + 3


def said(source, row: np.ndarray) -> set[str]:
    return {source.relation_names[i] for i in np.flatnonzero(row)}


def test_a_video_that_is_not_annotated_is_named(source):
    with pytest.raises(VideoError, match=r"'x' is not in Action Genome: .* no frame of ZZZZZ\.mp4"):
        source.frames(Video("x", Path("ZZZZZ.mp4"), frames=9))


def test_a_video_of_another_size_than_was_annotated_is_refused(source):
    with pytest.raises(VideoError, match="annotated at 480 x 270 px, the video has 640 x 360"):
        source.graph(VIDEO, np.array([10]), np.zeros((1, 360, 640, 3), np.uint8))


def test_a_name_beyond_the_lists_is_refused(root):
    (root / OBJECTS).write_bytes(pickle.dumps({"001YG.mp4/000001.png": [thing("dragon", (1, 2, 3, 4))]}))
    source = scene_graphs.load({"name": "action_genome", "root": str(root)})
    with pytest.raises(ChoreoError, match=r"names 'dragon', which is not in object_classes\.txt"):
        source.graph(VIDEO, np.array([0]), PIXELS)


class Harm:
    def __reduce__(self):
        return print, ("harm",)


def test_a_pickle_that_would_run_code_is_refused_unrun(root, capsys):
    (root / PEOPLE).write_bytes(pickle.dumps({"001YG.mp4/000001.png": Harm()}))
    with pytest.raises(ChoreoError, match=r"person_bbox\.pkl asks for `builtins\.print`"):
        scene_graphs.load({"name": "action_genome", "root": str(root)})
    assert capsys.readouterr().out == ""


def test_a_missing_file_is_named(root):
    (root / RELATIONS).unlink()
    with pytest.raises(ChoreoError, match=r"no file .*relationship_classes\.txt"):
        scene_graphs.load({"name": "action_genome", "root": str(root)})
