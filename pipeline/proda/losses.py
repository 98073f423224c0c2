"""The losses of ProDA (Sec. 3.4): classification, disentanglement, reconstruction, and their sum (Eqs. 5-8).

Axes: B video, T frame, N node, D feature, C action. Nodes that are not there (mask False) count nowhere. Where paper
and published code differ both are here; the paper's is the default, but for the scale of the reconstruction error.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.proda.model import Answers


@dataclass(frozen=True)
class Weights:
    """The lambdas of Eq. 8; a term of weight 0 is left out (Tables 5 and 13)."""

    unspecified: float = 1.0  # lambda_1
    specified: float = 1.0  # lambda_2
    total: float = 1.0  # lambda_3
    disentanglement: float = 1.0  # lambda_4 of L_dis
    reconstruction: float = 1.0  # lambda_4 of L_rec


def classification(logits: Tensor, target: Tensor) -> Tensor:
    """L_bce of Eq. 8: mean binary cross-entropy of logits and 0/1 targets, (B,C), (B,C) -> scalar."""
    return functional.binary_cross_entropy_with_logits(logits, target.to(logits.dtype))


def disentanglement(
    u: Tensor, s: Tensor, margin: float = 0.0, mask: Tensor | None = None, correlation: str = "video"
) -> Tensor:
    """L_dis (Eq. 5): what the correlation of the two halves has above the margin m_1; phi and psi are the identity.

    Args:
        u: F_u (B,T,N,D).
        s: F_s (B,T,N,D).
        margin: m_1, in 0-1.
        mask: (B,T,N) bool; None: all nodes are there.
        correlation: video: Pearson's of each video over frames, nodes and features, then the mean of the batch (paper).
            batch: every video is centred by itself, and one correlation taken over all of them (code).
    """
    _known("correlation", correlation, ("video", "batch"))
    u, s = _centred(u, mask), _centred(s, mask)  # (B,T*N*D)
    if correlation == "batch":
        u, s = u.reshape(1, -1), s.reshape(1, -1)
    pearson = functional.cosine_similarity(u, s, dim=1)  # of centred values, cosine and correlation are one
    return (pearson.abs() - margin).relu().mean()


def reconstruction(
    original: Tensor,
    reconstructed: Tensor,
    margin: float = 0.0,
    mask: Tensor | None = None,
    reduction: str = "mean",
    detach: bool = True,
) -> Tensor:
    """L_rec (Eq. 7): what the squared error of the rebuilt features has above the margin m_2.

    Args:
        original: F_o (B,T,N,D).
        reconstructed: F_r (B,T,N,D).
        margin: m_2, in units of the error.
        mask: (B,T,N) bool; None: all nodes are there.
        reduction: paper: the squared norm of each video, a sum over all entries, then the mean of the batch.
            mean: the same with a mean over the entries, so that one margin fits every size. batch: one mean over all
            entries of the batch, then the margin (code).
        detach: no gradient to the original, so that the encoder cannot win by making features that are easy to rebuild.
    """
    _known("reduction", reduction, ("paper", "mean", "batch"))
    mask = _all_there(original) if mask is None else mask
    target = original.detach() if detach else original
    error = ((target - reconstructed) ** 2 * mask[..., None]).flatten(1).sum(dim=1)  # (B,)
    entries = mask.flatten(1).sum(dim=1) * original.shape[-1]  # (B,)
    if reduction == "mean":
        error = error / entries.clamp_min(1)
    elif reduction == "batch":
        error = error.sum() / entries.sum().clamp_min(1)
    return (error - margin).relu().mean()


def margin_at(epoch: int, epochs: int, first: float = 0.7, last: float = 0.2) -> float:
    """The margin of an epoch, counted from 1: it shrinks evenly from just under `first` to `last` (code)."""
    return first - (first - last) * epoch / epochs


def terms(
    answers: Answers,
    y_u: Tensor,
    y_s: Tensor,
    y_t: Tensor,
    *,
    margins: tuple[float, float] = (0.0, 0.0),
    weights: Weights = Weights(),
    correlation: str = "video",
    reduction: str = "mean",
    detach: bool = True,
) -> dict[str, Tensor]:
    """The weighted terms of Eq. 8 by name; their sum is the loss.

    Args:
        answers: of the model.
        y_u, y_s: (B,C+1) what each branch is to answer, last = "no-action".
        y_t: (B,C) all actions of the video.
        margins: m_1 of the disentanglement and m_2 of the reconstruction.
        weights: the lambdas.
        correlation, reduction, detach: as of `disentanglement` and `reconstruction`.
    """
    u, s = answers.unspecified, answers.specified
    losses = {
        "unspecified": lambda: classification(u.logits, y_u),
        "specified": lambda: classification(s.logits, y_s),
        "total": lambda: classification(answers.total, y_t),
        "disentanglement": lambda: disentanglement(u.feature, s.feature, margins[0], answers.mask, correlation),
        "reconstruction": lambda: reconstruction(
            answers.original, answers.reconstructed, margins[1], answers.mask, reduction, detach
        ),
    }
    return {name: weight * losses[name]() for name, weight in asdict(weights).items() if weight}


def total(answers: Answers, y_u: Tensor, y_s: Tensor, y_t: Tensor, **options) -> Tensor:
    """The loss (Eq. 8); arguments as of `terms`."""
    return torch.stack(list(terms(answers, y_u, y_s, y_t, **options).values())).sum()


def _centred(x: Tensor, mask: Tensor | None) -> Tensor:  # (B,T,N,D) -> (B,T*N*D)
    """Each video less its mean over all that is there, zeros elsewhere."""
    mask = (_all_there(x) if mask is None else mask)[..., None]
    entries = mask.sum(dim=(1, 2, 3), keepdim=True).clamp_min(1) * x.shape[-1]
    mean = (x * mask).sum(dim=(1, 2, 3), keepdim=True) / entries
    return ((x - mean) * mask).flatten(1)


def _all_there(x: Tensor) -> Tensor:  # (B,T,N,D) -> (B,T,N)
    return torch.ones(x.shape[:3], dtype=torch.bool, device=x.device)


def _known(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} is one of {', '.join(choices)}, not '{value}'")
