"""Motion concepts: clusters of pose sequences (DANCE, Sec. 3.2.1, Eqs. 1-2).

A clip's poses are filtered, normalised and flattened; the clips of the training videos are clustered by first-neighbour
relations (FINCH: Sarfraz et al., CVPR 2019), and every cluster is a motion concept. Clips of other videos belong to the
concept whose mean is nearest. All distances are cosines.

Axes: N clip, L frame, J joint (COCO-17), K concept, V value (= L * J * 2).
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.artifacts import Artifact, create
from pipeline.digest import source_digest
from pipeline.encoders.pose import JOINTS
from pipeline.errors import ChoreoError
from pipeline.manifest import Manifest

log = logging.getLogger(__name__)

MAX_GAP = 0.25  # largest share of frames without a person that is bridged by interpolation
JUMPS = {"scale": 0.3, "cosine": 0.92}  # jump test -> its own threshold
NORMALISATIONS = ("clip", "frame")


# Filters and normalisation ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Filter:
    """Which clips are fit for clustering, and how they are normalised.

    Attributes:
        confidence: smallest mean joint confidence of a clip.
        jump: `scale`: between neighbouring frames the joints move, on average, at most `jump_threshold` body sizes (so
            the test does not depend on where in the image a person stands); `cosine`, as published: the cosine of two
            neighbouring flattened poses, in pixels, is at least `jump_threshold`.
        jump_threshold: threshold of the jump test; None for the test's own (0.3 body sizes, or a cosine of 0.92).
        normalisation: `clip`: one centre and one scale for the whole clip, so that travel, size and proportions stay;
            `frame`, as published: every frame is centred, and each of its axes stretched to 0-1. On true poses the
            former clusters primitives, and the nearest neighbour of a clip shows the same action, more often.
        joints: those that count, of COCO-17; all when empty. Imported skeletons may lack some.
    """

    confidence: float = 0.5
    jump: str = "scale"
    jump_threshold: float | None = None
    normalisation: str = "clip"
    joints: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name, known in (("jump", tuple(JUMPS)), ("normalisation", NORMALISATIONS)):
            if getattr(self, name) not in known:
                raise ChoreoError(f"there is no {name} '{getattr(self, name)}'", mend=f"one of {known}")

    def __call__(self, joints: NDArray, confidence: NDArray) -> NDArray | None:
        """Normalised poses of one clip, or None where the clip is filtered out: (L,17,2), (L,17) -> (L,J,2)."""
        if self.joints:
            joints, confidence = joints[:, list(self.joints)], confidence[:, list(self.joints)]
        joints = bridge_gaps(joints)
        threshold = JUMPS[self.jump] if self.jump_threshold is None else self.jump_threshold
        if np.isnan(joints).any() or confidence.mean() < self.confidence or body_size(joints) == 0:
            return None
        if self.jump == "scale" and largest_displacement(joints) > threshold:
            return None
        if self.jump == "cosine" and smallest_cosine(joints) < threshold:
            return None
        return normalise(joints, self.normalisation)


def bridge_gaps(joints: NDArray) -> NDArray:
    """Fill a few missing frames by linear interpolation; NaN stays where many are missing: (L,J,2) -> (L,J,2)."""
    joints = np.asarray(joints, dtype=np.float64)
    missing = np.isnan(joints).any(axis=(1, 2))  # (L,)
    if not missing.any() or missing.mean() > MAX_GAP:
        return joints
    frames, seen = np.arange(len(joints)), np.flatnonzero(~missing)
    values = joints.reshape(len(joints), -1)  # (L, J*2)
    return np.stack([np.interp(frames, seen, v[seen]) for v in values.T], axis=1).reshape(joints.shape)


def body_size(joints: NDArray) -> float:
    """Size of the person: median over frames of the longer side of the box around the joints: (L,J,2) -> px."""
    return float(np.median((joints.max(axis=1) - joints.min(axis=1)).max(axis=1)))


def largest_displacement(joints: NDArray) -> float:
    """Largest mean displacement of the joints between neighbouring frames, in body sizes: (L,J,2) -> scalar."""
    steps = np.linalg.norm(np.diff(joints, axis=0), axis=2).mean(axis=1)  # (L-1,)
    return float(steps.max(initial=0) / body_size(joints))


def smallest_cosine(joints: NDArray) -> float:
    """Smallest cosine of neighbouring frames' flattened poses, in pixels, as published: (L,J,2) -> scalar."""
    poses = unit(joints.reshape(len(joints), -1))
    return float((poses[1:] * poses[:-1]).sum(axis=1).min(initial=1))


def normalise(joints: NDArray, how: str = "clip") -> NDArray:
    """Poses without the place of the person in the image: (L,J,2) px -> (L,J,2), see `Filter.normalisation`."""
    if how == "clip":
        return (joints - joints.mean(axis=(0, 1))) / max(body_size(joints), 1e-9)
    low, high = joints.min(axis=1, keepdims=True), joints.max(axis=1, keepdims=True)  # (L,1,2)
    return (joints - low) / np.maximum(high - low, 1e-9)  # min-max cancels the centring before it


# Clustering -------------------------------------------------------------------------------------------------


def unit(rows: NDArray) -> NDArray:
    """Rows of length one, in float64; zeros stay zeros: (N,V) -> (N,V)."""
    rows = np.asarray(rows, dtype=np.float64)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def first_neighbours(values: NDArray, block: int = 1024) -> NDArray:
    """The nearest other row by cosine, exactly, the first of equals, in blocks that fit memory: (N,V) -> (N,)."""
    rows = unit(values)
    nearest = np.zeros(len(rows), dtype=np.int64)
    for start in range(0, len(rows), block):
        cosine = rows[start : start + block] @ rows.T  # (block, N)
        here = np.arange(len(cosine))
        cosine[here, start + here] = -np.inf
        nearest[start : start + block] = cosine.argmax(axis=1)
    return nearest


def cluster(values: NDArray, partition: int = 1, clusters: int | None = None) -> tuple[NDArray, list[int]]:
    """FINCH on exact first neighbours: (N,V) -> concept of every row (N,), clusters in each partition, finest first.

    Args:
        values: rows to cluster.
        partition: which of FINCH's partitions to take, 0 is the finest; DANCE takes the second. Where there are fewer,
            the coarsest.
        clusters: merge down to this number instead.

    Raises:
        ChoreoError: there is nothing to cluster, or more clusters are asked for than FINCH finds.
    """
    if len(values) == 0:
        raise ChoreoError(
            "no clip is left to cluster",
            "nobody was found in the videos, or the filters are too strict for these poses",
            "look at a pose artifact; lower `confidence` or raise `jump_threshold`",
        )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="pynndescent is not installed")  # nothing here is approximate
        from finch import FINCH
    options = {"distance": "cosine", "ann_threshold": 10**9, "faiss_threshold": 10**9}
    labels, sizes, requested = FINCH(unit(values), initial_rank=first_neighbours(values), req_clust=clusters, **options)
    sizes = [int(n) for n in sizes]
    if clusters is not None:
        if clusters > sizes[0]:
            raise ChoreoError(
                f"{clusters} clusters were asked for, FINCH finds {sizes[0]} at most", mend="ask for fewer"
            )
        return np.unique(requested, return_inverse=True)[1], sizes
    if partition >= len(sizes):
        log.warning("FINCH found the partitions %s only: the last is taken for number %d", sizes, partition)
    return labels.reshape(len(values), -1)[:, min(partition, len(sizes) - 1)].astype(np.int64), sizes


def cluster_means(values: NDArray, labels: NDArray) -> NDArray:
    """Mean of every cluster: (N,V), (N,) -> (K,V)."""
    return np.stack([values[labels == k].mean(axis=0) for k in range(labels.max() + 1)])


def medoids(values: NDArray, labels: NDArray, means: NDArray) -> NDArray:
    """The member nearest to each cluster's mean: (N,V), (N,), (K,V) -> row (K,)."""
    cosine = (unit(values) * unit(means)[labels]).sum(axis=1)  # (N,)
    return np.array([np.where(labels == k, cosine, -np.inf).argmax() for k in range(len(means))])


def assign(values: NDArray, means: NDArray) -> NDArray:
    """The nearest concept of every clip: (N,V), (K,V) -> (N,)."""
    return (unit(values) @ unit(means).T).argmax(axis=1)


# Stages -----------------------------------------------------------------------------------------------------


def motion_concepts(
    poses: list[Path],
    manifest: Path,
    out: Path,
    *,
    partition: int = 1,
    clusters: int | None = None,
    confidence: float = 0.5,
    jump: str = "scale",
    jump_threshold: float | None = None,
    normalisation: str = "clip",
    protocol: str = "strict",
) -> None:
    """Motion concepts of the training videos (DANCE, Eq. 1).

    Args:
        poses: artifacts `pose`, one a shard.
        manifest: the videos and their splits.
        out: artifact `motion_concepts` to write.
        partition, clusters: see `cluster`.
        confidence, jump, jump_threshold, normalisation: see `Filter`.
        protocol: `strict`: train videos only; `published`: all videos.
    """
    keep = Filter(confidence, jump, jump_threshold, normalisation)
    with Artifact(poses, "pose") as artifact:
        discover = set(Manifest.read(manifest).split_ids(protocol)["discover"])
        ids = [i for i in artifact.ids if i in discover]
        keep = replace(keep, joints=present(artifact, ids))
        clips = _usable_clips(artifact, ids, keep)
        model = artifact.model
    options = asdict(keep) | {"partition": partition, "clusters": clusters, "protocol": protocol}
    values = np.array([pose.ravel() for _, _, pose in clips])  # (N,V)
    labels, sizes = cluster(values, partition, clusters)
    means = cluster_means(values, labels)
    nearest = medoids(values, labels, means)
    log.info("%d clips, FINCH partitions %s, %d motion concepts", len(clips), sizes, len(means))
    inputs, digest = [*poses, manifest], source_digest("concepts.motion")
    with create(out, "motion_concepts", stage=digest, params=options, inputs=inputs, model=model) as writer:
        writer.share(
            mean=means,
            medoid=[clips[n][2] for n in nearest],
            members=np.bincount(labels),
            example_video=[clips[n][0] for n in nearest],
            example_start=[clips[n][1] for n in nearest],
            partition_sizes=sizes,
            member_video=[video for video, _, _ in clips],
            member_start=[start for _, start, _ in clips],
            member_concept=labels,
        )


def motion_labels(poses: list[Path], concepts: Path, out: Path) -> None:
    """Which motion concepts each video shows (DANCE, Eq. 2).

    Clips that were clustered keep their cluster; all others go to the nearest cluster mean, under the same filters. A
    video without any clip left is not labelled, which is not the same as showing no concept.

    Args:
        poses: artifacts `pose`, one a shard, of all splits.
        concepts: artifact `motion_concepts`.
        out: artifact `motion_labels` to write.
    """
    keep = recorded_filter(concepts)
    with Artifact(concepts, "motion_concepts") as known, Artifact(poses, "pose") as artifact:
        means = known["mean"]
        clips = zip(known["member_video"], known["member_start"].tolist())
        members = dict(zip(clips, known["member_concept"].tolist()))
        digest = source_digest("concepts.motion")
        with create(out, "motion_labels", ids=artifact.ids, stage=digest, inputs=[*poses, concepts]) as writer:
            for video_id in artifact.ids:
                starts = artifact.video(video_id)["start"]
                concept = np.full(len(starts), -1)
                for _, start, pose in _usable_clips(artifact, [video_id], keep):
                    found = members.get((video_id, start))
                    concept[starts == start] = assign(pose.reshape(1, -1), means)[0] if found is None else found
                label = np.bincount(concept[concept >= 0], minlength=len(means)) > 0
                writer.add(video_id, concept=concept, start=starts, label=label, labelled=label.any())


def present(poses: Artifact, ids: Sequence[str]) -> tuple[int, ...]:
    """The joints that are seen in any clip of these videos; empty where that is all of them, or none."""
    seen = np.zeros(len(JOINTS), bool)
    for video_id in ids:
        seen |= np.isfinite(poses.video(video_id)["joints"]).all(axis=-1).any(axis=(0, 1))
    return () if seen.all() else tuple(np.flatnonzero(seen).tolist())


def whole(joints: NDArray, chosen: Sequence[int]) -> NDArray:
    """Poses of chosen joints among all of COCO-17, the others NaN: (L,J,2) -> (L,17,2)."""
    if not chosen:
        return joints
    every = np.full((len(joints), len(JOINTS), 2), np.nan)
    every[:, list(chosen)] = joints
    return every


def recorded_filter(concepts: Path) -> Filter:
    """The filters under which an artifact `motion_concepts` was made."""
    with Artifact(concepts, "motion_concepts") as artifact:
        params = artifact.params
    known = {name: params[name] for name in asdict(Filter()) if name in params}
    return Filter(**known | {"joints": tuple(known.get("joints", ()))})


def _usable_clips(poses: Artifact, ids: Sequence[str], keep: Filter) -> list[tuple[str, int, NDArray]]:
    """Video, first frame and normalised poses (L,J,2) of every clip that passes the filters."""
    clips = []
    for video_id in ids:
        video = poses.video(video_id)
        for start, joints, confidence in zip(video["start"].tolist(), video["joints"], video["confidence"]):
            pose = keep(joints, confidence)
            if pose is not None:
                clips.append((video_id, start, pose))
    return clips


# Agreement with the truth -----------------------------------------------------------------------------------


def purity(found: ArrayLike, true: ArrayLike) -> float:
    """Share of items that carry the commonest true label of their cluster: (N,), (N,) -> 0 to 1."""
    from sklearn.metrics.cluster import contingency_matrix

    counts = contingency_matrix(true, found)  # (true, found)
    return float(counts.max(axis=0).sum() / counts.sum())


def nmi(found: ArrayLike, true: ArrayLike) -> float:
    """Normalised mutual information of clusters and true labels, 0 to 1 (arithmetic mean): (N,), (N,) -> scalar."""
    from sklearn.metrics import normalized_mutual_info_score

    return float(normalized_mutual_info_score(true, found))
