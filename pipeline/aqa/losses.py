"""The losses of AQA: attention loss, regression, and their sum (Eqs. 1-3, 5, 6).

Axes: B video, Q query, D width, L layer. Where paper and published code differ both are here; direction and scale are
the paper's by default, and the reduction is ours: a mean, so that one lambda fits every batch and number of queries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.aqa.model import Output

DIRECTIONS = ("self_cross", "cross_self")
REDUCTIONS = ("mean", "sum")


@dataclass(frozen=True)
class Weights:
    """The lambdas of Eq. 6; a term of weight 0 is left out (Table 3)."""

    regression: float = 1.0  # lambda_reg
    attention: float = 1.0  # lambda_att


def log_map(outputs: Tensor, scaled: bool = False) -> Tensor:
    """Logarithm of L_S or L_C (Eqs. 1-2), how like the outputs of queries are: (...,Q,D) -> (...,Q,Q).

    Args:
        outputs: A_S or A_C.
        scaled: divide the products by D (published); the paper does not.
    """
    gram = outputs @ outputs.transpose(-1, -2)
    return (gram / outputs.shape[-1] if scaled else gram).log_softmax(dim=-1)


def attention_loss(
    self_outputs: Sequence[Tensor],
    cross_outputs: Sequence[Tensor],
    *,
    direction: str = "self_cross",
    scaled: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """Loss_att (Eq. 3): how far the maps of self- and cross-attention are apart, summed over the layers.

    It is 0 for queries that are all the same, too: by itself it does not keep them apart.

    Args:
        self_outputs, cross_outputs: A_S and A_C of each layer, (B,Q,D).
        direction: self_cross: KL(L_S || L_C) (paper); cross_self: KL(L_C || L_S) (published).
        scaled: see `log_map`.
        reduction: over videos and queries; mean: ours; sum: published.
    """
    _known("direction", direction, DIRECTIONS)
    _known("reduction", reduction, REDUCTIONS)
    each = []
    for own, seen in zip(self_outputs, cross_outputs, strict=True):
        p, q = log_map(own, scaled), log_map(seen, scaled)  # (B,Q,Q)
        if direction == "cross_self":
            p, q = q, p
        divergence = functional.kl_div(q, p, reduction="sum", log_target=True)  # KL(p || q)
        each.append(divergence / p.shape[:-1].numel() if reduction == "mean" else divergence)
    return torch.stack(each).sum()  #                                                                           Eq. 3


def regression(score: Tensor, target: Tensor) -> Tensor:
    """Loss_reg (Eq. 5): mean squared error of scores, (B,), (B,) -> scalar."""
    return functional.mse_loss(score, target.to(score.dtype))


def terms(output: Output, target: Tensor, *, weights: Weights = Weights(), **attention) -> dict[str, Tensor]:
    """The weighted terms of Eq. 6 by name; their sum is the loss.

    Args:
        output: of the model.
        target: (B,) true scores, as shares of their range.
        weights: the lambdas.
        attention: direction, scaled and reduction of `attention_loss`.
    """
    losses = {
        "regression": lambda: regression(output.score, target),
        "attention": lambda: attention_loss(output.self_outputs, output.cross_outputs, **attention),
    }
    return {name: weight * losses[name]() for name, weight in asdict(weights).items() if weight}


def total(output: Output, target: Tensor, **options) -> Tensor:
    """The loss (Eq. 6); arguments as of `terms`."""
    return torch.stack(list(terms(output, target, **options).values())).sum()


def _known(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} is one of {', '.join(choices)}, not '{value}'")
