"""What a trained ProDA reaches: without a prompt, asked, and with the paper's prompts, each beside its control.

The paper's figure (71.1 on Charades) asks each test video with prompts made of its own labels. Here that is
`map/oracle_prompt`, and beside it stands what the prompt alone gives away.

Axes: V video, Q question, C action, T frame, D feature, P a video and one of its own actions.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pipeline import plain
from pipeline.artifacts import Artifact
from pipeline.errors import ChoreoError
from pipeline.proda import asking, localisation, separation, trained
from pipeline.proda.asking import Questions
from pipeline.proda.data import Videos, load
from pipeline.proda.localisation import Intervals
from pipeline.proda.model import Answers
from pipeline.proda.ranking import average_precision, mean_average_precision
from pipeline.proda.robustness import by_labels
from pipeline.proda.trained import Trained

log = logging.getLogger(__name__)

CONTROL = "map/prompt_only_control"


@dataclass
class Measured:
    """What one network reaches: figures, name -> (value, unit), and tables for the report."""

    figures: dict[str, tuple[float, str]] = field(default_factory=dict)
    tables: dict[str, object] = field(default_factory=dict)

    def share(self, name: str, value: float) -> None:
        """Add a figure between 0 and 1."""
        self.figures[name] = (float(value), "share")

    def ranked(self, name: str, score: NDArray, label: NDArray) -> None:
        """Add the mAP of some scores."""
        self.share(name, mean_average_precision(score, label))


@dataclass(frozen=True)
class Exam:
    """What all networks are measured on.

    Attributes:
        val, test: videos; theta is chosen on val, and nothing else is.
        actions: names.
        prompts: the paper's, made of the test videos' labels.
        intervals: the true ones, where they are known.
    """

    val: Videos
    test: Videos
    actions: list[str]
    prompts: Questions
    intervals: Intervals | None = None

    @property
    def shown(self) -> NDArray[np.bool_]:
        """Labels of the video of each of the prompts: (Q,C)."""
        return self.test.labels[self.prompts.video]

    @property
    def clean(self) -> NDArray[np.bool_]:
        """Which prompts name nothing that the video does not show: (Q,)."""
        return ~(self.prompts.specified & ~self.shown).any(axis=1)


# One network -----------------------------------------------------------------------------------------------------


def measure(network: Trained, exam: Exam, *, pretrained: bool = False) -> Measured:
    """What a network reaches; which figures, its variant says.

    Args:
        network: in evaluation mode.
        exam: what it is measured on.
        pretrained: it is as it was after the first stage of training, in which a_m has not been trained yet.
    """
    measured = Measured()
    if pretrained and network.variant in ("encoder", "blind"):
        return measured
    if network.variant == "encoder":
        measured.ranked("map/encoder_alone", asking.prompt_free(network, exam.test), exam.test.labels)
        return measured
    prompted = _prompted(network, exam)
    if network.variant == "blind":
        _prompt_only(network, exam, prompted, measured)
        return measured
    prefix = f"ablation/{network.variant}" + "/pretrained" * pretrained
    measured.ranked(f"{prefix}/map/oracle_prompt", prompted["total"], exam.shown)
    if pretrained:
        return measured
    free = asking.prompt_free(network, exam.test)
    measured.ranked(f"{prefix}/map/prompt_free", free, exam.test.labels)
    if network.variant == "full":
        queried = _queried(network, exam.test)
        _accuracy(network, exam, free, queried["score"], prompted, measured)
        _separation(network, exam, measured)
        if exam.intervals is not None:
            _localisation(network, exam, queried, measured)
            _localisation_of_prompts(network, exam, prompted, measured)
    return measured


def _prompted(network: Trained, exam: Exam, *, blinded: bool = False) -> dict[str, NDArray]:
    """Answers to the paper's prompts: logits a_t `total` and a_s `specified` (Q,C), frame weights of a_s (Q,T)."""

    def read(answers: Answers, _: Tensor) -> dict[str, Tensor]:
        branch = answers.specified
        return {"total": answers.total, "specified": branch.logits[:, :-1], "frame_weight": branch.frame_weight}

    return asking.ask(network, exam.test, exam.prompts, read, blinded=blinded)


def _queried(network: Trained, videos: Videos) -> dict[str, NDArray]:
    """Every action asked of every video by itself: logits a_s `score` (V,C), `frame_weight` (V,C,T)."""
    said = asking.ask(network, videos, asking.alone(np.ones_like(videos.labels)), asking.single_answer)
    return {name: value.reshape(*videos.labels.shape, *value.shape[1:]) for name, value in said.items()}


def _accuracy(
    network: Trained,
    exam: Exam,
    free: NDArray,
    queried: NDArray,
    prompted: Mapping[str, NDArray],
    measured: Measured,
) -> None:
    """mAP of the full model in every protocol, beside the control that needs no training of its own."""
    labels, shown, specified = exam.test.labels, exam.shown, exam.prompts.specified
    total = asking.ask(network, exam.test, asking.everything(exam.test), asking.video_answer)["total"]
    zeroed = _prompted(network, exam, blinded=True)
    measured.ranked("map/chance", np.zeros(labels.shape), labels)
    measured.ranked("map/prompt_free", free, labels)
    measured.ranked("map/prompt_free/all_query", total, labels)
    measured.ranked("map/queried", queried, labels)
    measured.ranked("map/oracle_prompt", prompted["total"], shown)
    measured.ranked("map/oracle_prompt/specified", prompted["specified"], shown & specified)
    measured.ranked(f"{CONTROL}/zeroed", zeroed["total"], shown)
    measured.ranked(f"{CONTROL}/zeroed/specified", zeroed["specified"], shown & specified)
    measured.tables["robustness"] = by_labels(prompted["specified"], shown, specified)
    measured.tables["average_precision"] = {
        "prompt_free": average_precision(free, labels),
        "queried": average_precision(queried, labels),
        "oracle_prompt": average_precision(prompted["total"], shown),
    }


def _prompt_only(network: Trained, exam: Exam, prompted: Mapping[str, NDArray], measured: Measured) -> None:
    """The control: a model that never saw a video, on the same prompts and queries."""
    measured.ranked(CONTROL, prompted["total"], exam.shown)
    measured.ranked(f"{CONTROL}/specified", prompted["specified"], exam.shown & exam.prompts.specified)
    measured.ranked(f"{CONTROL}/queried", _queried(network, exam.test)["score"], exam.test.labels)
    distance = separation.feature_distances(*_own_features(network, exam.test))
    _distances("distance/feature/prompt_only_control", distance, "length", measured)


# Localisation ----------------------------------------------------------------------------------------------------


def true_frames(network: Trained, videos: Videos, actions: Sequence[str], intervals: Intervals) -> NDArray[np.bool_]:
    """The frames that the network sees of each action: (V,C,T)."""
    return localisation.truth(videos.ids, asking.times(network, videos), actions, intervals)


def _localisation(network: Trained, exam: Exam, queried: Mapping[str, NDArray], measured: Measured) -> None:
    """Frames found for a video's own actions: by what is left out, by their weights, by occlusion, and by guessing."""
    every, labels = true_frames(network, exam.test, exam.actions, exam.intervals), exam.test.labels
    true_of_val = true_frames(network, exam.val, exam.actions, exam.intervals)[exam.val.labels]  # (P,T)
    true, curves, of_val = every[labels], own_curves(network, exam.test), own_curves(network, exam.val)
    theta = {name: localisation.choose_theta(curve, true_of_val) for name, curve in of_val.items()}
    evidence = [asking.left_out(network, videos)[videos.labels] for videos in (exam.val, exam.test)]  # (P,T)
    length = localisation.choose_length(evidence[0], true_of_val)

    found = {f"by_{name}": (of_val[name] > theta[name], curves[name] > theta[name]) for name in curves}
    found["left_out"] = tuple(localisation.best_stretch(e, length) for e in evidence)
    on_val = {name: localisation.recall(frames, true_of_val) for name, (frames, _) in found.items()}
    chosen = max(on_val, key=on_val.get)
    measured.share("localisation/recall@0.5", localisation.recall(found[chosen][1], true))
    of_test = {name: frames for name, (_, frames) in found.items()}
    of_test |= {"all_frames": np.ones(true.shape[1], bool), "middle_half": localisation.middle_half(true.shape[1])}
    for name, frames in of_test.items():
        measured.share(
            f"localisation/{name}/recall@0.5", localisation.recall(np.broadcast_to(frames, true.shape), true)
        )

    curve, nobody = localisation.curve(queried["frame_weight"]), np.zeros(every.shape)
    likely = curve / (1 + np.exp(-queried["score"].astype(float)))[..., None]
    measured.share("localisation/frame_map", localisation.frame_map(curve, every, labels))
    measured.share("localisation/frame_map/chance", localisation.frame_map(nobody, every, labels))
    measured.share("localisation/detection_map", localisation.frame_map(likely, every, np.ones_like(labels)))
    measured.share("localisation/detection_map/chance", localisation.frame_map(nobody, every, np.ones_like(labels)))
    measured.tables["localisation"] = {
        "chosen": chosen,
        "recall_on_val": on_val,
        "theta": theta,
        "length": length,
        "between_frames": float((~true.any(axis=1)).mean()),
        "recall_by_theta": {
            name: [localisation.recall(curve > t, true) for t in localisation.GRID] for name, curve in curves.items()
        },
    }


def _localisation_of_prompts(network: Trained, exam: Exam, prompted: Mapping[str, NDArray], measured: Measured) -> None:
    """Tables 8-9: what the paper calls mAP, for both kinds of prompts; the figure is that of their middle cell."""
    every, present = true_frames(network, exam.test, exam.actions, exam.intervals), exam.prompts.specified & exam.shown
    curve, tables = localisation.curve(prompted["frame_weight"]), {}
    for kind, rows in (("clean", exam.clean), ("distractor", ~exam.clean)):
        tables[kind] = localisation.paper_table(curve[rows], every[exam.prompts.video[rows]], present[rows])
    measured.share("localisation/paper_map", tables["clean"][1][1])
    measured.share("localisation/paper_map/distractor", tables["distractor"][1][1])
    measured.tables["paper_map"] = tables


def own_curves(network: Trained, videos: Videos) -> dict[str, NDArray]:
    """Curves of every video's own actions, each asked alone: (P,T), by weight and by occlusion."""

    def read(answers: Answers, specified: Tensor) -> dict[str, Tensor]:
        drop = asking.occlusion(network.network, answers, asking.asked_action(specified))
        return {"weight": answers.specified.frame_weight, "drop": drop}

    said = asking.ask(network, videos, asking.alone(videos.labels), read)
    return {
        "weight": localisation.curve(said["weight"]),
        "occlusion": localisation.occlusion_curve(said["drop"]),
    }


# Separation ------------------------------------------------------------------------------------------------------


def _own_features(network: Trained, videos: Videos) -> tuple[NDArray, NDArray]:
    """Disentangled features (P,D) of every video's own actions, each asked alone, and the actions (P,)."""
    own = asking.alone(videos.labels)
    said = asking.ask(network, videos, own, lambda answers, _: {"feature": answers.specified.pooled})
    return said["feature"], own.specified.argmax(axis=1)


def _separation(network: Trained, exam: Exam, measured: Measured) -> None:
    """Distances within and between actions, in the plane of Figure 4 and between the features themselves."""
    feature, action = _own_features(network, exam.test)
    point = separation.plane(feature)
    _distances("distance", separation.distances(point, action), "plane", measured)
    _distances("distance/feature", separation.feature_distances(feature, action), "length", measured)
    measured.tables["separation"] = [[x, y, a] for (x, y), a in zip(point.tolist(), action.tolist(), strict=True)]


def _distances(name: str, distance: tuple[float, float], unit: str, measured: Measured) -> None:
    measured.figures |= {f"{name}/{which}": (d, unit) for which, d in zip(("intra", "inter"), distance, strict=True)}


# Stage -----------------------------------------------------------------------------------------------------------


def proda_measure(
    models: list[Path],
    graphs: list[Path],
    manifest: Path,
    out: Path,
    *,
    pretrained: list[Path] | None = None,
    intervals: Path | None = None,
    protocol: str = "strict",
    device: str = "auto",
) -> None:
    """Figures and tables of trained networks, of any variants and seeds, on the test videos.

    They become `metrics.json` by `proda_evaluate`.

    Of the variant `full`:

    - `map/prompt_free`: a_m, from the features before disentanglement. `map/prompt_free/all_query`: a_t, all actions
      asked for at once. `map/queried`: a_s, every action asked of every video by itself. `map/chance`: of equal scores.
    - `map/oracle_prompt`: a_t, prompts made of the test videos' own labels, as in the paper; each is a sample.
      `map/oracle_prompt/specified`: a_s, of the labels inside the prompt.
    - `map/prompt_only_control/zeroed`: the same model and prompts with the videos zeroed.
    - `localisation/recall@0.5`: share of the true (video, action) whose frames are found with an IoU of 0.5 or more, in
      the way that finds most on val: `localisation/left_out/...`: the stretch without which a_m falls most, its length
      chosen on val; `localisation/by_weight/...`: frames whose weight is above theta when the action is asked alone,
      theta chosen on val, as in the paper; `localisation/by_occlusion/...`: the same by how much a_s falls when the
      readout leaves a frame out. `localisation/all_frames/...`, `localisation/middle_half/...`: of guesses that look at
      nothing.
    - `localisation/frame_map`: average precision of the frames of videos that show the action, mean over actions;
      `localisation/detection_map`: of the frames of all videos, times the action's score; `.../chance`: of equal
      scores.
    - `localisation/paper_map`: what Table 9 calls mAP at theta 0.5 and IoU 0.5, `.../distractor`: Table 8.
    - `distance/intra`, `distance/inter`: of features to the centre of their action and of the centres, in the plane of
      t-SNE (Figure 4); `distance/feature/...`: of the features themselves, at length 1.

    Of `encoder`: `map/encoder_alone`. Of `blind`: `map/prompt_only_control`, `.../specified`, `.../queried`, and
    `distance/feature/prompt_only_control/...`. Of all others, and of `full`: `ablation/<variant>/map/oracle_prompt` and
    `.../map/prompt_free`, and `ablation/<variant>/pretrained/map/oracle_prompt`.

    Args:
        models: checkpoints after both stages of training, of any variants and seeds.
        graphs: artifacts `scene_graphs`, one a shard.
        manifest: the videos.
        out: JSON file to write.
        pretrained: checkpoints after the first stage.
        intervals: CSV of the true intervals, where they are known.
        protocol: the protocol that the models were trained under.
        device: 'auto' | 'cpu' | 'cuda'.
    """
    data = load(graphs, manifest, protocol=protocol)
    with Artifact(graphs, "scene_graphs") as artifact:
        origin = str(artifact["origin"][0])
    every = [(path, False) for path in models] + [(path, True) for path in pretrained or []]
    if not every:
        raise ChoreoError("there is no model to measure", "no checkpoint was named", "train one first")
    for role in ("val", "test"):
        if not data.roles[role].labels.any():
            raise ChoreoError(f"no video of '{role}' shows an action", "labels are missing", "look at the manifest")
    exam, rows, lengths = None, [], {}
    for path, early in every:
        network = asking.on_device(trained.load(path, data), device)
        lengths[network.recipe["length"]] = path
        if len(lengths) > 1:
            raise ChoreoError(
                f"the prompts of {' and '.join(str(p) for p in lengths.values())} have the lengths {sorted(lengths)}",
                "they were trained under two configs",
                "train them under one, or measure them apart",
            )
        if exam is None:
            prompts = asking.from_labels(data.roles["test"], int(network.recipe["length"]))
            known = localisation.read_intervals(intervals) if intervals else None
            exam = Exam(data.roles["val"], data.roles["test"], data.actions, prompts, known)
        measured = measure(network, exam, pretrained=early)
        log.info("%s: %s", path, ", ".join(f"{n} {v:.3f}" for n, (v, _) in measured.figures.items() if "map/" in n))
        named = {"variant": network.variant, "seed": network.recipe["seed"], "pretrained": early}
        rows.append(named | {"figures": measured.figures, "tables": measured.tables})
    sizes = {role: len(videos) for role, videos in data.roles.items()}
    result = {"graphs": origin, "protocol": protocol, "actions": data.actions, "videos": sizes}
    plain.write(out, result | {"prompts": len(exam.prompts), "models": rows}, digits=6)
