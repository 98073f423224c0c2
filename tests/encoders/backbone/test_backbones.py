"""The contract that every backbone keeps, each built from a tiny checkpoint in its real format."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file

from pipeline import encoders
from pipeline.errors import ChoreoError, VideoError
from tests.encoders.tiny import clip_graph, picture_graph


def videomae(folder: Path) -> dict:
    from transformers import VideoMAEConfig, VideoMAEForVideoClassification, VideoMAEImageProcessor

    torch.manual_seed(0)
    config = VideoMAEConfig(
        image_size=32,
        patch_size=16,
        num_frames=4,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
    )
    VideoMAEForVideoClassification(config).save_pretrained(folder)
    VideoMAEImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    return {"name": "videomae", "model": str(folder)}


def torchvision_video(folder: Path) -> dict:
    torch.manual_seed(0)
    path = folder / "r3d.pth"
    torch.save(torchvision.models.get_model("r3d_18", num_classes=5).state_dict(), path)
    return {"name": "torchvision", "model": "r3d_18", "weights": str(path), "frames": 4}


def torchvision_image(folder: Path) -> dict:
    torch.manual_seed(0)
    path = folder / "resnet.pth"
    torch.save(torchvision.models.get_model("resnet18", num_classes=5).state_dict(), path)
    return {"name": "torchvision", "model": "resnet18", "weights": str(path), "frames": 4}


def timm_image(folder: Path) -> dict:
    torch.manual_seed(0)
    path = folder / "timm.safetensors"
    save_file(timm.create_model("test_vit", num_classes=5).state_dict(), path)
    return {"name": "timm", "model": "test_vit", "checkpoint": str(path), "frames": 4}


def i3d(folder: Path) -> dict:
    from pipeline.encoders.backbone.i3d import Network

    torch.manual_seed(0)
    path = folder / "i3d.pt"
    torch.save(Network(classes=5).state_dict(), path)
    return {"name": "i3d", "model": str(path), "classes": 5, "frames": 4}


def onnx_pictures(folder: Path) -> dict:
    return {"name": "onnx", "model": str(picture_graph(folder / "pictures.onnx")), "frames": 4}


def onnx_clips(folder: Path) -> dict:
    return {"name": "onnx", "model": str(clip_graph(folder / "clips.onnx", frames=4))}


BACKBONES = [videomae, torchvision_video, torchvision_image, timm_image, i3d, onnx_pictures, onnx_clips]


@pytest.fixture(scope="module", params=BACKBONES, ids=lambda make: make.__name__)
def spec(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict:
    make: Callable[[Path], dict] = request.param
    return make(tmp_path_factory.mktemp(make.__name__))


@pytest.fixture(scope="module")
def backbone(spec: dict):
    return encoders.load("backbone", {**spec, "batch": 2})


@pytest.fixture(scope="module")
def clips(backbone) -> list[np.ndarray]:
    """Three clips, the last of another frame size."""
    rng = np.random.default_rng(0)
    sizes = [(48, 64), (48, 64), (60, 40)]
    return [rng.integers(0, 256, (backbone.frames, *size, 3), dtype=np.uint8) for size in sizes]


def test_features_are_finite_float32_of_the_stated_width(backbone, clips):
    features = backbone.encode(clips)
    assert backbone.needs_frames and backbone.frames == 4
    assert features.shape == (3, backbone.dim) and features.dtype == np.float32
    assert np.isfinite(features).all() and features.std() > 0


def test_different_clips_have_different_features(backbone, clips):
    features = backbone.encode(clips[:2])
    assert np.abs(features[0] - features[1]).max() > 1e-3 * features.std()


def test_a_clip_has_the_same_feature_alone_as_in_a_batch(backbone, clips):
    together = backbone.encode(clips)
    alone = np.concatenate([backbone.encode([clip]) for clip in clips])
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-4 * together.std())


def test_a_second_load_gives_the_same_identity_and_features_to_the_bit(spec, backbone, clips):
    again = encoders.load("backbone", {**spec, "batch": 2})
    assert again.identity == backbone.identity
    np.testing.assert_array_equal(again.encode(clips), backbone.encode(clips))


def test_no_clips_give_no_rows(backbone):
    assert backbone.encode([]).shape == (0, backbone.dim)


# Each against its library ----------------------------------------------------------------------------------------


def a_clip(frames: int = 4, height: int = 48, width: int = 64) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


def test_videomae_gives_its_own_classifier_what_it_wants(tmp_path):
    """The feature, through the checkpoint's linear layer, makes the checkpoint's logits."""
    from transformers import VideoMAEForVideoClassification, VideoMAEImageProcessor

    spec, clip = videomae(tmp_path), a_clip()
    whole = VideoMAEForVideoClassification.from_pretrained(tmp_path).eval()
    pixels = VideoMAEImageProcessor.from_pretrained(tmp_path)(list(clip), return_tensors="pt")["pixel_values"]
    feature = encoders.load("backbone", spec).encode([clip])
    with torch.no_grad():
        expected = whole(pixels).logits
        found = whole.classifier(torch.from_numpy(feature))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_videomae_from_pretraining_is_the_plain_mean_of_its_tokens(tmp_path):
    from transformers import VideoMAEConfig, VideoMAEForPreTraining, VideoMAEModel

    spec, clip = videomae(tmp_path), a_clip()
    config = VideoMAEConfig.from_pretrained(tmp_path)
    torch.manual_seed(1)
    VideoMAEForPreTraining(config).save_pretrained(tmp_path)
    encoder = encoders.load("backbone", spec)
    tokens = VideoMAEModel.from_pretrained(tmp_path).eval()
    pixels = encoder.processor(list(clip), return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        expected = tokens(pixels).last_hidden_state.mean(1)
    np.testing.assert_allclose(encoder.encode([clip]), expected, rtol=1e-4, atol=1e-5)


def test_torchvision_squeezes_the_part_of_the_middle_that_it_is_asked_for(tmp_path):
    from torchvision.transforms import functional

    spec = torchvision_video(tmp_path) | {"crop": [112, 150]}
    clip = np.random.default_rng(0).integers(0, 256, (4, 128, 228, 3), dtype=np.uint8)
    encoder = encoders.load("backbone", spec)
    seen = encoder.transform(torch.from_numpy(clip).permute(0, 3, 1, 2))
    preset = torchvision.models.video.R3D_18_Weights.DEFAULT.transforms()
    sized = functional.resize(torch.from_numpy(clip).permute(0, 3, 1, 2), preset.resize_size, antialias=False)
    top, left = (sized.shape[2] - 112) // 2, round((sized.shape[3] - 150) / 2)
    part = functional.resize(sized[:, :, top : top + 112, left : left + 150].float() / 255, [112, 112], antialias=True)
    expected = functional.normalize(part, preset.mean, preset.std).transpose(0, 1)
    assert seen.shape == (3, 4, 112, 112)
    torch.testing.assert_close(seen, expected, atol=0.02, rtol=0)
    plain = encoders.load("backbone", torchvision_video(tmp_path)).encode([clip])
    assert not np.allclose(encoder.encode([clip]), plain)


def test_torchvision_refuses_to_squeeze_for_a_model_of_images(tmp_path):
    with pytest.raises(ChoreoError, match="frames cannot be cut to"):
        encoders.load("backbone", torchvision_image(tmp_path) | {"crop": [112, 150]})


@pytest.mark.parametrize("make", [torchvision_video, torchvision_image])
def test_torchvision_gives_its_own_last_layer_what_it_wants(make, tmp_path):
    spec, clip = make(tmp_path), a_clip()
    whole = torchvision.models.get_model(spec["model"], num_classes=5).eval()
    whole.load_state_dict(torch.load(spec["weights"], weights_only=True))
    linear = [m for m in whole.modules() if isinstance(m, torch.nn.Linear)][-1]
    transform = torchvision.models.get_model_weights(spec["model"]).DEFAULT.transforms()
    frames = torch.from_numpy(clip).permute(0, 3, 1, 2)
    video = make is torchvision_video
    with torch.no_grad():
        logits = whole(transform(frames)[None] if video else transform(frames)).mean(0)
        found = linear(torch.from_numpy(encoders.load("backbone", spec).encode([clip])))[0]
    np.testing.assert_allclose(found, logits, rtol=1e-3, atol=1e-4)


def test_video_swin_sees_what_its_publishers_show_it():
    """Short side 256, the middle 224 x 224, 32 frames, mean and deviation of ImageNet."""
    from pipeline.encoders.backbone.torchvision import TorchVision

    encoder = TorchVision("swin3d_b", weights=None)
    assert (encoder.dim, encoder.frames) == (1024, 32)
    clip = a_clip(frames=2, height=300, width=512)
    half = torch.from_numpy(clip).permute(0, 3, 1, 2)
    found = encoder.transform(half)  # (3,T,224,224)
    large = torch.nn.functional.interpolate(half.float(), size=(256, 436), mode="bilinear")[:, :, 16:240, 106:330]
    mean, deviation = (torch.tensor(v)[:, None, None] for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    expected = ((large / 255 - mean) / deviation).transpose(0, 1)
    assert found.shape == (3, 2, 224, 224)
    np.testing.assert_allclose(found, expected, atol=1.01 / 255 / 0.224)  # a grey level


WIDTHS = {
    "swin3d_t": 768,
    "mvit_v2_s": 768,
    "s3d": 1024,
    "r3d_18": 512,
    "resnet50": 2048,
    "vit_b_16": 768,
    "convnext_tiny": 768,
    "efficientnet_b0": 1280,
    "densenet121": 1024,
}


@pytest.mark.parametrize("name", WIDTHS)
def test_the_last_layer_of_a_torchvision_model_is_the_one_that_makes_the_classes(name):
    from pipeline.encoders.backbone.torchvision import behead

    with torch.device("meta"):
        model = torchvision.models.get_model(name, weights=None, num_classes=7).eval()
        head, dim = behead(model)
        size = (3, 16, 224, 224) if model.__module__.startswith("torchvision.models.video") else (3, 224, 224)
        features = model(torch.zeros(1, *size))
    assert dim == WIDTHS[name] and features.shape == (1, dim)
    assert not any(key.startswith(head) for key in model.state_dict())


def test_timm_gives_its_own_classifier_what_it_wants(tmp_path):
    spec, clip = timm_image(tmp_path), a_clip()
    whole = timm.create_model("test_vit", num_classes=5, checkpoint_path=spec["checkpoint"]).eval()
    encoder = encoders.load("backbone", spec)
    from pipeline.encoders.frames import transformed

    with torch.no_grad():
        logits = whole(transformed(clip, encoder.transform)).mean(0)
        found = whole.get_classifier()(torch.from_numpy(encoder.encode([clip])))[0]
    np.testing.assert_allclose(found, logits, rtol=1e-4, atol=1e-5)


def test_an_onnx_graph_of_pictures_is_averaged_over_the_clip(tmp_path):
    encoder, clip = encoders.load("backbone", onnx_pictures(tmp_path)), a_clip()
    expected = np.mean([encoder.pictures(frame[None])[0].astype(np.float64) for frame in clip], axis=0)
    np.testing.assert_allclose(encoder.encode([clip])[0], expected, rtol=1e-5)


# What goes wrong ----------------------------------------------------------------------------------------


def test_a_checkpoint_of_another_model_is_refused_by_its_first_strange_key(tmp_path):
    path = tmp_path / "other.pth"
    torch.save({"conv1.weight": torch.zeros(2)}, path)
    with pytest.raises(ChoreoError, match=r"other\.pth lacks '.+' \(\d+ such keys\)"):
        encoders.load("backbone", {"name": "torchvision", "model": "mobilenet_v3_small", "weights": str(path)})


def test_a_checkpoint_of_another_size_is_refused(tmp_path):
    path = tmp_path / "small.pth"
    state = timm.create_model("test_vit").state_dict()
    state["cls_token"] = torch.zeros(1, 1, 8)
    torch.save(state, path)
    with pytest.raises(ChoreoError, match=r"'cls_token' of shape \(1, 1, 8\)"):
        encoders.load("backbone", {"name": "timm", "model": "test_vit", "checkpoint": str(path)})


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path):
    path = tmp_path / "pickled.pth"
    torch.save({"model": Path}, path)
    with pytest.raises(ChoreoError, match="cannot be read as a checkpoint"):
        encoders.load("backbone", {"name": "torchvision", "model": "resnet18", "weights": str(path)})


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"name": "videomae", "model": "nobody/videomae"}, ["nobody/videomae", "models--nobody--videomae"]),
        ({"name": "timm", "model": "test_vit.r160_in1k"}, ["test_vit.r160_in1k", "models--timm--test_vit.r160_in1k"]),
    ],
)
def test_out_of_reach_of_the_hub_the_error_says_which_files_and_where_they_go(spec, words, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ChoreoError) as error:
        encoders.load("backbone", spec)
    assert "could not be fetched" in str(error.value) and all(word in str(error.value) for word in words)


def test_out_of_reach_of_torchvision_the_error_names_the_file_and_its_folder(monkeypatch, tmp_path):
    def refuse(*args, **kwargs):
        raise OSError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", refuse)
    with pytest.raises(ChoreoError, match=rf"put resnet18-\w+\.pth into {tmp_path}"):
        encoders.load("backbone", "torchvision:resnet18")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"name": "torchvision", "model": "resnet19"}, "no model 'resnet19'"),
        ({"name": "torchvision", "model": "resnet18", "weights": "KINETICS"}, "no weights 'KINETICS'"),
        ({"name": "timm", "model": "test_vti"}, "no model 'test_vti'"),
    ],
)
def test_a_misspelt_model_is_named(spec, words):
    with pytest.raises(ChoreoError, match=words):
        encoders.load("backbone", spec)


def test_an_onnx_output_that_is_not_there_is_named_beside_those_that_are(tmp_path):
    spec = onnx_pictures(tmp_path) | {"output": "pooled"}
    with pytest.raises(ChoreoError, match=r"no output 'pooled'[\s\S]*features, probs"):
        encoders.load("backbone", spec)


# Imported features ----------------------------------------------------------------------------------------


def test_imported_features_are_the_mean_over_the_clips_of_a_video(tmp_path):
    rows = np.random.default_rng(0).normal(size=(3, 5))
    np.save(tmp_path / "a.npy", rows)
    np.save(tmp_path / "b.npy", rows[0].astype(np.float32))
    encoder = encoders.load("backbone", {"name": "import", "pattern": f"{tmp_path}/{{video_id}}.npy", "source": "X3D"})
    features = encoder.encode(["a", "b"])
    assert not encoder.needs_frames and encoder.identity == "import:X3D" and encoder.dim == 5
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, [rows.mean(0), rows[0]], rtol=1e-6)


@pytest.mark.parametrize(
    "content", [None, b"", np.zeros((0, 5)), np.full(5, np.nan), np.zeros(4), np.zeros((2, 2, 5)), np.array([{}])]
)
def test_a_bad_file_of_features_is_the_failure_of_one_video(content, tmp_path):
    np.save(tmp_path / "good.npy", np.ones(5))
    if isinstance(content, bytes):
        (tmp_path / "bad.npy").write_bytes(content)
    elif content is not None:
        np.save(tmp_path / "bad.npy", content, allow_pickle=True)
    encoder = encoders.load("backbone", {"name": "import", "pattern": f"{tmp_path}/{{video_id}}.npy"})
    encoder.encode(["good"])
    with pytest.raises(VideoError, match="'bad'"):
        encoder.encode(["bad"])


def test_the_rows_of_an_imported_file_are_those_of_its_clips(tmp_path):
    rows = np.random.default_rng(0).normal(size=(3, 5))
    np.save(tmp_path / "a.npy", rows)
    np.save(tmp_path / "b.npy", rows[0])
    encoder = encoders.load("backbone", {"name": "import", "pattern": f"{tmp_path}/{{video_id}}.npy"})
    np.testing.assert_array_equal(encoder.rows("a"), rows.astype(np.float32))
    assert encoder.rows("b").shape == (1, 5) and encoder.rows("b").dtype == np.float32


def test_when_the_width_is_said_the_first_file_must_have_it_too(tmp_path):
    np.save(tmp_path / "odd.npy", np.ones((3, 4)))
    np.save(tmp_path / "right.npy", np.ones((3, 5)))
    encoder = encoders.load("backbone", {"name": "import", "pattern": f"{tmp_path}/{{video_id}}.npy", "dim": 5})
    with pytest.raises(VideoError, match=r"'odd' .* of shape \(3, 4\), are not \(T,5\)"):
        encoder.rows("odd")
    assert encoder.rows("right").shape == (3, 5)
