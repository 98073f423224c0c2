"""Results as JSON: plain values, floats cut to a few digits; the same results give the same bytes."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

from pipeline.writing import replacing


def write(path: Path, value: object, digits: int = 4) -> None:
    """Write plain values, arrays and numpy numbers among them, as one line of JSON; infinity is an error."""
    with replacing(path) as file:
        file.write(json.dumps(rounded(value, digits), allow_nan=False, separators=(",", ":")) + "\n")


def rounded(value: object, digits: int = 4) -> object:
    """Plain JSON values, floats with so many digits after the point; NaN, which JSON has no word for, is null."""
    if isinstance(value, dict):
        return {key: rounded(v, digits) for key, v in value.items()}
    if isinstance(value, np.ndarray):
        return rounded(value.tolist(), digits)
    if isinstance(value, list | tuple):
        return [rounded(v, digits) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, digits)
    return value
