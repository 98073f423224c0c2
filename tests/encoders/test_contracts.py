"""The contract of every kind of encoder, kept by every backend: shapes, types, masks, determinism, batches, resuming.

Each backend is built from a tiny checkpoint with random weights, in its real format; one whose package is not installed
is skipped. A new line in a registry needs a line in `MAKERS`.
"""

import inspect
import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from films import film

from pipeline import encoders
from pipeline.artifacts import Artifact
from pipeline.encoders.pose import JOINTS, Clip
from pipeline.errors import ChoreoError
from pipeline.features.backbone import backbone
from pipeline.features.embeddings import embeddings
from pipeline.features.keyframes import keyframes
from pipeline.features.pose import pose
from pipeline.manifest import Manifest, Video

Make = Callable[[Path], dict]  # a folder -> the spec of an encoder whose files lie there

VIDEOS = ("a", "b", "c")
TEXTS = ["a tennis racket", "swimming pool", "a man who " + "runs and " * 40 + "stops", "horse"]
LONG = 33  # frames: more than one batch of 32


def noise(count: int) -> np.ndarray:
    """Frames (count,48,64,3)."""
    return np.random.default_rng(0).integers(0, 256, (count, 48, 64, 3), dtype=np.uint8)


# Makers; each imports what it needs. `encoders` here is this folder. --------------------------------------------------


def pose_onnx(folder: Path) -> dict:
    from encoders.pose.test_onnx import brightness_detector, brightness_pose

    files = {"detector": brightness_detector(folder / "d.onnx"), "pose": brightness_pose(folder / "p.onnx")}
    return {"name": "onnx", **files, "detector_format": "boxes", "pose_format": "heatmap", "device": "cpu"}


def pose_vitpose(folder: Path) -> dict:
    pytest.importorskip("transformers")
    from encoders.pose.test_vitpose import save_detector, save_pose

    files = {"model": save_pose(folder / "vitpose"), "detector": save_detector(folder / "rtdetr")}
    return {"name": "vitpose", **files, "score": 0.01, "device": "cpu"}


def pose_mmpose(folder: Path) -> dict:
    pytest.importorskip("mmpose", reason="MMPose is not installed here; `make test-mmpose` has it")
    from encoders.pose.test_mmpose import made

    return made(folder)


def pose_rtmlib(folder: Path) -> dict:
    pytest.importorskip("rtmlib", reason="rtmlib is not installed here; `make test-mmpose` has it")
    from encoders.pose.test_rtmlib import rtmdet, simcc

    files = {"detector": rtmdet(folder / "d.onnx"), "pose": simcc(folder / "p.onnx")}
    return {"name": "rtmlib", **files, "detector_format": "rtmdet", "device": "cpu"}


def pose_import(folder: Path) -> dict:
    for video in VIDEOS:
        joints = np.random.default_rng(0).uniform(0, 48, (60, 17, 3))
        joints[::7] = np.nan
        np.save(folder / f"{video}.npy", joints)
    return {"name": "import", "path": f"{folder}/{{video_id}}.npy"}


def image_text_open_clip(folder: Path) -> dict:
    pytest.importorskip("open_clip")
    from encoders.image_text.test_open_clip import OWN, saved

    return saved(OWN, folder)[1]


def image_text_conse(folder: Path) -> dict:
    pytest.importorskip("transformers")
    from encoders.image_text.test_conse import LABELS
    from encoders.tiny import picture_graph

    (folder / "labels.txt").write_text("\n".join(LABELS) + "\n")
    graph = picture_graph(folder / "classifier.onnx", classes=len(LABELS))
    return {"name": "conse", "classifier": str(graph), "labels": str(folder / "labels.txt")}


def of_backbones(name: str) -> Make:
    """A maker of the backbones' own tests."""

    def make(folder: Path) -> dict:
        pytest.importorskip("timm")
        from encoders.backbone import test_backbones

        return getattr(test_backbones, name)(folder)

    return make


def backbone_import(folder: Path) -> dict:
    for video in VIDEOS:
        np.save(folder / f"{video}.npy", np.random.default_rng(ord(video)).normal(size=(3, 5)))
    return {"name": "import", "pattern": f"{folder}/{{video_id}}.npy"}


def sentence_minilm(folder: Path) -> dict:
    pytest.importorskip("transformers")
    return {"name": "minilm", "device": "cpu"}


def sentence_any(folder: Path) -> dict:
    """The packaged model, named by its folder."""
    pytest.importorskip("transformers")
    from pipeline.encoders.sentence import model_folder

    return {"name": "sentence_transformers", "model": str(model_folder("minilm")), "device": "cpu"}


def detector_onnx(folder: Path) -> dict:
    from encoders.pose.test_onnx import brightness_detector

    return {"name": "onnx", "model": brightness_detector(folder / "d.onnx"), "format": "boxes", "device": "cpu"}


def detector_transformers(folder: Path) -> dict:
    pytest.importorskip("transformers")
    from encoders.pose.test_vitpose import save_detector

    return {"name": "transformers", "model": save_detector(folder / "rtdetr"), "score": 0.01, "device": "cpu"}


MAKERS: dict[tuple[str, str], Make] = {
    ("pose", "onnx"): pose_onnx,
    ("pose", "vitpose"): pose_vitpose,
    ("pose", "mmpose"): pose_mmpose,
    ("pose", "rtmlib"): pose_rtmlib,
    ("pose", "import"): pose_import,
    ("image_text", "open_clip"): image_text_open_clip,
    ("image_text", "conse"): image_text_conse,
    ("backbone", "videomae"): of_backbones("videomae"),
    ("backbone", "torchvision"): of_backbones("torchvision_video"),
    ("backbone", "timm"): of_backbones("timm_image"),
    ("backbone", "i3d"): of_backbones("i3d"),
    ("backbone", "onnx"): of_backbones("onnx_clips"),
    ("backbone", "import"): backbone_import,
    ("sentence", "minilm"): sentence_minilm,
    ("sentence", "sentence_transformers"): sentence_any,
    ("detector", "onnx"): detector_onnx,
    ("detector", "transformers"): detector_transformers,
}


@pytest.fixture(scope="module", params=MAKERS, ids="-".join)
def made(request, tmp_path_factory) -> tuple[str, dict]:
    """A kind, and the spec of one of its backends."""
    kind, name = request.param
    folder = tmp_path_factory.mktemp(f"{kind}_{name}")
    try:
        import torch
    except ModuleNotFoundError:
        return kind, MAKERS[request.param](folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind, MAKERS[request.param](folder)


@pytest.fixture(scope="module")
def encoder(made) -> object:
    return encoders.load(*made)


def answers(kind: str, encoder, count: int = LONG) -> dict[str, np.ndarray]:
    """What an encoder says to `count` frames, texts or clips, by the name of the array."""
    frames = noise(count)
    match kind:
        case "pose":
            clip = Clip("a", Path("a.mp4"), 0, frames if encoder.needs_frames else None, count)
            return vars(encoder.encode(clip))
        case "image_text":
            return {"images": encoder.images(frames), "texts": encoder.texts(TEXTS)}
        case "backbone" if encoder.needs_frames:
            clips = [np.roll(noise(encoder.frames), i, axis=2) for i in range(min(count, 5))]
            return {"features": encoder.encode(clips)}
        case "backbone":
            return {"features": encoder.encode(list(VIDEOS))}
        case "sentence":
            return {"texts": encoder.texts(TEXTS)}
        case "detector":
            found = encoder.detect(frames)
            joined = {name: np.concatenate([getattr(f, name) for f in found]) for name in ("box", "score", "kind")}
            return joined | {"count": np.array([len(f.box) for f in found])}
    raise AssertionError(f"no contract for the kind {kind!r}")


# What holds for every backend of a kind ------------------------------------------------------------------------------


def test_every_line_of_the_registries_is_held_to_its_contract():
    assert set(MAKERS) == {(kind, name) for kind, registry in encoders.KINDS.items() for name in registry}


def test_answers_have_the_shapes_types_and_masks_of_their_kind(made, encoder):
    kind, spec = made
    CHECKS[kind](answers(kind, encoder), encoder)
    assert encoder.identity.split(":")[0] in {spec["name"], "sentence"}


def check_pose(found: dict, encoder) -> None:
    joints, confidence, box = found["joints"], found["confidence"], found["box"]
    assert joints.shape == (LONG, len(JOINTS), 2) and confidence.shape == (LONG, len(JOINTS)) and box.shape == (LONG, 4)
    assert joints.dtype == confidence.dtype == box.dtype == np.float32
    seen = np.isfinite(box).all(axis=1)
    assert seen.any() and np.isnan(box[~seen]).all()
    assert np.isnan(joints[~seen]).all() and (confidence[~seen] == 0).all()
    assert (confidence >= 0).all() and (confidence <= 1).all() and np.isfinite(joints[confidence > 0]).all()
    assert (box[seen, 2:] >= box[seen, :2]).all()
    assert isinstance(encoder.needs_frames, bool)


def check_unit_rows(rows: np.ndarray, count: int) -> None:
    assert rows.dtype == np.float32 and rows.ndim == 2 and len(rows) == count
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)


def check_image_text(found: dict, encoder) -> None:
    check_unit_rows(found["images"], LONG)
    check_unit_rows(found["texts"], len(TEXTS))
    assert found["images"].shape[1] == found["texts"].shape[1] == encoder.dim
    assert encoder.images(noise(0)).shape == encoder.texts([]).shape == (0, encoder.dim)


def check_backbone(found: dict, encoder) -> None:
    features = found["features"]
    assert features.dtype == np.float32 and features.shape[1] == encoder.dim and np.isfinite(features).all()
    assert np.ptp(features, axis=0).max() > 0
    assert isinstance(encoder.needs_frames, bool) and isinstance(encoder.frames, int)


def check_sentence(found: dict, encoder) -> None:
    check_unit_rows(found["texts"], len(TEXTS))
    assert encoder.texts([]).shape == (0, found["texts"].shape[1])


def check_detector(found: dict, encoder) -> None:
    assert found["box"].dtype == found["score"].dtype == np.float32 and found["kind"].dtype == np.int64
    assert found["box"].shape == (found["count"].sum(), 4) and found["count"].sum() > 0
    assert (found["box"] >= 0).all() and (found["box"] <= (64, 48, 64, 48)).all()
    assert (found["score"] >= 0).all() and (found["score"] <= 1).all()
    assert set(found["kind"].tolist()) <= set(range(len(encoder.classes)))
    assert all((np.diff(s) <= 0).all() for s in np.split(found["score"], found["count"].cumsum()[:-1]))
    assert encoder.detect(noise(0)) == []


CHECKS = {
    "pose": check_pose,
    "image_text": check_image_text,
    "backbone": check_backbone,
    "sentence": check_sentence,
    "detector": check_detector,
}


def test_nobody_and_nothing_are_found_where_nothing_is_sure_enough(made, encoder):
    """Never the whole image as a person."""
    kind, spec = made
    if "score" not in inspect.signature(type(encoder)).parameters:
        pytest.skip("it has no least score")
    found = answers(kind, encoders.load(kind, spec | {"score": 1.1}), count=3)
    if kind == "detector":
        assert found["count"].tolist() == [0, 0, 0]
    else:
        assert np.isnan(found["joints"]).all() and np.isnan(found["box"]).all() and not found["confidence"].any()


def test_a_second_load_gives_the_same_identity_and_answers_to_the_bit(made, encoder):
    kind, spec = made
    again = encoders.load(kind, spec)
    assert again.identity == encoder.identity
    for name, array in answers(kind, encoder, count=4).items():
        np.testing.assert_array_equal(answers(kind, again, count=4)[name], array, err_msg=name)


def test_answers_do_not_depend_on_the_batch(made, encoder):
    kind, spec = made
    if "batch" not in inspect.signature(type(encoder)).parameters:
        pytest.skip("it takes one at a time")
    alone, together = (answers(kind, encoders.load(kind, spec | {"batch": n})) for n in (1, 32))
    for name, array in together.items():
        pixels = kind in ("pose", "detector") and name in ("joints", "box")
        scale = np.nanmax(np.abs(array))
        np.testing.assert_allclose(alone[name], array, atol=0.01 if pixels else 1e-4 * scale, err_msg=name)


# Resuming ------------------------------------------------------------------------------------------------------------

STAGES = {"pose": ("encode", "pose"), "image_text": ("images", "embeddings"), "backbone": ("encode", "features")}


@pytest.fixture(scope="module")
def shard(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("shard")
    Manifest([Video(i, film(root / f"{i}.mp4", 20), frames=20, fps=25) for i in VIDEOS]).write(root / "m.csv")
    keyframes(root / "m.csv", root / "keyframes.h5")
    return root


def run(kind: str, shard: Path, out: Path, spec: dict) -> dict[str, np.ndarray]:
    """The stage of a kind over the shard; every array of its artifact."""
    spec = {key: str(value) if isinstance(value, Path) else value for key, value in spec.items()}
    match kind:
        case "pose":
            pose(shard / "m.csv", shard / "keyframes.h5", out, encoder=spec, clip_length=4)
        case "image_text":
            embeddings(shard / "m.csv", out, encoder=spec, frames=3)
        case "backbone":
            backbone(shard / "m.csv", out, encoder=spec)
    with Artifact(out, STAGES[kind][1]) as found:
        assert found.ids == list(VIDEOS) and not found.failures
        return {f"{i}/{name}": array for i in VIDEOS for name, array in found.video(i).items()}


def test_a_job_that_was_stopped_goes_on_and_ends_with_the_same_numbers(made, encoder, shard, tmp_path, monkeypatch):
    kind, spec = made
    if kind not in STAGES:
        pytest.skip("no stage goes through videos with this kind alone")
    monkeypatch.setattr(encoders, "load", lambda *_: encoder)
    whole = run(kind, shard, tmp_path / "whole.h5", spec)
    method = STAGES[kind][0]
    ask, calls = getattr(encoder, method), itertools.count()

    def stopped(given: object) -> object:
        if next(calls) == 1:
            raise KeyboardInterrupt
        return ask(given)

    monkeypatch.setattr(encoder, method, stopped)
    with pytest.raises(KeyboardInterrupt):
        run(kind, shard, tmp_path / "resumed.h5", spec)
    assert not (tmp_path / "resumed.h5").exists()
    resumed = run(kind, shard, tmp_path / "resumed.h5", spec)
    assert whole.keys() == resumed.keys()
    for name, array in whole.items():
        np.testing.assert_array_equal(resumed[name], array, err_msg=name)


def test_a_backend_whose_package_is_absent_is_named_with_the_others():
    for (kind, name), package in {("pose", "mmpose"): "mmpose", ("pose", "rtmlib"): "rtmlib"}.items():
        try:
            __import__(package)
        except ModuleNotFoundError:
            with pytest.raises(ChoreoError, match=f"needs the Python package '{package}'[\\s\\S]*onnx, vitpose"):
                encoders.load(
                    kind, {"name": name, "detector": "d.onnx", "pose": "p.onnx"} if name == "rtmlib" else name
                )
