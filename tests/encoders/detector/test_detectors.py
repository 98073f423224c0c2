"""Detectors in ONNX files and in transformers checkpoints: tiny ones, in the real formats."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from pipeline.encoders.detector import coco
from pipeline.encoders.detector.onnx import Onnx
from pipeline.errors import ChoreoError

SIDE = 32
# x0 y0 x1 y1 in input px, score, class
ROWS = [[4, 4, 20, 28, 0.9, 0], [8, 8, 16, 12, 0.8, 1], [5, 4, 21, 28, 0.6, 0], [0, 0, 40, 8, 0.5, 2]]


def fixed(path: Path, rows: list | np.ndarray) -> Path:
    """A graph that answers every picture (SIDE, SIDE) with the same rows."""
    rows = np.asarray(rows, np.float32)[None]
    nodes = [
        helper.make_node("Cast", ["images"], ["values"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["values", "axes"], ["sums"], keepdims=1),  # (n,1,1,1)
        helper.make_node("Squeeze", ["sums", "last"], ["sum"]),
        helper.make_node("Mul", ["sum", "none"], ["zero"]),
        helper.make_node("Add", ["zero", "rows"], ["found"]),
    ]
    constants = {"axes": np.array([1, 2, 3]), "last": np.array([3]), "none": np.float32(0), "rows": rows}
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("found", TensorProto.FLOAT, ["n", *rows.shape[1:]])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


def frames(count: int = 2) -> np.ndarray:
    """Frames twice as wide as high, three times the detector's width."""
    return np.full((count, 48, 96, 3), 7, np.uint8)


def test_things_come_back_in_pixels_of_the_frame_the_surest_first(tmp_path):
    detector = Onnx(fixed(tmp_path / "d.onnx", ROWS), "boxes", ["person", "cup", "floor"], score=0.4)
    found = detector.detect(frames())
    assert len(found) == 2
    for things in found:
        assert [detector.classes[k] for k in things.kind] == ["person", "cup", "floor"]
        np.testing.assert_allclose(things.box, [[12, 12, 60, 48], [24, 24, 48, 36], [0, 0, 96, 24]])  # cut at the frame
        np.testing.assert_allclose(things.score, [0.9, 0.8, 0.5], rtol=1e-6)
        assert things.box.dtype == things.score.dtype == np.float32
    assert detector.detect(frames(0)) == []


def test_names_are_given_read_from_a_file_or_found_beside_the_model(tmp_path):
    model = fixed(tmp_path / "d.onnx", ROWS)
    (tmp_path / "names.txt").write_text("person\ncup\nfloor \n")
    assert Onnx(model, "boxes", tmp_path / "names.txt").classes == ("person", "cup", "floor")
    (tmp_path / "d.json").write_text(json.dumps(["person", "ball"]))
    assert Onnx(model, "boxes").classes == ("person", "ball")
    assert Onnx(model, "boxes", ["person"]).classes == ("person",)
    (tmp_path / "d.json").write_text('{"person": 0}')
    with pytest.raises(ChoreoError, match=r"d\.json is no list of names"):
        Onnx(model, "boxes")


def test_without_names_a_detector_finds_people_only(tmp_path):
    detector = Onnx(fixed(tmp_path / "d.onnx", ROWS), "boxes")
    assert detector.classes == ("person",)
    assert detector.detect(frames(1))[0].kind.tolist() == [0]


def test_a_yolox_graph_of_80_classes_has_cocos_names(tmp_path):
    rows = np.zeros((16 + 4 + 1, 85))
    rows[5, [0, 1, 4, 5 + coco.CLASSES.index("cup")]] = 0.5, 0.5, 1, 0.9  # second row and column of stride 8
    detector = Onnx(fixed(tmp_path / "d.onnx", rows))
    (found,) = detector.detect(np.zeros((1, SIDE, SIDE, 3), np.uint8))
    assert [detector.classes[k] for k in found.kind] == ["cup"]
    np.testing.assert_allclose(found.box, [[8, 8, 16, 16]], atol=1e-5)
    with pytest.raises(ChoreoError, match=r"2 classes are named .* the detector tells 80 apart"):
        Onnx(tmp_path / "d.onnx", classes=["person", "cup"])


def test_an_unknown_format_is_refused(tmp_path):
    with pytest.raises(ChoreoError, match="known formats: yolox, boxes"):
        Onnx(tmp_path / "d.onnx", "ssd")


def test_cocos_classes_are_eighty_and_differ():
    assert len(coco.CLASSES) == len(set(coco.CLASSES)) == 80


def test_a_transformers_detector_names_its_classes_and_stays_within_the_frame(tmp_path):
    import torch
    from transformers import RTDetrConfig, RTDetrForObjectDetection, RTDetrImageProcessor, RTDetrResNetConfig

    from pipeline.encoders.detector.transformers import Transformers

    backbone = RTDetrResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    names = {0: "person", 1: "racket"}
    config = RTDetrConfig(
        backbone_config=backbone, encoder_hidden_dim=16, encoder_in_channels=[8, 16, 16], encoder_ffn_dim=16,
        encoder_attention_heads=2, d_model=16, decoder_in_channels=[16, 16, 16], decoder_ffn_dim=16, decoder_layers=1,
        decoder_attention_heads=2, num_queries=10, num_denoising=0, id2label=names,
        label2id={name: i for i, name in names.items()},
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        RTDetrForObjectDetection(config).save_pretrained(tmp_path / "tiny")
    RTDetrImageProcessor(size={"height": 64, "width": 64}).save_pretrained(tmp_path / "tiny")
    detector = Transformers(str(tmp_path / "tiny"), score=0.01, batch=2, device="cpu")
    assert detector.classes == ("person", "racket") and detector.identity.startswith("transformers:tiny@")
    pixels = np.random.default_rng(0).integers(0, 255, (3, 48, 64, 3), dtype=np.uint8)
    found = detector.detect(pixels)
    assert len(found) == 3 and sum(len(f.box) for f in found) > 0
    for things in found:
        assert (things.box >= 0).all() and (things.box <= (64, 48, 64, 48)).all()
        assert (np.diff(things.score) <= 0).all() and set(things.kind.tolist()) <= {0, 1}
