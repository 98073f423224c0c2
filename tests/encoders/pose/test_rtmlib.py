"""rtmlib on tiny ONNX graphs in the form of the files that its documentation lists."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pipeline import encoders
from pipeline.encoders.pose import Clip
from pipeline.errors import ChoreoError

pytest.importorskip("rtmlib", reason="rtmlib is not installed here; `make test-mmpose` runs this in its environment")

from pipeline.encoders.pose.rtmlib import RtmLib

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
BLACK = np.zeros((64, 96, 3), np.uint8)


def save(path: Path, nodes: list, shape: list, outputs: dict[str, list], constants: dict) -> Path:
    """Write a graph of float pictures (N,3,H,W)."""
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in outputs.items()]
    images = helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "graph", [images], results, weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def simcc(path: Path, height: int = 64, width: int = 48, joints: int = 17, size: list | None = None) -> Path:
    """RTMPose's form: for every joint the brightest row and column, two bins a pixel, in 0-1."""
    nodes = [
        helper.make_node("Mul", ["input", "std"], ["scaled"]),
        helper.make_node("Add", ["scaled", "mean"], ["pixels"]),
        helper.make_node("ReduceMean", ["pixels"], ["grey"], axes=[1], keepdims=0),  # (n,h,w)
        helper.make_node("Div", ["grey", "full"], ["share"]),
    ]
    for axis, other in (("x", 1), ("y", 2)):
        nodes += [
            helper.make_node("ReduceMax", ["share"], [f"peak_{axis}"], axes=[other], keepdims=0),  # (n,side)
            helper.make_node("Unsqueeze", [f"peak_{axis}", "last"], [f"column_{axis}"]),
            helper.make_node("Tile", [f"column_{axis}", "twice"], [f"pairs_{axis}"]),  # (n,side,2)
            helper.make_node("Reshape", [f"pairs_{axis}", f"shape_{axis}"], [f"bins_{axis}"]),  # (n,1,2 side)
            helper.make_node("Tile", [f"bins_{axis}", "joints"], [f"simcc_{axis}"]),
        ]
    constants = {
        "std": np.float32(STD).reshape(1, 3, 1, 1), "mean": np.float32(MEAN).reshape(1, 3, 1, 1),
        "full": np.float32(255), "last": np.array([2]), "twice": np.array([1, 1, 2]),
        "joints": np.array([1, joints, 1]),
        "shape_x": np.array([0, 1, 2 * width]), "shape_y": np.array([0, 1, 2 * height]),
    }  # fmt: skip
    outputs = {"simcc_x": ["batch", joints, 2 * width], "simcc_y": ["batch", joints, 2 * height]}
    return save(path, nodes, size or ["batch", 3, height, width], outputs, constants)


def rtmdet(path: Path, labels: tuple[int, ...] | None = (0, 0, 1)) -> Path:
    """RTMDet's form after suppression: three boxes in the 32 x 32 of the input, all as sure as the brightest blue."""
    boxes = np.float32([[4, 4, 20, 20], [24, 0, 28, 4], [0, 0, 32, 20]])[None]
    nodes = [
        helper.make_node("Slice", ["input", "zero", "one", "axis"], ["blue"]),
        helper.make_node("Mul", ["blue", "std"], ["scaled"]),
        helper.make_node("Add", ["scaled", "mean"], ["pixels"]),
        helper.make_node("Div", ["pixels", "full"], ["share"]),
        helper.make_node("ReduceMax", ["share"], ["peak"], axes=[1, 2, 3], keepdims=1),
        helper.make_node("Squeeze", ["peak", "three"], ["score"]),  # (n,1,1)
        helper.make_node("Tile", ["score", "times"], ["scores"]),
        helper.make_node("Concat", ["boxes", "scores"], ["dets"], axis=2),
    ]
    constants = {
        "zero": np.array([0]), "one": np.array([1]), "axis": np.array([1]), "three": np.array([3]),
        "std": np.float32(57.375), "mean": np.float32(103.53), "full": np.float32(255), "boxes": boxes,
        "times": np.array([1, 3, 1]),
    }  # fmt: skip
    outputs = {"dets": [1, 3, 5]}
    if labels:
        nodes.append(helper.make_node("Identity", ["kinds"], ["labels"]))
        constants["kinds"] = np.float32([labels])
        outputs["labels"] = [1, 3]
    return save(path, nodes, [1, 3, 32, 32], outputs, constants)


def yolox(path: Path) -> Path:
    """YOLOX's raw rows for every picture: a person, and somewhere else a surer bicycle."""
    rows = np.zeros((1, 16 + 4 + 1, 85), np.float32)
    rows[0, 5] = [0.5, 0.5, np.log(1), np.log(2), 0.9, 1, *[0] * 79]  # second row and column of stride 8
    rows[0, 7] = [0.5, 0.5, np.log(1), np.log(1), 0.95, 0, 1, *[0] * 78]
    nodes = [
        helper.make_node("ReduceMax", ["input"], ["peak"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Mul", ["peak", "none"], ["zero"]),
        helper.make_node("Add", ["zero", "rows"], ["output"]),
    ]
    return save(path, nodes, [1, 3, 32, 32], {"output": [1, 21, 85]}, {"none": np.float32(0), "rows": rows})


def spot(x: float, y: float) -> np.ndarray:
    """A frame of 96 x 64 with one soft white spot."""
    rows, columns = np.mgrid[:64, :96]
    return np.repeat(255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 32)[..., None], 3, 2).astype(np.uint8)


def clip(*frames: np.ndarray) -> Clip:
    return Clip("video", Path("video.mp4"), 0, np.stack(frames))


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("rtmlib")
    return rtmdet(folder / "rtmdet.onnx"), simcc(folder / "rtmpose.onnx")


@pytest.fixture
def encoder(files) -> RtmLib:
    detector, pose = map(str, files)
    spec = {"name": "rtmlib", "detector": detector, "pose": pose, "detector_format": "rtmdet"}
    return encoders.load("pose", spec | {"score": 0.5, "device": "cpu"})


def test_boxes_and_joints_come_back_in_pixels_of_the_frame(encoder):
    """The frame, 96 x 64, is a third in the detector's 32 x 32; the larger box is of another class."""
    places = [(30, 40), (35, 45), (40, 50), (36, 30)]
    poses = encoder.encode(clip(*(spot(*place) for place in places)))
    np.testing.assert_allclose(poses.box, np.tile([12, 12, 60, 60], (4, 1)))
    np.testing.assert_allclose(poses.joints, np.repeat(np.array(places)[:, None], 17, axis=1), atol=1)
    assert poses.joints.dtype == poses.confidence.dtype == np.float32 and (poses.confidence > 0.9).all()


def test_without_labels_everything_is_a_person(encoder, files, tmp_path):
    encoder = RtmLib(rtmdet(tmp_path / "plain.onnx", labels=None), files[1], "rtmdet", score=0.5)
    assert [len(boxes) for boxes, _ in encoder.detect(np.stack([spot(30, 40), BLACK]))] == [3, 0]


def test_a_frame_without_a_person_stays_empty(encoder):
    """Never the whole image, which rtmlib takes where it is given no box."""
    poses = encoder.encode(clip(BLACK, BLACK))
    assert np.isnan(poses.joints).all() and np.isnan(poses.box).all() and (poses.confidence == 0).all()
    encoder.tracking = "largest"
    poses = encoder.encode(clip(spot(30, 40), BLACK, spot(35, 45)))
    assert np.isfinite(poses.box).all(axis=1).tolist() == [True, False, True] and (poses.confidence[1] == 0).all()


def test_a_joint_without_a_peak_has_no_place(encoder):
    """A box in the dark: SimCC's maxima are 0 there."""
    joints, confidence = encoder.estimate(BLACK[None], np.float32([[10, 10, 40, 50]]))
    assert (confidence < 1e-6).all() and np.isnan(joints[confidence == 0]).all()


def test_yolox_tells_people_from_bicycles(files, tmp_path):
    """Raw rows: 8 x 16 input pixels around (12, 12), which is 24 x 48 around (36, 36) in the frame."""
    encoder = RtmLib(yolox(tmp_path / "yolox.onnx"), files[1], score=0.5)
    ((boxes, scores),) = encoder.detect(np.zeros((1, 96, 96, 3), np.uint8))
    np.testing.assert_allclose(boxes, [[24, 12, 48, 60]], atol=1e-4)
    assert scores.shape == (1,)
    encoder = RtmLib(tmp_path / "yolox.onnx", files[1], score=0.93)
    assert encoder.detect(np.zeros((1, 96, 96, 3), np.uint8))[0][0].shape == (0, 4)


def test_the_encoder_onnx_sees_the_same_joints(encoder, files):
    """Another implementation of the same crop and of SimCC, in batches."""
    from test_onnx import brightness_detector

    from pipeline.encoders.pose.onnx import Onnx

    other = Onnx(
        brightness_detector(files[0].with_name("any.onnx")),
        files[1],
        "boxes",
        "simcc",
        mean=MEAN,
        std=STD,
        device="cpu",
    )
    frames = np.stack([spot(30, 40), spot(35, 45), spot(33, 38)])
    boxes = np.float32([[10, 20, 50, 60], [12, 12, 60, 60], [20, 10, 50, 64]])
    joints, confidence = encoder.estimate(frames, boxes)
    again, sure = other.estimate(frames, boxes)
    np.testing.assert_allclose(joints, again, atol=0.5)
    np.testing.assert_allclose(confidence, sure, atol=0.02)


def test_identity_changes_with_the_weights(encoder, files, tmp_path):
    other = RtmLib(files[0], simcc(tmp_path / "rtmpose.onnx", height=32), "rtmdet")
    assert encoder.identity.startswith("rtmlib:rtmdet@") and other.identity != encoder.identity
    assert RtmLib(*files, "rtmdet").identity == encoder.identity


def test_nothing_is_ever_fetched(files, monkeypatch):
    monkeypatch.setattr("rtmlib.tools.base.download_checkpoint", lambda *_: pytest.fail("a download"))
    with pytest.raises(ChoreoError, match="there is no ONNX file https://models"):
        RtmLib("https://models/rtmdet.onnx", files[1])
    with pytest.raises(ChoreoError, match="there is no ONNX file absent"):
        RtmLib(files[0], "absent.onnx", "rtmdet")


def test_files_that_do_not_fit_are_named(files, tmp_path):
    with pytest.raises(ChoreoError, match="known formats: yolox, rtmdet"):
        RtmLib(*files, "ssd")
    with pytest.raises(ChoreoError, match=r"feet\.onnx puts out simcc_x[\s\S]* no SimCC model of COCO's 17 joints"):
        RtmLib(files[0], simcc(tmp_path / "feet.onnx", joints=26), "rtmdet")
    (tmp_path / "cut.onnx").write_bytes(files[1].read_bytes()[:100])
    with pytest.raises(ChoreoError, match=r"cut\.onnx cannot be opened"):
        RtmLib(files[0], tmp_path / "cut.onnx", "rtmdet")


def test_a_graph_that_leaves_its_size_open_is_told_it(encoder, files, tmp_path):
    free = simcc(tmp_path / "free.onnx", size=["batch", 3, "height", "width"])
    with pytest.raises(ChoreoError, match=r"free\.onnx takes[\s\S]*pose_size: \[width, height\]"):
        RtmLib(files[0], free, "rtmdet")
    frames, boxes = spot(30, 40)[None], np.float32([[10, 20, 50, 60]])
    told = RtmLib(files[0], free, "rtmdet", pose_size=[48, 64])
    np.testing.assert_array_equal(told.estimate(frames, boxes)[0], encoder.estimate(frames, boxes)[0])
