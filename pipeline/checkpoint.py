"""Checkpoints of trained models: one file with the weights and all that is needed to build the model again.

A checkpoint appears under its name whole or not at all, holds plain values and tensors only, so that reading one never
runs code, and the same content gives the same bytes.
"""

from __future__ import annotations

import logging
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pipeline.errors import ChoreoError, StorageError

log = logging.getLogger(__name__)

FORMAT = 1  # rises when an older reader could misread a newer file


def save(path: Path, *, model: str, settings: Mapping[str, object], state: Mapping[str, Any], **more: object) -> None:
    """Write a checkpoint.

    Args:
        path: the file.
        model: which model it is (`proda`).
        settings: under which the model was built or trained; plain values.
        state: weights by name, on any device.
        more: whatever else is to be kept; plain values and tensors.

    Raises:
        StorageError: the disk is full or read-only.
    """
    path = Path(path)
    content = {"format": FORMAT, "model": model, "settings": dict(settings), "state": dict(state)} | more
    aside = path.with_name(f".{path.name}.{os.getpid()}.aside")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(aside, "wb") as file:  # a name instead of a file would be written into the bytes
            torch.save(_on_cpu(content), file)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except (OSError, RuntimeError) as error:  # torch says RuntimeError when a disk is full
        aside.unlink(missing_ok=True)
        raise StorageError(
            f"{path} cannot be written ({error})",
            "the disk is full, or the folder is read-only",
            "make room, run again",
        ) from error


def load(path: Path, model: str, settings: Mapping[str, object] | None = None) -> dict[str, Any]:
    """Read a checkpoint: `settings`, `state` and whatever else was kept in it.

    Args:
        path: the file.
        model: which model it must be of.
        settings: values that its settings must have; those not named may be anything.

    Raises:
        ChoreoError: there is none, it is damaged, of another model, or of other settings (naming the first that
            differs, and both values).
    """
    path = Path(path)
    if not path.is_file():
        raise ChoreoError(f"there is no checkpoint {path}", "the training has not run", "run it, or `snakemake`")
    try:
        with zipfile.ZipFile(path) as file:  # torch itself does not look at the checksums
            if damaged := file.testzip():
                raise zipfile.BadZipFile(f"'{damaged}' is not what was written")
        content = torch.load(path, map_location="cpu", weights_only=True)
        kind, found = (content["format"], content["model"]), content["settings"]
    except Exception as error:  # torch, zipfile and pickle raise a dozen kinds on damage
        raise ChoreoError(
            f"{path} cannot be read: {error}",
            "its copy or download was cut, or it is no checkpoint of this pipeline",
            "delete it and run again: it is trained anew",
        ) from error
    if kind != (FORMAT, model):
        raise ChoreoError(
            f"{path} holds '{kind[1]}', format {kind[0]}; wanted is '{model}', format {FORMAT}",
            "two arguments were swapped, or it was written by another version of the pipeline",
        )
    for key, wanted in (settings or {}).items():
        if key not in found or found[key] != wanted:
            raise ChoreoError(
                f"{path} is a checkpoint of another config: `{key}` is {_short(found.get(key))} there"
                f" and {_short(wanted)} here",
                "it was trained on other data or under other options",
                "use the config it was trained under, or delete it and run again",
            )
    return content


def resume(path: Path, model: str, settings: Mapping[str, object]) -> dict[str, Any] | None:
    """The checkpoint of a run that was cut short; None when there is none, or it does not fit and is passed over."""
    if not Path(path).is_file():
        return None
    try:
        return load(path, model, settings)
    except ChoreoError as error:
        log.warning("training starts anew: %s", error.what)
        return None


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _on_cpu(value: Any) -> Any:
    """A copy with tensors on the CPU, and plain dictionaries and lists around them."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu").clone()  # a view would carry all it is a view of
    if isinstance(value, Mapping):
        return {key: _on_cpu(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_on_cpu(entry) for entry in value]
    return value
