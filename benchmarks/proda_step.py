"""One training step of ProDA at the paper's sizes: parameters, FLOPs, time and peak memory; star graph against a loop.

    python benchmarks/proda_step.py                      # batch 32, 16 frames, 11 tokens, 768-d, 3 VGPNN layers
    python benchmarks/proda_step.py --batch 4 --repeats 3

A step is forward, the loss of Eq. 8, backward, clipping and AdamW. Prints Markdown, for docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from pipeline.proda.losses import total
from pipeline.proda.model import GraphLayer, Graphs, Proda, Settings, attendable, edges, hide

PAPER = Settings(features=512, actions=157, objects=36, relations=26)
NODES = 10  # and the image: 11 tokens a frame


def some_graphs(settings: Settings, videos: int) -> Graphs:
    """Random graphs in which every node is seen, the most expensive case."""
    shape = (videos, settings.frames, NODES)
    return Graphs(
        image=torch.randn(*shape[:2], settings.features),
        node=torch.randn(*shape, settings.features),
        box=torch.rand(*shape, 4),
        mask=torch.ones(shape, dtype=torch.bool),
        kind=torch.randint(0, settings.objects, (videos, NODES)),
        relation=(torch.rand(*shape, settings.relations) > 0.9).float(),
    )


def train_step(model: Proda, optimizer: torch.optim.Optimizer, graphs: Graphs, bf16: bool) -> None:
    device = graphs.image.device
    specified = torch.rand(len(graphs.image), PAPER.actions, device=device) > 0.9
    labels = torch.rand(len(graphs.image), PAPER.actions + 1, device=device) > 0.95
    with torch.autocast(device.type, torch.bfloat16) if bf16 else nullcontext():
        loss = total(model(graphs, specified), labels, labels, labels[:, :-1], margins=(0.7, 0.7))
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    optimizer.step()


def timed(function: Callable[[], object], repeats: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Median milliseconds, after one call to warm up."""
    times = []
    for _ in range(repeats + 1):
        start = clock()
        function()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(1000 * (clock() - start))
    return statistics.median(times[1:])


def measure(device: torch.device, batch: int, repeats: int, bf16: bool) -> str:
    """One row of the table."""
    model = Proda(PAPER).to(device)
    graphs = some_graphs(PAPER, batch).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-4, weight_decay=1e-3)
    step = lambda: train_step(model, optimizer, graphs, bf16)  # noqa: E731
    with FlopCounterMode(display=False) as counter:
        train_step(model, optimizer, some_graphs(PAPER, 1).to(device), bf16)
    milliseconds = timed(step, repeats)
    if device.type == "cuda":
        memory, name = torch.cuda.max_memory_allocated(), torch.cuda.get_device_name()
    else:
        memory = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        name = f"CPU {platform.machine()}, {torch.get_num_threads()} of {os.cpu_count()} cores"
    parameters = sum(weight.numel() for weight in model.parameters())
    return (
        f"| {name} | {'bf16' if bf16 else 'fp32'} | {batch} | {parameters / 1e6:.1f} M "
        f"| {batch * counter.get_total_flops() / 1e12:.2f} | {milliseconds:,.0f} | {memory / 2**30:.1f} |"
    )


def looped(layer: GraphLayer, node: Tensor, mask: Tensor, relation: Tensor, ends: list[tuple[int, int]]) -> Tensor:
    """The same layer, one edge after the other: the straightforward way to write Eqs. 9-12."""
    received = [torch.zeros_like(node[:, :, 0]) for _ in range(node.shape[2])]
    only = torch.zeros(1, dtype=torch.long)
    for e, (source, target) in enumerate(ends):
        v_source, v_target = node[:, :, source][:, None], node[:, :, target][:, None]  # (B,1,T,D)
        present = mask[:, :, source] & mask[:, :, target]  # (B,T)
        both = torch.cat([v_target, v_source], dim=1)
        linked = layer.edge(both, (only, only + 1), relation[:, e : e + 1])[:, 0]
        for block in layer.link:
            linked = block(linked, attendable(present))
        weight = layer.weight(linked).sigmoid() * present[..., None]
        received[target] = received[target] + weight * layer.message(v_target, (only,), linked[:, None])[:, 0]
    updated = node + torch.stack(received, dim=2)
    return hide(layer.norm(updated + layer.aggregate(updated), mask), mask)


def star_against_loop(dim: int, batch: int, nodes: int, repeats: int) -> str:
    """Forward and backward of one VGPNN layer, all edges at once and one by one, checked to be the same."""
    settings = Settings(**SIZES | {"dim": dim, "heads": max(1, dim // 64), "feedforward": 4 * dim})
    layer, T = GraphLayer(settings), settings.frames
    ends = edges("star", nodes)
    node = torch.randn(batch, T, nodes, dim)
    mask = torch.ones(batch, T, nodes, dtype=torch.bool)
    relation = torch.randn(batch, len(ends), T, dim)
    present = torch.ones(batch, len(ends), T, dtype=torch.bool)

    def at_once() -> Tensor:
        return layer(node, mask, relation, present, attendable(present.flatten(0, 1)), ends)[0]

    def one_by_one() -> Tensor:
        return looped(layer, node, mask, relation, ends.tolist())

    layer.eval()
    torch.testing.assert_close(at_once(), one_by_one(), rtol=1e-4, atol=1e-4)
    # CPU time, which other work on the machine does not lengthen.
    clock = time.process_time
    fast, slow = (timed(lambda f=f: f().sum().backward(), repeats, clock) for f in (at_once, one_by_one))
    return f"| {dim} | {batch} | {nodes} | {len(ends)} | {fast:,.1f} | {slow:,.1f} | {slow / fast:.1f} x |"


SIZES = {"features": 1, "actions": 1, "objects": 1, "relations": 1, "dropout": 0.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=1, help="measured steps, after one to warm up")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--only", choices=("step", "star"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.only != "star":
        print("| device | precision | batch | parameters | TFLOPs a step | ms a step | peak memory, GiB |")
        print("|---|---|---|---|---|---|---|")
        if torch.cuda.is_available():
            print(measure(torch.device("cuda"), options.batch, 10 * options.repeats, bf16=True), flush=True)
        print(measure(torch.device("cpu"), options.batch, options.repeats, bf16=False), flush=True)
        print()
    if options.only != "step":
        print("| width | batch | nodes | edges | all at once, CPU ms | edge by edge, CPU ms | ratio |")
        print("|---|---|---|---|---|---|---|")
        for dim, batch, nodes in ((32, 1, 10), (64, 1, 10), (64, 4, 10), (64, 32, 6), (256, 1, 10), (768, 1, 10)):
            print(star_against_loop(dim, batch, nodes, 10), flush=True)


if __name__ == "__main__":
    main()
