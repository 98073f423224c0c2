"""ProDA: prompt-guided disentanglement of scene graphs (Wu et al., NeurIPS 2025).

A video is one scene graph per frame: a person (node 0) and objects. Asked for a set of actions, the model parts it in
two: a graph that shows these actions (the specified branch) and one that shows all others (the unspecified branch). A
gate fuses them again, and the fused graph has to tell every action of the video and what the video was like at first.

Axes: B video, T frame, N node (0 = the person), F feature of the image encoder, D model width, C action, R relation,
Q candidate prompt, E edge, L layer. Equation numbers are the paper's; "published" is the authors' code.

Example:
    >>> model = Proda(Settings(features=512, actions=157, objects=36, relations=26))
    >>> encoded = model.encode(graphs)                       # once for a video,
    >>> answers = model.ask(encoded, specified)              # once for a set of actions, (B,C) bool
    >>> answers.specified.logits, answers.specified.frame_weight  # (B,C+1) last = "no-action", (B,T)
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional

CHOICES = {
    "prompt": ("dpm", "simple"),
    "norm": ("vgnorm", "graphnorm", "layernorm", "batchnorm"),
    "divisor": ("paper", "code"),
    "centre": ("paper", "code"),
    "graph": ("star", "complete"),
}


@dataclass(frozen=True)
class Settings:
    """All numbers of the architecture; the defaults are the paper's.

    Raises:
        ValueError: a value that no model can be built from; the message says which values can.
    """

    features: int  # F, of the image encoder that made the node features
    actions: int  # C
    objects: int  # number of object classes, the person's included
    relations: int  # R
    frames: int = 16
    dim: int = 768
    heads: int = 12
    feedforward: int = 3072
    dropout: float = 0.1
    blocks: int = 1  # of the video encoder
    layers: int = 3  # of the VGPNN
    edge_layers: int = 2  # self-attention blocks in Link
    candidates: int = 10  # Q, of the dynamic prompt
    prompt: str = "dpm"
    norm: str = "vgnorm"
    divisor: str = "paper"  # of Eq. 4: paper M*D-1, code M+D-1
    centre: str = "paper"  # mean of Eq. 4 in training: paper the running mean, code the mean of the batch
    momentum: float = 0.9  # alpha_m of Eq. 3
    graph: str = "star"  # star: person and objects, complete: every ordered pair
    masked: bool = True  # False: nodes that are not there take part, as published
    classes: bool = True  # object classes are added to the nodes
    related: bool = True  # relations are added to the edges
    adapter: int = 0  # width of the adapter's hidden layer; 0: that of the features, as published
    layout: bool = False  # the encoder sees how nodes move, their classes and relations; ours, for few videos

    def __post_init__(self) -> None:
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name} is one of {', '.join(known)}, not '{getattr(self, name)}'")
        if self.dim % self.heads:
            raise ValueError(f"dim {self.dim} is not divisible by {self.heads} heads: take a multiple of {self.heads}")
        for name in ("features", "actions", "frames", "dim", "heads", "feedforward", "candidates"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is at least 1, not {getattr(self, name)}")


# ------------------------------------------------------------------------------------------ what goes in and out


class Batch:
    """Tensors that share their first axis, the videos."""

    def _map(self, function) -> Self:
        return type(self)(**{field.name: function(getattr(self, field.name)) for field in fields(self)})

    def to(self, device: torch.device | str) -> Self:
        return self._map(lambda x: x.to(device))

    def index(self, rows: Tensor | Sequence[int] | slice) -> Self:
        """The videos `rows`, in that order; a video may come more than once."""
        return self._map(lambda x: x[rows])

    def repeat(self, times: int) -> Self:
        """Every video `times` times in a row: 0, 0, 1, 1, ..."""
        return self._map(lambda x: x.repeat_interleave(times, dim=0))


@dataclass
class Graphs(Batch):
    """The scene graphs of B videos."""

    image: Tensor  # (B,T,F) embedding of the whole frame: the global node
    node: Tensor  # (B,T,N,F) embeddings of the crops
    box: Tensor  # (B,T,N,4) x1, y1, x2, y2 in 0-1
    mask: Tensor  # (B,T,N) bool, True where the node is seen
    kind: Tensor  # (B,N) int64 class of each node, -1 = no node
    relation: Tensor  # (B,T,N,R) 0/1, of the person to each node


@dataclass
class Encoded(Batch):
    """What the encoder makes of B videos: all that a question needs, so that many can be asked of one video."""

    original: Tensor  # (B,T,N,D) F_o, the features before disentanglement; zeros where the mask is False
    edge: Tensor  # (B,E,T,D) r of Eq. 9, the relation of both ends
    mask: Tensor  # (B,T,N) bool, the nodes that take part


@dataclass
class Branch:
    """One half of a disentangled video. Weights are in 0-1, and 0 where there is nothing to weigh."""

    logits: Tensor  # (B,C+1) last = "no-action"
    feature: Tensor  # (B,T,N,D) F_s or F_u
    pooled: Tensor  # (B,D) feature of the whole video, in front of the head
    frame_weight: Tensor  # (B,T) s of Sec. 3.3
    node_weight: Tensor  # (B,T,N)
    edge_weight: Tensor  # (L,B,T,E) Eq. 10, edges in the order of `edges`


@dataclass
class Answers:
    """A disentangled video, and what its fused halves tell."""

    specified: Branch
    unspecified: Branch
    total: Tensor  # (B,C) logits of all actions of the video, a_t
    total_frame_weight: Tensor  # (B,T)
    original: Tensor  # (B,T,N,D) F_o
    reconstructed: Tensor  # (B,T,N,D) F_r
    gate: Tensor  # (B,T,N,1) delta of Eq. 6: share of the unspecified half
    mask: Tensor  # (B,T,N) bool, the nodes that take part


def edges(graph: str, nodes: int) -> Tensor:
    """Source and target node of every edge, by source, then target: (E,2).

    star: the 2(N-1) edges between the person and each object. complete: all N(N-1) ordered pairs.
    """
    index = torch.arange(nodes)
    pairs = torch.stack(torch.meshgrid(index, index, indexing="ij"), dim=-1).flatten(0, 1)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    return pairs[(pairs == 0).any(dim=1)] if graph == "star" else pairs


# --------------------------------------------------------------------------------------------------------- parts


def mlp(*widths: int) -> nn.Sequential:
    """Linear layers with GELU between them."""
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(widths):
        layers += [nn.GELU(), nn.Linear(before, after)]
    return nn.Sequential(*layers[1:])


class FeedForward(nn.Module):
    """Residual two-layer network; its output is normalised, so that sums over nodes and frames keep their scale."""

    def __init__(self, dim: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.layers = mlp(dim, hidden, dim)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:  # (...,D) -> (...,D)
        return self.norm(x + self.dropout(self.layers(x)))


class SelfAttention(nn.Module):
    """One standard self-attention encoder block (Figure 6), normalised first."""

    def __init__(self, dim: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(dim)
        self.query_key_value = nn.Linear(dim, 3 * dim)
        self.project = nn.Linear(dim, dim)
        self.feedforward_norm = nn.LayerNorm(dim)
        self.feedforward = mlp(dim, feedforward, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, allowed: Tensor) -> Tensor:  # (S,K,D), (S,1,K,K) -> (S,K,D): S sequences of K tokens
        S, K, D = x.shape
        qkv = self.query_key_value(self.attention_norm(x))
        query, key, value = qkv.view(S, K, 3, self.heads, D // self.heads).permute(2, 0, 3, 1, 4)  # each (S,heads,K,d)
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=allowed)
        x = x + self.dropout(self.project(mixed.transpose(1, 2).reshape(S, K, D)))
        return x + self.dropout(self.feedforward(self.feedforward_norm(x)))


def attendable(mask: Tensor) -> Tensor:  # (S,K) -> (S,1,K,K)
    """Which token may look at which: at those that are there, and at itself, so that no row is empty (and NaN)."""
    itself = torch.eye(mask.shape[1], dtype=torch.bool, device=mask.device)
    return (mask[:, None, :] | itself)[:, None]


# ------------------------------------------------------------------------------------------------- video encoder


class Adapter(nn.Module):
    """CLIP adapter: residual two-layer network on the image embeddings, then to the width of the model."""

    def __init__(self, features: int, hidden: int, dim: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(features)  # image encoders differ in scale
        self.layers = nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, features))
        self.dropout = nn.Dropout(dropout)
        self.project = nn.Linear(features, dim)

    def forward(self, x: Tensor) -> Tensor:  # (...,F) -> (...,D)
        x = self.norm(x)
        return self.project(self.dropout(x + self.layers(x))).relu()


class Layout(nn.Module):
    """What a scene graph says of a node beside its picture: where it is, how it moves, its class and relations.

    Not in the paper, where the encoder sees boxes alone, classes and relations come after it, and motion is left to
    attention. With hundreds of videos in place of thousands, attention does not find it.
    """

    WAVES = 3  # octaves, the longest a frame wide
    GAIN = 8.0  # a thing that moves by an eighth of the frame has moved by 1

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        dim = settings.dim
        self.place = nn.Sequential(nn.Linear(4 * (3 + 2 * self.WAVES), dim), nn.LayerNorm(dim), nn.GELU())
        self.kind = nn.Embedding(settings.objects + 1, dim, padding_idx=0) if settings.classes else None
        self.relation = nn.Linear(settings.relations, dim, bias=False) if settings.related else None

    def forward(self, graphs: Graphs) -> Tensor:  # -> (B,T,N,D), zeros where there is no node
        seen = graphs.mask[..., None].to(self.place[0].weight.dtype)
        box = graphs.box.masked_fill(~graphs.mask[..., None], 0).to(seen.dtype)
        place = torch.cat([(box[..., :2] + box[..., 2:]) / 2, box[..., 2:] - box[..., :2]], dim=-1)  # (B,T,N,4)
        rest = place.sum(dim=1, keepdim=True) / seen.sum(dim=1, keepdim=True).clamp_min(1)  # mean over the frames
        step = (place[:, 1:] - place[:, :-1]) * seen[:, 1:] * seen[:, :-1]
        waves = place[..., None] * math.pi * 2.0 ** torch.arange(self.WAVES, device=place.device)  # (B,T,N,4,W)
        parts = [place, self.GAIN * (place - rest), 2 * self.GAIN * functional.pad(step, (0, 0, 0, 0, 1, 0))]
        x = self.place(torch.cat([*parts, waves.sin().flatten(-2), waves.cos().flatten(-2)], dim=-1))
        if self.kind is not None:
            x = x + self.kind(graphs.kind + 1)[:, None]
        if self.relation is not None:
            x = x + self.relation(graphs.relation.masked_fill(~graphs.mask[..., None], 0).to(x.dtype))
        return x * seen


class DualPath(nn.Module):
    """Block of Dual-AI with the two extra streams (Appendix A, Figure 5).

    Four streams cross the two axes of a video: space then time, time then space, and, beyond Dual-AI, space then space
    and time then time. A small network fuses them, a feed-forward network ends the block.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        sizes = (settings.dim, settings.heads, settings.feedforward, settings.dropout)
        self.first_space, self.second_space = SelfAttention(*sizes), SelfAttention(*sizes)
        self.first_time, self.second_time = SelfAttention(*sizes), SelfAttention(*sizes)
        self.fuse = mlp(settings.dim, settings.dim, settings.dim)
        self.feedforward = FeedForward(settings.dim, settings.feedforward, settings.dropout)

    def forward(self, x: Tensor, in_space: Tensor, in_time: Tensor) -> Tensor:  # (B,T,N,D) -> (B,T,N,D)
        def space(block: SelfAttention, x: Tensor) -> Tensor:
            return block(x.flatten(0, 1), in_space).view_as(x)

        def time(block: SelfAttention, x: Tensor) -> Tensor:
            across = x.transpose(1, 2)
            return block(across.flatten(0, 1), in_time).view(across.shape).transpose(1, 2)

        after_space, after_time = space(self.first_space, x), time(self.first_time, x)
        # space-time + time-time, then time-space + space-space
        temporal = time(self.second_time, after_space) + time(self.second_time, after_time)
        spatial = space(self.second_space, after_time) + space(self.second_space, after_space)
        return self.feedforward(x + self.fuse(temporal + spatial))


class VideoEncoder(nn.Module):
    """From image embeddings and boxes to node features that know their video (Sec. 3, Appendix A)."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        dim = settings.dim
        self.adapter = Adapter(settings.features, settings.adapter or settings.features, dim, settings.dropout)
        self.box = nn.Sequential(nn.Linear(4, dim), nn.LayerNorm(dim), nn.GELU())
        self.layout = Layout(settings) if settings.layout else None
        self.share = nn.Parameter(torch.tensor(0.1)) if settings.layout else None  # of pictures beside the layout
        self.token = mlp(dim, dim, dim)
        self.position = nn.Parameter(waves(settings.frames, dim))
        self.blocks = nn.ModuleList(DualPath(settings) for _ in range(settings.blocks))
        self.kind = nn.Embedding(settings.objects + 1, dim, padding_idx=0)  # 0 = no node
        self.feedforward = FeedForward(dim, settings.feedforward, settings.dropout)

    def forward(self, graphs: Graphs) -> tuple[Tensor, Tensor, Tensor]:
        """F_o (B,T,N,D), the frame's own token (B,T,D), and the nodes that take part (B,T,N).

        Where there is no person, the token of the whole frame stands in for the person's node: the person may be
        somewhere in it, the star keeps its centre, and a frame in which nothing was found is still read.
        """
        self._check(graphs)
        B, T = graphs.node.shape[:2]
        dtype = self.position.dtype
        missing = ~graphs.mask[..., None]
        whole = graphs.box.new_tensor([0, 0, 1, 1]).expand(B, T, 1, 4)
        feature = torch.cat([graphs.image[:, :, None], graphs.node.masked_fill(missing, 0)], dim=2)  # (B,T,1+N,F)
        box = torch.cat([whole, graphs.box.masked_fill(missing, 0)], dim=2)
        x = self.adapter(feature.to(dtype))
        if self.layout is not None:
            x = self.share * x + functional.pad(self.layout(graphs), (0, 0, 1, 0))  # the frame itself has no layout
        x = self.token(x + self.box(box.to(dtype))) + self.position[:, None]

        mask = graphs.mask if self.settings.masked else torch.ones_like(graphs.mask)
        seen = functional.pad(mask, (1, 0), value=True)  # (B,T,1+N): the frame itself is always there
        in_space, in_time = attendable(seen.flatten(0, 1)), attendable(seen.transpose(1, 2).flatten(0, 1))
        for block in self.blocks:
            x = block(x, in_space, in_time)

        image, node = x[:, :, 0], x[:, :, 1:]
        person = torch.where(mask[:, :, :1, None], node[:, :, :1], image[:, :, None])
        node = torch.cat([person, node[:, :, 1:]], dim=2)
        mask = torch.cat([torch.ones_like(mask[:, :, :1]), mask[:, :, 1:]], dim=2)
        if self.settings.classes:
            node = node + self.kind(graphs.kind + 1)[:, None]
        return hide(self.feedforward(node), mask), image, mask

    def _check(self, graphs: Graphs) -> None:
        frames, features = graphs.node.shape[1], graphs.node.shape[3]
        if frames != self.settings.frames:
            raise ValueError(f"the graphs have {frames} frames: sample {self.settings.frames}, which the model reads")
        if features != self.settings.features:
            raise ValueError(
                f"the nodes have {features} features, the model reads {self.settings.features}: "
                "they were made by another image encoder than the one the model was trained with"
            )


def waves(frames: int, dim: int) -> Tensor:
    """Sines and cosines of the frame's number, from fast to slow, to start learned positions from: (T,D)."""
    rate = 10000 ** -(torch.arange(dim) // 2 * 2 / dim)
    phase = torch.arange(dim) % 2 * math.pi / 2
    return torch.sin(torch.arange(frames)[:, None] * rate + phase)


def hide(x: Tensor, mask: Tensor) -> Tensor:  # (B,T,N,D), (B,T,N) -> (B,T,N,D)
    """Zeros where there is no node."""
    return x * mask[..., None]


# ------------------------------------------------------------------------------------------------------- prompts


class SimplePrompt(nn.Module):
    """One prompt for all nodes: the asked-for actions, projected (Sec. 3.2; ablation of Table 3)."""

    def __init__(self, actions: int, dim: int) -> None:
        super().__init__()
        self.project = nn.Linear(actions, dim)

    def forward(self, node: Tensor, actions: Tensor) -> Tensor:  # (B,T,N,D), (B,C) -> (B,T,N,D)
        return node + self.project(actions)[:, None, None]


class DynamicPrompt(nn.Module):
    """Prompt of each node from the asked-for actions and the node itself (Eqs. 1-2)."""

    def __init__(self, actions: int, dim: int, candidates: int = 10) -> None:
        super().__init__()
        self.candidates = nn.Parameter(torch.empty(candidates, actions, dim))  # from v to q_1 ... q_Q
        self.project = nn.Linear(actions, dim, bias=False)  # W^y
        self.weigh = nn.Linear(dim, candidates, bias=False)  # W^w
        for candidate in self.candidates:
            nn.init.xavier_uniform_(candidate)

    def forward(self, node: Tensor, actions: Tensor) -> Tensor:  # (B,T,N,D), (B,C) -> (B,T,N,D)
        candidates = torch.einsum("bc,qcd->bqd", actions, self.candidates)
        weights = self.weigh(self.project(actions)[:, None, None] + node).sigmoid()  # (B,T,N,Q)                Eq. 1
        return node + (weights.flatten(1, 2) @ candidates).view_as(node)  #                                     Eq. 2


def make_prompt(settings: Settings) -> nn.Module:
    if settings.prompt == "simple":
        return SimplePrompt(settings.actions, settings.dim)
    return DynamicPrompt(settings.actions, settings.dim, settings.candidates)


# ------------------------------------------------------------------------ norms: (B,T,N,D), (B,T,N) -> (B,T,N,D)


class VideoGraphNorm(nn.Module):
    """VGNorm (Eqs. 3-4): one running mean a frame, one deviation a frame and video; empty nodes do not count.

    The gradient flows through the batch's share in the mean. `divisor="code"` divides by M+D-1 instead of M*D-1;
    `centre="code"` centres on the mean of the batch while training, and on the running mean else.
    """

    def __init__(
        self, frames: int, momentum: float = 0.9, divisor: str = "paper", centre: str = "paper", eps: float = 1e-5
    ) -> None:
        super().__init__()
        self.momentum, self.divisor, self.centre, self.eps = momentum, divisor, centre, eps
        self.shift = nn.Parameter(torch.ones(frames))  # alpha
        self.scale = nn.Parameter(torch.ones(frames))  # gamma
        self.bias = nn.Parameter(torch.zeros(frames))  # beta
        self.register_buffer("mean", torch.zeros(frames))  # mu_g

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        D = x.shape[-1]
        mean = self._update(x, mask) if self.training else self.mean
        centred = x - (self.shift * mean)[:, None, None]
        nodes = mask.sum(dim=2)  # (B,T): M
        count = nodes * D - 1 if self.divisor == "paper" else nodes + D - 1
        variance = hide(centred**2, mask).sum(dim=(2, 3)) / count.clamp_min(1)
        deviation = (variance + self.eps).sqrt()[..., None, None]  # (B,T,1,1)
        return self.scale[:, None, None] * centred / deviation + self.bias[:, None, None]  #                    Eq. 4

    def _update(self, x: Tensor, mask: Tensor) -> Tensor:  # -> (T,)
        """Moves the running mean (Eq. 3) and gives the mean to centre on; frames without any node keep theirs."""
        count = mask.sum(dim=(0, 2)) * x.shape[-1]
        batch = torch.where(count > 0, hide(x, mask).sum(dim=(0, 2, 3)) / count.clamp_min(1), self.mean)
        mean = self.momentum * self.mean + (1 - self.momentum) * batch  #                                       Eq. 3
        self.mean = mean.detach().to(self.mean)
        return mean if self.centre == "paper" else batch


class GraphNorm(nn.Module):
    """GraphNorm (Cai et al., 2021): every feature over the nodes of one video's graph, all frames together.

    A frame alone would not do: with one node in it, nothing is left after the mean.
    """

    def __init__(self, dim: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.shift = nn.Parameter(torch.ones(dim))
        self.scale = nn.Parameter(torch.ones(dim))
        self.bias = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        count = mask.sum(dim=(1, 2)).clamp_min(1)[:, None, None, None]
        centred = x - self.shift * hide(x, mask).sum(dim=(1, 2), keepdim=True) / count
        variance = hide(centred**2, mask).sum(dim=(1, 2), keepdim=True) / count
        return self.scale * centred / (variance + self.eps).sqrt() + self.bias


class LayerNorm(nn.LayerNorm):
    """LayerNorm of each node by itself."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return super().forward(x)


class BatchNorm(nn.BatchNorm1d):
    """BatchNorm of each feature over all nodes of the batch that are there."""

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        normal = super().forward(x[mask])
        return torch.zeros_like(x, dtype=normal.dtype).masked_scatter(mask[..., None], normal)


def make_norm(settings: Settings) -> nn.Module:
    if settings.norm == "vgnorm":
        return VideoGraphNorm(settings.frames, settings.momentum, settings.divisor, settings.centre)
    return {"graphnorm": GraphNorm, "layernorm": LayerNorm, "batchnorm": BatchNorm}[settings.norm](settings.dim)


# --------------------------------------------------------------------------------------------------------- VGPNN


class Concatenated(nn.Module):
    """MLP of [node, ..., edge]: the features of one or both ends of an edge, and of the edge itself.

    Its first layer is split, W [a, b] = W_a a + W_b b, so that a node is multiplied once and not once for every edge.
    """

    def __init__(self, nodes: int, dim: int) -> None:
        super().__init__()
        self.nodes = nn.ModuleList(nn.Linear(dim, dim, bias=False) for _ in range(nodes))
        self.edge = nn.Linear(dim, dim)
        self.rest = nn.Sequential(nn.GELU(), nn.Linear(dim, dim))

    def forward(self, node: Tensor, ends: Sequence[Tensor], edge: Tensor) -> Tensor:
        """(B,N,T,D), the node of every edge (E,) for each of the ends, (B,E,T,D) -> (B,E,T,D)."""
        x = self.edge(edge)
        for project, end in zip(self.nodes, ends):
            x = x + project(node).index_select(1, end)
        return self.rest(x)


class GraphLayer(nn.Module):
    """One layer of the VGPNN: Link, Message, Update (Eqs. 9-12), then the norm; all edges at once."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        dim = settings.dim
        sizes = (dim, settings.heads, settings.feedforward, settings.dropout)
        self.edge = Concatenated(2, dim)
        self.link = nn.ModuleList(SelfAttention(*sizes) for _ in range(settings.edge_layers))
        self.weight = nn.Linear(dim, 1)  # W^m
        self.message = Concatenated(1, dim)
        self.aggregate = mlp(dim, dim, dim)
        self.norm = make_norm(settings)

    def forward(
        self, node: Tensor, mask: Tensor, relation: Tensor, present: Tensor, allowed: Tensor, ends: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Updated nodes (B,T,N,D) and the weight of each edge (B,E,T).

        Args:
            node: (B,T,N,D).
            mask: (B,T,N) bool.
            relation: (B,E,T,D), what is known of both ends.
            present: (B,E,T) bool, True where both ends are there; other edges carry no message.
            allowed: (B*E,1,T,T), which frames of an edge see which.
            ends: (E,2) source and target; the paper's j is the target, its k the source.
        """
        source, target = ends.unbind(dim=1)
        v = node.transpose(1, 2)  # (B,N,T,D)
        f = self.edge(v, (target, source), relation)  # (B,E,T,D)
        linked = f.flatten(0, 1)
        for block in self.link:
            linked = block(linked, allowed)  #                                                                  Eq. 9
        linked = linked.view_as(f)
        weight = self.weight(linked).sigmoid() * present[..., None]  # (B,E,T,1)                               Eq. 10
        message = weight * self.message(v, (target,), linked)
        received = torch.zeros_like(v, dtype=message.dtype).index_add(1, target, message)  #                   Eq. 11
        updated = (v + received).transpose(1, 2)
        updated = updated + self.aggregate(updated)  #                                                         Eq. 12
        return hide(self.norm(updated, mask), mask), weight[..., 0]


# -------------------------------------------------------------------------------------------- readout and fusion


class Readout(nn.Module):
    """From node features to one feature a video: weights of nodes, then weights s of frames (Sec. 3.3, "Readout")."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        dim = settings.dim

        def feedforward() -> FeedForward:
            return FeedForward(dim, settings.feedforward, settings.dropout)

        self.node_weight = nn.Sequential(feedforward(), mlp(dim, dim, 1))
        self.frame = feedforward()
        self.frame_weight = nn.Sequential(feedforward(), mlp(dim, dim, 1))
        self.video = feedforward()

    def forward(self, node: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Feature of the video (B,D), weights of the frames (B,T) and of the nodes (B,T,N)."""
        node_weight = hide(self.node_weight(node).sigmoid(), mask)  # (B,T,N,1)
        frame = self.frame((node_weight * node).sum(dim=2))  # (B,T,D)
        frame_weight = self.frame_weight(frame).sigmoid()  # (B,T,1)
        video = self.video((frame_weight * frame).sum(dim=1))  # (B,D)
        return video, frame_weight[..., 0], node_weight[..., 0]


class Fusion(nn.Module):
    """Both halves joined by a gate, and the features before disentanglement rebuilt from them (Eq. 6)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gate = mlp(2 * dim, dim, 1)  # Net_2
        self.rebuild = mlp(dim, dim, dim, dim)  # Net_1

    def forward(self, unspecified: Tensor, specified: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Fused and rebuilt features (B,T,N,D), and the gate (B,T,N,1)."""
        gate = self.gate(torch.cat([unspecified, specified], dim=-1)).sigmoid()
        fused = gate * unspecified + (1 - gate) * specified
        return fused, self.rebuild(fused), gate


# ----------------------------------------------------------------------------------------------------- the whole


class Proda(nn.Module):
    """The whole network (Figure 2).

    Args:
        settings: all numbers of the architecture.

    Raises:
        ValueError: graphs or questions that do not fit the settings; the message says how.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        dim, actions = settings.dim, settings.actions
        self.encoder = VideoEncoder(settings)
        self.ends = Concatenated(2, dim)
        self.relation = nn.Linear(settings.relations, dim, bias=False) if settings.related else None

        self.specified_prompt, self.unspecified_prompt = make_prompt(settings), make_prompt(settings)
        self.feedforward = FeedForward(dim, settings.feedforward, settings.dropout)
        self.layers = nn.ModuleList(GraphLayer(settings) for _ in range(settings.layers))
        self.fusion = Fusion(dim)

        self.specified_readout, self.specified_head = Readout(settings), mlp(dim, dim, actions + 1)  # a_s
        self.unspecified_readout, self.unspecified_head = Readout(settings), mlp(dim, dim, actions + 1)  # a_u
        self.total_feedforward = FeedForward(dim, settings.feedforward, settings.dropout)
        self.total_readout, self.total_head = Readout(settings), mlp(dim, dim, actions)  # a_t
        self.middle_readout, self.middle_head = Readout(settings), mlp(dim, dim, actions)  # a_m
        self.apply(start)

    def forward(self, graphs: Graphs, specified: Tensor) -> Answers:
        return self.ask(self.encode(graphs), specified)

    def encode(self, graphs: Graphs) -> Encoded:
        """Everything that does not depend on the question."""
        node, image, mask = self.encoder(graphs)
        N = node.shape[2]
        source, target = edges(self.settings.graph, N).to(node.device).unbind(dim=1)
        v = node.transpose(1, 2)  # (B,N,T,D)
        edge = self.ends(v, (target, source), image[:, None])  # (B,E,T,D): both ends in their frame
        if self.relation is not None:
            # Relations are between the person and an object: the object's row, or row 0, which is left out, for others.
            relation = graphs.relation.to(node.dtype).masked_fill(~graphs.mask[..., None], 0).transpose(1, 2)
            of_object = torch.where(torch.minimum(source, target) == 0, torch.maximum(source, target), 0)
            between = self.relation(relation).index_select(1, of_object)
            edge = edge + between * (of_object > 0)[:, None, None]
        return Encoded(original=node, edge=edge, mask=mask)

    def ask(self, encoded: Encoded, specified: Tensor) -> Answers:
        """The videos parted by the actions `specified` (B,C) bool, the SAP; the UAP is its complement."""
        B, _, N, _ = encoded.original.shape
        if specified.shape != (B, self.settings.actions):
            raise ValueError(
                f"specified is {tuple(specified.shape)}, and {(B, self.settings.actions)} is asked for: "
                "one row a video, one column an action"
            )
        asked = specified.bool().to(encoded.original.dtype)
        ends = edges(self.settings.graph, N).to(specified.device)
        node = encoded.original
        node = self.feedforward(self._prompt(torch.cat([node, node]), asked))  # (2B,T,N,D): specified, unspecified

        both = Encoded(node, *(torch.cat([x, x]) for x in (encoded.edge, encoded.mask)))
        seen = both.mask.transpose(1, 2)  # (2B,N,T)
        present = seen[:, ends[:, 0]] & seen[:, ends[:, 1]]  # (2B,E,T)
        allowed = attendable(present.flatten(0, 1))
        weights = []
        for layer in self.layers:
            node, weight = layer(self._prompt(node, asked), both.mask, both.edge, present, allowed, ends)
            weights.append(weight.transpose(1, 2))  # (2B,T,E)

        mask = encoded.mask
        s, u = hide(node, both.mask).chunk(2)
        edge_weight = torch.stack(weights) if weights else node.new_zeros(0, *present.transpose(1, 2).shape)
        weight_s, weight_u = edge_weight.chunk(2, dim=1)
        fused, rebuilt, gate = self.fusion(u, s)
        total, total_frame_weight, _ = self.total_readout(self.total_feedforward(fused), mask)
        return Answers(
            specified=branch(s, mask, weight_s, self.specified_readout, self.specified_head),
            unspecified=branch(u, mask, weight_u, self.unspecified_readout, self.unspecified_head),
            total=self.total_head(total),
            total_frame_weight=total_frame_weight,
            original=encoded.original,
            reconstructed=hide(rebuilt, mask),
            gate=hide(gate, mask),
            mask=mask,
        )

    def middle(self, encoded: Encoded) -> Tensor:
        """Logits of all actions from the features before disentanglement, a_m: no question is asked. (B,C)"""
        return self.middle_head(self.middle_readout(encoded.original, encoded.mask)[0])

    def _prompt(self, node: Tensor, asked: Tensor) -> Tensor:  # (2B,T,N,D), (B,C) -> (2B,T,N,D)
        """Both branches go through the layers as one batch: they share all weights but the prompts."""
        specified, unspecified = node.chunk(2)
        return torch.cat([self.specified_prompt(specified, asked), self.unspecified_prompt(unspecified, 1 - asked)])


def branch(node: Tensor, mask: Tensor, edge_weight: Tensor, readout: Readout, head: nn.Module) -> Branch:
    pooled, frame_weight, node_weight = readout(node, mask)
    return Branch(head(pooled), node, pooled, frame_weight, node_weight, edge_weight)


class EncoderAlone(nn.Module):
    """The video encoder with the readout of a_m, trained end to end: the baseline of Table 5, row 6."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.encoder = VideoEncoder(settings)
        self.readout, self.head = Readout(settings), mlp(settings.dim, settings.dim, settings.actions)
        self.apply(start)

    def forward(self, graphs: Graphs) -> Tensor:  # -> (B,C)
        node, _, mask = self.encoder(graphs)
        return self.head(self.readout(node, mask)[0])


def start(module: nn.Module) -> None:
    """First weights: Xavier for all linear layers, as published; biases 0."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
