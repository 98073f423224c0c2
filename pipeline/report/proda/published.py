"""Figures that the paper of ProDA prints, on Charades, as far as its page stands beside them."""

from __future__ import annotations

COMPARED = {  # title -> tables of the paper and their rows: variant -> name and the paper's mAP in %, see `COLUMNS`
    "Prompt": (
        "Table 3",
        {"simple_prompt": ("SimplePrompt", 68.07, 57.80, None), "full": ("DPM", 71.10, 59.04, None)},
    ),
    "Normalisation": (
        "Tables 4 and 12",
        {
            "layernorm": ("LayerNorm", 68.12, 57.96, 65.44),
            "batchnorm": ("BatchNorm", 65.39, 58.20, 63.05),
            "graphnorm": ("GraphNorm", 68.61, 58.32, 65.32),
            "full": ("VGNorm", 71.10, 59.04, 71.32),
        },
    ),
    "Losses": (
        "Tables 5 and 13",
        {
            "classification_only": ("classification alone", 67.45, 57.38, 65.83),
            "no_margins": ("both losses without margins", 68.43, 8.03, 18.27),
            "disentanglement_only": ("disentanglement alone", 67.78, 58.28, 66.92),
            "reconstruction_only": ("reconstruction alone", 64.89, 57.90, 61.19),
            "full": ("both losses with margins", 71.10, 59.04, 71.32),
            "encoder": ("the encoder alone", None, 58.01, None),
        },
    ),
}
COLUMNS = {  # figure of a variant -> heading; in the order of the paper's values in `COMPARED`
    "map/oracle_prompt": "oracle prompt",
    "map/prompt_free": "prompt-free",
    "pretrained/map/oracle_prompt": "after the first stage",
}

LABELS = {  # Tables 6 and 7: number of labels -> mAP of a_s and its spread
    "clean": dict(
        enumerate(
            [(1.0, 0.0), (1.0, 0.0), (1.0, 0.0), (0.9966, 0.004), (0.998, 0.002), (0.9982, 0.003), (0.9998, 0.0),
             (0.9988, 0.001), (0.998, 0.003), (0.9945, 0.006), (0.9962, 0.004), (0.991, 0.01), (0.9956, 0.006),
             (0.9898, 0.011), (0.9919, 0.012), (0.998, 0.004)], 1)
    ),
    "distractor": dict(
        enumerate(
            [(1.0, 0.0), (0.9052, 0.035), (0.9261, 0.011), (0.9316, 0.007), (0.8717, 0.048), (0.8769, 0.029),
             (0.8665, 0.061), (0.8632, 0.061), (0.8563, 0.066), (0.8587, 0.067), (0.8656, 0.05), (0.8485, 0.065),
             (0.8742, 0.064), (0.8773, 0.06), (0.8858, 0.06), (0.921, 0.049)], 1)
    ),
}  # fmt: skip
FRAMES = {  # Tables 9 and 8: a row a theta, a column an IoU of 0.2, 0.5 and 0.7
    "clean": [[0.8556, 0.5744, 0.4018], [0.7444, 0.4343, 0.2775], [0.5927, 0.2426, 0.1314]],
    "distractor": [[0.7797, 0.4368, 0.2608], [0.6425, 0.3370, 0.2078], [0.5380, 0.2298, 0.1299]],
}
