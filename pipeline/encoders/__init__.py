"""Encoders: the swappable models, found by name and imported only when asked for.

An encoder takes arrays and gives arrays; it knows nothing of artifacts, manifests or stages, and names itself and its
weights in `.identity`. To add one: write a class with the methods of its kind and add its line here.

| kind       | methods                                                                                       |
|------------|-----------------------------------------------------------------------------------------------|
| pose       | encode(Clip) -> Poses, see `pipeline.encoders.pose`                                           |
| image_text | images((N,H,W,3) uint8 RGB) -> (N,D), texts(list[str]) -> (M,D), float32 L2-normalised; dim   |
| backbone   | encode(list of (T,H,W,3) uint8 RGB) -> (B,D) float32; dim, frames                             |
| sentence   | texts(list[str]) -> (M,D) float32 L2-normalised                                               |
| detector   | detect((N,H,W,3) uint8 RGB) -> list of Detections, see `pipeline.encoders.detector`; classes  |
"""

import difflib
import inspect
from importlib import import_module
from typing import Any

from pipeline.errors import ChoreoError

POSE = {
    "onnx": "pipeline.encoders.pose.onnx:Onnx",
    "vitpose": "pipeline.encoders.pose.vitpose:VitPose",
    "mmpose": "pipeline.encoders.pose.mmpose:MMPose",
    "rtmlib": "pipeline.encoders.pose.rtmlib:RtmLib",
    "import": "pipeline.encoders.pose.imported:Imported",
}

IMAGE_TEXT = {
    "open_clip": "pipeline.encoders.image_text.open_clip:OpenClip",
    "conse": "pipeline.encoders.image_text.conse:Conse",
}

BACKBONE = {
    "videomae": "pipeline.encoders.backbone.videomae:VideoMAE",
    "torchvision": "pipeline.encoders.backbone.torchvision:TorchVision",
    "timm": "pipeline.encoders.backbone.timm:Timm",
    "i3d": "pipeline.encoders.backbone.i3d:I3D",
    "onnx": "pipeline.encoders.backbone.onnx:Onnx",
    "import": "pipeline.encoders.backbone.imported:Imported",
}

SENTENCE = {
    "minilm": "pipeline.encoders.sentence:Sentence",
    "sentence_transformers": "pipeline.encoders.sentence:Sentence",
}

DETECTOR = {
    "onnx": "pipeline.encoders.detector.onnx:Onnx",
    "transformers": "pipeline.encoders.detector.transformers:Transformers",
}

KINDS = {"pose": POSE, "image_text": IMAGE_TEXT, "backbone": BACKBONE, "sentence": SENTENCE, "detector": DETECTOR}


def load(kind: str, spec: str | dict[str, Any]) -> Any:
    """The encoder that a configuration asks for.

    Args:
        kind: pose, image_text, backbone, sentence or detector.
        spec: a name ("vitpose"), a name and its model ("torchvision:swin3d_t") or {name: ..., **options}.

    Raises:
        ChoreoError: no such kind, name or option, or a package that the encoder needs is absent.
    """
    name, options = parse(spec)
    encoder = _import(kind, name)
    known = inspect.signature(encoder).parameters
    for option in options:
        if option not in known:
            raise _unknown(option, list(known), f"option of the {kind} encoder {name!r}", "options")
    needed = [key for key, parameter in known.items() if parameter.default is parameter.empty]
    if missing := [key for key in needed if key not in options]:
        raise ChoreoError(
            f"the {kind} encoder {name!r} was not told: {', '.join(missing)}",
            "the configuration gives its name only",
            f"write it as a mapping: {{name: {name}, {', '.join(f'{key}: ...' for key in missing)}}}",
        )
    return encoder(**options)


def module(kind: str, spec: str | dict[str, Any]) -> str:
    """The module an encoder lives in, within the package: its source belongs to a stage's digest."""
    return _target(kind, parse(spec)[0]).partition(":")[0].removeprefix("pipeline.")


def parse(spec: str | dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Name and options of a spec: 'onnx:FILE' and {name: onnx, model: FILE} are the same."""
    if isinstance(spec, str):
        name, _, model = spec.partition(":")
        return name, {"model": model} if model else {}
    if not isinstance(spec, dict) or not isinstance(spec.get("name"), str):
        raise ChoreoError(
            f"an encoder is asked for as {spec!r}",
            "the name is missing",
            "write NAME, NAME:MODEL or {name: NAME, option: value, ...}",
        )
    name, options = parse(spec["name"])
    return name, options | {key: value for key, value in spec.items() if key != "name"}


def _target(kind: str, name: str) -> str:
    """'module:Class' of an encoder."""
    if kind not in KINDS:
        raise _unknown(kind, list(KINDS), "kind of encoder", "kinds")
    if name not in KINDS[kind]:
        raise _unknown(name, list(KINDS[kind]), f"{kind} encoder", f"{kind} encoders")
    return KINDS[kind][name]


def _import(kind: str, name: str) -> type:
    source, _, attribute = _target(kind, name).partition(":")
    try:
        return getattr(import_module(source), attribute)
    except ModuleNotFoundError as error:
        raise ChoreoError(
            f"the {kind} encoder {name!r} needs the Python package {error.name!r}, which cannot be imported",
            "it is not installed in this environment",
            f"install {error.name!r}, or choose another {kind} encoder: {', '.join(KINDS[kind])}",
        ) from error


def _unknown(name: str, known: list[str], what: str, plural: str) -> ChoreoError:
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    return ChoreoError(
        f"{name!r} is no {what}",
        f"a slip of the pen for {nearest[0]!r}" if nearest else "",
        f"known {plural}: {', '.join(known)}",
    )
