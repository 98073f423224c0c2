"""A detector and a pose model as ONNX files: tiny graphs that find a white square by its pixels."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pipeline.encoders.onnx_graph import Graph
from pipeline.encoders.pose import Clip
from pipeline.encoders.pose.onnx import Onnx
from pipeline.errors import ChoreoError

SIDE = 32


def save(path: Path, nodes: list, inputs: tuple, outputs: dict, constants: dict | None = None) -> Path:
    """Write a graph with one input (name, type, shape)."""
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()]
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()]
    graph = helper.make_graph(nodes, "graph", [helper.make_tensor_value_info(*inputs)], results, weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def brightness_detector(path: Path, batch: int | str = "n") -> Path:
    """One box (4, 4, 20, 28) in input pixels of class 0; its score is the brightest red of the picture."""
    nodes = [
        helper.make_node("Cast", ["images"], ["values"], to=TensorProto.FLOAT),
        helper.make_node("Slice", ["values", "zero", "one", "last"], ["red"]),  # (n,h,w,1)
        helper.make_node("Div", ["red", "full"], ["share"]),
        helper.make_node("ReduceMax", ["share"], ["score"], axes=[1, 2, 3], keepdims=1),  # (n,1,1,1)
        helper.make_node("Squeeze", ["score", "three"], ["peak"]),  # (n,1,1)
        helper.make_node("Mul", ["peak", "none"], ["zeros"]),
        helper.make_node("Add", ["zeros", "corners"], ["box"]),  # (n,1,4)
        helper.make_node("Mul", ["peak", "nought"], ["class"]),
        helper.make_node("Concat", ["box", "peak", "class"], ["boxes"], axis=2),
    ]
    constants = {
        "zero": np.array([0]), "one": np.array([1]), "last": np.array([3]), "three": np.array([3]),
        "full": np.float32(255), "none": np.zeros((1, 1, 4), np.float32), "nought": np.zeros((1, 1, 1), np.float32),
        "corners": np.array([[[4, 4, 20, 28]]], np.float32),
    }  # fmt: skip
    return save(path, nodes, ("images", TensorProto.UINT8, [batch, SIDE, SIDE, 3]), {"boxes": [batch, 1, 6]}, constants)


def brightness_pose(
    path: Path, stride: int = 4, size: tuple[int, int] = (64, 48), channels_first: bool = False
) -> Path:
    """Seventeen equal heatmaps: the mean brightness of each stride x stride cell, in 0-1."""
    height, width = size
    shape = ["n", 3, height, width] if channels_first else ["n", height, width, 3]
    kind = TensorProto.FLOAT if channels_first else TensorProto.UINT8
    order = [0, 1, 2, 3] if channels_first else [0, 3, 1, 2]
    nodes = [
        helper.make_node("Cast", ["crops"], ["values"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["values"], ["planes"], perm=order),
        helper.make_node("AveragePool", ["planes"], ["cells"], kernel_shape=[stride] * 2, strides=[stride] * 2),
        helper.make_node("ReduceMean", ["cells"], ["grey"], axes=[1], keepdims=1),
        helper.make_node("Div", ["grey", "full"], ["share"]),
        helper.make_node("Tile", ["share", "repeats"], ["heatmaps"]),
    ]
    constants = {"full": np.float32(1 if channels_first else 255), "repeats": np.array([1, 17, 1, 1])}
    outputs = {"heatmaps": ["n", 17, height // stride, width // stride]}
    return save(path, nodes, ("crops", kind, shape), outputs, constants)


def spot(x: float, y: float, height: int = 64, width: int = 96) -> np.ndarray:
    """A frame with one soft white spot."""
    rows, columns = np.mgrid[:height, :width]
    grey = 255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 4**2))
    return np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)


@pytest.fixture
def encoder(tmp_path) -> Onnx:
    detector, pose = brightness_detector(tmp_path / "detector.onnx"), brightness_pose(tmp_path / "pose.onnx")
    return Onnx(detector, pose, detector_format="boxes", pose_format="heatmap", score=0.5, batch=3)  # grey is 0.45


def clip(*frames: np.ndarray) -> Clip:
    return Clip("video", Path("video.mp4"), 0, np.stack(frames))


def test_boxes_and_joints_come_back_in_pixels_of_the_frame(encoder):
    """The frame, 96 x 64, is a third in the detector's 32 x 32; the spot is where the joints are, to half a cell."""
    poses = encoder.encode(clip(spot(30, 40), spot(35, 45), spot(40, 50), spot(36, 30)))
    np.testing.assert_allclose(poses.box, np.tile([12, 12, 60, 64], (4, 1)))
    expected = np.array([[30, 40], [35, 45], [40, 50], [36, 30]])[:, None]
    np.testing.assert_allclose(poses.joints, np.broadcast_to(expected, (4, 17, 2)), atol=3)
    assert (poses.confidence > 0.7).all() and (poses.confidence <= 1).all()
    assert (poses.joints.dtype, poses.confidence.dtype, poses.box.dtype) == (np.float32,) * 3


def test_a_frame_without_a_person_stays_empty(encoder):
    """Nobody is below the score: no box, no joints, and above all not the whole frame."""
    black = np.zeros((64, 96, 3), np.uint8)
    for poses in (encoder.encode(clip(black, black, black)), encoder.encode(clip(black))):
        assert np.isnan(poses.joints).all() and np.isnan(poses.box).all() and (poses.confidence == 0).all()


def test_empty_frames_are_empty_and_the_others_are_not(encoder):
    encoder.tracking = "largest"
    black = np.zeros((64, 96, 3), np.uint8)
    poses = encoder.encode(clip(spot(30, 40), black, spot(35, 45)))
    assert np.isfinite(poses.joints).all(axis=(1, 2)).tolist() == [True, False, True]
    assert (poses.confidence[1] == 0).all()


def test_a_sparse_detector_gives_the_same_where_the_person_stands_still(encoder):
    still = clip(*[spot(30, 40)] * 6)
    dense = encoder.encode(still)
    encoder.detect_every = 4
    sparse = encoder.encode(still)
    np.testing.assert_allclose(sparse.joints, dense.joints, atol=1e-4)


def test_the_layout_and_type_of_the_input_are_read_from_the_graph(tmp_path):
    """A float NCHW graph with mean and std sees the same as a uint8 NHWC graph without."""
    images = np.random.default_rng(0).integers(0, 255, (5, 64, 48, 3), dtype=np.uint8)
    (plain,) = Graph(brightness_pose(tmp_path / "a.onnx"), batch=2)(images)
    planes = brightness_pose(tmp_path / "b.onnx", channels_first=True)
    (scaled,) = Graph(planes, mean=[51, 51, 51], std=[204, 204, 204])(images)
    np.testing.assert_allclose(scaled, (plain * 255 - 51) / 204, atol=1e-5)


def test_a_fixed_batch_axis_is_kept_to(tmp_path):
    frames = np.stack([np.full((SIDE, SIDE, 3), value, np.uint8) for value in (10, 20, 30, 40, 50)])
    for batch in (1, 2, "n"):
        (boxes,) = Graph(brightness_detector(tmp_path / "d.onnx", batch), batch=3)(frames)
        np.testing.assert_allclose(boxes[:, 0, 4] * 255, [10, 20, 30, 40, 50], rtol=1e-5)


def test_identity_changes_with_the_weights(tmp_path):
    detector = brightness_detector(tmp_path / "detector.onnx")
    first = Onnx(detector, brightness_pose(tmp_path / "pose.onnx", 2), "boxes", "heatmap").identity
    second = Onnx(detector, brightness_pose(tmp_path / "pose.onnx", 4), "boxes", "heatmap").identity
    assert first != second


def test_files_that_do_not_fit_are_named(tmp_path):
    detector = brightness_detector(tmp_path / "detector.onnx")
    with pytest.raises(ChoreoError, match="there is no ONNX file"):
        Onnx(detector, tmp_path / "absent.onnx")
    (tmp_path / "cut.onnx").write_bytes(detector.read_bytes()[:100])
    with pytest.raises(ChoreoError, match=r"cut\.onnx cannot be opened"):
        Onnx(detector, tmp_path / "cut.onnx")
    with pytest.raises(ChoreoError, match="known formats: movenet, heatmap, simcc"):
        Onnx(detector, detector, pose_format="heat map")
    with pytest.raises(ChoreoError, match="leaves its image size open"):
        Graph(brightness_free(tmp_path / "free.onnx"))


def brightness_free(path: Path) -> Path:
    nodes = [helper.make_node("Cast", ["images"], ["values"], to=TensorProto.FLOAT)]
    return save(path, nodes, ("images", TensorProto.UINT8, ["n", "h", "w", 3]), {"values": ["n", "h", "w", 3]})


def test_yolox_is_given_blue_before_red_and_its_box_comes_back_in_pixels_of_the_frame(encoder):
    """One row says: a person of 8 x 16 input pixels around (12, 12), which is 24 x 48 around (36, 36) in the frame."""

    class Yolox:
        width = height = SIDE

        def __call__(self, images: np.ndarray) -> list[np.ndarray]:
            self.images = images
            rows = np.zeros((len(images), 16 + 4 + 1, 85), np.float32)
            rows[:, 5] = [0.5, 0.5, np.log(1), np.log(2), 0.9, 1, *[0] * 79]  # second row and column of stride 8
            return [rows]

    encoder.detector.graph, encoder.detector.format = Yolox(), "yolox"
    red = np.zeros((1, 96, 96, 3), np.uint8)
    red[..., 0] = 255
    ((boxes, scores),) = encoder.detect(red)
    np.testing.assert_allclose(boxes, [[24, 12, 48, 60]])
    np.testing.assert_allclose(scores, [0.9], rtol=1e-6)
    assert encoder.detector.graph.images[0, 0, 0].tolist() == [0, 0, 255]
