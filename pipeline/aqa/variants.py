"""The variants of the AQA model that the paper compares, each as the options in which it differs.

A variant is trained, evaluated and reported as the full model is; `full` is the last row of every comparison.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.errors import ChoreoError


@dataclass(frozen=True)
class Variant:
    """One row of the ablations.

    Attributes:
        doc: what it is, and where it stands in the paper.
        options: options of the training in which it differs from what the config says.
        published: whether it answers at random, as the authors' code does; always said beside its figures.
    """

    doc: str
    options: Mapping[str, object] = field(default_factory=dict)
    published: bool = False


VARIANTS = {
    "full": Variant("attention loss, query position, query variance 5 (last row of Tables 3 to 5)"),
    "plain": Variant(
        "no attention loss, no position, query variance 1 (row 1 of Table 3)",
        {"lambda_attention": 0.0, "query_position": False, "query_variance": 1.0},
    ),
    "attention_only": Variant(
        "attention loss, no position, query variance 1 (row 2 of Table 3)",
        {"query_position": False, "query_variance": 1.0},
    ),
    "no_attention_loss": Variant(
        "no attention loss, all else as in full (not in the paper)", {"lambda_attention": 0.0}
    ),
    "no_query_position": Variant(
        "no position, neither of queries nor of clips (row 1 of Table 4)", {"query_position": False}
    ),
    "memory_position": Variant(
        "position of clips in place of that of queries (row 2 of Table 4)",
        {"query_position": False, "memory_position": True},
    ),
    "both_positions": Variant("position of queries and of clips (row 3 of Table 4)", {"memory_position": True}),
    "variance_half": Variant("query variance 0.5 (row 1 of Table 5)", {"query_variance": 0.5}),
    "variance_1": Variant("query variance 1 (row 2 of Table 5, row 3 of Table 3)", {"query_variance": 1.0}),
    "variance_3": Variant("query variance 3 (row 3 of Table 5)", {"query_variance": 3.0}),
    "single_score": Variant("one score in place of weights and scores (not in the paper)", {"head": "single"}),
    "whole_reach": Variant(
        "every query sees all clips, as in the paper; differs where a reach is set", {"reach": None}
    ),
    "code_attention_loss": Variant(
        "attention loss as in the authors' code: KL(L_C || L_S), scaled maps, a sum (not in the paper)",
        {"direction": "cross_self", "scaled": True, "reduction": "sum"},
    ),
    "published": Variant(
        "as the authors' code answers: queries drawn anew in every pass, random crop in test too, no mask",
        {"redraw": True, "crop": "always", "masked": False},
        published=True,
    ),
}

# Title of a comparison -> its rows, in the paper's order.
TABLES = {
    "modules (Table 3)": ("plain", "attention_only", "variance_1", "full"),
    "position (Table 4)": ("no_query_position", "memory_position", "both_positions", "full"),
    "query variance (Table 5)": ("variance_half", "variance_1", "variance_3", "full"),
    "attention loss": ("no_attention_loss", "code_attention_loss", "full"),
    "head": ("single_score", "full"),
    "reach": ("whole_reach", "full"),
    "published": ("published", "full"),
}


def overrides(name: str) -> dict[str, object]:
    """The options of a variant.

    Raises:
        ChoreoError: there is no such variant.
    """
    if name not in VARIANTS:
        raise ChoreoError(f"there is no variant '{name}'", "a typo", f"one of {', '.join(VARIANTS)}")
    return dict(VARIANTS[name].options)
