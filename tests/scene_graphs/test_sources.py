"""Sources of scene graphs: the registry, annotations, a detector, and what boxes say."""

from pathlib import Path

import numpy as np
import pytest

from pipeline import encoders, scene_graphs
from pipeline.artifacts import create
from pipeline.encoders.detector import Detections
from pipeline.errors import ChoreoError, VideoError
from pipeline.manifest import Video
from pipeline.scene_graphs import Thing, gather
from pipeline.scene_graphs.geometry import RELATIONS, relations

PERSON = np.array([100.0, 100, 140, 200])


class Scripted:
    """Finds in every frame what its pixels' first value tells."""

    classes = ("cup", "person", "table")
    identity = "scripted@1"

    def __init__(self, weights: str = "") -> None:
        self.weights = weights

    def detect(self, frames: np.ndarray) -> list[Detections]:
        return [self.script[int(frame[0, 0, 0])] for frame in frames]

    script = {
        0: Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, int)),
        1: Detections(
            np.float32([[100, 100, 140, 200], [10, 10, 20, 20], [105, 120, 115, 130], [300, 0, 400, 90], [0, 0, 9, 9]]),
            np.float32([0.9, 0.4, 0.8, 0.7, 0.1]),
            np.array([1, 0, 0, 2, 2]),
        ),
        2: Detections(np.float32([[10, 10, 20, 20]]), np.float32([0.4]), np.array([0])),
    }


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(encoders.KINDS, "detector", {"scripted": f"{__name__}:Scripted"})


def test_the_nth_thing_of_a_class_is_the_classs_nth_node():
    frames = [
        [Thing(2, (0, 0, 1, 1)), Thing(0, (0, 0, 2, 2)), Thing(2, (0, 0, 3, 3), (1,))],
        [],
        [Thing(2, (0, 0, 4, 4), (0, 2))],
    ]
    graph = gather(frames, 3)
    assert graph.node_class.tolist() == [0, 2, 2] and graph.box.shape == (3, 3, 4)
    np.testing.assert_array_equal(graph.box[..., 2], [[2, 1, 3], [np.nan] * 3, [np.nan, 4, np.nan]])
    assert graph.relation[0, 2].tolist() == [False, True, False] and graph.relation[2, 1].tolist() == [
        True,
        False,
        True,
    ]
    assert graph.relation.sum() == 3


def test_frames_with_nothing_in_them_have_no_nodes():
    graph = gather([[], []], 26)
    assert graph.box.shape == (2, 0, 4) and graph.relation.shape == (2, 0, 26)


# The registry


def test_a_slip_of_the_pen_is_told_the_nearest_source():
    with pytest.raises(ChoreoError, match="did you mean 'annotations'"):
        scene_graphs.load("annotation")


def test_options_are_checked_before_a_source_is_made():
    with pytest.raises(ChoreoError, match="'annotations' was not told: file"):
        scene_graphs.load("annotations")
    with pytest.raises(ChoreoError, match="'detector' has no option 'evry'"):
        scene_graphs.load({"name": "detector", "encoder": "scripted", "evry": 2})


def test_the_modules_of_a_source_are_its_own_and_its_detectors():
    assert scene_graphs.modules("annotations") == ["scene_graphs.annotations"]
    assert scene_graphs.modules({"name": "detector", "encoder": "scripted"}) == ["scene_graphs.detector", __name__]


def test_the_files_of_a_source_are_known_before_they_are_made(tmp_path):
    assert scene_graphs.files({"name": "annotations", "file": "later.h5"}) == [Path("later.h5")]
    assert len(scene_graphs.files({"name": "action_genome", "root": "ag"})) == 4
    (tmp_path / "w.onnx").touch()
    spec = {"name": "detector", "every": 2, "encoder": {"name": "scripted", "weights": str(tmp_path / "w.onnx")}}
    assert scene_graphs.files(spec) == [tmp_path / "w.onnx"]


# Annotations


def test_annotations_give_the_graphs_of_the_frames_that_are_asked_for(tmp_path):
    box = np.arange(3 * 2 * 4.0).reshape(3, 2, 4)
    box[1, 1] = np.nan
    relation = np.zeros((3, 2, 2))
    relation[2, 1, 1] = 1
    with create(tmp_path / "g.h5", "graph_annotations", ids=["v"]) as artifact:
        artifact.share(class_name=["person", "cup"], relation_name=["touching", "holding"])
        artifact.add("v", frame=[4, 8, 20], box=box, relation=relation, node_class=[0, 1])
    source = scene_graphs.load({"name": "annotations", "file": str(tmp_path / "g.h5")})
    video = Video("v", Path("v.mp4"), frames=30)
    assert source.frames(video).tolist() == [4, 8, 20] and source.origin == "annotated"
    graph = source.graph(video, np.array([8, 20]), np.zeros((2, 9, 9, 3), np.uint8))
    np.testing.assert_array_equal(graph.box, box[1:])
    assert graph.relation[1, 1].tolist() == [False, True] and graph.relation.dtype == bool
    assert list(source.class_names) == ["person", "cup"] and list(source.relation_names) == ["touching", "holding"]
    with pytest.raises(VideoError, match=r"'w' has no scene graphs in .*g\.h5"):
        source.frames(Video("w", Path("w.mp4"), frames=30))


# A detector


def frames(*values: int) -> np.ndarray:
    pixels = np.zeros((len(values), 400, 400, 3), np.uint8)
    pixels[:, 0, 0, 0] = values
    return pixels


def test_a_detectors_graph_has_the_surest_thing_of_each_class_and_the_person_first():
    source = scene_graphs.load({"name": "detector", "encoder": "scripted"})
    assert source.class_names == ["person", "cup", "table"] and source.origin == "predicted"
    graph = source.graph(Video("v", Path("v.mp4")), np.arange(3), frames(1, 0, 2))
    assert graph.node_class.tolist() == [0, 1, 2]
    np.testing.assert_array_equal(graph.box[0], [PERSON, [105, 120, 115, 130], [300, 0, 400, 90]])
    assert np.isnan(graph.box[1]).all() and np.isnan(graph.box[2, [0, 2]]).all()
    assert said(graph.relation[0, 1]) == {"holding", "touching"}
    assert said(graph.relation[0, 2]) == {"above", "notcontacting"}
    assert not graph.relation[:, 0].any()
    assert not graph.relation[2].any()  # where there is no person, nothing relates to one


def test_unsure_things_and_classes_that_are_left_out_are_no_nodes():
    source = scene_graphs.load({"name": "detector", "encoder": "scripted", "score": 0.75, "leave_out": ["table"]})
    assert source.class_names == ["person", "cup"]
    graph = source.graph(Video("v", Path("v.mp4")), np.arange(2), frames(1, 2))
    assert graph.node_class.tolist() == [0, 1] and np.isnan(graph.box[1]).all()


@pytest.mark.parametrize(("length", "expected"), [(20, [4, 12]), (21, [4, 12, 20]), (3, [2]), (1, [0]), (0, [])])
def test_a_detector_looks_at_every_so_manieth_frame(length, expected):
    source = scene_graphs.load({"name": "detector", "encoder": "scripted", "every": 8})
    assert source.frames(Video("v", Path("v.mp4"), frames=length)).tolist() == expected


def test_a_detector_without_people_is_refused():
    with pytest.raises(ChoreoError, match="scripted@1 knows no 'human'"):
        scene_graphs.load({"name": "detector", "encoder": "scripted", "person": "human"})
    with pytest.raises(ChoreoError, match="every: 0 frames"):
        scene_graphs.load({"name": "detector", "encoder": "scripted", "every": 0})


# What boxes say


def said(row: np.ndarray) -> set[str]:
    return {RELATIONS[i] for i in np.flatnonzero(row)}


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ([90, 20, 150, 60], {"above", "notcontacting"}),
        ([0, 190, 300, 260], {"beneath", "touching"}),
        ([10, 120, 60, 180], {"onthesideof", "notcontacting"}),
        ([130, 140, 170, 180], {"onthesideof", "touching"}),
        ([110, 120, 130, 140], {"holding", "touching"}),
        ([90, 90, 150, 220], {"in", "touching"}),
        ([105, 105, 135, 195], {"touching"}),  # within the person's box, but too large to be held
    ],
)
def test_boxes_say_where_a_thing_is_and_no_more(box, expected):
    assert {RELATIONS[i] for i in relations(PERSON, np.array(box, float))} == expected


def test_the_vocabulary_is_action_genomes(shared_data):
    names = (shared_data / "charades_ag" / "relationship_classes.txt").read_text().split()
    assert list(RELATIONS) == names and len(names) == 26
