"""Training of ProDA in two stages: the whole network, then its classifiers (ProDA, Secs. 3.4 and D.2)."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pipeline import checkpoint
from pipeline.digest import file_digest, source_digest
from pipeline.encoders.weights import pick_device
from pipeline.errors import ChoreoError
from pipeline.learning import alone, autocast, one_line
from pipeline.proda import trained
from pipeline.proda.data import Data, Videos, load
from pipeline.proda.model import Proda, Settings, start
from pipeline.proda.objectives import Objective, classification, encoder_alone, whole
from pipeline.proda.ranking import mean_average_precision
from pipeline.proda.recipe import Recipe, recipe_of
from pipeline.proda.steps import Step, epoch_items, steps, val_items
from pipeline.proda.trained import Trained
from pipeline.proda.variants import overrides

log = logging.getLogger(__name__)


# Choice of the epoch ----------------------------------------------------------------------------------------


@torch.no_grad()
def judge(network: nn.Module, asked: Sequence[Step]) -> dict[str, float]:
    """mAP (0-1) of every answer on val.

    `specified`, `unspecified` and `total` are asked the prompts of `asked`, which are made of the labels, as the paper
    chooses its epochs; `middle` and `all`, a_t when asked for all actions, know of no label.
    """
    network.eval()
    scores: dict[str, list[Tensor]] = {}
    truth: dict[str, list[Tensor]] = {}

    def keep(name: str, logits: Tensor, labels: Tensor) -> None:
        scores.setdefault(name, []).append(logits.float().cpu())
        truth.setdefault(name, []).append(labels.cpu())

    for step in asked:
        if not isinstance(network, Proda):
            keep("middle", network(step.graphs), step.labels)
            continue
        encoded = network.encode(step.graphs)
        answers = network.ask(encoded.index(step.rows), step.specified)
        keep("specified", answers.specified.logits[:, :-1], step.wanted[:, :-1])
        keep("unspecified", answers.unspecified.logits[:, :-1], step.rest[:, :-1])
        keep("total", answers.total, step.labels[step.rows])
        keep("middle", network.middle(encoded), step.labels)
        keep("all", network.ask(encoded, torch.ones_like(step.labels, dtype=torch.bool)).total, step.labels)
    return {name: mean_average_precision(torch.cat(scores[name]), torch.cat(truth[name])) for name in scores}


# One run of training ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Course:
    """What one stage trains, on what, and how it chooses.

    Attributes:
        network: on its device.
        modules: those of its modules that learn; all others are frozen, their norms and dropout as in a test.
        objective: the loss.
        chosen: the figures of `judge` whose mean decides which epoch's weights are kept.
    """

    network: nn.Module
    modules: Sequence[nn.Module]
    objective: Objective
    chosen: tuple[str, ...]


def fit(course: Course, data: Data, recipe: Recipe, part: Path, identity: Mapping[str, object]) -> dict[str, object]:
    """Train for all epochs; the weights of the best epoch on val (`state`) and its `figures`.

    After every epoch all that is needed to go on is written to `part`. Every epoch draws from random numbers of its
    own, so a run that was cut short ends with the weights of one that was not.

    Args:
        course: what to train.
        data: the videos.
        recipe: how to train.
        part: checkpoint of the run under way; passed over when it is not of this `identity`.
        identity: all that the weights depend on, plain values.

    Raises:
        ChoreoError: the loss is not finite.
    """
    network = course.network
    device = next(network.parameters()).device
    optimiser = _optimiser(course.modules, recipe)
    asked = [step.to(device) for step in steps(data.roles["val"], val_items(data.roles["val"], recipe), recipe, None)]
    best: dict[str, object] = {"score": -1.0, "state": {}, "figures": {}}
    first = 1
    if found := checkpoint.resume(part, "proda_part", identity):
        network.load_state_dict(found["state"])
        optimiser.load_state_dict(found["optimiser"])
        best, first = found["best"], found["epoch"] + 1
        log.info("going on after epoch %d", found["epoch"])
    for epoch in range(first, recipe.epochs + 1):
        start = time.perf_counter()
        torch.manual_seed(int(np.random.SeedSequence([recipe.seed, epoch]).generate_state(1)[0]))
        means = _epoch(course, optimiser, data.roles["train"], recipe, epoch)
        with autocast(device, recipe.precision):
            figures = judge(network, asked)
        score = float(np.mean([figures[name] for name in course.chosen]))
        if score > best["score"]:
            state = {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}
            best = {"score": score, "state": state, "figures": figures | {"epoch": epoch}}
        log.info(
            "epoch %d/%d, %.1f s; loss %s; mAP on val %s%s",
            epoch, recipe.epochs, time.perf_counter() - start, one_line(means, 3), one_line(figures, 3),
            " (best so far)" if best["figures"].get("epoch") == epoch else "",
        )  # fmt: skip
        now = {"state": network.state_dict(), "optimiser": optimiser.state_dict(), "best": best, "epoch": epoch}
        checkpoint.save(part, model="proda_part", settings=identity, **now)
    return best


def _epoch(
    course: Course, optimiser: torch.optim.Optimizer, train: Videos, recipe: Recipe, epoch: int
) -> dict[str, float]:
    """One epoch; the mean of every part of the loss."""
    network, device = course.network, next(course.network.parameters()).device
    learning = [p for group in optimiser.param_groups for p in group["params"]]
    network.eval()
    for module in course.modules:
        module.train()
    items = epoch_items(train, recipe, epoch)
    count = math.ceil(len(items) / recipe.batch)
    sums: dict[str, float] = {}
    for n, step in enumerate(steps(train, items, recipe, np.random.default_rng([recipe.seed, epoch, 2]))):
        rate = recipe.lr * rate_at((epoch - 1) * count + n, count, recipe)
        for group in optimiser.param_groups:
            group["lr"] = rate
        with autocast(device, recipe.precision):
            parts = course.objective(network, recipe, step.to(device), epoch)
        loss = torch.stack(list(parts.values())).sum()
        if not torch.isfinite(loss):
            told = one_line({name: value.item() for name, value in parts.items()}, 3)
            raise ChoreoError(
                f"the loss is not finite in epoch {epoch}, step {n + 1}: {told}",
                "the learning rate is too high for this data",
                "lower `lr`, or lengthen `warmup`",
            )
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(learning, recipe.clip)
        optimiser.step()
        for name, value in parts.items():
            sums[name] = sums.get(name, 0.0) + float(value.detach()) / count
    return sums


def rate_at(step: int, per_epoch: int, recipe: Recipe) -> float:
    """Learning rate of a step (from 0) as a share of `lr`: it rises over `warmup` epochs, then follows the schedule."""
    warm, total = recipe.warmup * per_epoch, recipe.epochs * per_epoch
    rise = min(1.0, (step + 1) / warm) if warm > 0 else 1.0
    done = max(0.0, (step - warm) / max(1.0, total - warm))
    fall = {"linear": 1 - done, "cosine": (1 + math.cos(math.pi * done)) / 2, "constant": 1.0}
    return rise * fall[recipe.schedule]


def _optimiser(modules: Sequence[nn.Module], recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW; vectors (biases, scales of norms) do not decay, as published."""
    learning = [p for module in modules for p in module.parameters()]
    matrices, vectors = [p for p in learning if p.ndim > 1], [p for p in learning if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=recipe.lr)


# Stages -----------------------------------------------------------------------------------------------------


def proda_pretrain(
    graphs: list[Path],
    manifest: Path,
    out: Path,
    *,
    seed: int = 0,
    variant: str = "full",
    dim: int = 768,
    heads: int = 12,
    feedforward: int = 3072,
    dropout: float = 0.1,
    blocks: int = 1,
    layers: int = 3,
    edge_layers: int = 2,
    candidates: int = 10,
    prompt: str = "dpm",
    norm: str = "vgnorm",
    divisor: str = "paper",
    centre: str = "paper",
    momentum: float = 0.9,
    graph: str = "star",
    masked: bool = True,
    classes: bool = True,
    related: bool = True,
    adapter: int = 0,
    layout: bool = False,
    frames: int = 16,
    window: str = "whole",
    length: int = 16,
    specifications: str = "queries",
    redraw: bool = True,
    prompts: int = 0,
    per_video: int = 1,
    encoder_epochs: int = 0,
    encoder: Path | None = None,
    epochs: int = 5,
    batch: int = 32,
    lr: float = 2e-4,
    weight_decay: float = 1e-3,
    clip: float = 5.0,
    warmup: float = 0.1,
    schedule: str = "linear",
    lambda_unspecified: float = 1.0,
    lambda_specified: float = 1.0,
    lambda_total: float = 1.0,
    lambda_disentanglement: float = 1.0,
    lambda_reconstruction: float = 1.0,
    lambda_middle: float = 0.0,
    margin: float = 0.7,
    margin_end: float = 0.2,
    correlation: str = "video",
    reduction: str = "mean",
    detach: bool = True,
    precision: str = "auto",
    device: str = "auto",
    threads: int = 1,
    protocol: str = "strict",
) -> None:
    """Train the whole of ProDA, stage 1; the epoch with the best mean mAP of a_s and a_u on val is kept.

    Where a_m learns along, its mAP counts too.

    Args:
        graphs: artifacts `scene_graphs`, one a shard.
        manifest: the videos, their actions and splits.
        out: checkpoint to write; beside it, while the training lasts, one to go on from (`.part`).
        seed: seed of weights, prompts, frames and dropout.
        variant: a row of the paper's ablations, see `proda.variants`; what it sets goes before the other options.
        dim: width of the model (D).
        heads: heads of self-attention.
        feedforward: width of the feed-forward networks.
        dropout: share of the activations that are dropped.
        blocks: blocks of the video encoder.
        layers: layers of the VGPNN.
        edge_layers: self-attention blocks in Link.
        candidates: candidate prompts (T of Eq. 2).
        prompt: `dpm` or `simple`.
        norm: `vgnorm`, `graphnorm`, `layernorm` or `batchnorm`.
        divisor: of Eq. 4, `paper` (M*D-1) or `code` (M+D-1).
        centre: mean of Eq. 4 in training, `paper` (running mean) or `code` (mean of the batch).
        momentum: of the running mean, Eq. 3.
        graph: `star` (person and objects) or `complete` (every pair).
        masked: leave out nodes that are not there; false: they take part, as published.
        classes: add the classes of the objects to the nodes.
        related: add the relations to the edges.
        adapter: width of the hidden layer of the adapter of image embeddings; 0: theirs, as published.
        layout: let the encoder see how nodes move, their classes and relations; ours, for small data sets.
        frames: frames of a video that the model sees.
        window: `whole` video, or `published`: one window of a long video, as in the authors' code.
        length: classes of a distractor-injected prompt (K).
        specifications: prompts of a video: `paper`, `code`, or `queries`, which adds those that people ask.
        redraw: draw the prompts anew every epoch; false: once, as published.
        prompts: prompts asked of a video in an epoch, drawn among all of its own; 0: all of them, as in the paper.
        per_video: prompts asked of a video in one step, in which it is encoded once; the paper's is 1.
        encoder_epochs: epochs of the variant `encoder`, from which all others then start; 0: they start anew, as in the
            paper, and it has as many epochs as they.
        encoder: checkpoint of that variant to start from; the readout and classifier of a_m come from it too.
        epochs: passes over these prompts of all videos.
        batch: videos in a step.
        lr: learning rate of AdamW.
        weight_decay: of matrices; vectors have none.
        clip: largest norm of the gradient.
        warmup: epochs, or a share of one, over which the learning rate rises.
        schedule: `linear`, `cosine` or `constant`.
        lambda_unspecified, lambda_specified, lambda_total: weights of the classifications, Eq. 8.
        lambda_disentanglement, lambda_reconstruction: weights of both parts of the AD loss, Eq. 8.
        lambda_middle: weight of the classification of a_m in stage 1; 0, as in the paper: it learns in stage 2 alone.
        margin: margin of the AD loss before the first epoch.
        margin_end: margin in the last epoch.
        correlation: of Eq. 5, `video` (each by itself) or `batch` (one of all, as published).
        reduction: of Eq. 7, `paper` (squared norm), `mean` (over its entries) or `batch` (over all, as published).
        detach: the target of the reconstruction is not trained; false: it is, as published.
        precision: `fp32`, `bf16`, or `auto`: bf16 on a GPU.
        device: `cpu`, `cuda`, or `auto`.
        threads: threads of the CPU.
        protocol: `strict`, or `published`, which chooses the epoch on the test videos.
    """
    options = dict(locals()) | overrides(variant)
    where = pick_device(device)
    recipe = recipe_of(options, where)
    data = load(graphs, manifest, protocol=protocol)
    settings = _settings(options, data)
    with alone(seed, where, threads):
        network = trained.build(recipe.network, settings)
        if encoder is not None:
            trained.start_from(encoder, network, data)
        model = _trained(network.to(where), settings, variant, recipe, data)
        chosen = ("specified", "unspecified", *(["middle"] if recipe.lambda_middle else []))
        course = Course(network, [network], whole, chosen)
        if recipe.network == "encoder":
            course = Course(network, [network], encoder_alone, ("middle",))
            recipe = replace(recipe, epochs=recipe.encoder_epochs or recipe.epochs)
        sources = _sources([*graphs, *([encoder] if encoder else [])], manifest, protocol)
        _run(course, data, recipe, model, out, asdict(settings) | sources)


def proda_posttrain(
    graphs: list[Path],
    manifest: Path,
    pretrained: Path,
    out: Path,
    *,
    seed: int = 0,
    classifiers: str = "all",
    reinitialise: bool = False,
    epochs: int = 5,
    batch: int = 32,
    lr: float = 1e-4,
    prompts: int = 0,
    per_video: int = 1,
    precision: str = "auto",
    device: str = "auto",
    threads: int = 1,
    protocol: str = "strict",
) -> None:
    """Train the classifiers of ProDA, stage 2, all else frozen; the best epoch on val is kept.

    Best is the mean mAP of a_m, of a_t asked for all actions, and of a_t asked the prompts made of the labels. The
    readout of a_m, which may have learned nothing in stage 1, is trained with its classifier. The variant `encoder` has
    no stages: it goes on being trained as a whole, for as many passes as ProDA has had beyond it.

    Args:
        graphs: artifacts `scene_graphs`, one a shard.
        manifest: the videos, their actions and splits.
        pretrained: checkpoint of stage 1.
        out: checkpoint to write; beside it, while the training lasts, one to go on from (`.part`).
        seed: seed of prompts, frames, dropout and of classifiers that start anew.
        classifiers: `all`: of a_u, a_s, a_t and a_m (Sec. 4.1); `total`: of a_t and a_m (App. D.2).
        reinitialise: start them anew, as published.
        epochs: passes over all prompts of all videos.
        batch: videos in a step.
        lr: learning rate of AdamW.
        prompts: prompts asked of a video in an epoch, drawn among all of its own; 0: all of them, as in the paper.
        per_video: prompts asked of a video in one step, in which it is encoded once.
        precision: `fp32`, `bf16`, or `auto`: bf16 on a GPU.
        device: `cpu`, `cuda`, or `auto`.
        threads: threads of the CPU.
        protocol: `strict`, or `published`, which chooses the epoch on the test videos.
    """
    options = dict(locals())
    where = pick_device(device)
    data = load(graphs, manifest, protocol=protocol)
    before = trained.load(pretrained, data)
    recipe = recipe_of(before.recipe | options, where)
    with alone(seed, where, threads):
        network = before.network.to(where)
        model = _trained(network, before.settings, before.variant, recipe, data)
        if recipe.network == "encoder":
            course = Course(network, [network], encoder_alone, ("middle",))
            more = before.recipe["epochs"] if recipe.encoder_epochs else 0  # in which the others go on from it
            recipe = replace(recipe, epochs=recipe.epochs + more)
        else:
            modules = _classifiers(network, classifiers)
            if reinitialise:
                for module in modules:
                    module.apply(_anew)
            course = Course(network, _freeze_all_but(network, modules), classification, ("middle", "all", "total"))
        chosen = {"classifiers": classifiers, "reinitialise": reinitialise}
        _run(course, data, recipe, model, out, chosen | _sources([*graphs, pretrained], manifest, protocol))


CLASSIFIERS = {
    "all": ("unspecified_head", "specified_head", "total_head", "middle_readout", "middle_head"),
    "total": ("total_head", "middle_readout", "middle_head"),
}


def _classifiers(network: Proda, which: str) -> list[nn.Module]:
    if which not in CLASSIFIERS:
        raise ChoreoError(f"there are no classifiers '{which}'", "a typo", f"one of {', '.join(CLASSIFIERS)}")
    return [getattr(network, name) for name in CLASSIFIERS[which]]


def _freeze_all_but(network: nn.Module, modules: list[nn.Module]) -> list[nn.Module]:
    network.requires_grad_(False)
    for module in modules:
        module.requires_grad_(True)
    return modules


def _anew(module: nn.Module) -> None:
    if hasattr(module, "reset_parameters"):
        module.reset_parameters()
    start(module)


def _run(course: Course, data: Data, recipe: Recipe, model: Trained, out: Path, sources: dict[str, object]) -> None:
    """Train, or go on, and write what came out."""
    part = out.with_suffix(".part")
    best = fit(course, data, recipe, part, asdict(recipe) | sources)
    log.info("kept: epoch %d, mAP on val %s", best["figures"]["epoch"], one_line(best["figures"], 3))
    trained.save(out, replace(model, figures=best["figures"]), best["state"])
    part.unlink()


def _settings(options: Mapping[str, object], data: Data) -> Settings:
    given = {f.name: options[f.name] for f in fields(Settings) if f.name in options}
    try:
        return Settings(**given | data.sizes)
    except ValueError as error:
        raise ChoreoError(str(error), "an option of `proda_pretrain`", "see config/README.md") from error


def _trained(network: nn.Module, settings: Settings, variant: str, recipe: Recipe, data: Data) -> Trained:
    names = (data.actions, data.objects, data.relations)
    return Trained(network, settings, variant, recipe.video, *names, recipe=asdict(recipe), figures={})


def _sources(files: Sequence[Path], manifest: Path, protocol: str) -> dict[str, object]:
    """What else the weights depend on."""
    inputs = {str(path): file_digest(path) for path in [*files, manifest]}
    return {"inputs": inputs, "protocol": protocol, "stage": source_digest("proda.training")}
