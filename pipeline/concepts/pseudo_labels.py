"""Pseudo labels: how much each video shows each object and scene concept (DANCE, Sec. 3.2.2, Eq. 3).

Axes: V video, F frame, N concept, D feature.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.artifacts import Artifact, create
from pipeline.digest import source_digest
from pipeline.errors import ChoreoError
from pipeline.manifest import Manifest

log = logging.getLogger(__name__)


def pseudo_labels(
    embeddings: list[Path],
    texts: Path,
    manifest: Path,
    out: Path,
    *,
    cutoff: float = 0.2,
    top: int = 5,
    protocol: str = "strict",
) -> None:
    """Cosine of every video with every concept, and which concepts the training videos show; writes `pseudo_labels`.

    Args:
        embeddings: artifacts `embeddings`, one a shard.
        texts: artifact `texts`.
        manifest: all videos; says which of them are for training.
        out: artifact to write.
        cutoff: a concept is kept when the mean of its largest training cosines is above it. Cosines of another encoder
            have another scale.
        top: how many of the largest count.
        protocol: `strict` or `published`; which videos are for training.

    Raises:
        ChoreoError: videos and texts come from two encoders, no training video was embedded, or no concept is kept.
    """
    with Artifact(embeddings, "embeddings") as videos, Artifact(texts, "texts") as words:
        if videos.model != words.model:
            raise ChoreoError(
                f"videos were embedded by {videos.model}, texts by {words.model}",
                "the image-text encoder was changed for one of them only",
                "give both stages the same encoder and run again",
            )
        similarity = video_embedding(videos["embedding"]) @ words["embedding"].T  # (V,N)
        concept, kind, ids, model = words["concept"], words["kind"], videos.ids, videos.model
    known = set(Manifest.read(manifest).split_ids(protocol)["train"])
    train = np.array([i in known for i in ids], dtype=bool)
    if not train.any():
        raise ChoreoError("no training video was embedded", "manifest and embeddings belong to different data sets")
    strength = mean_of_largest(similarity[train], top)
    kept = strength > cutoff
    log.info("%d of %d concepts kept; strength %.3f to %.3f", kept.sum(), len(kept), strength.min(), strength.max())
    if not kept.any():
        best = concept[strength.argmax()]
        raise ChoreoError(
            f"no concept is kept: the strongest, '{best}', has {strength.max():.3f}, and `cutoff` is {cutoff}",
            "another encoder has cosines of another scale",
            "lower `cutoff`",
        )
    digest, options = source_digest("concepts.pseudo_labels"), {"cutoff": cutoff, "top": top, "protocol": protocol}
    inputs = [*embeddings, texts, manifest]
    with create(out, "pseudo_labels", ids=ids, stage=digest, params=options, inputs=inputs, model=model) as artifact:
        artifact.share(concept=concept, kind=kind, kept=kept)
        for video_id, row in zip(ids, similarity, strict=True):
            artifact.add(video_id, similarity=row)


def video_embedding(frames: NDArray) -> NDArray[np.float32]:
    """Mean of a video's unit frame embeddings, made a unit vector again: (V,F,D) -> (V,D)."""
    mean = frames.mean(axis=1)
    return mean / np.linalg.norm(mean, axis=1, keepdims=True)


def mean_of_largest(similarity: NDArray, top: int) -> NDArray:
    """Mean of the `top` largest of each concept, of all where there are fewer: (V,N) -> (N,)."""
    top = min(top, len(similarity))
    return np.partition(similarity, -top, axis=0)[-top:].mean(axis=0)
