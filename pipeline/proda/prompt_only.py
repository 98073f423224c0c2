"""What the prompt alone gives away: mAP on the oracle-prompt protocol of models that never see a video.

The published figure of ProDA asks every test video with prompts drawn from its own labels (Sec. 3.2). Half of these
prompts hold true labels and nothing else, so that a share of the answer stands in the question. Three readers measure
that share on the labels of a data set, without its videos:

- `prior`: the share of the training videos that show a class, whatever is asked;
- `rule`: a prompt that does not hold K classes holds true labels only; all else as `prior`;
- `learned`: an MLP from the prompt to the labels, trained as ProDA trains a_t; a longer training may find more.

Axes: V video, P prompt of any video, C action.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.datasets import listed
from pipeline.errors import ChoreoError
from pipeline.manifest import Manifest, Video, draw_splits
from pipeline.metrics import figure, write_metrics
from pipeline.proda.ranking import mean_average_precision
from pipeline.proda.specifications import draw

log = logging.getLogger(__name__)

READERS = ("prior", "rule", "learned")
BATCH, RATE, DECAY = 512, 4e-3, 1e-2


def proda_prompt_only(
    out: Path,
    *,
    dataset: dict,
    run: str = "prompts",
    length: int = 16,
    kinds: tuple[str, ...] = ("paper", "code"),
    seeds: tuple[int, ...] = (0, 1, 2),
    epochs: int = 12,
) -> None:
    """mAP of a_t that reading the prompt alone reaches, with prompts drawn from the labels; no video is opened.

    Args:
        out: `metrics.json` to write; figures are mAP/KIND/READER.
        dataset: name of an adapter and its options, as for `manifest`; val, and test where the data set has none, are
            drawn as there.
        run: name that the figures carry.
        length: K, classes of a distractor-injected prompt.
        kinds: kinds of specifications, see `pipeline.proda.specifications`.
        seeds: prompts are drawn and the reader is trained once a seed.
        epochs: of training, with new prompts each; the best on val counts.
    """
    labels = label_matrices(draw_splits(listed(dataset)))
    figures = {}
    for kind in kinds:
        reached = [read_prompts(**labels, length=length, kind=kind, seed=seed, epochs=epochs) for seed in seeds]
        for reader in READERS:
            figures[f"mAP/{kind}/{reader}"] = figure([r[reader] for r in reached])
            log.info("%s, prompts as in %s: mAP %.3f", reader, kind, figures[f"mAP/{kind}/{reader}"]["mean"])
    write_metrics(out, run=run, model="prompt only", protocol="strict", seeds=seeds, figures=figures)


def label_matrices(videos: Sequence[Video]) -> dict[str, NDArray[np.bool_]]:
    """Labels of each split as a matrix (V,C), over the classes of all.

    Raises:
        ChoreoError: a split is empty.
    """
    classes = Manifest(videos).classes
    matrices = {}
    for split in ("train", "val", "test"):
        rows = [[c in v.labels for c in classes] for v in videos if v.split == split]
        if not rows:
            raise ChoreoError(f"no video of the split '{split}' is listed", mend="give the data set one, or all none")
        matrices[split] = np.array(rows, dtype=bool)
    return matrices


def read_prompts(
    train: NDArray[np.bool_],
    val: NDArray[np.bool_],
    test: NDArray[np.bool_],
    *,
    length: int = 16,
    kind: str = "paper",
    seed: int = 0,
    epochs: int = 12,
) -> dict[str, float]:
    """mAP of each reader over all prompts of all test videos, macro over classes.

    Args:
        train, val, test: labels (V,C).
        length, kind: of the prompts, see `pipeline.proda.specifications.draw`.
        seed: of the prompts and of the training.
        epochs: of training.
    """
    rng = np.random.default_rng(seed)
    asked, shown = prompts(test, rng, length=length, kind=kind)
    prior = np.broadcast_to(train.mean(axis=0), asked.shape)
    true = asked & (asked.sum(axis=1, keepdims=True) != length)
    network = _train(train, val, rng, length=length, kind=kind, seed=seed, epochs=epochs)
    scores = {"prior": prior, "rule": np.where(true, 1.0, prior), "learned": _answers(network, asked)}
    return {reader: mean_average_precision(scores[reader], shown) for reader in READERS}


def prompts(
    labels: NDArray[np.bool_], rng: np.random.Generator, *, length: int, kind: str
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Every prompt of every video and, beside each, the labels of its video: (V,C) -> (P,C), (P,C)."""
    drawn = [draw(row, rng, length=length, kind=kind) for row in labels]
    return np.concatenate(drawn), np.repeat(labels, [len(d) for d in drawn], axis=0)


class PromptReader(nn.Sequential):
    """An MLP from a prompt to logits of a_t: (P,C) -> (P,C). ProDA with its video taken away is such a function."""

    def __init__(self, classes: int, width: int = 512) -> None:
        super().__init__(
            nn.Linear(classes, width), nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, classes)
        )


def _train(
    train: NDArray[np.bool_],
    val: NDArray[np.bool_],
    rng: np.random.Generator,
    *,
    length: int,
    kind: str,
    seed: int,
    epochs: int,
) -> PromptReader:
    """The reader as it is after the epoch that is best on val."""
    torch.manual_seed(seed)
    network = PromptReader(train.shape[1])
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    val_asked, val_shown = prompts(val, rng, length=length, kind=kind)
    best, kept = -1.0, network.state_dict()
    for epoch in range(epochs):
        asked, shown = (_tensor(m) for m in prompts(train, rng, length=length, kind=kind))
        for rows in torch.randperm(len(asked)).split(BATCH):
            loss = nn.functional.binary_cross_entropy_with_logits(network(asked[rows]), shown[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        schedule.step()
        reached = mean_average_precision(_answers(network, val_asked), val_shown)
        log.info("epoch %d: mAP %.3f on val", epoch + 1, reached)
        if reached > best:
            best, kept = reached, {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(kept)
    return network


@torch.no_grad()
def _answers(network: PromptReader, asked: NDArray[np.bool_]) -> NDArray[np.float32]:
    return network(_tensor(asked)).numpy()


def _tensor(matrix: NDArray[np.bool_]) -> Tensor:
    return torch.from_numpy(matrix).float()
