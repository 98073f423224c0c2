"""Training on pairs of persons: ProDA, the baseline, one as large as ProDA, and ProDA without anything to see.

Axes: K keyframe, B keyframe of a batch, P pair, N person, R pair of any keyframe, F feature, C interaction.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline import checkpoint
from pipeline.artifacts import Artifact
from pipeline.digest import file_digest, source_digest
from pipeline.encoders.weights import pick_device
from pipeline.errors import ChoreoError
from pipeline.manifest import Manifest
from pipeline.proda.pairs import Baseline, Keyframes, PairProda, Settings, Weights, cross_entropy, loss
from pipeline.proda.specifications import draw, targets

log = logging.getLogger(__name__)

# Everything that Table 2 compares, and the control: the same network with nothing to see.
MODELS = ("proda", "baseline", "larger", "blind")


# Data -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pairs:
    """The keyframes of some videos in which somebody interacts; row k of `edge` is where the pairs of keyframe k start.

    Attributes:
        person: embeddings (N,F).
        box: (N,4) 0-1.
        subject, other: rows of the persons of each pair (R,).
        union: embeddings (R,F).
        label: (R,C) bool.
        edge: (K+1,).
    """

    person: Tensor
    box: Tensor
    subject: NDArray
    other: NDArray
    union: Tensor
    label: NDArray
    edge: NDArray

    def __len__(self) -> int:
        return len(self.edge) - 1

    def interactions(self, keyframe: int) -> NDArray:
        """The interactions of a keyframe, (C,) bool."""
        return self.label[self.edge[keyframe] : self.edge[keyframe + 1]].any(axis=0)

    def batch(self, keyframes: Sequence[int]) -> tuple[Keyframes, NDArray]:
        """Some keyframes as a model sees them, and the labels of their pairs (B,P,C) bool; zeros where no pair is."""
        keyframes = np.asarray(keyframes)
        counts = self.edge[keyframes + 1] - self.edge[keyframes]
        place = np.arange(counts.max())
        mask = place < counts[:, None]  # (B,P)
        row = np.where(mask, self.edge[keyframes, None] + place, self.edge[keyframes, None])
        subject, other = self.subject[row], self.other[row]
        part = torch.stack([self.person[subject], self.person[other], self.union[row]], dim=2).float()
        box = torch.stack([self.box[subject], self.box[other]], dim=2)
        seen = torch.from_numpy(mask)
        hidden = ~seen[..., None, None]
        keys = Keyframes(part.masked_fill(hidden, 0), box.masked_fill(hidden, 0), seen)
        return keys, self.label[row] & mask[..., None]


def load(features: Sequence[Path], manifest: Path, role: str, protocol: str = "strict") -> tuple[Pairs, list[str]]:
    """The pairs of the videos of a role (`train`, `val`, `test`), and the names of the interactions.

    Raises:
        ChoreoError: no video of the role has two persons who interact.
    """
    with Artifact(features, "pairs") as known:
        ids = [i for i in Manifest.read(manifest).split_ids(protocol)[role] if i in known]
        videos = [known.video(i) for i in ids]
        names = known["action_name"].tolist()
    videos = [v for v in videos if len(v["subject"])]
    if not videos:
        raise ChoreoError(
            f"no video of '{role}' has two persons who interact",
            "the split is empty, its videos failed, or only classes that are left out occur",
            "see failures.tsv and the option `classes` of the data set",
        )
    first = np.cumsum([0] + [len(v["frame"]) for v in videos])
    moment = [
        n * 10**9 + v["frame"][v["subject"]].astype(np.int64) for n, v in enumerate(videos)
    ]  # the keyframe of every pair
    edge = np.flatnonzero(np.diff(np.concatenate(moment), prepend=-1))
    return Pairs(
        person=torch.from_numpy(np.concatenate([v["feature"] for v in videos])),
        box=torch.from_numpy(np.concatenate([v["box"] for v in videos])),
        subject=np.concatenate([v["subject"] + n for v, n in zip(videos, first, strict=False)]),
        other=np.concatenate([v["object"] + n for v, n in zip(videos, first, strict=False)]),
        union=torch.from_numpy(np.concatenate([v["union"] for v in videos])),
        label=np.concatenate([v["label"] for v in videos]).astype(bool),
        edge=np.append(edge, sum(map(len, moment))),
    ), names


# Training ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recipe:
    """How to train; the options of the stage explain each value."""

    seed: int
    epochs: int
    warmup: int
    lr: float
    weight_decay: float
    batch: int
    clip: float
    length: int
    specifications: str
    background: bool


def build(name: str, settings: Settings, larger: int) -> nn.Module:
    """An untrained model of Table 2, or the control."""
    if name in ("proda", "blind"):
        return PairProda(settings)
    return Baseline(replace(settings, feedforward=larger) if name == "larger" else settings)


def fit(name: str, data: Pairs, settings: Settings, larger: int, recipe: Recipe, weights: Weights) -> nn.Module:
    """Train one of `MODELS`."""
    rng = np.random.default_rng(recipe.seed)
    device = pick_device()
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        model = build(name, settings, larger).to(device).train()
        optimiser = torch.optim.AdamW(model.parameters(), recipe.lr, weight_decay=recipe.weight_decay, fused=True)
        steps = math.ceil(len(data) / recipe.batch)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: rate(step / steps, recipe.warmup, recipe.epochs)
        )
        for epoch in range(recipe.epochs):
            order, sums = rng.permutation(len(data)), 0.0
            for chosen in np.array_split(order, steps):
                value = _loss(name, model, data, chosen, rng, recipe, weights)
                optimiser.zero_grad()
                value.backward()
                nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
                optimiser.step()
                schedule.step()
                sums += value.item()
            if not math.isfinite(sums):
                raise ChoreoError(f"the loss of '{name}' is {sums} in epoch {epoch + 1}", "a learning rate too high")
            log.info("%s, epoch %d of %d: loss %.4f", name, epoch + 1, recipe.epochs, sums / steps)
    return model.eval().cpu()


def rate(epoch: float, warmup: int, epochs: int) -> float:
    """Share of the learning rate: a tenth rising to all of it in the warm-up, then falling as a cosine to 0."""
    if epoch < warmup:
        return 0.1 + 0.9 * epoch / warmup
    return 0.5 + 0.5 * math.cos(math.pi * (epoch - warmup) / max(epochs - warmup, 1e-9))


def _loss(
    name: str,
    model: nn.Module,
    data: Pairs,
    chosen: NDArray,
    rng: np.random.Generator,
    recipe: Recipe,
    weights: Weights,
) -> Tensor:
    device = next(model.parameters()).device
    keyframes, labels = data.batch(chosen)
    counted = keyframes.mask if recipe.background else torch.from_numpy(labels.any(-1))
    keyframes, counted = (keyframes.blind() if name == "blind" else keyframes).to(device), counted.to(device)
    told, _ = targets(labels, np.ones_like(labels))
    told = torch.from_numpy(told).to(device)
    if isinstance(model, Baseline):
        return cross_entropy(model(keyframes), told, counted)
    asked = specify(data, chosen, rng, recipe.length, recipe.specifications)
    s, u = (torch.from_numpy(t).to(device) for t in targets(labels, asked[:, None]))
    answers = model(keyframes, torch.from_numpy(asked).to(device))
    return loss(answers, {"specified": s, "unspecified": u, "total": told}, counted, weights)


def specify(data: Pairs, keyframes: Sequence[int], rng: np.random.Generator, length: int, kind: str) -> NDArray:
    """One specification drawn for each keyframe, from the interactions it shows (B,C)."""
    drawn = [draw(data.interactions(k), rng, length=length, kind=kind) for k in keyframes]
    return np.stack([some[rng.integers(len(some))] for some in drawn])


# Stage ------------------------------------------------------------------------------------------------------


def pairs_train(
    features: list[Path],
    manifest: Path,
    out: Path,
    *,
    seed: int = 0,
    protocol: str = "strict",
    part: int = 512,
    spatial: int = 256,
    heads: int = 8,
    feedforward: int = 2048,
    larger: int = 5376,
    candidates: int = 10,
    gate: int = 256,
    dropout: float = 0.1,
    epochs: int = 20,
    warmup: int = 5,
    lr: float = 8e-5,
    weight_decay: float = 0.05,
    batch: int = 8,
    clip: float = 40.0,
    length: int = 16,
    specifications: str = "queries",
    background: bool = True,
    weights: dict | None = None,
) -> None:
    """Train ProDA on pairs, both baselines and the prompt-only control; one checkpoint holds all four.

    Args:
        features: artifacts `pairs`, one a shard.
        manifest: the videos and their splits.
        out: checkpoint to write.
        seed: of initial weights, order and prompts; the same for all four.
        protocol: `strict`, or `published`, which trains on val too.
        part, spatial: widths of a projected crop and of the picture of the boxes; a pair has 3 `part` + `spatial`.
        heads, feedforward: of the one transformer layer; `larger` is the feedforward width of the larger baseline.
        larger: see above; choose it so that both have as many parameters as ProDA.
        candidates: prompts that the dynamic prompt mixes.
        gate: hidden width of the gate.
        dropout: of the layer.
        epochs, warmup: all epochs, and those in which the learning rate rises.
        lr, weight_decay, batch, clip: of AdamW; keyframes a step; largest norm of a gradient.
        length: K, interactions in a distractor-injected prompt.
        specifications: kind of prompts in training, see `pipeline.proda.specifications.draw`.
        background: learn from pairs that do nothing, too; false: from those that interact only, as published, so that
            nothing tells who interacts.
        weights: weights and margins of the loss that differ from the published ones, see `pairs.Weights`.
    """
    data, names = load(features, manifest, "train", protocol)
    settings = Settings(data.person.shape[1], len(names), part, spatial, heads, feedforward, candidates, gate, dropout)
    length = min(length, len(names))
    recipe = Recipe(seed, epochs, warmup, lr, weight_decay, batch, clip, length, specifications, background)
    models = {name: fit(name, data, settings, larger, recipe, Weights(**(weights or {}))) for name in MODELS}
    checkpoint.save(
        out,
        model="pairs",
        settings=asdict(settings) | {"larger": larger} | asdict(recipe) | {"protocol": protocol},
        state={name: model.state_dict() for name, model in models.items()},
        actions=names,
        inputs={f"{p.parent.name}/{p.name}": file_digest(p) for p in map(Path, [*features, manifest])},
        stage=source_digest("proda.pairs_training"),
    )


def trained(path: Path) -> tuple[dict[str, nn.Module], dict]:
    """The models of a checkpoint by name, ready to ask, and all that was kept beside them."""
    kept = checkpoint.load(path, "pairs")
    settings = Settings(**{name: kept["settings"][name] for name in Settings.__dataclass_fields__})
    models = {}
    for name, state in kept["state"].items():
        models[name] = build(name, settings, kept["settings"]["larger"])
        models[name].load_state_dict(state)
        models[name].eval().requires_grad_(False)
    return models, kept
