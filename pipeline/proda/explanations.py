"""What a trained ProDA looks at when a video is asked about an action: when, at whom and what, in both branches.

Axes: V video, C action, T frame, N node, E edge, L layer of the VGPNN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pipeline import plain
from pipeline.artifacts import Artifact
from pipeline.proda import asking, localisation, measuring
from pipeline.proda.asking import Questions
from pipeline.proda.data import Data, Videos, load
from pipeline.proda.localisation import Intervals
from pipeline.proda.model import Answers, Branch, edges
from pipeline.proda.trained import Trained

SAID = 0.5  # probability from which an action counts as said
THETA = 0.5  # where no interval of val is known to choose it by
STRETCH = 0.5  # likewise: length of stretches, as a share of the frames
WAYS = ("left_out", "weight", "occlusion")  # in which frames are found, see `proda_measure`


def proda_explain(
    model: Path,
    graphs: list[Path],
    manifest: Path,
    out: Path,
    *,
    intervals: Path | None = None,
    videos: int = 8,
    absent: int = 2,
    protocol: str = "strict",
    device: str = "auto",
) -> None:
    """Everything that the report draws of one trained ProDA, as JSON.

    Actions, classes of nodes and relations are told by their index into `actions`, `objects` and `relations`; nodes by
    their place in the graph, where 0 is the person; frames by their place among those that the model saw. All numbers
    are rounded.

    - `graphs`: `annotated` or `predicted`; `actions`, `objects`, `relations`: names
    - `theta`: {weight, occlusion}: thresholds as chosen on val; `length`: frames of a stretch, chosen there too;
      `chosen`: whether they could be
    - `edges`: [[source, target], ...], in the order of `edge_weight`
    - `videos`: chosen test videos, about a third of them with a mistake in `prompt_free`, actions in turn:
        - `id`; `labels`: its actions; `frame`: numbers of the frames in the video, `time`: theirs in seconds
        - `nodes`: class of each node, -1 where there is none; `mask` (T,N): 1 where it is seen; `box` (T,N,4): x1 y1 x2
          y2 over width and height; `relation`: [[frame, node, relation], ...], of the person to a node
        - `prompt_free`, `queried`: [[action, probability], ...] of a_m, and of a_s when the action is asked by itself;
          its labels and all actions that reach 0.5, likeliest first
        - `found`: {left_out, weight, occlusion}: share of its labels found with an IoU of 0.5; null where none has true
          frames
        - `questions`: its labels, then the absent actions that `prompt_free` thinks likeliest, each asked by itself:
            - `action`; `shown`: whether it is a label; `probability` of a_s; `no_action`: that of "no-action"
            - `intervals`: [[start, end], ...] in seconds, the true ones; `true` (T): 1 at the frames in them
            - `curves`: {left_out, weight, occlusion} (T), 0-1: by how much a_m falls when the part of the video around
              the frame is not shown, the frame's weight, by how much a_s falls when the readout leaves the frame out
            - `frames`: {left_out, weight, occlusion} (T): 1 in the best stretch, and where a curve exceeds theta;
              `iou`: of these frames and the true ones; null for an action that is not shown
            - `occlusion` (T): by how much the action's logit falls without the frame
            - `specified`, `unspecified`: the branches: `frame_weight` (T), `node_weight` (T,N), `edge_weight` (L,T,E);
              weights are 0-1, and 0 where there is nothing

    Args:
        model: checkpoint of the variant `full`, or of another one that can be asked.
        graphs: artifacts `scene_graphs`, one a shard.
        manifest: the videos.
        out: JSON file to write.
        intervals: CSV of the true intervals, where they are known.
        videos: number of test videos to explain.
        absent: number of actions a video that are asked about though it does not show them.
        protocol: the protocol that the model was trained under.
        device: 'auto' | 'cpu' | 'cuda'.
    """
    data = load(graphs, manifest, protocol=protocol)
    network = asking.on_device(asking.load(model, data), device)
    known = localisation.read_intervals(intervals) if intervals else {}
    thetas, length, could = _chosen_on_val(network, data, known)
    explained = _Explained(network, data.actions, known, thetas, length)
    test = data.roles["test"]
    rows = choose(test.labels, _probability(asking.prompt_free(network, test)) >= SAID, videos)
    chosen = [Videos([test.ids[r]], [test.graphs[r]], test.labels[[r]]) for r in rows]
    with Artifact(graphs, "scene_graphs") as artifact:
        origin = str(artifact["origin"][0])
        numbers = [artifact.video(video.ids[0])["frame"] for video in chosen]
    result = {
        "graphs": origin,
        "actions": data.actions,
        "objects": data.objects,
        "relations": data.relations,
        "theta": thetas,
        "length": length,
        "chosen": could,
        "edges": edges(network.settings.graph, test.graphs[0].mask.shape[1]).tolist(),
        "videos": [_video(explained, video, n, absent) for video, n in zip(chosen, numbers, strict=True)],
    }
    plain.write(out, result, digits=3)


@dataclass(frozen=True)
class _Explained:
    """A model, the names of its actions, the true intervals as far as they are known, and what was chosen on val."""

    network: Trained
    actions: Sequence[str]
    intervals: Intervals
    thetas: Mapping[str, float]
    length: int

    def true_frames(self, videos: Videos) -> NDArray[np.bool_]:
        """The frames that the model sees of each action: (V,C,T)."""
        return measuring.true_frames(self.network, videos, self.actions, self.intervals)


def choose(labels: NDArray[np.bool_], said: NDArray[np.bool_], count: int) -> list[int]:
    """Rows of some right and, up to a third, some wrong videos, their first actions in turn: (V,C), (V,C)."""
    right = (labels == said).all(axis=1)

    def in_turn(rows: NDArray) -> list[int]:
        first = np.where(labels[rows].any(axis=1), labels[rows].argmax(axis=1), labels.shape[1])
        by_action = [rows[first == c] for c in np.unique(first)]
        return [int(row) for turn in zip_longest(*by_action) for row in turn if row is not None]

    well, badly = in_turn(np.flatnonzero(right)), in_turn(np.flatnonzero(~right))
    few = badly[: max(count // 3, count - len(well))]
    return well[: count - len(few)] + few


def _chosen_on_val(network: Trained, data: Data, known: Intervals) -> tuple[dict[str, float], int, bool]:
    """Thresholds of both curves, the length of stretches, and whether val could choose them."""
    val = data.roles["val"]
    true = measuring.true_frames(network, val, data.actions, known)[val.labels]
    if not true.any():
        return {"weight": THETA, "occlusion": THETA}, max(1, round(STRETCH * true.shape[1])), False
    thetas = {
        name: localisation.choose_theta(curve, true) for name, curve in measuring.own_curves(network, val).items()
    }
    return thetas, localisation.choose_length(asking.left_out(network, val)[val.labels], true), True


def _video(explained: _Explained, video: Videos, number: NDArray, absent: int) -> dict[str, object]:
    """The explanation of one video: its graph, what is said of it, and the questions."""
    network, (graph,), (labels,) = explained.network, video.graphs, video.labels
    (taken,), (time,), (true,) = (
        asking.frames(network, video),
        asking.times(network, video),
        explained.true_frames(video),
    )
    free = _probability(asking.prompt_free(network, video)[0])
    every = asking.alone(np.ones_like(video.labels))
    queried = _probability(asking.ask(network, video, every, asking.single_answer)["score"])
    others = np.argsort(-np.where(labels, -1, free), kind="stable")[: min(absent, (~labels).sum())]
    asked = [*np.flatnonzero(labels).tolist(), *others.tolist()]
    (left_out,) = asking.left_out(network, video)  # (C,T)
    questions = [
        _question(explained, video.ids[0], action, bool(labels[action]), true[action], said, left_out[action])
        for action, said in zip(asked, _answers(network, video, asked), strict=True)
    ]
    scored = [q["iou"] for q in questions if q["iou"]["weight"] is not None]
    return {
        "id": video.ids[0],
        "labels": np.flatnonzero(labels),
        "frame": number[taken],
        "time": time,
        "nodes": graph.kind,
        "mask": graph.mask[taken].astype(int),
        "box": graph.box[taken].astype(float),
        "relation": np.argwhere(graph.relation[taken]),
        "prompt_free": _told(free, labels),
        "queried": _told(queried, labels),
        "found": {name: np.mean([iou[name] >= 0.5 for iou in scored]) if scored else None for name in WAYS},
        "questions": questions,
    }


def _answers(network: Trained, video: Videos, asked: Sequence[int]) -> list[dict[str, NDArray]]:
    """Everything that is kept of the answers to questions for one action each."""

    def read(answers: Answers, specified: Tensor) -> dict[str, Tensor]:
        action = asking.asked_action(specified)
        parts = {"specified": answers.specified, "unspecified": answers.unspecified}
        return {
            "score": answers.specified.logits.gather(1, action)[:, 0],
            "no_action": answers.specified.logits[:, -1],
            "occlusion": asking.occlusion(network.network, answers, action),
        } | {f"{name}/{key}": value for name, branch in parts.items() for key, value in _weights(branch).items()}

    specified = np.eye(video.labels.shape[1], dtype=bool)[list(asked)]
    if not len(specified):
        return []
    said = asking.ask(network, video, Questions(np.zeros(len(specified), dtype=int), specified), read)
    return [{name: value[q] for name, value in said.items()} for q in range(len(specified))]


def _weights(branch: Branch) -> dict[str, Tensor]:
    """What a branch keeps, video first."""
    return {
        "frame_weight": branch.frame_weight,
        "node_weight": branch.node_weight,
        "edge_weight": branch.edge_weight.transpose(0, 1),
    }


def _question(
    explained: _Explained,
    video_id: str,
    action: int,
    shown: bool,
    true: NDArray[np.bool_],
    said: Mapping[str, NDArray],
    left_out: NDArray,
) -> dict[str, object]:
    """One question, its answer, and what the answer rests on."""
    spans = explained.intervals.get((video_id, explained.actions[action]), ())
    curves = {
        "left_out": localisation.occlusion_curve(left_out),
        "weight": localisation.curve(said["specified/frame_weight"]),
        "occlusion": localisation.occlusion_curve(said["occlusion"]),
    }
    frames = {name: curves[name] > theta for name, theta in explained.thetas.items()}
    frames["left_out"] = localisation.best_stretch(left_out[None], explained.length)[0]
    branches = {
        branch: {key: said[f"{branch}/{key}"] for key in ("frame_weight", "node_weight", "edge_weight")}
        for branch in ("specified", "unspecified")
    }
    return {
        "action": action,
        "shown": shown,
        "probability": float(_probability(said["score"])),
        "no_action": float(_probability(said["no_action"])),
        "intervals": spans,
        "true": true.astype(int),
        "curves": curves,
        "frames": {name: found.astype(int) for name, found in frames.items()},
        "iou": {name: localisation.iou(frames[name], true) if spans else None for name in WAYS},
        "occlusion": said["occlusion"],
    } | branches


def _told(probability: NDArray, labels: NDArray[np.bool_]) -> list[tuple[int, float]]:
    """The labels and all that is said, likeliest first: (C,), (C,)."""
    kept = np.flatnonzero(labels | (probability >= SAID))
    return [(int(a), float(probability[a])) for a in kept[np.argsort(-probability[kept], kind="stable")]]


def _probability(logit: NDArray) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-np.asarray(logit, dtype=float)))
