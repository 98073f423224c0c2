"""Objectives of the training of ProDA: what a step makes smaller, as the weighted parts of a loss by name (Eq. 8)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.proda import losses
from pipeline.proda.model import Answers, Proda
from pipeline.proda.recipe import Recipe
from pipeline.proda.steps import Step

# network, recipe, step, epoch from 1 -> weighted parts of the loss
Objective = Callable[[nn.Module, Recipe, Step, int], dict[str, Tensor]]


def whole(network: Proda, recipe: Recipe, step: Step, epoch: int) -> dict[str, Tensor]:
    """All of Eq. 8: three classifications, disentanglement, reconstruction; and a_m where it is to learn along."""
    encoded = network.encode(step.graphs)
    answers = network.ask(encoded.index(step.rows), step.specified)
    margin = losses.margin_at(epoch, recipe.epochs, recipe.margin, recipe.margin_end)
    parts = _terms(answers, step, recipe, recipe.lambda_disentanglement, recipe.lambda_reconstruction, margin)
    if recipe.lambda_middle:
        middle = losses.classification(network.middle(encoded).float(), step.labels)
        parts["middle"] = recipe.lambda_middle * middle
    return parts


def classification(network: Proda, recipe: Recipe, step: Step, epoch: int) -> dict[str, Tensor]:
    """The three classifications of Eq. 8, and that of a_m, which is asked nothing."""
    encoded = network.encode(step.graphs)
    answers = network.ask(encoded.index(step.rows), step.specified)
    middle = losses.classification(network.middle(encoded).float(), step.labels)
    return _terms(answers, step, recipe, 0.0, 0.0) | {"middle": middle}


def encoder_alone(network: nn.Module, recipe: Recipe, step: Step, epoch: int) -> dict[str, Tensor]:
    """One classification; the prompts are passed over."""
    return {"middle": losses.classification(network(step.graphs).float(), step.labels)}


def _terms(
    answers: Answers, step: Step, recipe: Recipe, disentanglement: float, reconstruction: float, margin: float = 0.0
) -> dict[str, Tensor]:
    """Weighted terms of Eq. 8, in single precision whatever the network computes in."""
    weights = losses.Weights(
        recipe.lambda_unspecified, recipe.lambda_specified, recipe.lambda_total, disentanglement, reconstruction
    )
    with torch.autocast(step.labels.device.type, enabled=False):
        return losses.terms(
            _single(answers),
            step.rest,
            step.wanted,
            step.labels[step.rows],
            margins=(margin, margin),
            weights=weights,
            correlation=recipe.correlation,
            reduction=recipe.reduction,
            detach=recipe.detach,
        )


def _single(x: Any) -> Any:
    """Answers with all numbers in single precision."""
    if isinstance(x, Tensor):
        return x.float() if x.is_floating_point() else x
    return replace(x, **{f.name: _single(getattr(x, f.name)) for f in fields(x)})
