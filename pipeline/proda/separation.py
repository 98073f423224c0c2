"""How far apart the disentangled features of different actions lie (ProDA, Figure 4).

A feature stands for a video and one of its actions, asked alone. It holds the prompt as well as the video, so that
features of different actions differ whatever is seen: read the distances beside those of the prompt-only control.

Axes: P a (video, action) that is asked, D feature.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.manifold import TSNE
from sklearn.metrics import pairwise_distances
from sklearn.preprocessing import normalize


def plane(feature: NDArray, seed: int = 0) -> NDArray:
    """t-SNE of features: (P,D) -> (P,2). Its scale means nothing, and one point is drawn at the origin."""
    if len(feature) < 2:
        return np.zeros((len(feature), 2))
    perplexity = min(30.0, (len(feature) - 1) / 3)
    return TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(feature.astype(float))


def distances(point: NDArray, action: NDArray) -> tuple[float, float]:
    """Mean distance of points to the centre of their action, and of the centres to one another: (P,D), (P,)."""
    names, index = np.unique(action, return_inverse=True)
    centre = np.array([point[index == k].mean(axis=0) for k in range(len(names))])
    between = pairwise_distances(centre)[np.triu_indices(len(names), 1)]
    intra = np.linalg.norm(point - centre[index], axis=1).mean()
    return float(intra), float(between.mean()) if len(between) else 0.0


def feature_distances(feature: NDArray, action: NDArray) -> tuple[float, float]:
    """`distances` in the space of the features themselves, each scaled to length 1: (P,D), (P,)."""
    return distances(normalize(feature), action)
