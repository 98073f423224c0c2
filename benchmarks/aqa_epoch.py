"""A training epoch of AQA at the size of RG: all queries, heads and videos at once, against loops.

    python benchmarks/aqa_epoch.py                       # 200 videos x 68 clips x 1024, batch 48, the paper's sizes
    python benchmarks/aqa_epoch.py --videos 20 --batch 10 --threads 1

An epoch is, for every batch, forward, the loss of Eq. 6, backward and Adam. The loops compute the same from the same
weights, each one more than the one above it:

- videos: one video after the other, all else as matrices;
- and queries of attention: in a video one head and one query after the other, and one row of the attention loss;
- and queries of all else: every query by itself through projections, feed-forward network and head, too.

Losses and gradients are checked to be equal before anything is timed. CPU time is what other work on the machine does
not lengthen. Prints Markdown, for docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.aqa.losses import total
from pipeline.aqa.model import Aqa, Attention, Layer, Settings, sinusoid

PAPER = Settings(features=1024)
VIDEOS, CLIPS, BATCH = 200, 68, 48  # RG

Each = Callable[[nn.Module, Tensor], Tensor]  # a network, queries (Q,D): applied to each of them
Loss = Callable[[Aqa, Tensor, Tensor, Tensor], Tensor]  # model, clips (B,T,F), mask (B,T), target (B,) -> scalar


def at_once(model: Aqa, clips: Tensor, mask: Tensor, target: Tensor) -> Tensor:
    return total(model(clips, mask), target)


# ----------------------------------------------------------------------------------------------------- the loops


@dataclass(frozen=True)
class Loops:
    """How the parts of one video are computed."""

    attend: Callable[[Attention, Tensor, Tensor, Tensor, Each], Tensor]
    divergence: Callable[[Tensor, Tensor], Tensor]
    each: Each

    def __call__(self, model: Aqa, clips: Tensor, mask: Tensor, target: Tensor) -> Tensor:
        """Eq. 6 of a batch, one video after the other."""
        scores, attention_loss = [], 0.0
        for video, there in zip(clips, mask):
            score, pairs = self.video(model, video[there])
            scores.append(score)
            for own, seen in pairs:
                attention_loss = attention_loss + self.divergence(own, seen)
        rows = len(clips) * model.settings.queries
        return functional.mse_loss(torch.stack(scores), target) + attention_loss / rows

    def video(self, model: Aqa, clips: Tensor) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """Score of one video (T,F), and A_S and A_C (Q,D) of each layer."""
        place = sinusoid(model.settings.queries, model.settings.width, clips)
        x, pairs = model.queries, []
        for layer in model.layers:
            x, own, seen = self.layer(layer, x, place, clips)
            pairs.append((own, seen))
        x = model.norm(x)
        weight, quality = self.each(model.weight, x)[:, 0].softmax(dim=0), self.each(model.quality, x)[:, 0]
        return (weight * quality).sum(), pairs

    def layer(self, layer: Layer, x: Tensor, place: Tensor, clips: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        normal = layer.self_norm(x)
        own = self.attend(layer.self_attention, normal + place, normal + place, normal, self.each)
        x = own + layer.dropout(own)
        seen = self.attend(layer.cross_attention, layer.cross_norm(x) + place, clips, clips, self.each)
        x = x + layer.dropout(seen)
        return x + layer.dropout(self.each(layer.feedforward, layer.feedforward_norm(x))), own, seen


def together(module: nn.Module, x: Tensor) -> Tensor:
    return module(x)


def one_by_one(module: nn.Module, x: Tensor) -> Tensor:
    return torch.stack([module(row) for row in x])


def attend_at_once(module: Attention, query: Tensor, key: Tensor, value: Tensor, _: Each) -> Tensor:
    return module(query[None], key[None], value[None], videos=1)[0][0]


def attend_by_query(module: Attention, query: Tensor, key: Tensor, value: Tensor, each: Each) -> Tensor:
    """One head after the other, one query after the other: (Q,D), (K,D), (K,D) -> (Q,D)."""
    q, k, v = each(module.query, query), module.key(key), module.value(value)
    width = q.shape[1] // module.heads
    heads = []
    for h in range(module.heads):
        own = slice(h * width, (h + 1) * width)
        keys, values, mixed = k[:, own], v[:, own], []
        for row in q[:, own]:
            attention = (keys @ row / math.sqrt(width)).softmax(dim=0)  # (K,)
            mixed.append(module.dropout(attention) @ values)
        heads.append(torch.stack(mixed))
    return each(module.project, torch.cat(heads, dim=1))


def divergence_at_once(own: Tensor, seen: Tensor) -> Tensor:
    """KL(L_S || L_C) of one video and layer, summed over the queries."""
    p, q = (own @ own.T).log_softmax(dim=1), (seen @ seen.T).log_softmax(dim=1)
    return (p.exp() * (p - q)).sum()


def divergence_by_query(own: Tensor, seen: Tensor) -> Tensor:
    """The same, one row of the maps after the other."""
    divergence = 0.0
    for a, c in zip(own, seen):
        p, q = (own @ a).log_softmax(dim=0), (seen @ c).log_softmax(dim=0)
        divergence = divergence + (p.exp() * (p - q)).sum()
    return divergence


WAYS: dict[str, Loss] = {
    "nothing: all at once": at_once,
    "videos": Loops(attend_at_once, divergence_at_once, together),
    "and queries of attention": Loops(attend_by_query, divergence_by_query, together),
    "and queries of all else": Loops(attend_by_query, divergence_by_query, one_by_one),
}


# --------------------------------------------------------------------------------------------------- measurement


def check_equal() -> None:
    """Losses and gradients of all ways to compute them, in double precision, without dropout, with padding."""
    torch.manual_seed(0)
    model = Aqa(Settings(features=32, queries=7, feedforward=32, hidden=(16, 8))).double().eval()
    clips, target = torch.randn(3, 9, 32, dtype=torch.float64), torch.rand(3, dtype=torch.float64)
    mask = torch.arange(9) < torch.tensor([[9], [1], [5]])
    weights = list(model.parameters())
    wanted = at_once(model, clips, mask, target)
    gradients = torch.autograd.grad(wanted, weights)
    for compute in WAYS.values():
        loss = compute(model, clips, mask, target)
        torch.testing.assert_close(loss, wanted, rtol=1e-9, atol=0)
        for a, b in zip(torch.autograd.grad(loss, weights), gradients):
            torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-12)


def check_equal_at_size(model: Aqa, clips: Tensor, mask: Tensor, target: Tensor) -> None:
    """Losses of the very sizes that are timed, in single precision, without dropout."""
    model.eval()
    with torch.no_grad():
        wanted = at_once(model, clips, mask, target)
        for compute in WAYS.values():
            torch.testing.assert_close(compute(model, clips, mask, target), wanted, rtol=1e-4, atol=1e-5)
    model.train()


def epoch(compute: Loss, model: Aqa, optimizer: torch.optim.Optimizer, batches: list[tuple[Tensor, ...]]) -> None:
    for clips, mask, target in batches:
        optimizer.zero_grad()
        compute(model, clips, mask, target).backward()
        optimizer.step()


def timed(function: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the wall, and of CPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - wall, time.process_time() - cpu


def measure(options: argparse.Namespace) -> None:
    """The table, a row as soon as it is known."""
    torch.manual_seed(0)
    model = Aqa(PAPER).to(options.device)
    clips = torch.randn(options.videos, CLIPS, PAPER.features, device=options.device)
    mask = torch.ones(options.videos, CLIPS, dtype=torch.bool, device=options.device)
    target = torch.rand(options.videos, device=options.device)
    few = tuple(x[:2] for x in (clips, mask, target))
    check_equal_at_size(model, *few)
    batches = list(zip(*(x.split(options.batch) for x in (clips, mask, target))))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    first = None
    for name, compute in WAYS.items():
        epoch(compute, model, optimizer, [few])  # to warm up
        taken = [timed(lambda c=compute: epoch(c, model, optimizer, batches)) for _ in range(options.repeats)]
        wall, cpu = (statistics.median(each) for each in zip(*taken))
        first = first or (wall, cpu)
        print(f"| {name} | {wall:.1f} | {cpu:.1f} | {wall / first[0]:.1f} x | {cpu / first[1]:.1f} x |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=VIDEOS)
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--repeats", type=int, default=1, help="measured epochs, after two videos to warm up")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    check_equal()
    cpu = f"CPU {platform.machine()}, {options.threads} of {os.cpu_count()} cores"
    where = torch.cuda.get_device_name() if options.device == "cuda" else cpu
    print(f"{where}: {options.videos} videos x {CLIPS} clips x {PAPER.features}, batch {options.batch}\n")
    print("| loops over | s an epoch | CPU s | ratio | ratio of CPU |")
    print("|---|---|---|---|---|", flush=True)
    measure(options)


if __name__ == "__main__":
    main()
