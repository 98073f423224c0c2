"""Small networks with random weights, as if they had been trained on the small world; and its true intervals."""

from __future__ import annotations

import csv
from pathlib import Path

import play
import torch

from pipeline.proda import data, trained
from pipeline.proda.model import Settings
from pipeline.proda.trained import Trained
from pipeline.proda.variants import overrides

SMALL = {"frames": 6, "dim": 16, "heads": 2, "feedforward": 24, "layers": 2, "edge_layers": 1, "candidates": 3}


def network(world: play.Play, variant: str = "full", seed: int = 0) -> Trained:
    """A network of a variant, untrained and in evaluation mode."""
    known = data.load(world.graphs, world.manifest)
    options = overrides(variant)
    chosen = {key: value for key, value in options.items() if key in ("prompt", "norm")}
    settings = Settings(**known.sizes, **SMALL, **chosen)
    torch.manual_seed(seed)
    return Trained(
        network=trained.build(str(options.get("network", "proda")), settings).eval(),
        settings=settings,
        variant=variant,
        video=bool(options.get("video", True)),
        actions=known.actions,
        objects=known.objects,
        relations=known.relations,
        recipe={"seed": seed, "frames": 6, "window": "whole", "length": 4},
        figures={},
    )


def write(path: Path, world: play.Play, variant: str = "full", seed: int = 0) -> Path:
    """The checkpoint of such a network."""
    it = network(world, variant, seed)
    trained.save(path, it, it.network.state_dict())
    return path


def write_intervals(path: Path, world: play.Play) -> Path:
    """The true intervals of the small world, from its first true frame to its last one, in seconds."""
    with open(path, "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "action", "start", "end"])
        for video_id, actions in world.truth.items():
            for action, shown in actions.items():
                start = None
                for t, now in enumerate([*shown, False]):
                    if now and start is None:
                        start = t
                    elif not now and start is not None:
                        table.writerow([video_id, action, start / 8, (t - 1) / 8])
                        start = None
    return path
