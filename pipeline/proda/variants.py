"""The variants of ProDA that the paper compares, each as the options in which it differs.

A variant is trained, evaluated and reported as the full model is; `full` is the first row of every comparison.
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
    """

    doc: str
    options: Mapping[str, object] = field(default_factory=dict)


VARIANTS = {
    "full": Variant("ProDA: DPM, VGNorm and all losses (last row of Tables 3, 4 and 12; row 5 of Tables 5 and 13)"),
    "encoder": Variant("the video encoder trained alone, end to end (row 6 of Table 5)", {"network": "encoder"}),
    "blind": Variant(
        "prompt-only control: the full model with the video zeroed; one frame, as all are alike (not in the paper)",
        {"video": False, "frames": 1},
    ),
    "simple_prompt": Variant("SimplePrompt in place of DPM (row 1 of Table 3)", {"prompt": "simple"}),
    "layernorm": Variant("LayerNorm in place of VGNorm (row 1 of Tables 4 and 12)", {"norm": "layernorm"}),
    "batchnorm": Variant("BatchNorm in place of VGNorm (row 2 of Tables 4 and 12)", {"norm": "batchnorm"}),
    "graphnorm": Variant("GraphNorm in place of VGNorm (row 3 of Tables 4 and 12)", {"norm": "graphnorm"}),
    "classification_only": Variant(
        "no disentanglement loss, no reconstruction loss (row 1 of Tables 5 and 13)",
        {"lambda_disentanglement": 0.0, "lambda_reconstruction": 0.0},
    ),
    "no_margins": Variant("both losses without margin (row 2 of Tables 5 and 13)", {"margin": 0.0, "margin_end": 0.0}),
    "disentanglement_only": Variant(
        "no reconstruction loss (row 3 of Tables 5 and 13)", {"lambda_reconstruction": 0.0}
    ),
    "reconstruction_only": Variant(
        "no disentanglement loss (row 4 of Tables 5 and 13)", {"lambda_disentanglement": 0.0}
    ),
}

# Title of a comparison -> its rows, in the paper's order.
TABLES = {
    "prompt (Table 3)": ("simple_prompt", "full"),
    "normalisation (Tables 4 and 12)": ("layernorm", "batchnorm", "graphnorm", "full"),
    "losses (Tables 5 and 13)": (
        "classification_only", "no_margins", "disentanglement_only", "reconstruction_only", "full", "encoder",
    ),
    "control": ("blind", "full"),
}  # fmt: skip


def overrides(name: str) -> dict[str, object]:
    """The options of a variant.

    Raises:
        ChoreoError: there is no such variant.
    """
    if name not in VARIANTS:
        raise ChoreoError(f"there is no variant '{name}'", "a typo", f"one of {', '.join(VARIANTS)}")
    return dict(VARIANTS[name].options)
