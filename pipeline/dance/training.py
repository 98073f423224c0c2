"""Training of DANCE in two stages: concept layers, then the sparse classifier on what they say (DANCE, Sec. 3.3).

Axes: B video, D feature, M concept, C class.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pipeline.artifacts import Artifact, create
from pipeline.dance.elastic_net import ElasticNetClassifier
from pipeline.dance.model import KINDS, Dance, cos_cubed, cos_cubed_loss, motion_loss
from pipeline.digest import source_digest
from pipeline.errors import ChoreoError
from pipeline.manifest import Manifest

log = logging.getLogger(__name__)

Loss = Callable[[Tensor, Tensor | float], Tensor]  # concept layer (M,D), its bias -> scalar


# Data -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Videos:
    """What is known of some videos, row by row.

    Attributes:
        ids: the videos.
        feature: features of the backbone (B,D).
        label: names of the classes (B,).
        targets: kind of concept -> labels (B,M_kind): 0 or 1 for motion, similarities for objects and scenes.
        labelled: False where the motion labels are unknown (B,).
    """

    ids: list[str]
    feature: NDArray
    label: NDArray
    targets: dict[str, NDArray]
    labelled: NDArray


@dataclass(frozen=True)
class Data:
    """The videos of each role (`train`, `val`, `test`), and the names of the concepts of each kind."""

    roles: dict[str, Videos]
    names: dict[str, list[str]]


def load(
    features: Sequence[Path],
    motion: Path,
    pseudo: Path,
    manifest: Path,
    *,
    protocol: str = "strict",
    kinds: Sequence[str] = KINDS,
) -> Data:
    """Read features, concept labels and classes. Videos without a feature are left out.

    Raises:
        ChoreoError: a video has no class, or several; a role is empty.
    """
    videos = Manifest.read(manifest)
    unknown = set(kinds) - set(KINDS)
    if unknown:
        raise ChoreoError(f"there are no concepts of the kinds {sorted(unknown)}", mend=f"some of {KINDS}")
    with (
        Artifact(features, "features") as x,
        Artifact(motion, "motion_labels") as m,
        Artifact(pseudo, "pseudo_labels") as p,
    ):
        names = _names(m, p, kinds)
        roles = {}
        for role in ("train", "val", "test"):
            ids = [i for i in videos.split_ids(protocol)[role] if i in x]
            if not ids:
                raise ChoreoError(
                    f"no video of '{role}' has a feature",
                    "the split is empty, or its videos failed",
                    "see failures.tsv",
                )
            targets, labelled = _targets(m, p, ids, kinds)
            label = np.array([_class(videos.by_id[i].labels, i) for i in ids], dtype=object)
            roles[role] = Videos(ids, x.rows("feature", ids), label, targets, labelled)
    return Data(roles, names)


def _names(motion: Artifact, pseudo: Artifact, kinds: Sequence[str]) -> dict[str, list[str]]:
    kept = pseudo["kept"].astype(bool)
    names = {kind: pseudo["concept"][kept & (pseudo["kind"] == kind)].tolist() for kind in ("object", "scene")}
    names["motion"] = [str(k) for k in range(motion["label"].shape[1])]
    return {kind: names[kind] for kind in KINDS if kind in kinds and names[kind]}


def _targets(
    motion: Artifact, pseudo: Artifact, ids: list[str], kinds: Sequence[str]
) -> tuple[dict[str, NDArray], NDArray]:
    known = [i in motion for i in ids]
    label = np.zeros((len(ids), motion["label"].shape[1]), dtype=np.float32)
    labelled = np.zeros(len(ids), dtype=bool)
    if any(known):
        there = [i for i in ids if i in motion]
        label[known], labelled[known] = motion.rows("label", there), motion.rows("labelled", there)
    targets = {"motion": label}
    missing = [i for i in ids if i not in pseudo]
    if missing:
        raise ChoreoError(
            f"{len(missing)} videos have a feature but no pseudo label, '{missing[0]}' among them",
            "their frames could not be embedded",
            "see failures.tsv; mend or remove these videos",
        )
    similarity, kept = pseudo.rows("similarity", ids), pseudo["kept"].astype(bool)
    for kind in ("object", "scene"):
        targets[kind] = similarity[:, kept & (pseudo["kind"] == kind)]
    return {kind: targets[kind] for kind in KINDS if kind in kinds and targets[kind].shape[1]}, labelled


def _class(labels: tuple[str, ...], video_id: str) -> str:
    if len(labels) != 1:
        raise ChoreoError(
            f"video '{video_id}' has the classes {list(labels)}",
            "DANCE tells one class a video",
            "give it one label in the manifest",
        )
    return labels[0]


# Training ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Options:
    """Hyper-parameters; the defaults are those of the paper's final runs.

    Attributes:
        seed: seed of the initial weights.
        steps: Adam steps, each on all training videos.
        lr: learning rate.
        check_every: steps between two looks at the validation loss.
        cutoff: second cut-off; objects and scenes whose cos-cubed similarity on val is not above it are dropped.
        across: reading of Eq. 5, `samples` or `concepts`.
        standardise: centre the features, and scale each so that all together have a length of about one: one learning
            rate then fits every backbone, and the initial weights are small against what is learned. Centring takes
            from a bias-free layer the offset it had through the features' mean; the motion layer gets it back as a
            bias in training, which z-scoring makes void after it. False: raw features and no bias, as published.
        lam, alpha: penalty of the classifier, Eq. 6.
    """

    seed: int = 0
    steps: int = 3000
    lr: float = 1e-3
    check_every: int = 50
    cutoff: float = 0.3
    across: str = "samples"
    standardise: bool = True
    lam: float = 7e-4
    alpha: float = 0.99


def fit(data: Data, options: Options) -> dict[str, object]:
    """Train DANCE; returns the arrays of an artifact `dance` (see `from_arrays`)."""
    train, val = data.roles["train"], data.roles["val"]
    centre, spread = np.zeros(train.feature.shape[1], np.float32), np.ones(train.feature.shape[1], np.float32)
    if options.standardise:
        centre = train.feature.mean(axis=0)
        spread = _spread(train.feature) * np.float32(np.sqrt(train.feature.shape[1]))  # length of a feature: about one
    x, x_val = (torch.as_tensor((videos.feature - centre) / spread) for videos in (train, val))
    weights = fit_concepts((x, train), (x_val, val), options)
    weights, names = prune(weights, x_val, val, data.names, options.cutoff)
    concept_weight = torch.cat(list(weights.values()))  # (M,D)
    z = (x @ concept_weight.T).numpy()  # (B,M)
    mean, scale = z.mean(axis=0), _spread(z)
    net = ElasticNetClassifier(options.lam, options.alpha).fit((z - mean) / scale, train.label.astype(str))
    log.info("classifier: %d iterations, KKT residual %.1e", net.n_iter_, net.kkt_)
    return {
        "concept": np.array([name for group in names.values() for name in group]),
        "kind": np.array([kind for kind, group in names.items() for _ in group]),
        "class_name": net.classes_,
        "concept_weight": concept_weight.numpy(),
        "mean": mean,
        "scale": scale,
        "weight": net.coef_.astype(np.float32),
        "bias": net.intercept_.astype(np.float32),
        "feature_mean": centre,
        "feature_scale": spread,
    }


def fit_concepts(train: tuple[Tensor, Videos], val: tuple[Tensor, Videos], options: Options) -> dict[str, Tensor]:
    """Stage 1: concept layers W_C by kind (M_kind,D), each with the weights of its lowest validation loss.

    Args:
        train, val: features (B,D) as the layers see them, and what is known of the videos.
        options: hyper-parameters.
    """
    kinds, dim = list(train[1].targets), train[0].shape[1]
    generator = torch.Generator().manual_seed(options.seed)
    weight = {kind: torch.empty(train[1].targets[kind].shape[1], dim) for kind in kinds}
    weight = {kind: nn.init.xavier_uniform_(w, generator=generator).requires_grad_() for kind, w in weight.items()}
    bias = {"motion": _log_odds(train[1]).requires_grad_()} if options.standardise and "motion" in kinds else {}
    loss = {"train": _losses(*train, options.across), "val": _losses(*val, options.across)}
    adam = torch.optim.Adam([*weight.values(), *bias.values()], lr=options.lr)
    best = {kind: (np.inf, 0, weight[kind].detach().clone()) for kind in kinds}
    for step in range(1, options.steps + 1):
        adam.zero_grad()
        sum(loss["train"][kind](weight[kind], bias.get(kind, 0)) for kind in kinds).backward()
        adam.step()
        if step % options.check_every == 0 or step == options.steps:
            with torch.no_grad():
                values = {kind: float(loss["val"][kind](weight[kind], bias.get(kind, 0))) for kind in kinds}
            for kind, value in values.items():
                if value < best[kind][0]:
                    best[kind] = (value, step, weight[kind].detach().clone())
    for kind, (value, step, _) in best.items():
        log.info("%s concepts: validation loss %.4f at step %d of %d", kind, value, step, options.steps)
    return {kind: w for kind, (_, _, w) in best.items()}


def prune(
    weights: dict[str, Tensor], x: Tensor, val: Videos, names: dict[str, list[str]], cutoff: float
) -> tuple[dict[str, Tensor], dict[str, list[str]]]:
    """Second cut-off: drop objects and scenes that the layers do not predict on val; the layers and names that stay."""
    stay, stay_names = {}, {}
    for kind, weight in weights.items():
        keep = torch.ones(len(weight), dtype=torch.bool)
        if kind != "motion":
            keep = cos_cubed(x @ weight.T, torch.as_tensor(val.targets[kind])) > cutoff
            log.info("%s concepts: %d of %d are predicted on val", kind, keep.sum(), len(keep))
        if keep.any():
            stay[kind] = weight[keep]
            stay_names[kind] = [name for name, kept in zip(names[kind], keep.tolist(), strict=True) if kept]
    if not stay:
        raise ChoreoError(
            f"no concept is left: none reaches a similarity of {cutoff} on val",
            "the backbone's features do not tell what the image-text encoder sees, or val is very small",
            "lower `cutoff`, or look at the pseudo labels",
        )
    return stay, stay_names


def _losses(x: Tensor, videos: Videos, across: str) -> dict[str, Loss]:
    """Loss of every kind of concept, given its layer (M_kind,D) and bias."""
    targets = {kind: torch.as_tensor(target) for kind, target in videos.targets.items()}
    labelled = torch.as_tensor(videos.labelled)

    def motion(weight: Tensor, bias: Tensor | float) -> Tensor:
        return motion_loss(x @ weight.T + bias, targets["motion"], labelled)

    def words(kind: str, weight: Tensor, _: float) -> Tensor:
        return cos_cubed_loss(x @ weight.T, targets[kind], across)

    return {kind: motion if kind == "motion" else partial(words, kind) for kind in targets}


def _log_odds(train: Videos) -> Tensor:
    """Log odds of each motion concept among the labelled videos: where its bias starts."""
    labels = train.targets["motion"][train.labelled]
    rate = (labels.sum(axis=0) + 0.5) / (len(labels) + 1)
    return torch.as_tensor(np.log(rate / (1 - rate)), dtype=torch.float32)


def _spread(x: NDArray) -> NDArray:
    """Standard deviation over the rows; 1 where a column is constant."""
    scale = x.std(axis=0)
    return np.where(scale > 1e-6 * np.abs(x).max(axis=0, initial=1e-12), scale, 1).astype(np.float32)


# Stages -----------------------------------------------------------------------------------------------------


def dance(
    features: list[Path],
    motion: Path,
    pseudo: Path,
    manifest: Path,
    out: Path,
    *,
    seed: int = 0,
    steps: int = 3000,
    lr: float = 1e-3,
    check_every: int = 50,
    cutoff: float = 0.3,
    across: str = "samples",
    standardise: bool = True,
    lam: float = 7e-4,
    alpha: float = 0.99,
    kinds: str = "motion,object,scene",
    protocol: str = "strict",
) -> None:
    """Train DANCE on frozen features.

    Args:
        features: artifacts `features`, one a shard.
        motion: artifact `motion_labels`.
        pseudo: artifact `pseudo_labels`.
        manifest: the videos, their classes and splits.
        out: artifact `dance` to write.
        seed, steps, lr, check_every, cutoff, across, standardise, lam, alpha: see `Options`.
        kinds: kinds of concepts to use.
        protocol: `strict`, or `published`, which chooses on the test videos.
    """
    options = Options(seed, steps, lr, check_every, cutoff, across, standardise, lam, alpha)
    data = load(features, motion, pseudo, manifest, protocol=protocol, kinds=[k.strip() for k in kinds.split(",")])
    params = vars(options) | {"kinds": kinds, "protocol": protocol}
    inputs = [*features, motion, pseudo, manifest]
    with create(out, "dance", stage=source_digest("dance.training"), params=params, inputs=inputs) as writer:
        writer.share(**fit(data, options))


def predict(model: Path, features: list[Path], out: Path) -> None:
    """Activations and class scores of every video, by a trained DANCE.

    Args:
        model: artifact `dance`.
        features: artifacts `features`, one a shard.
        out: artifact `predictions` to write.
    """
    with Artifact(model, "dance") as trained, Artifact(features, "features") as x:
        network, ids = from_arrays(trained), x.ids
        with torch.no_grad():
            activation, score = (y.numpy() for y in network(torch.as_tensor(x["feature"])))
        names = {name: trained[name] for name in ("concept", "kind", "class_name")}
    digest = source_digest("dance.training")
    with create(out, "predictions", ids=ids, stage=digest, inputs=[model, *features]) as writer:
        for row, video_id in enumerate(ids):
            writer.add(video_id, activation=activation[row], score=score[row])
        writer.share(**names)


def from_arrays(arrays: Artifact | Mapping[str, NDArray]) -> Dance:
    """The model of an artifact `dance`."""
    kind = arrays["kind"]
    counts = {k: int((kind == k).sum()) for k in KINDS if (kind == k).any()}
    model = Dance(arrays["concept_weight"].shape[1], counts, len(arrays["class_name"]))
    state = {f"layers.{k}.weight": arrays["concept_weight"][kind == k] for k in counts}
    state |= {"classifier.weight": arrays["weight"], "classifier.bias": arrays["bias"]}
    state |= {name: arrays[name] for name in ("mean", "scale", "feature_mean", "feature_scale")}
    model.load_state_dict({name: torch.as_tensor(value) for name, value in state.items()})
    return model.requires_grad_(False)
