"""How well pairs are told: the protocol of SportsHHI's interaction classification (Wu et al., CVPR 2024, Sec. 5).

Candidates are all ordered pairs of the true boxes of a keyframe, with every interaction. `map`: average precision of
each interaction over the candidates of all keyframes, mean over those that occur. `recall@K`: of the K best
candidates of every keyframe, the share of all true ones that are among them. Keyframes without any interaction do not
count. One difference: the publisher's candidates hold everybody's pair with himself, ours do not.

Axes: K keyframe, R pair, C interaction.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline import metrics
from pipeline.metrics import figure
from pipeline.proda.pairs import Keyframes
from pipeline.proda.pairs_training import MODELS, Pairs, load, specify, trained

Read = Callable[[Keyframes, NDArray], Tensor]  # keyframes, their rows in the data -> logits (B,P,C+1)


def pairs_evaluate(
    models: list[Path],
    features: list[Path],
    manifest: Path,
    out: Path,
    *,
    run: str = "",
    at: str = "20,50,100,150",
    paper: dict | None = None,
    protocol: str = "strict",
) -> None:
    """Figures of Table 2 on the test videos, over seeds; writes `metrics.json`.

    - `map`, `recall@K`: ProDA, prompt-free: asked for all interactions at once, a_t.
    - `.../queried`: each interaction asked by itself, a_s: nothing is known of the keyframe.
    - `.../oracle`: the published protocol: prompts made of the test labels. Not comparable with the others: see
      `.../prompt_only`, the same prompts put to a network that sees nothing.
    - `.../baseline`, `.../larger`: without ProDA; the second with as many parameters.
    - `map/val`, `map/val/baseline`, `map/val/larger`: on val, to choose options by.
    - `parameters`, `parameters/baseline`, `parameters/larger`.

    Args:
        models: checkpoints, one a seed.
        features: artifacts `pairs`, one a shard.
        manifest: the videos.
        out: `metrics.json` to write.
        run: name of the run.
        at: every K of `recall@K`.
        paper: the paper's figures by name, as shares.
        protocol: the protocol that the models were trained under.
    """
    test, _ = load(features, manifest, "test", protocol)
    val, _ = load(features, manifest, "val", protocol)
    each, seeds = [], []
    for path in models:
        nets, kept = trained(path)
        seeds.append(kept["settings"]["seed"])
        each.append(_figures(nets, kept["settings"], val, test, [int(k) for k in at.split(",")]))
    units = {n: "parameters" if n.startswith("parameters") else "share" for n in each[0]}
    figures = {n: figure([one[n] for one in each], unit) for n, unit in sorted(units.items())}
    metrics.write_metrics(
        out, run=run, model="proda_pairs", protocol=protocol, seeds=seeds, figures=figures, paper=paper
    )


def _figures(nets: dict[str, nn.Module], settings: dict, val: Pairs, test: Pairs, at: list[int]) -> dict[str, float]:
    asked = oracle(test, settings["length"], settings["seed"])
    scores = {
        "": ask(test, _everything(nets["proda"])),
        "/queried": queried(nets["proda"], test),
        "/oracle": ask(test, _prompted(nets["proda"], asked)),
        "/prompt_only": ask(test, _prompted(nets["blind"], asked, blind=True)),
        "/baseline": ask(test, lambda keyframes, _: nets["baseline"](keyframes)),
        "/larger": ask(test, lambda keyframes, _: nets["larger"](keyframes)),
    }
    figures = {f"map{name}": mean_average_precision(score, test.label) for name, score in scores.items()}
    for k in at:
        figures |= {f"recall@{k}{name}": recall_at(k, score, test.label, test.edge) for name, score in scores.items()}
    for name in ("baseline", "larger"):
        figures[f"map/val/{name}"] = mean_average_precision(ask(val, lambda x, _, n=name: nets[n](x)), val.label)
    figures["map/val"] = mean_average_precision(ask(val, _everything(nets["proda"])), val.label)
    for name in MODELS[:3]:
        count = sum(p.numel() for p in nets[name].parameters())
        figures["parameters" + ("" if name == "proda" else f"/{name}")] = float(count)
    return figures


# Asking -----------------------------------------------------------------------------------------------------


def ask(data: Pairs, read: Read, batch: int = 64) -> NDArray:
    """Probability of every interaction for every pair (R,C)."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(data), batch):
            rows = np.arange(start, min(start + batch, len(data)))
            keyframes, _ = data.batch(rows)
            parts.append(read(keyframes, rows)[keyframes.mask].softmax(-1)[:, :-1].numpy())
    return np.concatenate(parts)


def queried(model: nn.Module, data: Pairs) -> NDArray:
    """The same, each interaction asked by itself of every keyframe."""
    every = np.eye(data.label.shape[1], dtype=bool)

    def alone(one: NDArray) -> Read:
        return lambda keyframes, rows: model(keyframes, _rows(one, len(rows))).specified

    return np.stack([ask(data, alone(one))[:, c] for c, one in enumerate(every)], axis=1)


def oracle(data: Pairs, length: int, seed: int) -> NDArray:
    """The published prompts: for every keyframe one, drawn from the labels that are to be found (K,C)."""
    return specify(data, range(len(data)), np.random.default_rng(seed), length, "paper")


def _everything(model: nn.Module) -> Read:
    return lambda keyframes, rows: model(keyframes, _rows(np.ones(model.settings.actions, bool), len(rows))).total


def _prompted(model: nn.Module, asked: NDArray, blind: bool = False) -> Read:
    return lambda keyframes, rows: model(keyframes.blind() if blind else keyframes, torch.from_numpy(asked[rows])).total


def _rows(one: NDArray, count: int) -> Tensor:
    return torch.from_numpy(one).expand(count, -1)


# Figures ----------------------------------------------------------------------------------------------------


def average_precision(score: NDArray, true: NDArray) -> float:
    """Area under the precision-recall curve, precision made to fall only (PASCAL VOC from 2010): (R,), (R,) bool."""
    hits = true[np.argsort(-score, kind="stable")]
    precision = hits.cumsum() / np.arange(1, len(hits) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]  # the best precision at this recall or a higher one
    return float(best[hits].mean())


def mean_average_precision(score: NDArray, label: NDArray) -> float:
    """Mean over the interactions that occur: (R,C), (R,C) bool."""
    return float(np.mean([average_precision(score[:, c], label[:, c]) for c in np.flatnonzero(label.any(0))]))


def recall_at(k: int, score: NDArray, label: NDArray, edge: NDArray) -> float:
    """Share of the true candidates that are among the k best of their keyframe: (R,C), (R,C) bool, (K+1,)."""
    found = 0
    for start, stop in pairwise(edge):
        best = np.argsort(-score[start:stop].ravel(), kind="stable")[:k]
        found += int(label[start:stop].ravel()[best].sum())
    return found / int(label.sum())
