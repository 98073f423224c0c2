"""The config's schema, made from the signatures of the stages, and the check of a config against it.

Nothing else here reads a config: its values reach code as plain arguments.
"""

from __future__ import annotations

import inspect
import re
import types
import typing
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from pipeline import cli, encoders
from pipeline.errors import ChoreoError
from pipeline.manifest import PROTOCOLS

# Sections of the config: a stage, and those of its options that the rules set from elsewhere.
SECTIONS = {
    "theatre": {"act", "workers"},
    "manifest": {"dataset"},
    "keyframes": {"decoder", "workers"},
    "pose": {"encoder", "decoder", "workers"},
    "embeddings": {"encoder", "decoder", "workers"},
    "backbone": {"encoder", "decoder", "workers"},
    "motion_concepts": {"protocol"},
    "ask": {"answers"},
    "vocabulary": {"sentence", "image_text", "cache"},
    "texts": {"image_text", "cache"},
    "pseudo_labels": {"protocol"},
    "dance": {"seed", "protocol"},
    "dance_evaluate": {"protocol", "run", "seeds", "annotations"},
    "dance_explain": {"protocol"},
    "dance_report": {"title"},
    "scene_graphs": {"encoder", "decoder", "workers"},
    "proda_pretrain": {"seed", "variant", "encoder", "protocol"},
    "proda_posttrain": {"seed", "protocol"},
    "proda_measure": {"pretrained", "intervals", "protocol"},
    "proda_evaluate": {"run", "protocol"},
    "proda_explain": {"intervals", "protocol"},
    "proda_report": {"title"},
    "clip_features": {"encoder", "decoder", "workers"},
    "aqa_train": {"task", "seed", "variant", "protocol", "max_failed_fraction"},
    "aqa_baselines": {"task", "seeds", "protocol", "max_failed_fraction"},
    "aqa_evaluate": {"tasks", "elements", "run", "protocol", "max_failed_fraction"},
    "aqa_explain": {"elements", "protocol", "max_failed_fraction"},
    "aqa_report": {"title"},
    "court": {"workers"},
    "pairs": {"encoder", "decoder", "workers"},
    "pairs_train": {"seed", "protocol"},
    "pairs_evaluate": {"run", "protocol"},
}

# What a model needs beside videos: keys of the top level, and kinds of encoders.
NEEDS = {
    "dance": {"keys": ["encoders", "answers", "edits"], "encoders": ["pose", "image_text", "backbone", "sentence"]},
    "proda": {"keys": ["encoders", "graphs"], "encoders": ["image_text"]},
    "pairs": {"keys": ["encoders"], "encoders": []},
    "aqa": {"keys": ["encoders", "tasks"], "encoders": ["backbone"]},
}

TOP: dict[str, dict[str, Any]] = {
    "run": {"type": "string", "pattern": r"^[\w.-]+$", "description": "Name of the run: results/<run>."},
    "models": {
        "type": "array",
        "items": {"enum": list(NEEDS)},
        "default": ["dance"],
        "description": "Models to train, evaluate and explain.",
    },
    "stages": {
        "type": "array",
        "items": {"enum": ["keyframes", "pose", "embeddings", "backbone", "clip_features"]},
        "uniqueItems": True,
        "default": [],
        "description": "Slow stages to run beside those that the models need; with `models: []`, they alone.",
    },
    "protocol": {"enum": list(PROTOCOLS), "default": "strict", "description": "What may see which split."},
    "seeds": {
        "type": "array",
        "items": {"type": "integer"},
        "minItems": 1,
        "default": [0, 1, 2],
        "description": "Every model is trained once a seed.",
    },
    "shards": {
        "type": "integer",
        "minimum": 1,
        "maximum": 999,
        "default": 1,
        "description": "Jobs that a slow stage is cut into.",
    },
    "workers": {"type": "integer", "minimum": 0, "default": 0, "description": "Processes that decode ahead in a job."},
    "decoder": {"enum": ["pyav", "decord", "torchcodec"], "default": "pyav", "description": "Reads the videos."},
    "max_failed_fraction": {
        "type": "number",
        "minimum": 0,
        "maximum": 1,
        "default": 0.1,
        "description": "Share of the videos that may fail before the run stops.",
    },
    "features": {"type": "string", "description": "Folder of the slow stages' artifacts, when runs are to share them."},
    "dataset": {
        "type": "object",
        "required": ["name"],
        "description": "Name of a data set adapter, and its options.",
    },
    "annotations": {"type": "string", "description": "Truth about the videos, to score explanations against."},
    "encoders": {
        "type": "object",
        "additionalProperties": False,
        "properties": {kind: {"type": ["string", "object"]} for kind in encoders.KINDS},
        "description": "Name of the encoder of each kind that the models need, and its options.",
    },
    "graphs": {
        "type": "object",
        "additionalProperties": False,
        "minProperties": 1,
        "properties": {name: {"type": ["string", "object"]} for name in ("oracle", "predicted")},
        "description": "Where scene graphs come from: `oracle` from people or a renderer, `predicted` from a detector.",
    },
    "ablations": {
        "type": "array",
        "items": {"type": "string"},
        "default": [],
        "description": "Variants of ProDA or AQA that are trained beside it; `python -m pipeline variants` lists them.",
    },
    "tasks": {
        "type": "object",
        "minProperties": 1,
        "propertyNames": {"pattern": r"^[\w-]+$"},
        "additionalProperties": {
            "type": "object",
            "additionalProperties": False,
            "required": ["score", "range"],
            "properties": {
                "score": {"type": "string", "description": "name of the score in the data set."},
                "label": {"type": "string", "description": "class that videos must have; without it all count."},
                "range": {
                    "type": "array",
                    "items": {"type": "number"},
                    "minItems": 2,
                    "maxItems": 2,
                    "description": "lowest and highest score.",
                },
            },
        },
        "description": "Scores to learn, by the name of the task; AQA is trained once a task.",
    },
    "elements": {"type": "string", "description": "What routines are made of, to score AQA's curves against."},
    "acts": {
        "type": "string",
        "default": "results/theatre/stage",
        "description": "Folder that the theatre performs in; a run with another number of videos wants another one.",
    },
    "answers": {"type": "string", "description": "File that keeps the language model's answers, or people's own."},
    "edits": {"type": "string", "description": "File with people's changes to the vocabulary; no rule writes it."},
}

REQUIRED = ["run", "dataset", "encoders"]


def check(config: dict[str, Any], schema: Path) -> None:
    """Check a config and fill in the defaults of its top level.

    Raises:
        ChoreoError: an unknown key (with the nearest known one), a missing one, or a value of the wrong form.
    """
    import jsonschema

    rules = yaml.safe_load(schema.read_text())
    for key, rule in rules["properties"].items():
        if "default" in rule:
            config.setdefault(key, rule["default"])
    errors = sorted(jsonschema.Draft202012Validator(rules).iter_errors(config), key=lambda e: list(map(str, e.path)))
    if errors:
        raise ChoreoError("\n".join(_sentence(e) for e in errors), mend=f"see config/README.md, or {schema.name}")


def schema() -> str:
    """The JSON Schema of the config, as YAML; workflow/schemas/config.schema.yaml is its output."""
    sections = {name: _section(cli.load(cli.STAGES[name]), given) for name, given in SECTIONS.items()}
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Config of a run",
        "description": "Generated by `python -m pipeline schema`; do not edit.",
        "type": "object",
        "additionalProperties": False,
        "required": REQUIRED,
        "properties": TOP | sections,
        "allOf": [_condition(model, **needs) for model, needs in NEEDS.items()],
    }
    return yaml.safe_dump(whole, sort_keys=False, width=120, allow_unicode=True).rstrip()


def _condition(model: str, keys: list[str], encoders: list[str]) -> dict[str, Any]:
    """What a config must have when it asks for a model."""
    asked = {"properties": {"models": {"contains": {"const": model}}}}
    return {"if": asked, "then": {"required": keys, "properties": {"encoders": {"required": encoders}}}}


def _section(stage: Callable[..., Any], given: set[str]) -> dict[str, Any]:
    """The options of a stage that a config may set."""
    doc = inspect.getdoc(stage) or ""
    hints = typing.get_type_hints(stage)
    properties = {}
    for parameter in inspect.signature(stage).parameters.values():
        if parameter.default is inspect.Parameter.empty or parameter.name in given:
            continue
        entry: dict[str, Any] = {"type": _types(hints[parameter.name]), "default": parameter.default}
        if text := _description(doc, parameter.name):
            entry["description"] = text
        properties[parameter.name] = entry
    return {
        "type": "object",
        "additionalProperties": False,
        "description": doc.split("\n")[0],
        "properties": properties,
    }


def _types(hint: Any) -> str | list[str]:
    names = {int: "integer", float: "number", str: "string", bool: "boolean", dict: "object", types.NoneType: "null"}
    parts = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    found = [names.get(typing.get_origin(p) or p, "string") for p in parts]
    return found[0] if len(found) == 1 else found


def _description(doc: str, name: str) -> str:
    """The sentence on an argument in the `Args:` part of a docstring; arguments may share one."""
    match = re.search(rf"^ {{4}}(?:\w+, )*{name}(?:, \w+)*: (.*(?:\n {{8}}.*)*)", doc, re.MULTILINE)
    return " ".join(match.group(1).split()) if match else ""


def _sentence(error: Any) -> str:
    where = ".".join(map(str, error.absolute_path)) or "config"
    if error.validator != "additionalProperties":
        return f"{where}: {error.message}"
    known = error.schema["properties"]
    unknown = [key for key in error.instance if key not in known]
    near = {key: get_close_matches(key, known, 1) for key in unknown}
    hints = [f"'{key}'" + (f" (did you mean '{near[key][0]}'?)" if near[key] else "") for key in unknown]
    return f"{where}: unknown key {', '.join(hints)}; known are {', '.join(known)}"
