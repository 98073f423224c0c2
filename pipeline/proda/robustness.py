"""How the answers hold up as a video shows more actions and prompts name more of them (ProDA, Tables 6-7).

Axes: S sample (a video and a specification), C action.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipeline.proda.ranking import mean_average_precision


def by_labels(score: NDArray, label: NDArray, specified: NDArray) -> list[dict[str, object]]:
    """mAP of a_s by kind of specification and number of labels of the video, as Tables 6-7 print it.

    Samples are grouped by the number of actions that are both specified and shown; mean and standard deviation are over
    these groups. A specification is `clean` when it names nothing that is absent, else `distractor`.

    Args:
        score: (S,C) scores of the specified branch.
        label: (S,C) bool, the labels of the sample's video.
        specified: (S,C) bool.

    Returns:
        rows {kind, labels, samples, mean, std, present: [[number present, samples, mAP], ...]}; a group in which
        nothing is present has no mAP and is left out.
    """
    target, clean, labels = label & specified, ~(specified & ~label).any(axis=1), label.sum(axis=1)
    present, rows = target.sum(axis=1), []
    for kind, of_kind in (("clean", clean), ("distractor", ~clean)):
        for number in np.unique(labels[of_kind & (present > 0)]):
            here = of_kind & (labels == number) & (present > 0)
            groups = [here & (present == p) for p in np.unique(present[here])]
            values = [mean_average_precision(score[g], target[g]) for g in groups]
            counts = [[int(present[g][0]), int(g.sum()), v] for g, v in zip(groups, values, strict=True)]
            spread = {"mean": float(np.mean(values)), "std": float(np.std(values, ddof=1)) if len(values) > 1 else 0.0}
            rows.append({"kind": kind, "labels": int(number), "samples": int(here.sum()), **spread, "present": counts})
    return rows
