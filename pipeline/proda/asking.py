"""Asking a trained ProDA: questions in, answers as arrays out.

A question is a video and the actions that are asked for (its SAP). A video is encoded once, however many questions are
asked of it.

Axes: V video, Q question, C action, T frame, N node, D feature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.encoders.weights import pick_device
from pipeline.errors import ChoreoError
from pipeline.proda import trained
from pipeline.proda.data import Data, Videos, blind, collate, sample
from pipeline.proda.model import Answers, Encoded, Graphs, Proda
from pipeline.proda.specifications import draw
from pipeline.proda.trained import Trained

BATCH = 64  # videos that are encoded, and questions that are asked, at once
HIDDEN = 0.25  # share of a video that is left out at a time, see `left_out`
PLACES = 13  # at which it is left out

Read = Callable[[Answers, Tensor], Mapping[str, Tensor]]  # answers, the actions asked (Q,C) -> what is kept of them


# Questions -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Questions:
    """Questions to some videos.

    Attributes:
        video: (Q,) row of the video, never falling.
        specified: (Q,C) bool, the actions that are asked for.
    """

    video: NDArray[np.int64]
    specified: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.video)

    def __getitem__(self, rows: NDArray | slice) -> Questions:
        return Questions(self.video[rows], self.specified[rows])


def everything(videos: Videos) -> Questions:
    """All actions at once: what somebody asks who knows nothing of the video. One question a video."""
    return Questions(np.arange(len(videos)), np.ones(videos.labels.shape, dtype=bool))


def alone(asked: NDArray[np.bool_]) -> Questions:
    """Each chosen action by itself: (V,C) -> one question for each that is set, video after video."""
    video, action = np.nonzero(asked)
    return Questions(video, np.eye(asked.shape[1], dtype=bool)[action])


def from_labels(videos: Videos, length: int, seed: int = 0) -> Questions:
    """The paper's protocol: prompts made of the labels that are to be found (ProDA, App. C), drawn once.

    The prompts of a video depend on its id and labels, not on which other videos there are.
    """
    each = [
        draw(labels, np.random.default_rng([seed, crc32(i.encode())]), length=length)
        for i, labels in zip(videos.ids, videos.labels, strict=True)
    ]
    return Questions(np.repeat(np.arange(len(videos)), [len(s) for s in each]), np.concatenate(each))


def action_index(name: str, actions: Sequence[str]) -> int:
    """Index of an action by its name; capitals do not matter.

    Raises:
        ChoreoError: the model knows no such action; the nearest names are told.
    """
    plain = [action.lower() for action in actions]
    if name.lower() in plain:
        return plain.index(name.lower())
    near = [actions[plain.index(match)] for match in get_close_matches(name.lower(), plain, 3, cutoff=0.4)]
    raise ChoreoError(
        f"the model knows no action '{name}'",
        "a prompt is made of the actions of the training videos, told by their names",
        f"did you mean {' or '.join(repr(n) for n in near)}?" if near else f"one of {', '.join(actions)}",
    )


# Answers ---------------------------------------------------------------------------------------------------------


def ask(
    model: Trained, videos: Videos, questions: Questions, read: Read, *, blinded: bool = False, batch: int = BATCH
) -> dict[str, NDArray]:
    """Ask a model, and keep what `read` takes of its answers: name -> (Q,...).

    Args:
        model: a `Proda`.
        videos: whom the questions are about.
        questions: at least one.
        read: what to keep.
        blinded: zero the videos first, so that the prompt is all there is to read.
        batch: videos to encode, and questions to ask, at once.
    """
    network: Proda = model.network
    parts: list[Mapping[str, Tensor]] = []
    with torch.inference_mode():
        for first, graphs in _batches(model, videos, batch):
            here = questions[(questions.video >= first) & (questions.video < first + batch)]
            encoded = network.encode(blind(graphs) if blinded else graphs)
            parts += [_read(network, encoded, here[n : n + batch], first, read) for n in range(0, len(here), batch)]
    return {name: torch.cat([part[name] for part in parts]).numpy() for name in parts[0]}


def _read(network: Proda, encoded: Encoded, questions: Questions, first: int, read: Read) -> dict[str, Tensor]:
    device = encoded.original.device
    rows = torch.from_numpy(questions.video - first).to(device)
    specified = torch.from_numpy(questions.specified).to(device)
    return {name: x.float().cpu() for name, x in read(network.ask(encoded.index(rows), specified), specified).items()}


def load(path: Path, data: Data | None = None) -> Trained:
    """A trained network that can be asked, see `trained.load`.

    Raises:
        ChoreoError: also when it is the encoder alone.
    """
    network = trained.load(path, data)
    if not isinstance(network.network, Proda):
        raise ChoreoError(f"{path} cannot be asked", "it is the encoder alone", "use a checkpoint of another variant")
    return network


def on_device(model: Trained, device: str = "auto") -> Trained:
    """The same model, its network on a device: 'auto' | 'cpu' | 'cuda'."""
    model.network.to(pick_device(device))
    return model


def prompt_free(
    model: Trained, videos: Videos, *, taken: NDArray[np.int64] | None = None, batch: int = BATCH
) -> NDArray[np.float32]:
    """Logits without any prompt (V,C): a_m of a `Proda`, or those of an `EncoderAlone`.

    Args:
        model: any trained network.
        videos: what it is shown.
        taken: (V,T) the frames of each graph that it is shown; None: as ever.
        batch: videos at once.
    """
    network = model.network

    def logits(graphs: Graphs) -> Tensor:
        return network.middle(network.encode(graphs)) if isinstance(network, Proda) else network(graphs)

    with torch.inference_mode():
        return torch.cat([logits(graphs).float().cpu() for _, graphs in _batches(model, videos, batch, taken)]).numpy()


def left_out(model: Trained, videos: Videos, *, batch: int = BATCH) -> NDArray[np.float64]:
    """By how much the logit of an action, asked nothing, falls without the part of the video around a frame: (V,C,T).

    A quarter of the video is left out at a time, at places all over it; the network is shown as many frames as ever,
    evenly of what is left, as it was in training, where frames are drawn at random. A frame's value is the mean over
    the quarters that it lies in. Not in the paper: there frames are told by the readout's weights, but attention has
    spread what each frame shows over all others by then, and only what is left out at first is left out.
    """
    lengths, seen = np.array([len(graph) for graph in videos.graphs]), frames(model, videos)
    widths = np.maximum(1, (HIDDEN * lengths).round().astype(int))
    whole = prompt_free(model, videos, batch=batch)
    total, times = np.zeros((*whole.shape, seen.shape[1])), np.zeros((len(videos), 1, seen.shape[1]))
    for place in np.linspace(0, 1, PLACES):
        starts = (place * (lengths - widths)).round().astype(int)
        rest = [_without(*stretch, seen.shape[1]) for stretch in zip(lengths, starts, widths, strict=True)]
        fall = whole - prompt_free(model, videos, taken=np.stack(rest), batch=batch)  # (V,C)
        hidden = ((seen >= starts[:, None]) & (seen < (starts + widths)[:, None]))[:, None]  # (V,1,T)
        total, times = total + fall[..., None] * hidden, times + hidden
    return total / np.maximum(times, 1)


def _without(length: int, start: int, width: int, frames: int) -> NDArray[np.int64]:
    """`frames` frames, evenly of those outside a stretch; of all, where nothing lies outside."""
    rest = np.r_[:start, start + width : length] if width < length else np.arange(length)
    return rest[sample(len(rest), frames)]


def _batches(
    model: Trained, videos: Videos, batch: int, taken: NDArray[np.int64] | None = None
) -> Iterator[tuple[int, Graphs]]:
    """First row and graphs of each batch of videos, as the network sees them and where it is."""
    device = next(model.network.parameters()).device
    taken = frames(model, videos) if taken is None else taken
    for first in range(0, len(videos), batch):
        rows = slice(first, first + batch)
        yield first, model.see(collate(videos.graphs[rows], taken[rows])).to(device)


def frames(model: Trained, videos: Videos) -> NDArray[np.int64]:
    """The frames of each graph that the network sees: indices (V,T)."""
    count, window = model.settings.frames, str(model.recipe["window"])
    return np.stack([sample(len(graph), count, window=window) for graph in videos.graphs])


def times(model: Trained, videos: Videos) -> NDArray[np.float64]:
    """Times in seconds of the frames that the network sees: (V,T)."""
    each = zip(videos.graphs, frames(model, videos), strict=True)
    return np.stack([graph.time[taken].astype(float) for graph, taken in each])


# What to keep of answers -----------------------------------------------------------------------------------------


def video_answer(answers: Answers, _: Tensor) -> dict[str, Tensor]:
    """Logits a_t (Q,C)."""
    return {"total": answers.total}


def single_answer(answers: Answers, specified: Tensor) -> dict[str, Tensor]:
    """Of questions that ask one action each: its logit a_s (Q,), and the frame weights (Q,T)."""
    score = answers.specified.logits.gather(1, asked_action(specified))
    return {"score": score[:, 0], "frame_weight": answers.specified.frame_weight}


def asked_action(specified: Tensor) -> Tensor:
    """The action that each question asks for, where it asks for one: (Q,C) -> (Q,1)."""
    return specified.int().argmax(dim=1, keepdim=True)


def occlusion(network: Proda, answers: Answers, action: Tensor) -> Tensor:
    """By how much the specified branch's logit of an action falls when the readout leaves a frame out: (Q,1) -> (Q,T).

    Nothing but the readout and the head is computed again: the other frames have seen the one that is left out.
    """
    branch, readout = answers.specified, network.specified_readout
    frame = readout.frame((branch.node_weight[..., None] * branch.feature).sum(dim=2))  # (Q,T,D)
    part = branch.frame_weight[..., None] * frame
    without = network.specified_head(readout.video(part.sum(dim=1, keepdim=True) - part))  # (Q,T,C+1)
    drop = branch.logits[:, None] - without
    return drop.gather(2, action[:, None].expand(-1, drop.shape[1], -1))[..., 0]
