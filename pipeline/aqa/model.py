"""AQA: which seconds of a long performance earned its score (Dong et al., BMVC 2024).

Queries read a video. Each of them looks at the other queries (self-attention) and at the clips (cross-attention), and
ends as a weight, how much it counts, and a quality, how good it is. The score of the video is the weighted sum.

Axes: B video, T clip, F feature of the clip backbone, Q query, D width, H head, L layer. Equation numbers are the
paper's; "published" is the authors' code.

Where the two differ, or leave a choice:

- The skip. Paper: "a skip connection across the cross-attention layer is used to directly propagate the output of each
  self-attention layer to subsequent layers". Published: the self-attention's output S stands where a decoder has its
  residual, S + dropout(S) for x + dropout(S), and the residuals of cross-attention and feed-forward network carry it
  on. Both say that what follows sees S undropped, and that the layer's input does not go around the self-attention,
  which therefore cannot be skipped. `skip` is that; without it the decoder is the standard one.
- The queries. Published: drawn anew in every pass, in tests too, for each video by itself, so that the same video gets
  another score every time (`redraw`). Here they are drawn once and learned.
- The variance. Every block normalises first and the skip leaves the input out, so that the scale that queries are
  drawn at cannot be seen in the output: with `skip`, `query_variance` only changes how fast Adam turns the queries, and
  with `redraw` as well it changes nothing. The published number is a standard deviation, the paper's a variance.
- Padding. Published: zeros that take part. Here there is a mask, without which (None) all clips take part.
- The order of clips is told by nothing but the backbone, unless `memory_position` is set (Table 4).
- Nothing in either ties query k to clip k, although both speak of "each clip's" weight and score. `reach`, ours, does:
  a query sees the clips around its own place in the video and no others.

Example:
    >>> model = Aqa(Settings(features=1024))
    >>> output = model(clips, mask)                      # (B,T,F), (B,T) bool
    >>> output.score, output.weight, output.quality      # (B,), (B,Q), (B,Q)
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

HEADS = ("weight_score", "single")


@dataclass(frozen=True)
class Settings:
    """All numbers of the architecture; the defaults are the paper's, for RG.

    Raises:
        ValueError: a value that no model can be built from; the message says which values can.
    """

    features: int  # F, of the clip backbone
    queries: int = 68  # Q; the paper takes the number of clips
    dim: int | None = None  # D; None: that of the features, as published. Another one needs a projection, which is ours
    layers: int = 2
    heads: int = 4
    feedforward: int = 1024
    dropout: float = 0.7  # of attention weights, of what blocks add, and within the feed-forward network
    hidden: tuple[int, int] = (512, 256)  # of the head's three-layer networks
    query_variance: float = 5.0  # of the normal distribution that queries are drawn from
    redraw: bool = False  # published: queries are drawn anew in every pass, and never learned
    query_position: bool = True  # the queries' places, in the self-attention and the cross-attention (Table 4)
    memory_position: bool = False  # the clips' places, in the cross-attention (Table 4)
    skip: bool = True  # the self-attention's output, not its input, goes on past it
    reach: float | None = None  # clips that a query sees on either side of its own place; None: all, as in the paper
    head: str = "weight_score"  # or single: one quality for the mean of the queries

    def __post_init__(self) -> None:
        if self.head not in HEADS:
            raise ValueError(f"head is one of {', '.join(HEADS)}, not '{self.head}'")
        for name in ("features", "queries", "layers", "heads", "feedforward"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1, not {getattr(self, name)}")
        if self.width < 1 or self.width % self.heads:
            raise ValueError(
                f"dim {self.width} is not divisible by {self.heads} heads: take a multiple of {self.heads}"
            )
        if len(self.hidden) != 2 or min(self.hidden) < 1:
            raise ValueError(f"hidden is two widths of 1 or more, not {self.hidden}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout is from 0 to below 1, not {self.dropout}")
        if self.reach is not None and self.reach < 0.5:
            raise ValueError(f"reach is 0.5 or more, so that there is a clip in it, not {self.reach}")
        if self.query_variance < 0:
            raise ValueError(f"query_variance is 0 or more, not {self.query_variance}")

    @property
    def width(self) -> int:
        """D."""
        return self.features if self.dim is None else self.dim


@dataclass(frozen=True)
class Output:
    """What the model makes of B videos. Lists have one entry a layer; attention is the mean over heads."""

    score: Tensor  # (B,) sum over queries of weight * quality (Eq. 4), as a share of the scores' range
    weight: Tensor  # (B,Q) sums to 1
    quality: Tensor  # (B,Q) the paper's score_k, not bounded
    self_outputs: list[Tensor]  # (B,Q,D) A_S of Eq. 1
    cross_outputs: list[Tensor]  # (B,Q,D) A_C of Eq. 2
    self_attention: list[Tensor]  # (B,Q,Q) rows sum to 1
    cross_attention: list[Tensor]  # (B,Q,T) rows sum to 1, 0 at padding
    queries: list[Tensor]  # (B,Q,D) the queries as they leave the layer


# --------------------------------------------------------------------------------------------------------- parts


def mlp(*widths: int) -> nn.Sequential:
    """Linear layers with ReLU between them."""
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(widths):
        layers += [nn.ReLU(), nn.Linear(before, after)]
    return nn.Sequential(*layers[1:])


def sinusoid(length: int, dim: int, like: Tensor) -> Tensor:
    """Places 0, 1, ... as sines (even features) and cosines (odd), wavelengths from 2 pi to 20000 pi: (length,dim)."""
    place = torch.arange(length, device=like.device, dtype=torch.float64)[:, None]
    frequency = 10000.0 ** -(torch.arange(0, dim, 2, device=like.device, dtype=torch.float64) / dim)
    waves = torch.stack([(place * frequency).sin(), (place * frequency).cos()], dim=-1)  # (length,dim/2,2)
    return waves.flatten(1)[:, :dim].to(like.dtype)


class Attention(nn.Module):
    """Multi-head attention that also tells where it looked."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(dim, dim) for _ in range(3))
        self.project = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, *, videos: int
    ) -> tuple[Tensor, Tensor]:
        """Output (B,Q,D) and attention before dropout, mean over heads (B,Q,K).

        Args:
            query: (B,Q,D).
            key, value: (B,K,D).
            mask: (B,K) or (B,Q,K) bool, True where there is something to look at; None: everywhere.
            videos: B; what is the same for all of them may come, and be computed, as one.
        """
        q, k, v = self._split(self.query(query)), self._split(self.key(key)), self._split(self.value(value))
        logits = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])  # (B,H,Q,K)
        if mask is not None:
            mask = mask[:, None] if mask.ndim == 2 else mask
            logits = logits.masked_fill(~mask[:, None], -math.inf)
        attention = logits.softmax(dim=-1).expand(videos, -1, -1, -1)
        mixed = self.dropout(attention) @ v  # (B,H,Q,D/H)
        return self.project(mixed.transpose(1, 2).flatten(2)), attention.mean(dim=1)

    def _split(self, x: Tensor) -> Tensor:  # (B,K,D) -> (B,H,K,D/H)
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


def around(mask: Tensor, queries: int, reach: float) -> Tensor:
    """The clips within `reach` of a query's place, the places evenly over each video: (B,T) bool -> (B,Q,T) bool."""
    length = mask.sum(dim=1)[:, None]  # (B,1)
    place = (torch.arange(queries, device=mask.device) + 0.5) / queries * length  # (B,Q), clips from the start
    clip = torch.arange(mask.shape[1], device=mask.device) + 0.5
    return ((clip - place[..., None]).abs() <= reach) & mask[:, None]


class Layer(nn.Module):
    """One layer of the decoder, every block normalised first."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        dim, dropout = settings.width, settings.dropout
        self.skip = settings.skip
        self.self_norm, self.cross_norm, self.feedforward_norm = (nn.LayerNorm(dim) for _ in range(3))
        self.self_attention = Attention(dim, settings.heads, dropout)
        self.cross_attention = Attention(dim, settings.heads, dropout)
        self.feedforward = nn.Sequential(
            nn.Linear(dim, settings.feedforward),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(settings.feedforward, dim),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, place: Tensor | float, memory: Tensor, memory_place: Tensor | float, mask: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Queries (B,Q,D), outputs A_S and A_C (B,Q,D), attention to queries (B,Q,Q) and to clips (B,Q,T).

        The queries x that enter are (B,Q,D), or (1,Q,D) where they are the same for all videos.
        Places are added to what is compared, queries and keys, and never to values.
        """
        normal = self.self_norm(x)
        own, self_map = self.self_attention(normal + place, normal + place, normal, videos=len(memory))
        x = (own if self.skip else x) + self.dropout(own)
        query, key = self.cross_norm(x) + place, memory + memory_place
        seen, cross_map = self.cross_attention(query, key, memory, mask, videos=len(memory))
        x = x + self.dropout(seen)
        x = x + self.dropout(self.feedforward(self.feedforward_norm(x)))
        return x, own, seen, self_map, cross_map


# ----------------------------------------------------------------------------------------------------- the whole


class Aqa(nn.Module):
    """The whole network (Figure 3), any number of clips and of queries.

    Args:
        settings: all numbers of the architecture.

    Raises:
        ValueError: clips that do not fit the settings, or a video without any; the message says how.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        dim, hidden = settings.width, settings.hidden
        self.project = nn.Linear(settings.features, dim) if dim != settings.features else nn.Identity()
        self.queries = None if settings.redraw else nn.Parameter(self._draw(1)[0])  # (Q,D)
        self.layers = nn.ModuleList(Layer(settings) for _ in range(settings.layers))
        self.norm = nn.LayerNorm(dim)
        self.weight = mlp(dim, *hidden, 1) if settings.head == "weight_score" else None
        self.quality = mlp(dim, *hidden, 1)
        self.apply(start)

    def forward(self, clips: Tensor, mask: Tensor | None = None) -> Output:
        """Scores of videos.

        Args:
            clips: (B,T,F) features; what stands at padding does not matter, were it NaN.
            mask: (B,T) bool, True where there is a clip; None: everywhere.
        """
        self._check(clips, mask)
        if mask is not None:
            clips = clips.masked_fill(~mask[..., None], 0)
        settings, memory = self.settings, self.project(clips)  # (B,T,D)
        place = sinusoid(settings.queries, settings.width, memory) if settings.query_position else 0.0
        memory_place = sinusoid(memory.shape[1], settings.width, memory) if settings.memory_position else 0.0

        if settings.reach is not None:
            there = torch.ones(clips.shape[:2], dtype=torch.bool, device=clips.device) if mask is None else mask
            mask = around(there, settings.queries, settings.reach)

        x, steps = self._first(memory), []
        for layer in self.layers:
            x, *rest = layer(x, place, memory, memory_place, mask)
            steps.append((x, *rest))
        queries, self_outputs, cross_outputs, self_maps, cross_maps = (list(each) for each in zip(*steps))

        weight, quality = self._head(self.norm(x))
        score = (weight * quality).sum(dim=1)  #                                                                Eq. 4
        return Output(score, weight, quality, self_outputs, cross_outputs, self_maps, cross_maps, queries)

    def _first(self, memory: Tensor) -> Tensor:  # -> (B,Q,D), or (1,Q,D), the same for all videos
        """The queries that enter the decoder."""
        return self._draw(len(memory)).to(memory) if self.queries is None else self.queries[None]

    def _draw(self, videos: int) -> Tensor:  # -> (videos,Q,D)
        return torch.randn(videos, self.settings.queries, self.settings.width) * math.sqrt(self.settings.query_variance)

    def _head(self, x: Tensor) -> tuple[Tensor, Tensor]:  # (B,Q,D) -> weight, quality (B,Q)
        """A weight and a quality for every query; of the single-score head 1/Q, and one quality for them all."""
        if self.weight is None:
            quality = self.quality(x.mean(dim=1)).expand(-1, x.shape[1])
            return torch.full_like(quality, 1 / x.shape[1]), quality
        return self.weight(x)[..., 0].softmax(dim=1), self.quality(x)[..., 0]

    def _check(self, clips: Tensor, mask: Tensor | None) -> None:
        if clips.ndim != 3 or clips.shape[2] != self.settings.features:
            raise ValueError(
                f"clips are {tuple(clips.shape)}, and (videos, clips, {self.settings.features}) is asked for"
            )
        if mask is not None and mask.shape != clips.shape[:2]:
            raise ValueError(f"the mask is {tuple(mask.shape)}, and {tuple(clips.shape[:2])} is asked for: one a clip")
        if not clips.shape[1] or (mask is not None and not mask.any(dim=1).all()):
            raise ValueError("a video has no clip")


def start(module: nn.Module) -> None:
    """First weights: Xavier for all linear layers, as in DETR; biases 0."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        nn.init.zeros_(module.bias)
