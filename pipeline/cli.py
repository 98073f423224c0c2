"""The command line, made from the signatures of the stage functions.

A stage is a function; its parameters are its options: `--like-this VALUE`. Paths, numbers and words are taken as they
are, truth values as `true` or `false`, dictionaries as YAML (`--encoder '{name: onnx, pose: pose.onnx}'`, or a name).
"""

from __future__ import annotations

import argparse
import ast
import importlib
import inspect
import logging
import sys
import types
import typing
from collections.abc import Callable, Sequence
from typing import Any

import yaml

from pipeline.digest import module_path
from pipeline.errors import ChoreoError

# name -> module and function; the digest of a rule is that of the module.
STAGES = {
    "theatre": "theatre.render:theatre",
    "manifest": "datasets:manifest",
    "keyframes": "features.keyframes:keyframes",
    "pose": "features.pose:pose",
    "embeddings": "features.embeddings:embeddings",
    "backbone": "features.backbone:backbone",
    "failures": "features.failures:failures",
    "motion_concepts": "concepts.motion:motion_concepts",
    "motion_labels": "concepts.motion:motion_labels",
    "ask": "concepts.language:ask",
    "vocabulary": "concepts.vocabulary:vocabulary",
    "texts": "concepts.texts:texts",
    "pseudo_labels": "concepts.pseudo_labels:pseudo_labels",
    "dance": "dance.training:dance",
    "predict": "dance.training:predict",
    "dance_evaluate": "dance.evaluation:dance_evaluate",
    "dance_explain": "dance.explanations:dance_explain",
    "dance_report": "report.dance.page:dance_report",
    "intervals": "datasets.intervals:intervals",
    "scene_graphs": "features.scene_graphs:scene_graphs",
    "proda_pretrain": "proda.training:proda_pretrain",
    "proda_posttrain": "proda.training:proda_posttrain",
    "proda_measure": "proda.measuring:proda_measure",
    "proda_evaluate": "proda.evaluation:proda_evaluate",
    "proda_report": "report.proda.page:proda_report",
    "proda_predict": "proda.predictions:proda_predict",
    "proda_explain": "proda.explanations:proda_explain",
    "proda_prompt_only": "proda.prompt_only:proda_prompt_only",
    "scores": "datasets.scores:scores",
    "clip_features": "features.clip_features:clip_features",
    "aqa_train": "aqa.training:aqa_train",
    "aqa_baselines": "aqa.baselines:aqa_baselines",
    "aqa_evaluate": "aqa.evaluation:aqa_evaluate",
    "aqa_explain": "aqa.explanations:aqa_explain",
    "aqa_report": "report.aqa.page:aqa_report",
    "aqa_attributes": "aqa.attributes:aqa_attributes",
    "court": "theatre.court:write",
    "pairs": "features.pairs:pairs",
    "pairs_train": "proda.pairs_training:pairs_train",
    "pairs_evaluate": "proda.pairs_evaluation:pairs_evaluate",
    "train_pose": "theatre.encoders_pose:train_pose",
    "train_image_text": "theatre.encoders_image_text:train_image_text",
    "train_backbone": "theatre.encoders_backbone:train_backbone",
    "train_clip": "theatre.encoders_clip:train_clip",
    "train_detector": "theatre.encoders_detector:train_detector",
}

# tools for people; no rule runs them.
TOOLS = {
    "validate": "tools:validate",
    "inspect": "tools:inspect",
    "table": "tools:table",
    "doctor": "doctor:doctor",
    "bench": "bench:bench",
    "proda_ask": "proda.predictions:proda_ask",
    "docs": "tools:docs",
    "schema": "config:schema",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one stage or tool; 1 when it failed for a reason that a person can mend."""
    argv = list(sys.argv[1:] if argv is None else argv)
    names = STAGES | TOOLS
    if not argv or argv[0] not in names:
        known = (
            "\n".join(f"  {n:16s} {_summary(t)}" for n, t in names.items())
            if argv[:1] in ([], ["-h"], ["--help"])
            else ""
        )
        print(
            f"usage: python -m pipeline NAME [--option VALUE ...]\n{known or _nearest(argv[0], names)}", file=sys.stderr
        )
        return 0 if argv[:1] in (["-h"], ["--help"]) else 2
    function = load(names[argv[0]])
    options = vars(parser(argv[0], function).parse_args(argv[1:]))
    logging.basicConfig(format="%(message)s")
    logging.getLogger("pipeline").setLevel(logging.INFO)
    try:
        answer = function(**options)
    except ChoreoError as error:
        print(f"\n{argv[0]}: {error}", file=sys.stderr)
        return 1
    if isinstance(answer, str):
        print(answer)
    return 0


def load(target: str) -> Callable[..., Any]:
    """The function that `module:function` names."""
    module, function = target.split(":")
    return getattr(importlib.import_module(f"pipeline.{module}"), function)


def parser(name: str, function: Callable[..., Any]) -> argparse.ArgumentParser:
    """An argument parser with one option for every parameter of a function."""
    result = argparse.ArgumentParser(
        prog=f"python -m pipeline {name}",
        description=inspect.getdoc(function),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    hints = typing.get_type_hints(function)
    for parameter in inspect.signature(function).parameters.values():
        required = parameter.default is inspect.Parameter.empty
        positional = required and parameter.kind is not inspect.Parameter.KEYWORD_ONLY and name in TOOLS
        flag = parameter.name if positional else f"--{parameter.name.replace('_', '-')}"
        extra: dict[str, Any] = {} if positional else {"required": required, "dest": parameter.name}
        if not required:
            extra |= {"default": parameter.default, "help": f"default: {parameter.default}".replace("%", "%%")}
        result.add_argument(flag, **_type(hints[parameter.name]), **extra)
    return result


def _type(hint: Any) -> dict[str, Any]:
    """What argparse needs to read a value of a type; `none` stands for None where that is allowed."""
    union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    options = list(typing.get_args(hint)) if union else [hint]
    first, *_ = plain = [o for o in options if o is not types.NoneType]
    if typing.get_origin(first) in (list, tuple):
        return {"type": typing.get_args(first)[0], "nargs": "*"}
    is_dict = any(dict in (o, typing.get_origin(o)) for o in plain)
    read = _yaml if is_dict else _truth if first is bool else first
    return {"type": _or_none(read) if types.NoneType in options else read}


def _yaml(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no YAML: {' '.join(str(error).split())}") from error


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError("`true` or `false`")
    return text.lower() == "true"


def _or_none(read: Callable[[str], Any]) -> Callable[[str], Any]:
    def read_or_none(text: str) -> Any:
        return None if text in ("", "none") else read(text)

    read_or_none.__name__ = getattr(read, "__name__", "value")  # argparse names it when a value does not fit
    return read_or_none


def _summary(target: str) -> str:
    """First line of a function's docstring, read without importing its module."""
    module, name = target.split(":")
    path = module_path(module)
    tree = ast.parse(path.read_text()) if path else ast.Module([], [])
    found = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == name]
    return (ast.get_docstring(found[0]) or "").split("\n")[0] if found else "(not available)"


def _nearest(word: str, names: dict[str, str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(word, names, 3)
    return f"there is no '{word}'" + (
        f"; did you mean {' or '.join(near)}?" if near else "; see python -m pipeline --help"
    )
