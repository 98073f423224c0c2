"""The figures of metrics.json, as rows and bars of a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.report.numbers import percent, shown


@dataclass(frozen=True)
class Words:
    """What a model's figures are called, and what each means in one line.

    Args:
        bars: figure -> title and meaning, of the shares that are drawn as bars.
        ours: the bar that is the model itself.
        others: figure -> title and meaning, of those in the table.
        folded: figures of `others` that are folded away.
    """

    bars: Mapping[str, tuple[str, str]]
    ours: str
    others: Mapping[str, tuple[str, str]]
    folded: frozenset[str] = field(default=frozenset())


def scores(metrics: Mapping[str, Any], words: Words, line: float = 0.0) -> dict[str, Any]:
    """The figures of a model: shares as bars, all others as a table; `line` is a share that is marked in all bars."""
    found, paper = metrics["figures"], metrics["paper"]
    others = [*(n for n in words.others if n in found), *sorted(found.keys() - words.others.keys() - words.bars.keys())]
    rows = {n: score(found[n], paper.get(n), words.others.get(n, (n, ""))) for n in others}
    bars = {n: score(found[n], paper.get(n), words.bars[n]) for n in words.bars if n in found}
    return {
        "bars": [row | {"ours": n == words.ours} for n, row in bars.items()],
        "others": [row for n, row in rows.items() if n not in words.folded],
        "details": [row for n, row in rows.items() if n in words.folded],
        "published": any(n in paper for n in others),
        "line": percent(line) if line else "",
        "line_at": round(100 * line, 2),
    }


def score(figure: Mapping[str, Any], paper: float | None, words: tuple[str, str]) -> dict[str, Any]:
    """One figure: its words, its value with spread, its bar in percent, and the paper's."""
    mean, std, unit = figure["mean"], figure["std"], figure["unit"]
    low, high = max(0.0, mean - std), min(1.0, mean + std)
    return {
        "title": words[0],
        "meaning": words[1],
        "value": shown(mean, std if figure["n"] > 1 else None, unit),
        "width": round(100 * min(max(mean, 0), 1), 2),
        "spread": (round(100 * low, 2), round(100 * (high - low), 2)) if figure["n"] > 1 and std > 0 else None,
        "paper": (round(100 * paper, 2), shown(paper, None, unit)) if paper is not None else None,
    }
