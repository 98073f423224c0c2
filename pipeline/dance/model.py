"""DANCE: disentangled action recognition from motion, object and scene concepts (Lee et al., NeurIPS 2025).

A video's feature x goes through one bias-free concept layer for each kind of concept. A sparse linear classifier sees
nothing but the concept activations, so that every class score is a sum of contributions, activation x weight.

Axes: B video, D feature, M concept (motion, then object, then scene), C class. Equation numbers are the paper's.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

KINDS = ("motion", "object", "scene")


class Dance(nn.Module):
    """Concept bottleneck between a frozen video backbone and the action classes.

    Example:
        >>> model = Dance(features=768, concepts={"motion": 89, "object": 481, "scene": 418}, classes=101)
        >>> activation, score = model(torch.randn(4, 768))  # (4, 988), (4, 101)

    Args:
        features: length D of a video's feature.
        concepts: number of concepts of each kind.
        classes: number of classes C.
    """

    def __init__(self, features: int, concepts: Mapping[str, int], classes: int) -> None:
        super().__init__()
        total = sum(concepts.values())
        layers = {kind: nn.Linear(features, concepts[kind], bias=False) for kind in KINDS if kind in concepts}
        self.layers = nn.ModuleDict(layers)
        self.classifier = nn.Linear(total, classes)
        # Statistics of the training videos.
        self.register_buffer("feature_mean", torch.zeros(features))
        self.register_buffer("feature_scale", torch.ones(features))
        self.register_buffer("mean", torch.zeros(total))
        self.register_buffer("scale", torch.ones(total))

    def standardise(self, x: Tensor) -> Tensor:  # (B,D) -> (B,D)
        """Centred features, in units that make one learning rate fit every backbone."""
        return (x - self.feature_mean) / self.feature_scale

    def concepts(self, x: Tensor) -> dict[str, Tensor]:  # (B,D) -> kind: (B,M_kind)
        """Activations z = g(x; W_C) of each kind of concept (Sec. 3.1)."""
        x = self.standardise(x)
        return {kind: layer(x) for kind, layer in self.layers.items()}

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:  # (B,D) -> (B,M), (B,C)
        """Z-scored activations, and class scores before the softmax (Sec. 3.1)."""
        z = torch.cat(list(self.concepts(x).values()), dim=1)  # z = [z_m; z_o; z_s]
        activation = (z - self.mean) / self.scale
        return activation, self.classifier(activation)


def motion_loss(logits: Tensor, labels: Tensor, labelled: Tensor) -> Tensor:
    """Binary cross-entropy of the motion concepts, mean over concepts and labelled videos (Eq. 4).

    A video of which no clip survived is not labelled, and left out: (B,M), (B,M) in {0,1}, (B,) bool -> scalar.
    """
    if not labelled.any():
        return logits.sum() * 0
    return nn.functional.binary_cross_entropy_with_logits(logits[labelled], labels[labelled].to(logits))


def cos_cubed(activation: Tensor, target: Tensor, across: str = "samples") -> Tensor:
    """Cosine of the cubed activations and pseudo labels (Eq. 5): (B,M), (B,M) -> (M,) or (B,).

    Cubing makes the strongest entries count most. `across="samples"`: one value a concept, over the videos, after
    centring, as in the label-free concept bottleneck that the paper builds on; offset and scale of a concept do not
    matter. `across="concepts"`: one value a video, over the concepts, as Eq. 5 is printed.
    """
    if across == "samples":
        activation, target, axis = activation - activation.mean(dim=0), target - target.mean(dim=0), 0
    elif across == "concepts":
        axis = 1
    else:
        raise ValueError(f"across is 'samples' or 'concepts', not '{across}'")
    return nn.functional.cosine_similarity(_cube(activation, axis), _cube(target, axis), dim=axis)


def cos_cubed_loss(activation: Tensor, target: Tensor, across: str = "samples") -> Tensor:
    """Eq. 5: negative mean similarity, -1 is the best: (B,M), (B,M) -> scalar."""
    return -cos_cubed(activation, target, across).mean()


def _cube(x: Tensor, axis: int) -> Tensor:
    """x^3 in units of the largest entry, which leaves the cosine as it is and the cubes off the rounding floor."""
    return (x / x.detach().abs().amax(dim=axis, keepdim=True).clamp_min(1e-12)) ** 3
