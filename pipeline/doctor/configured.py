"""What a config needs beside the machine: the key of a language model, weights, graphs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from pipeline import config as schema
from pipeline import scene_graphs
from pipeline.doctor import weights
from pipeline.doctor.table import BAD, NOTE, Row, failed
from pipeline.encoders import parse
from pipeline.errors import ChoreoError

SCHEMA = Path(__file__).parents[2] / "workflow/schemas/config.schema.yaml"
KEY = "OPENAI_API_KEY"


def read(paths: Sequence[Path]) -> dict[str, Any]:
    """Configs as Snakemake has them: later ones over earlier ones, mappings within mappings too.

    Raises:
        ChoreoError: a file is missing, or is no mapping of YAML.
    """
    whole: dict[str, Any] = {}
    for path in paths:
        if not path.is_file():
            raise ChoreoError(
                f"there is no config {path}", "another folder", "run in the project's folder, or name it: --config FILE"
            )
        try:
            given = yaml.safe_load(path.read_text())
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ChoreoError(f"{path} is no YAML: {' '.join(str(error).split())}", mend="mend that line") from error
        if not isinstance(given, dict):
            raise ChoreoError(f"{path} is no mapping", "it is empty, or a list", "write `key: value` lines")
        _merge(whole, given)
    return whole


def _merge(into: dict[str, Any], given: Mapping[str, Any]) -> None:
    for key, value in given.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def check(config: dict[str, Any], paths: Sequence[Path]) -> Row:
    """The config against its schema; fills in the defaults of its top level."""
    try:
        schema.check(config, SCHEMA)
    except ChoreoError as error:
        return failed("config", error)
    except ModuleNotFoundError as error:
        return Row("config", f"not checked: {error.name} is not installed in this environment", NOTE)
    return Row("config", f"{', '.join(map(str, paths))}: sound; models {', '.join(config['models'])}")


def rows(config: dict[str, Any]) -> Iterator[Row]:
    """The key, the weights of every encoder, and the files of scene graphs that no encoder makes."""
    yield key("dance" in config.get("models", ()), config.get("answers", ""))
    for kind, spec in encoders(config):
        yield from weights.rows(kind, spec)
    for name, spec in (config.get("graphs") or {}).items():
        yield from () if "encoder" in spec else _graphs(f"graphs {name}", spec)


def devices(config: dict[str, Any]) -> tuple[list[str], bool]:
    """What the encoders of a config say of `device`, and whether some are ONNX files."""
    told, onnx = [], False
    for _, spec in encoders(config):
        with suppress(ChoreoError):  # one that cannot be read has a row of its own
            name, options = parse(spec)
            told.append(str(options.get("device", "auto")))
            onnx |= name in ("onnx", "rtmlib", "conse")
    return told, onnx


def encoders(config: dict[str, Any]) -> list[tuple[str, Any]]:
    """Kind and spec of every encoder that the config names, detectors of scene graphs among them."""
    graphs = [spec for spec in (config.get("graphs") or {}).values() if isinstance(spec, dict)]
    detectors = [("detector", spec["encoder"]) for spec in graphs if "encoder" in spec]
    return [*(config.get("encoders") or {}).items(), *detectors]


def key(asks: bool, answers: str) -> Row:
    """Whether the key of a language model is there where one will be asked; the key itself is never looked at.

    Args:
        asks: a model of the config is made of a language model's answers.
        answers: the file that keeps them.
    """
    if os.environ.get(KEY):
        return Row(KEY, "set (its value is never shown)")
    if not asks:
        return Row(KEY, "not set; no model of this config asks a language model")
    if answers and Path(answers).is_file():
        return Row(KEY, f"not set; answers are on record in {answers}, and only new questions would need it")
    mend = f"export {KEY}=... (for a server of your own, any word), or put kept answers into {answers or '`answers`'}"
    return Row(KEY, f"not set, and no answers are on record in {answers or '`answers`'}", BAD, mend)


def _graphs(check: str, spec: Any) -> Iterator[Row]:
    try:
        for path in scene_graphs.files(spec):
            yield weights.file(check, path, "`graphs`")
    except ChoreoError as error:
        yield failed(check, error)
    except TypeError as error:  # the source takes no such option, or lacks one
        yield Row(check, f"{spec}: {error}", BAD, "see config/README.md for the options of the source")
