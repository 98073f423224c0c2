"""A real classifier on real pictures: MobileNetV2 as a backbone, and with MiniLM as an image-text encoder."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline import encoders
from pipeline.video import read, segments


@pytest.fixture(scope="module")
def weights(shared_data: Path) -> Path:
    return shared_data / "weights"


@pytest.fixture(scope="module")
def conse(weights: Path):
    files = {"classifier": str(weights / "onnx/mobilenet_v2.onnx"), "labels": str(weights / "imagenet_labels.txt")}
    return encoders.load("image_text", {"name": "conse", **files})


def picture(path: Path) -> np.ndarray:
    """(1,H,W,3) uint8 RGB."""
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)[None]


@pytest.mark.parametrize(("file", "name"), [("cat.bmp", "Egyptian cat"), ("grace_hopper.bmp", "military uniform")])
def test_a_real_classifier_knows_its_reference_pictures(file, name, weights):
    spec = {"name": "onnx", "model": str(weights / "onnx/mobilenet_v2.onnx"), "output": "probs", "frames": 1}
    probs = encoders.load("backbone", spec).encode([picture(weights / file)])[0]
    labels = (weights / "imagenet_labels.txt").read_text().splitlines()
    assert labels[probs.argmax()] == name and probs.max() > 0.7


def test_the_features_of_two_real_pictures_differ_and_those_of_a_still_clip_do_not(weights):
    backbone = encoders.load("backbone", f"onnx:{weights / 'onnx/mobilenet_v2.onnx'}")
    cat, hopper = picture(weights / "cat.bmp"), picture(weights / "grace_hopper.bmp")
    features = backbone.encode([cat, np.repeat(cat, 5, axis=0), hopper])
    assert features.shape == (3, backbone.dim) == (3, 1280)
    np.testing.assert_allclose(features[0], features[1], rtol=1e-4, atol=1e-4)
    cosine = features[0] @ features[2] / np.prod(np.linalg.norm(features[[0, 2]], axis=1))
    assert cosine < 0.8


def test_a_cat_is_nearer_to_the_word_than_to_a_tennis_court(conse, weights):
    image = conse.images(picture(weights / "cat.bmp"))[0]
    cat, court = conse.texts(["cat", "tennis court"]) @ image
    assert cat > court + 0.5


@pytest.mark.parametrize("stroke", ["serve", "forehand", "b_volley"])
def test_tennis_is_nearer_to_a_tennis_court_and_a_racket_than_to_a_swimming_pool(stroke, conse, shared_data):
    video = shared_data / "tennis_strokes" / stroke / f"{stroke}1.mp4"
    image = conse.images(read(video, segments(60, 8))[0]).mean(0)
    court, racket, pool = conse.texts(["tennis court", "racket", "swimming pool"]) @ image
    assert min(court, racket) > pool
