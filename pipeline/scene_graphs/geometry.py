"""What two boxes say of how a person relates to a thing, in the words of Action Genome.

Boxes know nothing of depth, gaze or contact. So `infrontof`, `behind`, the three relations of attention and most of
contact are never said; `touching` stands for boxes that overlap, `holding` for a small thing mostly within the
person's box: approximations, and to be read as such.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Ji et al., CVPR 2020: relations of attention, of space (where the thing is, as the person sees it) and of contact.
RELATIONS = (
    "lookingat", "notlookingat", "unsure",
    "above", "beneath", "infrontof", "behind", "onthesideof", "in",
    "carrying", "coveredby", "drinkingfrom", "eating", "haveitontheback", "holding", "leaningon", "lyingon",
    "notcontacting", "otherrelationship", "sittingon", "standingon", "touching", "twisting", "wearing", "wiping",
    "writingon",
)  # fmt: skip

WITHIN = 0.9  # share of the person's box in the thing's from which the person is `in` it
HELD = 0.5  # share of the thing's box in the person's from which it may be held
SMALL = 0.25  # area of a thing over the person's up to which it may be held


def relations(person: NDArray, box: NDArray) -> list[int]:
    """Indices into `RELATIONS` that hold between a person's box (4,) and a thing's (4,), x0 y0 x1 y1, y downwards."""
    size, own = box[2:] - box[:2], person[2:] - person[:2]
    x, y = (box[:2] + box[2:]) / 2
    shared = (np.minimum(person[2:], box[2:]) - np.maximum(person[:2], box[:2])).clip(0).prod()
    above, beneath = y < person[1], y > person[3]
    said = {
        "above": above,
        "beneath": beneath,
        "onthesideof": not above and not beneath and not person[0] <= x <= person[2],
        "in": shared >= WITHIN * own.prod(),
        "holding": shared >= HELD * size.prod() and size.prod() <= SMALL * own.prod(),
        "touching": shared > 0,
        "notcontacting": shared <= 0,
    }
    return [RELATIONS.index(name) for name, holds in said.items() if holds]
