"""Scene graphs with features, from annotations of small films and an encoder whose answers are known."""

from pathlib import Path

import numpy as np
import pytest
from films import film

from pipeline import encoders
from pipeline.artifacts import Artifact, create, validate
from pipeline.errors import ChoreoError
from pipeline.features.scene_graphs import fitted, grown, one_each, scene_graphs, square
from pipeline.manifest import Manifest, Video
from pipeline.scene_graphs import RawGraph
from pipeline.video import read

CLASSES = ["person", "cup", "book", "ball"]
NAN = [np.nan] * 4
HEIGHT, WIDTH = 48, 64


class Middle:
    """Answers with the colour in the middle of a picture."""

    identity = "middle@1"
    dim = 3
    calls: list[tuple[int, ...]] = []

    def images(self, frames: np.ndarray) -> np.ndarray:
        self.calls.append(frames.shape)
        return frames[:, frames.shape[1] // 2, frames.shape[2] // 2].astype(np.float32) / 255


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(encoders.IMAGE_TEXT, "middle", f"{__name__}:Middle")
    monkeypatch.setattr(Middle, "calls", [])


def blocks(index: int) -> np.ndarray:
    """A left half of one colour and a right half of another, brighter with every frame."""
    frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    frame[:, : WIDTH // 2] = (200, 20 + index, 20)
    frame[:, WIDTH // 2 :] = (20, 20, 60 + 2 * index)
    return frame


GRAPHS = {  # video -> frames, node classes, boxes (F,K,4)
    "both": (
        [2, 5, 9],
        [0, 1, 2, -1],
        [
            [[4, 4, 20, 40], [40, 10, 50, 20], NAN, NAN],
            [NAN, [40, 10, 50, 20], [34, 30, 44, 40], NAN],
            [[4, 4, 20, 40], [60, 40, 70, 60], NAN, NAN],
        ],
    ),
    "nobody": ([0, 1], [0, 3, -1, -1], [[NAN, [40, 10, 50, 20], NAN, NAN]] * 2),
    "alone": ([3], [0, -1, -1, -1], [[[4, 4, 20, 40], NAN, NAN, NAN]]),
    "beyond": ([3, 12], [0, -1, -1, -1], [[[4, 4, 20, 40], NAN, NAN, NAN]] * 2),
    "empty": ([], [0, 1, -1, -1], np.zeros((0, 4, 4))),
}


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shard")
    frames = [blocks(i) for i in range(10)]
    path = film(root / "v.mp4", frames, codec="libx264rgb", pixels="rgb24", options={"qp": "0"})
    Manifest([Video(i, path, frames=10, fps=25) for i in (*GRAPHS, "unknown")]).write(root / "m.csv")
    with create(root / "g.h5", "graph_annotations", ids=list(GRAPHS)) as artifact:
        artifact.share(class_name=CLASSES, relation_name=["touching", "holding"])
        for name, (frame, kinds, box) in GRAPHS.items():
            relation = np.zeros((len(frame), 4, 2))
            relation[:, 1:3, 1] = 1
            artifact.add(name, frame=frame, box=np.array(box), relation=relation, node_class=kinds)
    return root


def run(shard: Path, out: Path, **options) -> Artifact:
    source = {"name": "annotations", "file": str(shard / "g.h5")}
    scene_graphs(
        shard / "m.csv", out, source=source, encoder="middle", **{"nodes": 4, "margin": 2, "side": 16} | options
    )
    validate(out)
    return Artifact(out, "scene_graphs")


@pytest.mark.parametrize("workers", [0, 2])
def test_nodes_are_the_crops_of_their_boxes_and_absent_ones_are_empty(workers, shard, tmp_path):
    with run(shard, tmp_path / "s.h5", workers=workers) as found:
        assert found.model == "annotations+middle@1" and found["origin"].tolist() == ["annotated"]
        assert found["class_name"].tolist() == CLASSES and found["relation_name"].tolist() == ["touching", "holding"]
        row = found.video("both")
    assert row["frame"].tolist() == [2, 5, 9] and row["node_class"].tolist() == [0, 1, 2, -1]
    assert row["time"] == pytest.approx([2 / 25, 5 / 25, 9 / 25])
    assert row["mask"].tolist() == [[1, 1, 0, 0], [0, 1, 1, 0], [1, 1, 0, 0]]
    pixels = read(shard / "v.mp4", [2, 5, 9])[0]
    left, right = pixels[:, 24, 10] / 255, pixels[:, 24, 50] / 255
    assert row["image"] == pytest.approx(pixels[:, HEIGHT // 2, WIDTH // 2] / 255, abs=1e-3)
    assert row["feature"][0, 0] == pytest.approx(left[0], abs=1e-3)
    assert row["feature"][:, 1] == pytest.approx(right, abs=1e-3)
    assert not row["feature"][row["mask"] == 0].any() and not row["box"][row["mask"] == 0].any()


def test_boxes_grow_are_clipped_and_are_shares_of_the_frame(shard, tmp_path):
    with run(shard, tmp_path / "s.h5") as found:
        box = found.video("both")["box"] * [WIDTH, HEIGHT, WIDTH, HEIGHT]
    assert box[0, 0] == pytest.approx([2, 2, 22, 42])
    assert box[2, 1] == pytest.approx([58, 38, 64, 48])  # reached beyond the frame


def test_relations_hold_only_where_the_node_is_seen(shard, tmp_path):
    with run(shard, tmp_path / "s.h5") as found:
        relation = found.video("both")["relation"]
        assert not found.video("alone")["relation"].any()
    assert relation[..., 1].tolist() == [[0, 1, 0, 0], [0, 1, 1, 0], [0, 1, 0, 0]] and relation.sum() == 4


def test_a_video_without_a_person_or_without_objects_is_kept(shard, tmp_path):
    with run(shard, tmp_path / "s.h5") as found:
        nobody, alone = found.video("nobody"), found.video("alone")
    assert nobody["node_class"].tolist() == [0, 3, -1, -1] and nobody["mask"].tolist() == [[0, 1, 0, 0]] * 2
    assert alone["node_class"].tolist() == [0, -1, -1, -1] and alone["mask"].tolist() == [[1, 0, 0, 0]]


def test_videos_that_cannot_have_a_graph_fail_and_the_others_go_on(shard, tmp_path):
    with run(shard, tmp_path / "s.h5") as found:
        assert found.ids == ["alone", "both", "nobody"]
        failures = found.failures
    assert failures["beyond"].startswith("video 'beyond' has 10 frames, its scene graphs go from 3 to 12")
    assert failures["empty"].startswith("video 'empty' has no frame with a scene graph")
    assert "has no scene graphs in" in failures["unknown"]
    assert all("Mend:" in reason for reason in failures.values())


def test_frames_are_thinned_evenly(shard, tmp_path):
    with run(shard, tmp_path / "s.h5", frames=1) as found:
        assert found.video("both")["frame"].tolist() == [5] and found.video("nobody")["frame"].tolist() == [1]
    with run(shard, tmp_path / "all.h5", frames=3) as found:
        assert found.video("both")["frame"].tolist() == [2, 5, 9]


def test_objects_beyond_the_nodes_are_left_out_and_said(shard, tmp_path, capsys):
    with run(shard, tmp_path / "s.h5", nodes=2) as found:
        assert found.video("both")["node_class"].tolist() == [0, 1]  # the cup is seen in three frames, the book in one
    assert "'both': more objects than nodes; left out: book" in capsys.readouterr().err


def test_a_video_goes_through_the_encoder_in_squares_of_one_size(shard, tmp_path):
    with run(shard, tmp_path / "s.h5"):
        assert sorted(Middle.calls) == [(2, 16, 16, 3), (4, 16, 16, 3), (9, 16, 16, 3)]  # frames and nodes seen


def test_the_batch_over_frames_does_not_change_the_features(shard, tmp_path, monkeypatch):
    with run(shard, tmp_path / "a.h5") as whole:
        expected = whole["feature"], whole["image"]
    monkeypatch.setattr("pipeline.features.scene_graphs.BATCH", 2)
    with run(shard, tmp_path / "b.h5") as parts:
        np.testing.assert_array_equal(parts["feature"], expected[0])
        np.testing.assert_array_equal(parts["image"], expected[1])


def test_a_graph_of_one_node_is_refused(shard, tmp_path):
    with pytest.raises(ChoreoError, match="2 nodes or more"):
        run(shard, tmp_path / "s.h5", nodes=1)


# The rule of nodes


def test_of_two_things_of_a_class_the_larger_one_stands_for_it_in_each_frame():
    small, large = [0, 0, 5, 5], [10, 10, 30, 30]
    box = np.array([[NAN, small, large], [NAN, large, small], [NAN, NAN, small]], float)
    relation = np.zeros((3, 3, 2), bool)
    relation[:, 1, 0], relation[:, 2, 1] = True, True
    graph = one_each(RawGraph(box, np.array([0, 1, 1]), relation), CLASSES)
    assert graph.node_class.tolist() == [0, 1]
    np.testing.assert_array_equal(graph.box[:, 1], [large, large, small])
    assert graph.relation[:, 1].tolist() == [[False, True], [True, False], [False, True]]  # goes with its box


def test_objects_are_sorted_by_frames_seen_then_by_name():
    box = np.full((3, 5, 4), np.nan)
    for node, frames in ((0, 1), (1, 1), (2, 2), (3, 2)):  # person, cup, book, ball; the fifth is never seen
        box[:frames, node] = [0, 0, 5, 5]
    graph = one_each(RawGraph(box, np.array([0, 1, 2, 3, 2]), np.zeros((3, 5, 2), bool)), CLASSES)
    assert [CLASSES[k] for k in graph.node_class] == ["person", "ball", "book", "cup"]


def test_a_graph_without_nodes_is_a_person_who_is_never_seen():
    graph = fitted(one_each(RawGraph(np.zeros((2, 0, 4)), np.zeros(0, int), np.zeros((2, 0, 3), bool)), CLASSES), 3)
    assert graph.node_class.tolist() == [0, -1, -1] and np.isnan(graph.box).all() and graph.relation.shape == (2, 3, 3)


def test_boxes_that_are_empty_or_outside_the_frame_are_not_seen():
    box = np.array([[[10, 10, 20, 20], [10, 10, 10, 20], [70, 10, 90, 20], [-30, -30, 0.5, 20], NAN]], float)
    larger, mask = grown(box, 4, WIDTH, HEIGHT)
    assert mask.tolist() == [[True, False, False, False, False]]
    assert larger[0, 0].tolist() == [6, 6, 24, 24] and not larger[0, 1:].any()


def test_a_crop_is_neither_cut_nor_stretched():
    frame = np.zeros((40, 60, 3), np.uint8)
    frame[10:30, 5:15] = 255  # 20 high, 10 wide
    picture = square(frame, np.array([5, 10, 15, 30.0]), 32)
    assert (picture[:, 8:24] == 255).all() and (picture[:, :8] == 114).all() and (picture[:, 24:] == 114).all()
    thin = square(frame, np.array([5.2, 10, 5.4, 30]), 32)
    assert thin.shape == (32, 32, 3) and (thin[:, 15:17] > 114).any()
