"""What the torch encoders share: the device, a digest of the weights, and checkpoints that must fit."""

import fcntl
import hashlib
import os
from collections.abc import Iterable
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from tempfile import gettempdir
from typing import IO

import torch
from torch import Tensor, nn

from pipeline.errors import ChoreoError

PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
SLOTS: list[IO] = []  # the lock of the GPU that this process took; a closed file would give it back


def pick_device(device: str = "auto") -> torch.device:
    """'auto' is a GPU where there is one, the CPU elsewhere; any torch device name is taken as it is."""
    if device == "auto":
        device = f"cuda:{free_gpu()}" if torch.cuda.is_available() else "cpu"
    return torch.device(device)


@cache
def free_gpu() -> int:
    """The first GPU that no other job of this user has taken, taken until this process ends; 0 where all are.

    So jobs that run side by side on a machine of several GPUs spread over them, one on each. CUDA_VISIBLE_DEVICES says
    which there are, and a cluster sets it for every job.
    """
    for index in range(torch.cuda.device_count()):
        gpu = getattr(torch.cuda.get_device_properties(index), "uuid", index)  # the number depends on what is visible
        slot = open(Path(gettempdir()) / f"choreo-{os.getuid()}-gpu-{gpu}.lock", "w")  # noqa: SIM115
        try:
            fcntl.flock(slot, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            slot.close()
            continue
        SLOTS.append(slot)
        return index
    return 0


def arithmetic(device: torch.device, precision: str) -> AbstractContextManager:
    """Autocast to `precision` ('fp32' | 'fp16' | 'bf16') on a GPU; the CPU always computes in float32."""
    if precision not in PRECISIONS:
        raise ChoreoError(f"there is no precision '{precision}'", mend=f"use one of {', '.join(PRECISIONS)}")
    lower = device.type == "cuda" and precision != "fp32"
    return torch.autocast(device.type, PRECISIONS[precision] if lower else None, enabled=lower)


def digest(module: nn.Module) -> str:
    """First 12 hex digits of the sha256 over names, types, shapes and bytes of all parameters and buffers.

    Taken from the loaded module, not from a file, so that it covers towers that come from several files and does not
    depend on the format they were kept in.
    """
    sha = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        sha.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return sha.hexdigest()[:12]


def read_checkpoint(path: str | Path) -> dict[str, Tensor]:
    """The weights in a .safetensors file or a torch file, where they may lie under 'model' or 'state_dict'.

    Raises:
        ChoreoError: no such file, or anything but tensors in it (nothing in a checkpoint is ever executed).
    """
    path = Path(path)
    if not path.is_file():
        raise ChoreoError(f"there is no checkpoint {path}", "the path in the configuration", "correct the path")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # safetensors, pickle and zip each raise their own
        raise ChoreoError(
            f"{path} cannot be read as a checkpoint: {str(error).splitlines()[0]}",
            "the download was cut, or the file holds more than weights",
            "fetch it again, or save its state_dict alone",
        ) from error
    for key in ("model", "state_dict"):
        state = state.get(key, state)
    return state


def require_match(path: str | Path, missing: Iterable[str], unexpected: Iterable[str]) -> None:
    """Raise when a checkpoint lacks keys of the model or holds others, naming the first."""
    for problem, keys in (("lacks", sorted(missing)), ("holds an unexpected", sorted(unexpected))):
        if keys:
            raise ChoreoError(
                f"the checkpoint {path} {problem} '{keys[0]}' ({len(keys)} such keys)",
                "it belongs to another model than the one named",
                "name the model that the checkpoint was trained as",
            )


def load_body(model: nn.Module, path: str | Path, heads: tuple[str, ...]) -> None:
    """Load a checkpoint into a model without its head; keys under `heads` in the file are left aside.

    Raises:
        ChoreoError: a key is missing or unexpected, or a shape differs.
    """
    state = {k: v for k, v in read_checkpoint(path).items() if not k.startswith(tuple(f"{h}." for h in heads))}
    own = model.state_dict()
    require_match(path, own.keys() - state.keys(), state.keys() - own.keys())
    for key, value in state.items():
        if value.shape != own[key].shape:
            raise ChoreoError(
                f"the checkpoint {path} has '{key}' of shape {tuple(value.shape)}, not {tuple(own[key].shape)}",
                "it belongs to another size of the model",
                "name the model that the checkpoint was trained as",
            )
    model.load_state_dict(state)
