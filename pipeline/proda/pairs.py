"""ProDA on pairs of persons (SportsHHI; Wu et al., NeurIPS 2025, Sec. 4.1): which of them does what to the other.

The paper extends the baseline of SportsHHI (Wu et al., CVPR 2024), a transformer layer over all pairs of a keyframe, by
the dynamic prompt and the loss of action disentanglement. There is no graph network and no VGNorm here: the one layer,
shared by both branches, takes their place. "Published" is the authors' code.

Axes: B keyframe, P ordered pair of persons, F feature of the encoder, D model width, C interaction.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.proda import losses
from pipeline.proda.model import Batch, DynamicPrompt, mlp

GRID = 27  # cells of the picture of two boxes, as published


@dataclass(frozen=True)
class Settings:
    """All numbers of the architecture; the defaults are the published ones."""

    features: int  # F
    actions: int  # C
    part: int = 512  # of subject, object and union each
    spatial: int = 256
    heads: int = 8
    feedforward: int = 2048  # 5376 in the baseline that is as large as ProDA
    candidates: int = 10  # of the dynamic prompt
    gate: int = 256
    dropout: float = 0.1

    @property
    def dim(self) -> int:
        """D, the width of a pair: 1792 as published."""
        return 3 * self.part + self.spatial


@dataclass
class Keyframes(Batch):
    """The pairs of B keyframes, filled up to P; subject first wherever two are named."""

    part: Tensor  # (B,P,3,F) embeddings of subject, object and union
    box: Tensor  # (B,P,2,4) x1, y1, x2, y2 in 0-1
    mask: Tensor  # (B,P) bool, True where there is a pair

    def blind(self) -> Keyframes:
        """The same without anything to see: what is left is the prompt."""
        return replace(self, part=torch.zeros_like(self.part), box=torch.zeros_like(self.box))


@dataclass
class Answers:
    """Keyframes, disentangled. Logits are over the interactions and, last, none of them."""

    specified: Tensor  # (B,P,C+1) a_s
    unspecified: Tensor  # (B,P,C+1) a_u
    total: Tensor  # (B,P,C+1) a_t
    specified_feature: Tensor  # (B,P,D) F_s
    unspecified_feature: Tensor  # (B,P,D) F_u
    original: Tensor  # (B,P,D) F_o
    reconstructed: Tensor  # (B,P,D) F_r
    mask: Tensor  # (B,P)


class Embed(nn.Module):
    """What is known of a pair: three projected crops, and a picture of where the boxes are."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.parts = nn.ModuleList(nn.Linear(settings.features, settings.part) for _ in range(3))
        self.where = nn.Sequential(
            nn.Conv2d(2, settings.spatial // 2, 7, stride=2, padding=3),
            nn.MaxPool2d(3, stride=2, padding=1),
            nn.Conv2d(settings.spatial // 2, settings.spatial, 3, padding=1),
            nn.Sigmoid(),
            nn.Flatten(),
            nn.Linear(settings.spatial * 7 * 7, settings.spatial),
        )

    def forward(self, keyframes: Keyframes) -> Tensor:  # -> (B,P,D)
        crops = [part(x) for part, x in zip(self.parts, keyframes.part.unbind(2), strict=True)]
        where = self.where(draw(keyframes.box[keyframes.mask]))
        spatial = where.new_zeros(*keyframes.mask.shape, where.shape[1])
        spatial[keyframes.mask] = where
        return torch.cat([*crops, spatial], dim=-1)


def draw(box: Tensor) -> Tensor:
    """Two boxes as two pictures of the box round both: share of each cell that is covered, less a half.

    (R,2,4) -> (R,2,GRID,GRID)
    """
    low, high = box[..., :2].amin(1, keepdim=True), box[..., 2:].amax(1, keepdim=True)
    inside = (box.unflatten(-1, (2, 2)) - low[:, :, None]) / (high - low).clamp_min(1e-6)[:, :, None]  # (R,2,corner,xy)
    edge = torch.linspace(0, 1, GRID + 1, device=box.device)
    start, stop = inside[:, :, :1].transpose(2, 3), inside[:, :, 1:].transpose(2, 3)  # (R,2,xy,1)
    covered = GRID * (torch.minimum(stop, edge[1:]) - torch.maximum(start, edge[:-1])).clamp_min(0)  # (R,2,xy,GRID)
    return covered[:, :, 1, :, None] * covered[:, :, 0, None, :] - 0.5


def layer(settings: Settings) -> nn.Module:
    """One ordinary transformer layer, normalised last."""
    return nn.TransformerEncoderLayer(
        settings.dim, settings.heads, settings.feedforward, settings.dropout, batch_first=True
    )


class Baseline(nn.Module):
    """SportsHHI's: the pairs of a keyframe look at each other, then each is told by itself."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.embed = Embed(settings)
        self.layer = layer(settings)
        self.head = nn.Linear(settings.dim, settings.actions + 1)

    def forward(self, keyframes: Keyframes) -> Tensor:  # -> (B,P,C+1)
        return self.head(self.layer(self.embed(keyframes), src_key_padding_mask=~keyframes.mask))


class PairProda(nn.Module):
    """The baseline, asked for some interactions: it parts every pair into these and all others, and fuses both."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        dim, answers = settings.dim, settings.actions + 1
        self.embed = Embed(settings)
        self.prompt = nn.ModuleDict({name: DynamicPrompt(settings.actions, dim, settings.candidates) for name in "su"})
        self.norm = nn.ModuleDict({name: nn.LayerNorm(dim) for name in "su"})
        self.layer = layer(settings)
        self.gate = mlp(2 * dim, settings.gate, 1)
        self.rebuild = mlp(dim, dim, dim, dim)
        self.head = nn.ModuleDict({name: nn.Linear(dim, answers) for name in "sut"})

    def forward(self, keyframes: Keyframes, specified: Tensor) -> Answers:
        """Answers to the interactions that are asked for, (B,C) bool."""
        x = self.embed(keyframes)
        s = self._branch("s", x, specified, keyframes.mask)
        u = self._branch("u", x, ~specified, keyframes.mask)
        share = self.gate(torch.cat([u, s], dim=-1)).sigmoid()
        fused = share * u + (1 - share) * s  #                                                                  Eq. 6
        logits = [self.head[name](feature) for name, feature in zip("sut", (s, u, fused), strict=True)]
        return Answers(*logits, s, u, x, self.rebuild(fused), keyframes.mask)

    def _branch(self, name: str, x: Tensor, actions: Tensor, mask: Tensor) -> Tensor:
        prompted = self.prompt[name](x[:, None], actions.to(x.dtype))[:, 0]  # a keyframe is a video of one frame
        return self.layer(self.norm[name](prompted), src_key_padding_mask=~mask)


@dataclass(frozen=True)
class Weights:
    """Weights and margins of the loss, as published."""

    specified: float = 1.0
    unspecified: float = 0.1
    total: float = 1.0
    disentanglement: float = 1.0
    reconstruction: float = 1.0
    margin_disentanglement: float = 0.4
    margin_reconstruction: float = 0.3


def cross_entropy(logits: Tensor, target: Tensor, counted: Tensor) -> Tensor:
    """Mean over the pairs that count; a pair that does several things shares its weight among them.

    (B,P,C+1), (B,P,C+1) bool, (B,P) bool -> scalar
    """
    target = target[counted].to(logits.dtype)
    if not len(target):
        return logits.sum() * 0
    return functional.cross_entropy(logits[counted], target / target.sum(-1, keepdim=True))


def loss(answers: Answers, targets: dict[str, Tensor], counted: Tensor, weights: Weights = Weights()) -> Tensor:
    """Eq. 8 with a cross-entropy: every pair has one answer, an interaction or none.

    Args:
        answers: of the model.
        targets: `specified`, `unspecified` and `total`, (B,P,C+1) bool, last = none.
        counted: (B,P) bool, the pairs that are learned from.
        weights: of the terms.
    """
    told = [getattr(weights, n) * cross_entropy(getattr(answers, n), targets[n], counted) for n in targets]
    s, u, mask = answers.specified_feature[:, None], answers.unspecified_feature[:, None], answers.mask[:, None]
    original, rebuilt = answers.original[:, None], answers.reconstructed[:, None]
    apart = losses.disentanglement(u, s, weights.margin_disentanglement, mask)
    whole = losses.reconstruction(original, rebuilt, weights.margin_reconstruction, mask)
    return sum(told) + weights.disentanglement * apart + weights.reconstruction * whole
