"""What the steps of an epoch see: videos, the prompts that are asked of them, and the targets of both branches.

Axes: B video of a batch, P prompt of a batch, S prompt of a video, C action.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.proda import specifications
from pipeline.proda.data import Videos, blind, collate, sample
from pipeline.proda.model import Graphs
from pipeline.proda.recipe import Recipe

ASKED_ON_VAL = 4  # prompts asked of a video of val after every epoch


@dataclass(frozen=True)
class Step:
    """What one step sees: some videos, and the prompts that are asked of them.

    Attributes:
        graphs: the videos (B,...).
        labels: (B,C) their actions, 0/1.
        rows: (P,) the video that each prompt is asked of.
        specified: (P,C) bool, the SAPs.
        wanted: (P,C+1) targets of the specified branch; rest: (P,C+1) of the unspecified one; 0/1.
    """

    graphs: Graphs
    labels: Tensor
    rows: Tensor
    specified: Tensor
    wanted: Tensor
    rest: Tensor

    def to(self, device: torch.device) -> Step:
        """The same on a device."""
        return Step(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})


Item = tuple[int, NDArray]  # row of a video, and the SAPs that one step asks of it (S,C)


def epoch_items(videos: Videos, recipe: Recipe, epoch: int) -> list[Item]:
    """Every video with all of its specifications, or some of them, once, `per_video` at a time; shuffled."""
    rng = np.random.default_rng([recipe.seed, epoch])
    items = []
    for row, specified in enumerate(_specifications(videos, recipe, epoch)):
        specified = rng.permutation(specified)[: recipe.prompts or None]
        items += [(row, specified[n : n + recipe.per_video]) for n in range(0, len(specified), recipe.per_video)]
    return [items[i] for i in rng.permutation(len(items))]


def val_items(videos: Videos, recipe: Recipe) -> list[Item]:
    """Every video with a few of its specifications, the same ones after every epoch."""
    drawn = _specifications(videos, replace(recipe, redraw=False), 0)
    rng = np.random.default_rng([recipe.seed, 0])
    return [(row, rng.permutation(specified)[:ASKED_ON_VAL]) for row, specified in enumerate(drawn)]


def steps(videos: Videos, items: Sequence[Item], recipe: Recipe, rng: np.random.Generator | None) -> Iterator[Step]:
    """The items, `batch` a step, in steps of nearly one size; frames are drawn with `rng`, or evenly without."""
    for part in np.array_split(np.arange(len(items)), math.ceil(len(items) / recipe.batch)):
        rows = [items[i][0] for i in part]
        specified = np.concatenate([items[i][1] for i in part])
        of = np.repeat(np.arange(len(part)), [len(items[i][1]) for i in part])
        graphs = [videos.graphs[row] for row in rows]
        graphs = collate(graphs, [sample(len(graph), recipe.frames, rng, recipe.window) for graph in graphs])
        labels = videos.labels[rows]
        wanted, rest = specifications.targets(labels[of], specified)
        yield Step(
            graphs if recipe.video else blind(graphs),
            torch.from_numpy(labels).float(),
            torch.from_numpy(of),
            torch.from_numpy(specified),
            torch.from_numpy(wanted).float(),
            torch.from_numpy(rest).float(),
        )


def _specifications(videos: Videos, recipe: Recipe, epoch: int) -> list[NDArray]:
    """The SAPs of every video; without `redraw` those of the first draw, for good."""
    rng = np.random.default_rng([recipe.seed, epoch if recipe.redraw else 0, 1])
    kind = recipe.specifications
    return [specifications.draw(labels, rng, length=recipe.length, kind=kind) for labels in videos.labels]
