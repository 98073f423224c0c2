"""A trained AQA model as it stands on disk: the network, what is needed to ask it, and what it answers.

Axes: T clip, D feature, Q query, W width of the decoder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline import checkpoint
from pipeline.aqa.data import Data, Task, Videos, collate, crop
from pipeline.aqa.model import Aqa, Output, Settings


@dataclass(frozen=True)
class Trained:
    """A network and what it was trained on.

    Attributes:
        network: the network; `answers` leaves it in evaluation mode.
        settings: numbers of its architecture.
        variant: name in `variants.VARIANTS`.
        task: the score that it gives.
        mean, scale: (D,) by which features are standardised; 0 and 1 where they are taken as they are.
        recipe: options of its training, `seed`, `clips`, `crop` and `masked` among them.
        figures: on val, of the epoch whose weights these are.
    """

    network: Aqa
    settings: Settings
    variant: str
    task: Task
    mean: NDArray
    scale: NDArray
    recipe: dict[str, object]
    figures: dict[str, float]

    @property
    def random(self) -> bool:
        """Whether its answers hang on random numbers, as published: queries or crops drawn anew for every answer."""
        return self.settings.redraw or self.recipe["crop"] == "always"

    def see(self, feature: NDArray) -> NDArray:
        """Features (T,D) as the network is shown them."""
        return (feature - self.mean) / self.scale


@dataclass(frozen=True)
class Answer:
    """What the network says of one video; there is no padding in it.

    Attributes:
        score: in points, on the scale of the task; the sum of `weight` * `quality` (Eq. 4).
        weight: (Q,) of each query, sums to 1.
        quality: (Q,) score of each query, in points.
        start, end: (T,) seconds of the clips that it saw.
        self_attention: (layers,Q,Q), mean over heads.
        cross_attention: (layers,Q,T), mean over heads.
        queries: (layers,Q,W), the queries after each layer.
    """

    score: float
    weight: NDArray
    quality: NDArray
    start: NDArray
    end: NDArray
    self_attention: NDArray
    cross_attention: NDArray
    queries: NDArray


@torch.inference_mode()
def answers(trained: Trained, videos: Videos, *, batch: int = 1) -> list[Answer]:
    """What a network says of each video, all its clips seen, on the device where the network is.

    Of one video at a time an answer is the same to the last bit whatever else is asked; larger batches are faster and
    the same but for rounding. Published variants, which draw random numbers for every answer, are asked one at a time
    and draw those of the seed and the video's id.

    Args:
        trained: the network.
        videos: whom to ask of; their targets are not looked at.
        batch: videos at a time.
    """
    trained.network.eval()
    batch = 1 if trained.random else batch
    found: list[Answer] = []
    device = next(trained.network.parameters()).device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        for first in range(0, len(videos), batch):
            found += _ask(trained, videos, range(first, min(first + batch, len(videos))), device)
    return found


def _ask(trained: Trained, videos: Videos, rows: range, device: torch.device) -> list[Answer]:
    """The answers of one batch."""
    rng = None
    if trained.random:
        seed = _seed(trained.recipe["seed"], videos.ids[rows[0]])
        torch.manual_seed(seed)
        rng = np.random.default_rng(seed) if trained.recipe["crop"] == "always" else None
    seen = [videos.clips[row] for row in rows]
    seen = [clips[crop(len(clips), trained.recipe["clips"], rng)] for clips in seen]
    masked = trained.recipe["masked"]
    padded = collate(
        [trained.see(clips.feature) for clips in seen],
        length=0 if masked else trained.recipe["clips"],
        masked=masked,
    )
    output = trained.network(*(part.to(device) for part in padded))
    return [_answer(output, row, clips.start, clips.end, trained.task) for row, clips in enumerate(seen)]


def _answer(output: Output, row: int, start: NDArray, end: NDArray, task: Task) -> Answer:
    def layers(tensors: list[Tensor]) -> NDArray:
        return torch.stack([tensor[row] for tensor in tensors]).float().cpu().numpy()

    return Answer(
        score=float(task.points(output.score[row].item())),
        weight=output.weight[row].cpu().numpy(),
        quality=task.points(output.quality[row].cpu().numpy()),
        start=start,
        end=end,
        self_attention=layers(output.self_attention),
        cross_attention=layers(output.cross_attention)[:, :, : len(start)],
        queries=layers(output.queries),
    )


def _seed(seed: int, video_id: str) -> int:
    """A seed for one video: a stable hash, so that it does not depend on the others."""
    return int.from_bytes(hashlib.sha256(f"{seed} {video_id}".encode()).digest()[:7])


# On disk ----------------------------------------------------------------------------------------------------


def save(path: Path, trained: Trained, state: Mapping[str, object]) -> None:
    """Write a trained network; `state` are the weights to keep, which need not be those it has now."""
    settings = asdict(trained.settings) | {"variant": trained.variant, "task": trained.task.options}
    standard = {"mean": torch.from_numpy(trained.mean), "scale": torch.from_numpy(trained.scale)}
    more = {"recipe": trained.recipe, "figures": trained.figures, "standard": standard}
    checkpoint.save(path, model="aqa", settings=settings, state=state, **more)


def load(path: Path, data: Data | None = None) -> Trained:
    """Read a trained network, in evaluation mode and on the CPU.

    Args:
        path: the checkpoint.
        data: what it is to be used on; its task and the length of its features must be those of the training.

    Raises:
        ChoreoError: there is none, it is damaged, or it was trained on other data (naming what differs).
    """
    wanted = {} if data is None else {"features": data.features, "task": data.task.options}
    content = checkpoint.load(path, "aqa", wanted)
    found = content["settings"]
    settings = settings_of(found)
    network = Aqa(settings)
    network.load_state_dict(content["state"])
    return Trained(
        network.eval(),
        settings,
        found["variant"],
        Task.of(found["task"]),
        content["standard"]["mean"].numpy(),
        content["standard"]["scale"].numpy(),
        content["recipe"],
        content["figures"],
    )


def settings_of(options: Mapping[str, object]) -> Settings:
    """The settings of a network among other options.

    Raises:
        ValueError: they make no network.
    """
    given = {f.name: options[f.name] for f in fields(Settings) if f.name in options}
    return Settings(**given | {"hidden": tuple(given["hidden"])})
