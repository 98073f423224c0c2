"""Training of the AQA model on one task (AQA, Secs. 3 and 4.2).

Axes: V video, B video of a batch, T clip, D feature.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline import checkpoint
from pipeline.aqa import losses, trained
from pipeline.aqa.data import Data, Videos, collate, crop, load
from pipeline.aqa.measures import spearman
from pipeline.aqa.model import Aqa, Settings
from pipeline.aqa.trained import Trained
from pipeline.aqa.variants import overrides
from pipeline.digest import file_digest, source_digest
from pipeline.encoders.weights import pick_device
from pipeline.errors import ChoreoError
from pipeline.learning import alone, autocast, one_line

log = logging.getLogger(__name__)

CHOICES = {
    "crop": ("train", "always"),
    "schedule": ("cosine", "constant", "step"),
    "direction": losses.DIRECTIONS,
    "reduction": losses.REDUCTIONS,
    "precision": ("fp32", "bf16"),
}
STEP = 400  # steps after which the schedule `step` takes a tenth of the learning rate, as published
SAVE_SECONDS = 60.0  # between two checkpoints to go on from: with the published sizes one is 350 MB


@dataclass(frozen=True)
class Recipe:
    """How to train; the options of the stage explain each value."""

    seed: int
    clips: int
    crop: str
    masked: bool
    standardise: bool
    epochs: int
    batch: int
    lr: float
    weight_decay: float
    schedule: str
    smoothing: int
    lambda_regression: float
    lambda_attention: float
    direction: str
    scaled: bool
    reduction: str
    noise: float
    precision: str


# Steps ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """What one step sees: clips (B,T,D), mask (B,T), targets (B,) as shares of the range."""

    clips: Tensor
    mask: Tensor
    targets: Tensor

    def to(self, device: torch.device) -> Step:
        """The same on a device."""
        return Step(self.clips.to(device), self.mask.to(device), self.targets.to(device))


def steps(
    videos: Videos, order: Sequence[int], model: Trained, recipe: Recipe, rng: np.random.Generator | None
) -> Iterator[Step]:
    """The videos in that order, `batch` a step, in steps of nearly one size; long ones are cut with `rng`."""
    for rows in np.array_split(np.asarray(order), math.ceil(len(order) / recipe.batch)):
        seen = [videos.clips[row].feature for row in rows]
        seen = [model.see(feature[crop(len(feature), recipe.clips, rng)]) for feature in seen]
        padded = collate(seen, length=0 if recipe.masked else recipe.clips, masked=recipe.masked)
        yield Step(*padded, torch.from_numpy(videos.targets[rows]).float())


def objective(network: Aqa, recipe: Recipe, step: Step) -> dict[str, Tensor]:
    """The weighted terms of Eq. 6, in single precision whatever the network computes in."""
    with autocast(step.clips.device, recipe.precision):
        output = network(step.clips, step.mask)
    score = output.score.float()
    if recipe.noise:
        score = score + recipe.noise * torch.randn_like(score)
    output = replace(
        output,
        score=score,
        self_outputs=[each.float() for each in output.self_outputs],
        cross_outputs=[each.float() for each in output.cross_outputs],
    )
    return losses.terms(
        output,
        step.targets,
        weights=losses.Weights(recipe.lambda_regression, recipe.lambda_attention),
        direction=recipe.direction,
        scaled=recipe.scaled,
        reduction=recipe.reduction,
    )


# Choice of the epoch ----------------------------------------------------------------------------------------


@torch.no_grad()
def judge(network: Aqa, shown: Sequence[Step], recipe: Recipe) -> dict[str, float]:
    """Spearman's correlation (`srcc`, NaN where it is undefined) and mean squared error (`mse`) on val."""
    network.eval()
    with autocast(shown[0].clips.device, recipe.precision):
        said = torch.cat([network(step.clips, step.mask).score.float().cpu() for step in shown]).double().numpy()
    truth = torch.cat([step.targets.cpu() for step in shown]).double().numpy()
    if not np.isfinite(said).all():
        raise _diverged("a score on val is not finite")
    return {"srcc": float(spearman(said, truth)), "mse": float(((said - truth) ** 2).mean())}


def _diverged(what: str) -> ChoreoError:
    cause = "the learning rate is too high for this data, or features are huge"
    return ChoreoError(what, cause, "lower `lr`, or set `standardise: true`")


def standing(history: Sequence[Mapping[str, float]]) -> list[float]:
    """How good some epochs are on val, as a list whose order is theirs: mean correlation, then least mean error.

    An undefined correlation counts as none: of a model that says one thing of all videos, or of val videos with equal
    scores, of which the one with the least error is then chosen.
    """
    srcc = [0.0 if math.isnan(figures["srcc"]) else figures["srcc"] for figures in history]
    return [float(np.mean(srcc)), -float(np.mean([figures["mse"] for figures in history]))]


# One run of training ----------------------------------------------------------------------------------------


def fit(model: Trained, data: Data, recipe: Recipe, part: Path, identity: Mapping[str, object]) -> dict[str, object]:
    """Train for all epochs; the weights of the best epoch on val (`state`) and its `figures`.

    Best is the epoch with the highest mean correlation over it and the epochs before it, `smoothing` in all: of
    hundreds of epochs judged on a few dozen videos, a single one is the best by luck.

    From time to time all that is needed to go on is written to `part`. Every epoch draws from random numbers of its
    own, so a run that was cut short ends with the weights of one that was not.

    Args:
        model: the network, on its device, and how it is shown features.
        data: the videos.
        recipe: how to train.
        part: checkpoint of the run under way; passed over when it is not of this `identity`.
        identity: all that the weights depend on, plain values.

    Raises:
        ChoreoError: the loss is not finite.
    """
    network = model.network
    device = next(network.parameters()).device
    optimiser = torch.optim.Adam(network.parameters(), lr=recipe.lr, weight_decay=recipe.weight_decay)
    best: dict[str, object] = {"standing": [], "state": {}, "figures": {}}
    history: list[dict[str, float]] = []
    if found := checkpoint.resume(part, "aqa_part", identity):
        network.load_state_dict(found["state"])
        optimiser.load_state_dict(found["optimiser"])
        best, history = found["best"], found["history"]
        log.info("going on after epoch %d", len(history))
    saved = time.monotonic()
    for epoch in range(len(history) + 1, recipe.epochs + 1):
        began = time.perf_counter()
        torch.manual_seed(int(np.random.SeedSequence([recipe.seed, epoch]).generate_state(1)[0]))
        means = _epoch(model, optimiser, data.roles["train"], recipe, epoch)
        history.append(judge(network, _shown_on_val(model, data.roles["val"], recipe, epoch, device), recipe))
        last = history[-recipe.smoothing :]
        if len(last) == min(recipe.smoothing, recipe.epochs) and standing(last) > best["standing"]:
            state = {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}
            figures = history[-1] | {"epoch": epoch, "srcc_smoothed": standing(last)[0]}
            best = {"standing": standing(last), "state": state, "figures": figures}
        log.info(
            "epoch %d/%d, %.1f s; loss %s; on val %s%s",
            epoch, recipe.epochs, time.perf_counter() - began, one_line(means, 4), one_line(history[-1], 4),
            " (best so far)" if best["figures"].get("epoch") == epoch else "",
        )  # fmt: skip
        if time.monotonic() - saved >= SAVE_SECONDS and epoch < recipe.epochs:
            now = {"state": network.state_dict(), "optimiser": optimiser.state_dict()}
            checkpoint.save(part, model="aqa_part", settings=identity, best=best, history=history, **now)
            saved = time.monotonic()
    return best


def _epoch(
    model: Trained, optimiser: torch.optim.Optimizer, train: Videos, recipe: Recipe, epoch: int
) -> dict[str, float]:
    """One epoch; the mean of every part of the loss."""
    network, device = model.network, next(model.network.parameters()).device
    network.train()
    rng = np.random.default_rng([recipe.seed, epoch])
    order = rng.permutation(len(train))
    count = math.ceil(len(order) / recipe.batch)
    sums: dict[str, float] = {}
    for n, step in enumerate(steps(train, order, model, recipe, rng)):
        for group in optimiser.param_groups:
            group["lr"] = recipe.lr * rate_at((epoch - 1) * count + n, count, recipe)
        parts = objective(network, recipe, step.to(device))
        loss = torch.stack(list(parts.values())).sum()
        if not torch.isfinite(loss):
            told = one_line({name: value.item() for name, value in parts.items()}, 4)
            raise _diverged(f"the loss is not finite in epoch {epoch}, step {n + 1}: {told}")
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        for name, value in parts.items():
            sums[name] = sums.get(name, 0.0) + float(value.detach()) / count
    return sums


def _shown_on_val(model: Trained, val: Videos, recipe: Recipe, epoch: int, device: torch.device) -> list[Step]:
    """The whole videos of val; parts of them, drawn anew in every epoch, where crops are made always."""
    rng = np.random.default_rng([recipe.seed, epoch, 1]) if recipe.crop == "always" else None
    return [step.to(device) for step in steps(val, range(len(val)), model, recipe, rng)]


def rate_at(step: int, per_epoch: int, recipe: Recipe) -> float:
    """Learning rate of a step (from 0) as a share of `lr`."""
    done = step / (recipe.epochs * per_epoch)
    fall = {"cosine": (1 + math.cos(math.pi * done)) / 2, "constant": 1.0, "step": 0.1 ** (step // STEP)}
    return fall[recipe.schedule]


# Stage ------------------------------------------------------------------------------------------------------


def aqa_train(
    features: list[Path],
    scores: Path,
    manifest: Path,
    out: Path,
    *,
    task: dict,
    seed: int = 0,
    variant: str = "full",
    queries: int = 68,
    dim: int | None = None,
    layers: int = 2,
    heads: int = 4,
    feedforward: int = 1024,
    dropout: float = 0.7,
    hidden: int = 512,
    query_variance: float = 5.0,
    redraw: bool = False,
    query_position: bool = True,
    memory_position: bool = False,
    skip: bool = True,
    reach: float | None = None,
    head: str = "weight_score",
    clips: int = 68,
    crop: str = "train",
    masked: bool = True,
    standardise: bool = False,
    epochs: int = 200,
    batch: int = 48,
    lr: float = 1e-4,
    weight_decay: float = 1e-5,
    schedule: str = "cosine",
    smoothing: int = 5,
    lambda_regression: float = 1.0,
    lambda_attention: float = 1.0,
    direction: str = "self_cross",
    scaled: bool = False,
    reduction: str = "mean",
    noise: float = 0.0,
    precision: str = "fp32",
    device: str = "auto",
    threads: int = 1,
    protocol: str = "strict",
    max_failed_fraction: float = 0.1,
) -> None:
    """Train the AQA model on one task; the epoch with the best Spearman's correlation on val is kept.

    Args:
        features: artifacts `clip_features`, one a shard.
        scores: CSV file `id,score,value`.
        manifest: the videos, their labels and splits.
        out: checkpoint to write; beside it, while a long training lasts, one to go on from (`.part`).
        task: which score to learn: {score, label, range}.
        seed: seed of weights, order, crops and dropout.
        variant: a row of the paper's ablations, see `aqa.variants`; what it sets goes before the other options.
        queries: queries of the decoder (Q); in the paper as many as clips.
        dim: width of the decoder; none: that of the features, as published.
        layers: layers of the decoder.
        heads: heads of attention.
        feedforward: width of the feed-forward networks.
        dropout: share of the activations that are dropped.
        hidden: width of the first hidden layer of the head's MLPs; the second has half of it.
        query_variance: variance of the normal distribution that queries start from (Table 5).
        redraw: draw the queries anew in every pass, in test too, as published; false: once, then they are learned.
        query_position: add positions to the queries (Table 4).
        memory_position: add positions to the clips (Table 4).
        skip: carry the output of the self-attention across the cross-attention.
        reach: clips that a query sees on either side of its own place; none: all, as in the paper.
        head: `weight_score` (Eq. 4) or `single`.
        clips: most clips of a video seen in training; a longer one is cut at a random place.
        crop: cut long videos in `train` only, or `always`, in test too, as published.
        masked: hide what fills short videos up; false: rows of zeros that are seen, as published.
        standardise: features by mean and standard deviation of the train clips; false: as they are, as published.
        epochs: passes over all videos.
        batch: videos in a step.
        lr: learning rate of Adam.
        weight_decay: of Adam, as published.
        schedule: of the learning rate, `cosine`, `constant`, or `step`: a tenth every 400 steps, as published.
        smoothing: epochs whose mean correlation on val decides which is the best; 1: each by itself.
        lambda_regression, lambda_attention: weights of both losses, Eq. 6.
        direction: of the attention loss, `self_cross`, KL(L_S || L_C) as in the paper, or `cross_self`, as published.
        scaled: divide the maps of Eqs. 1-2 by the width, as published.
        reduction: of the attention loss over batch and queries, `mean`, or `sum` as published.
        noise: standard deviation of noise on the scores in training; 0.05 as published.
        precision: `fp32` or `bf16`.
        device: `cpu`, `cuda`, or `auto`.
        threads: threads of the CPU.
        protocol: `strict`, or `published`, which chooses the epoch on the test videos.
        max_failed_fraction: share of the videos that may lack their features or their score.
    """
    options = dict(locals()) | overrides(variant)
    where = pick_device(device)
    recipe = _recipe(options)
    data = load(features, manifest, scores, task=task, protocol=protocol, max_failed_fraction=max_failed_fraction)
    settings = _settings(options, data)
    _tell_short(data, settings)
    with alone(seed, where, threads):
        network = Aqa(settings).to(where)
        model = Trained(network, settings, variant, data.task, *_standard(data, recipe), asdict(recipe), {})
        part = out.with_suffix(".part")
        best = fit(model, data, recipe, part, _identity(model, [*features, manifest, scores], protocol))
    log.info("kept: epoch %d; on val %s", best["figures"]["epoch"], one_line(best["figures"], 4))
    trained.save(out, replace(model, figures=best["figures"]), best["state"])
    part.unlink(missing_ok=True)


def _recipe(options: Mapping[str, object]) -> Recipe:
    recipe = Recipe(**{f.name: options[f.name] for f in fields(Recipe)})
    for name, known in CHOICES.items():
        if getattr(recipe, name) not in known:
            raise ChoreoError(f"there is no {name} '{getattr(recipe, name)}'", "a typo", f"one of {', '.join(known)}")
    for name in ("clips", "epochs", "batch", "smoothing"):
        if getattr(recipe, name) < 1:
            raise ChoreoError(f"`{name}` is {getattr(recipe, name)}", mend="set it to 1 or more")
    return recipe


def _settings(options: Mapping[str, object], data: Data) -> Settings:
    hidden = int(options["hidden"])
    try:
        return trained.settings_of(options | {"features": data.features, "hidden": (hidden, max(1, hidden // 2))})
    except ValueError as error:
        raise ChoreoError(str(error), "an option of `aqa_train`", "see config/README.md") from error


def _standard(data: Data, recipe: Recipe) -> tuple[NDArray, NDArray]:
    """Mean and scale (D,) of the features: of all clips of train, or 0 and 1."""
    if not recipe.standardise:
        return np.zeros(data.features, np.float32), np.ones(data.features, np.float32)
    every = np.concatenate([clips.feature for clips in data.roles["train"].clips])
    scale = every.std(axis=0, dtype=np.float64)
    return every.mean(axis=0, dtype=np.float64).astype(np.float32), np.where(scale > 0, scale, 1).astype(np.float32)


def _tell_short(data: Data, settings: Settings) -> None:
    """Say where videos have fewer clips than there are queries: some queries then share a clip."""
    for role, videos in data.roles.items():
        if short := sum(len(clips) < settings.queries for clips in videos.clips):
            log.warning(
                "%s: %d of %d videos have fewer clips than the %d queries, the shortest %d: queries share clips there",
                role, short, len(videos), settings.queries, min(map(len, videos.clips)),
            )  # fmt: skip


def _identity(model: Trained, files: Sequence[Path], protocol: str) -> dict[str, object]:
    """All that the weights depend on."""
    settings = asdict(model.settings) | {"hidden": list(model.settings.hidden), "task": model.task.options}
    inputs = {str(path): file_digest(path) for path in files}
    return settings | model.recipe | {"inputs": inputs, "protocol": protocol, "stage": source_digest("aqa.training")}
