"""Figures that the paper of AQA prints of its ablations: mean Spearman's correlation over the four labels of RG."""

from __future__ import annotations

COMPARED = {  # title of a comparison, see `pipeline.aqa.variants.TABLES` -> variant -> name and the paper's figure
    "modules (Table 3)": {
        "plain": ("decoder alone", 0.628),
        "attention_only": ("+ attention loss", 0.807),
        "variance_1": ("+ position of queries", 0.810),
        "full": ("+ variance of queries", 0.842),
    },
    "position (Table 4)": {
        "no_query_position": ("none", 0.758),
        "memory_position": ("clips", 0.778),
        "both_positions": ("queries and clips", 0.751),
        "full": ("queries", 0.824),
    },
    "query variance (Table 5)": {
        "variance_half": ("0.5", 0.810),
        "variance_1": ("1", 0.810),
        "variance_3": ("3", 0.811),
        "full": ("5", 0.820),
    },
    "attention loss": {
        "no_attention_loss": ("none", None),
        "code_attention_loss": ("as in the authors' code", None),
        "full": ("as in the paper", None),
    },
    "head": {"single_score": ("one score", None), "full": ("weights and scores", None)},
    "reach": {"whole_reach": ("all clips, as in the paper", None), "full": ("as the config says", None)},
    "published": {"published": ("as the authors' code answers", None), "full": ("ours", None)},
}
