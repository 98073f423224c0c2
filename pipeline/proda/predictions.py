"""What a trained ProDA says of videos: of all of them as an artifact, of one of them to a person who asks.

Axes: V video, C action, T frame.
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.artifacts import Artifact, create
from pipeline.digest import source_digest
from pipeline.errors import ChoreoError
from pipeline.proda import asking, localisation, trained
from pipeline.proda.data import Data, Videos, graph_of, load
from pipeline.proda.trained import Trained


def proda_predict(
    model: Path,
    graphs: list[Path],
    manifest: Path,
    out: Path,
    *,
    protocol: str = "strict",
    device: str = "auto",
) -> None:
    """Answers of a trained ProDA about every video: without a prompt, to all actions at once, to each by itself.

    Args:
        model: checkpoint of any variant that can be asked.
        graphs: artifacts `scene_graphs`, one a shard.
        manifest: the videos.
        out: artifact `proda_predictions` to write.
        protocol: the protocol that the model was trained under.
        device: 'auto' | 'cpu' | 'cuda'.
    """
    data = load(graphs, manifest, protocol=protocol)
    network = asking.on_device(asking.load(model, data), device)
    ids = sorted({i for videos in data.roles.values() for i in videos.ids})
    inputs, stage = [model, *graphs, manifest], source_digest("proda.predictions")
    with create(out, "proda_predictions", ids=ids, stage=stage, inputs=inputs) as writer:
        writer.share(action=data.actions)
        for videos in data.roles.values():
            answers = _answers(network, videos)
            for row, video_id in enumerate(videos.ids):
                writer.add(video_id, **{name: value[row] for name, value in answers.items()})


def _answers(network: Trained, videos: Videos) -> dict[str, NDArray]:
    """The arrays of the artifact, videos first."""
    shape = videos.labels.shape
    single = asking.ask(network, videos, asking.alone(np.ones(shape, dtype=bool)), asking.single_answer)
    return {
        "middle": asking.prompt_free(network, videos),
        "total": asking.ask(network, videos, asking.everything(videos), asking.video_answer)["total"],
        "queried": single["score"].reshape(shape),
        "frame_weight": single["frame_weight"].reshape(*shape, -1),
        "time": asking.times(network, videos),
    }


def proda_ask(
    *, model: Path, graphs: list[Path], video: str, actions: str = "", theta: float = 0.5, device: str = "auto"
) -> str:
    """Ask a trained ProDA about actions of one video: how likely each is, and when.

    Args:
        model: checkpoint of any variant that can be asked.
        graphs: artifacts `scene_graphs`, one a shard; labels are not needed.
        video: id of the video.
        actions: names, separated by semicolons, each asked by itself; all that the model knows when empty, the
            likeliest first.
        theta: threshold on the curve of frame weights, 0-1.
        device: 'auto' | 'cpu' | 'cuda'.
    """
    network = trained.load(model)
    with Artifact(graphs, "scene_graphs") as artifact:
        if video not in artifact:
            near = get_close_matches(video, artifact.ids, 3)
            cause = artifact.failures.get(video, "the id is another, or its shard was not named")
            raise ChoreoError(
                f"there is no scene graph of '{video}'",
                cause,
                f"did you mean {' or '.join(map(repr, near))}?" if near else "",
            )
        names = [artifact[name].tolist() for name in ("class_name", "relation_name")]
        one = Videos([video], [graph_of(artifact.video(video))], np.zeros((1, len(network.actions)), dtype=bool))
    network = asking.on_device(asking.load(model, Data({"test": one}, network.actions, *names)), device)
    wanted = [name.strip() for name in actions.split(";") if name.strip()]
    rows = sorted({asking.action_index(name, network.actions) for name in wanted} or range(len(network.actions)))
    asked = np.isin(np.arange(len(network.actions)), rows)[None]
    said = asking.ask(network, one, asking.alone(asked), asking.single_answer)
    probability = 1 / (1 + np.exp(-said["score"].astype(float)))
    found, (time,) = localisation.curve(said["frame_weight"]) > theta, asking.times(network, one)
    order = np.argsort(-probability, kind="stable")
    width = max(len(network.actions[r]) for r in rows)
    lines = [f"{'action':{width}}  likely  when"]
    lines += [f"{network.actions[rows[q]]:{width}}  {probability[q]:5.0%}   {_when(found[q], time)}" for q in order]
    return "\n".join(lines)


def _when(found: NDArray[np.bool_], time: NDArray) -> str:
    """Runs of frames in seconds: (T,), (T,) -> `1.2-2.8 s, 5.0 s`."""
    runs = np.split(np.flatnonzero(found), np.flatnonzero(np.diff(np.flatnonzero(found)) > 1) + 1)
    ends = [(time[run[0]], time[run[-1]]) for run in runs if len(run)]
    return ", ".join(f"{a:.1f}-{b:.1f} s" if a < b else f"{a:.1f} s" for a, b in ends)
