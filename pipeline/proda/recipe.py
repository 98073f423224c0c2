"""How ProDA is trained: every number and choice but those of its architecture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import torch

from pipeline.errors import ChoreoError

SCHEDULES = ("linear", "cosine", "constant")


@dataclass(frozen=True)
class Recipe:
    """How to train; the options of the stages explain each value. `network` and `video` are set by variants only."""

    seed: int
    frames: int
    window: str
    length: int
    specifications: str
    redraw: bool
    per_video: int
    epochs: int
    batch: int
    lr: float
    weight_decay: float
    clip: float
    warmup: float
    schedule: str
    precision: str
    prompts: int = 0
    encoder_epochs: int = 0
    lambda_unspecified: float = 1.0
    lambda_specified: float = 1.0
    lambda_total: float = 1.0
    lambda_disentanglement: float = 1.0
    lambda_reconstruction: float = 1.0
    lambda_middle: float = 0.0
    margin: float = 0.7
    margin_end: float = 0.2
    correlation: str = "video"
    reduction: str = "mean"
    detach: bool = True
    network: str = "proda"
    video: bool = True


def recipe_of(options: Mapping[str, object], device: torch.device) -> Recipe:
    """The recipe in the options of a stage, others passed over; the precision `auto` is chosen by the device.

    Raises:
        ChoreoError: an option makes no sense.
    """
    known = {f.name for f in fields(Recipe)}
    recipe = Recipe(**{name: value for name, value in options.items() if name in known})
    if recipe.schedule not in SCHEDULES:
        raise ChoreoError(f"there is no schedule '{recipe.schedule}'", "a typo", f"one of {', '.join(SCHEDULES)}")
    for name in ("frames", "length", "per_video", "epochs", "batch"):
        if getattr(recipe, name) < 1:
            raise ChoreoError(f"`{name}` is {getattr(recipe, name)}", mend="set it to 1 or more")
    if recipe.prompts < 0:
        raise ChoreoError(f"`prompts` is {recipe.prompts}", mend="set it to 0, for all of a video's, or more")
    if recipe.precision == "auto":
        recipe = replace(recipe, precision="bf16" if device.type == "cuda" else "fp32")
    return recipe
