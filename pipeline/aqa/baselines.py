"""What the weight-score decoder is compared with, on the same clip features: none of these says when a score is earned.

- `ridge`, `svr`: regression of the score on features pooled over the video (mean and standard deviation of each);
- `mean_mlp`: the mean over the clips and a small network, the paper's "averaging clip features" (Sec. 1);
- `lstm`: a recurrent network over the clips in their order, and the same small network on its last state.

Whatever is to be chosen, a penalty or the epoch to keep, is chosen on val, by what chooses the decoder's epoch.

Axes: V video, B video of a batch, T clip, D feature.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import RegressorMixin
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from pipeline import plain
from pipeline.aqa.data import Videos, collate, load
from pipeline.aqa.measures import spearman
from pipeline.aqa.training import standing

log = logging.getLogger(__name__)

BASELINES = {  # name -> what it is
    "ridge": "ridge regression on mean and standard deviation of the features",
    "svr": "support vector regression on mean and standard deviation of the features",
    "mean_mlp": "mean of the features, then a network of two layers",
    "lstm": "LSTM over the clips, then a network of two layers",
}
SEEDED = ("mean_mlp", "lstm")  # the others give the same with every seed
PENALTIES = tuple(10.0**e for e in range(-2, 6))  # of ridge
SVR_STRENGTHS = {  # C by kernel; a linear one of more than 1 fits what is noise, and takes minutes to do so
    "linear": tuple(10.0**e for e in range(-4, 1)),
    "rbf": tuple(10.0**e for e in range(-1, 4)),
}
DECAY, DROPOUT = 1e-2, 0.5
SMOOTHING = 5  # epochs that are judged together, as the decoder's are


def aqa_baselines(
    features: list[Path],
    scores: Path,
    manifest: Path,
    out: Path,
    *,
    task: dict,
    seeds: tuple[int, ...] = (0, 1, 2),
    epochs: int = 60,
    batch: int = 32,
    rate: float = 1e-3,
    hidden: int = 128,
    protocol: str = "strict",
    max_failed_fraction: float = 0.1,
) -> None:
    """Scores that simple models on the same clip features give to the test videos of one task, as JSON.

    - `task`: {score, label, range}; `protocol`; `ids`: the test videos
    - `baselines`: a row a baseline and seed, one row with null for those without: `name`, `doc`, `seed`; `chosen`: what
      was chosen on val; `val`: `srcc` and `mse` there; `test`: scores in points, in the order of `ids`

    Args:
        features: artifacts `clip_features`, one a shard.
        scores: CSV file `id,score,value`.
        manifest: the videos, their labels and splits.
        out: JSON file to write.
        task: the score to give, {score, label, range}.
        seeds: networks are trained once a seed.
        epochs: passes over the training videos; the weights of the best on val count.
        batch: videos a training step.
        rate: step size of the networks' training.
        hidden: width of the networks.
        protocol: `strict` or `published`.
        max_failed_fraction: share of the videos that may lack their features or their score.
    """
    tolerated = {"protocol": protocol, "max_failed_fraction": max_failed_fraction}
    data = load(features, manifest, scores, task=task, **tolerated)
    train, val, test = (data.roles[role] for role in ("train", "val", "test"))
    rows = []
    for name, doc in BASELINES.items():
        for seed in seeds if name in SEEDED else (None,):
            fitted = fit(name, train, val, seed=seed or 0, recipe=Recipe(epochs, batch, rate, hidden))
            log.info("%s: correlation %.3f on val, chosen %s", name, fitted.val["srcc"], fitted.chosen)
            row = {"name": name, "doc": doc, "seed": seed, "chosen": fitted.chosen, "val": fitted.val}
            rows.append(row | {"test": data.task.points(fitted.predict(test))})
    content = {"task": data.task.options, "protocol": protocol, "ids": test.ids, "baselines": rows}
    plain.write(out, content, digits=6)


@dataclass(frozen=True)
class Recipe:
    """How the networks are trained: epochs, videos a step, step size of Adam, width."""

    epochs: int = 60
    batch: int = 32
    rate: float = 1e-3
    hidden: int = 128


@dataclass(frozen=True)
class Fitted:
    """A baseline and how it came to be.

    Attributes:
        predict: videos -> their scores (V,), as shares of the range.
        chosen: what was chosen on val.
        val: `srcc` and `mse` there.
    """

    predict: Callable[[Videos], NDArray[np.float64]]
    chosen: dict[str, object]
    val: dict[str, float]


def fit(name: str, train: Videos, val: Videos, *, seed: int = 0, recipe: Recipe = Recipe()) -> Fitted:
    """A baseline of `BASELINES`, fitted on train, with what is best on val."""
    if name in SEEDED:
        return _network(name, train, val, seed, recipe)
    return _pooled(name, train, val)


# Pooled features ---------------------------------------------------------------------------------------------------


def pooled(videos: Videos) -> NDArray[np.float64]:
    """Mean and standard deviation over the clips of each video: (V,2D)."""
    features = [clips.feature.astype(np.float64) for clips in videos.clips]
    return np.stack([np.concatenate([f.mean(axis=0), f.std(axis=0)]) for f in features])


def _pooled(name: str, train: Videos, val: Videos) -> Fitted:
    """Ridge or SVR with the options that are best on val; of equals the more penalised one."""
    inputs, val_inputs = pooled(train), pooled(val)
    best: Fitted | None = None
    for options in _grid(name):
        regressor = _regressor(name, options).fit(inputs, train.targets)
        found = judge(regressor.predict(val_inputs), val.targets)
        if best is None or standing([found]) > standing([best.val]):
            best = Fitted(lambda videos, regressor=regressor: regressor.predict(pooled(videos)), options, found)
    return best


def _grid(name: str) -> list[dict[str, object]]:
    """Options to try, the most penalised first."""
    if name == "ridge":
        return [{"alpha": alpha} for alpha in sorted(PENALTIES, reverse=True)]
    options = [{"C": c, "kernel": kernel} for kernel, strengths in SVR_STRENGTHS.items() for c in strengths]
    return sorted(options, key=lambda o: o["C"])


def _regressor(name: str, options: dict[str, object]) -> RegressorMixin:
    """On standardised features; SVR's margin is a tenth of the scores' standard deviation, as it is told in those."""
    regressor = make_pipeline(StandardScaler(), Ridge(**options) if name == "ridge" else SVR(**options))
    return TransformedTargetRegressor(regressor, transformer=StandardScaler())


def judge(predicted: NDArray, true: NDArray) -> dict[str, float]:
    """Spearman's correlation (`srcc`, NaN where it is undefined) and mean squared error (`mse`): (V,), (V,)."""
    return {"srcc": spearman(predicted, true), "mse": float(((predicted - true) ** 2).mean())}


# Networks ----------------------------------------------------------------------------------------------------------


class MeanMlp(nn.Module):
    """Mean over the clips, standardised, then an MLP: (B,T,D), (B,T) -> (B,)."""

    def __init__(self, features: int, hidden: int = 128) -> None:
        super().__init__()
        self.head = _head(features, hidden)

    def forward(self, clips: Tensor, mask: Tensor) -> Tensor:
        present = mask[..., None].to(clips)
        return self.head((clips * present).sum(1) / present.sum(1))[:, 0]


class Lstm(nn.Module):
    """LSTM over the clips, then an MLP on its state after the last one: (B,T,D), (B,T) -> (B,)."""

    def __init__(self, features: int, hidden: int = 128) -> None:
        super().__init__()
        self.lstm = nn.LSTM(features, hidden, batch_first=True)
        self.head = _head(hidden, hidden)

    def forward(self, clips: Tensor, mask: Tensor) -> Tensor:
        packed = pack_padded_sequence(clips, mask.sum(1).cpu(), batch_first=True, enforce_sorted=False)
        state = self.lstm(packed)[1][0][-1]  # (B,H), without the padding
        return self.head(state)[:, 0]


def _head(width: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(DROPOUT), nn.Linear(hidden, 1))


NETWORKS = {"mean_mlp": MeanMlp, "lstm": Lstm}


def _network(name: str, train: Videos, val: Videos, seed: int, recipe: Recipe) -> Fitted:
    """A network as it is after the epoch that is best on val, over it and the epochs before it, `SMOOTHING` in all."""
    torch.manual_seed(seed)
    scaled = _Scaled(train)
    network = NETWORKS[name](scaled.features, recipe.hidden)
    optimiser = torch.optim.AdamW(network.parameters(), lr=recipe.rate, weight_decay=DECAY)
    (clips, mask), target = scaled.batch(train), scaled.targets(train)

    def predict(videos: Videos) -> NDArray[np.float64]:
        network.eval()
        with torch.no_grad():
            return scaled.scores(network(*scaled.batch(videos)))

    history: list[dict[str, float]] = []
    best, kept, chosen = [], {}, 0
    for epoch in range(1, recipe.epochs + 1):
        network.train()
        for rows in torch.randperm(len(target)).split(recipe.batch):
            loss = nn.functional.mse_loss(network(clips[rows], mask[rows]), target[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        history.append(judge(predict(val), val.targets))
        last = history[-SMOOTHING:]
        if len(last) == min(SMOOTHING, recipe.epochs) and standing(last) > best:
            best, chosen = standing(last), epoch
            kept = {key: value.clone() for key, value in network.state_dict().items()}
    network.load_state_dict(kept)
    return Fitted(predict, {"epoch": chosen}, history[chosen - 1])


class _Scaled:
    """Features and scores as the networks see them: standardised by those of the training videos."""

    def __init__(self, train: Videos) -> None:
        every = np.concatenate([clips.feature for clips in train.clips])
        self.features = every.shape[1]
        self.centre, self.scale = every.mean(axis=0), _or_one(every.std(axis=0))
        self.mean, self.spread = float(train.targets.mean()), float(_or_one(train.targets.std()))

    def batch(self, videos: Videos) -> tuple[Tensor, Tensor]:
        """Clips (V,T,D) and where there is one (V,T)."""
        return collate([(clips.feature - self.centre) / self.scale for clips in videos.clips])

    def targets(self, videos: Videos) -> Tensor:
        """What is to be said of the videos: (V,)."""
        return torch.from_numpy((videos.targets - self.mean) / self.spread).float()

    def scores(self, said: Tensor) -> NDArray[np.float64]:
        """What was said, as shares of the range: (V,)."""
        return self.mean + self.spread * said.double().numpy()


def _or_one(scale: NDArray) -> NDArray:
    """A scale to divide by: 1 where nothing varies."""
    return np.where(scale > 0, scale, 1)
