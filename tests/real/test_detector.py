"""YOLOX-nano on pictures of COCO's validation set: what people annotated there is found where it is."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from pipeline.encoders.detector import Detections
from pipeline.encoders.detector.onnx import Onnx


@pytest.fixture(scope="module")
def detector(shared_data: Path) -> Onnx:
    return Onnx(shared_data / "weights/yolox/yolox_nano.onnx", score=0.5)


def seen(detector: Onnx, folder: Path, image: str) -> Detections:
    pixels = cv2.cvtColor(cv2.imread(str(folder / "coco_pose_check" / image)), cv2.COLOR_BGR2RGB)
    return detector.detect(pixels[None])[0]


@pytest.mark.parametrize(
    ("image", "names"),
    [
        ("000000000785.jpg", {"person", "skis"}),
        ("000000040083.jpg", {"person", "umbrella", "car"}),
        ("000000196141.jpg", {"person", "baseball glove", "baseball bat", "car"}),
    ],
)
def test_a_real_detector_names_what_a_picture_shows(image, names, detector, shared_data):
    assert {detector.classes[k] for k in seen(detector, shared_data, image).kind} == names


def test_the_largest_annotated_person_of_each_picture_is_found_in_place(detector, shared_data):
    truth = json.loads((shared_data / "coco_pose_check" / "test_coco.json").read_text())
    for image in truth["images"]:
        boxes = [a["bbox"] for a in truth["annotations"] if a["image_id"] == image["id"] and not a["iscrowd"]]
        x, y, width, height = max(boxes, key=lambda b: b[2] * b[3])
        people, _ = seen(detector, shared_data, image["file_name"]).of(0)
        shared = np.minimum(people[:, 2:], [x + width, y + height]) - np.maximum(people[:, :2], [x, y])
        inter = shared.clip(0).prod(axis=1)
        union = (people[:, 2:] - people[:, :2]).prod(axis=1) + width * height - inter
        assert (inter / union).max() > 0.7, image["file_name"]
