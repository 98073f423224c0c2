"""Encoders are found by name."""

import importlib.util

import pytest

from pipeline import encoders
from pipeline.errors import ChoreoError

LINES = [(kind, name) for kind, registry in encoders.KINDS.items() for name in registry]


def test_a_spec_is_a_name_a_name_and_its_model_or_a_mapping():
    assert encoders.parse("vitpose") == ("vitpose", {})
    assert encoders.parse("torchvision:swin3d_t") == ("torchvision", {"model": "swin3d_t"})
    assert encoders.parse("onnx:C:/models/a.onnx") == ("onnx", {"model": "C:/models/a.onnx"})
    assert encoders.parse({"name": "timm:vit", "frames": 4}) == ("timm", {"model": "vit", "frames": 4})


@pytest.mark.parametrize(("kind", "name"), LINES)
def test_every_line_names_a_class_that_is_there(kind, name):
    source, _, attribute = encoders.KINDS[kind][name].partition(":")
    spec = importlib.util.find_spec(source)
    assert spec is not None, f"{source} is missing"
    with open(spec.origin) as file:
        assert f"class {attribute}" in file.read()


def test_a_slip_of_the_pen_is_told_the_nearest_name():
    with pytest.raises(ChoreoError, match="'vitpose'"):
        encoders.load("pose", "vit_pose")
    with pytest.raises(ChoreoError, match="known kinds: pose, image_text, backbone, sentence"):
        encoders.load("audio", "any")


def test_a_misspelt_option_is_told_the_nearest_one():
    with pytest.raises(ChoreoError, match="'detect_every'"):
        encoders.load("pose", {"name": "onnx", "detector": "a.onnx", "pose": "b.onnx", "detectevery": 4})


def test_an_option_that_must_be_given_is_asked_for():
    with pytest.raises(ChoreoError, match="was not told: detector, pose"):
        encoders.load("pose", "onnx")


def test_a_spec_without_a_name_is_refused():
    with pytest.raises(ChoreoError, match="NAME:MODEL"):
        encoders.load("pose", {"model": "x"})


def test_an_absent_package_is_named(monkeypatch):
    monkeypatch.setitem(encoders.POSE, "needy", "package_that_is_absent:Pose")
    with pytest.raises(ChoreoError, match="needs the Python package 'package_that_is_absent'"):
        encoders.load("pose", "needy")


def test_the_module_of_an_encoder_is_known_without_importing_it():
    assert encoders.module("pose", {"name": "import", "path": "x"}) == "encoders.pose.imported"


def test_an_encoder_is_made_with_its_options():
    encoder = encoders.load("pose", {"name": "import", "path": "poses/{video_id}.npy", "tracking": "largest"})
    assert (encoder.path, encoder.tracking, encoder.needs_frames) == ("poses/{video_id}.npy", "largest", False)
