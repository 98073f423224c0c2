"""Small models with random weights, as if they had been trained on a contest."""

from __future__ import annotations

from pathlib import Path

import contest
import numpy as np
import torch

from pipeline.aqa import trained
from pipeline.aqa.data import Task
from pipeline.aqa.model import Aqa, Settings
from pipeline.aqa.trained import Trained

QUERIES, LAYERS = 7, 2
TASKS = {
    "ball": {"score": "total", "label": "Ball", "range": [0, 25]},
    "ribbon": {"score": "total", "label": "Ribbon", "range": [0, 25]},
}


def jury(task: dict = contest.TASK, variant: str = "full", seed: int = 0, features: int = 12, **settings) -> Trained:
    """A model of a variant, untrained."""
    small = {"queries": QUERIES, "dim": 16, "heads": 2, "layers": LAYERS, "feedforward": 16, "hidden": (16, 8)}
    chosen = Settings(**{"features": features} | small | settings)
    torch.manual_seed(seed)
    recipe = {"seed": seed, "clips": 8, "crop": "always" if variant == "published" else "train", "masked": True}
    mean, scale = np.zeros(features, np.float32), np.ones(features, np.float32)
    return Trained(Aqa(chosen).eval(), chosen, variant, Task.of(task), mean, scale, recipe, {})


def write(path: Path, *args, **options) -> Path:
    """The checkpoint of such a model."""
    model = jury(*args, **options)
    trained.save(path, model, model.network.state_dict())
    return path
