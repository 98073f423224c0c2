"""The figures of AQA: correlations with their intervals, beside baselines, ablations and the truth.

Tables and figures that are told by their number are the paper's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from pipeline.report.aqa.published import COMPARED

Figures = Mapping[str, Mapping[str, Any]]  # of metrics.json
Row = Mapping[str, Any]  # of analysis.json, see `pipeline.aqa.evaluation`

TITLES = {  # what is compared with the model, in the order of the page
    "full": "Weights and scores",
    "single_score": "One score",
    "lstm": "LSTM",
    "mean_mlp": "Mean and MLP",
    "svr": "SVR",
    "ridge": "Ridge",
}
TRUE = {  # figure -> title, meaning, and whether it stands for the model
    "truth/weight_correlation": ("Weight and difficulty", "a second, over the whole video", True),
    "truth/weight_correlation/elements_alone": (
        "When, but not how difficult", "a curve that is 1 during elements and 0 between them", False
    ),
    "truth/weight_correlation/chance": ("Another video's truth", "the same curves, against other videos", False),
    "truth/score_correlation": ("Score and execution", "while an element is performed, by video", True),
    "truth/score_correlation/pooled": ("Score and execution, all videos", "over the moments of all videos", True),
    "truth/score_correlation/chance": ("Another video's truth", "the same curves, against other videos", False),
    "truth/element_weight_correlation": ("Weight of whole elements", "with their difficulty, by video", True),
    "truth/element_score_correlation": ("Score of whole elements", "with their execution, all videos", True),
    "truth/element_contribution_correlation": (
        "Earnings of whole elements", "weight x score with difficulty x execution, by video", True
    ),
}  # fmt: skip
COLUMNS = {  # figure of a variant -> heading
    "srcc": "SRCC",
    "skipping_index": "skipping",
    "alignment": "alignment",
    "truth/weight_correlation": "weight, truth",
    "truth/score_correlation": "score, truth",
}
SKIPPING, WITHOUT = "skipping_index", "skipping_index/without_attention_loss"


def number(value: float, unit: str = "correlation") -> str:
    """A figure as a reader sees it: three digits of a correlation or a ratio, one of a number of directions."""
    digits = {"directions": 1, "x100": 2}.get(unit, 3)
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")  # never −0.000


def told(figure: Mapping[str, Any] | None) -> str:
    """A figure with its spread over seeds, if it has one."""
    if figure is None:
        return ""
    spread = f" ± {number(figure['std'], figure['unit'])}" if figure["n"] > 1 else ""
    return number(figure["mean"], figure["unit"]) + spread


def between(interval: Sequence[float] | None) -> str:
    """Both ends of an interval."""
    return f"{number(interval[0])} to {number(interval[1])}" if interval else ""


def lead(figures: Figures, compared: Sequence[Row]) -> str:
    """The run in a few sentences: what it reaches, what the best baseline does, and whether its curves are true."""
    text, rows = [], {row["name"]: row for row in compared if row["srcc"]}
    if full := rows.get("full"):
        text.append(f"Ranks test videos with a Spearman's correlation of {number(full['srcc']['mean'])}")
        text[-1] += f" ({between(full['interval'])})" if full["interval"] else ""
        others = [row for row in rows.values() if row["kind"] == "baseline"]
        if others:
            best = max(others, key=lambda row: row["srcc"]["mean"])
            name = TITLES.get(best["name"], best["name"])
            text.append(f"The best baseline, {name}, reaches {number(best['srcc']['mean'])}: {verdict(best)}")
    weight, score = (figures.get(f"truth/{name}_correlation") for name in ("weight", "score"))
    if weight and score:
        text.append(
            f"What it says of single seconds correlates by {number(weight['mean'])} with their true difficulty and by"
            f" {number(score['mean'])} with the true execution"
        )
    return " ".join(f"{t}." for t in text)


def verdict(row: Row) -> str:
    """Whether the distance to the model is more than chance over test videos."""
    low, high = row["behind_interval"]
    if low > 0:
        return "behind by more than the choice of test videos explains"
    if high < 0:
        return "ahead by more than the choice of test videos explains"
    return "which of both is better, so few test videos cannot tell"


# Correlations ------------------------------------------------------------------------------------------------------


def bars(compared: Sequence[Row], paper: Mapping[str, float]) -> list[dict[str, Any]]:
    """The model and its baselines as bars from 0 to 1, whiskers from end to end of the interval."""
    return [_bar(row, paper.get("srcc") if row["name"] == "full" else None) for row in _shown(compared)]


def _shown(compared: Sequence[Row]) -> list[Row]:
    """The model, its head of one score, and the baselines."""
    rows = {row["name"]: row for row in compared if row["srcc"]}
    names = [*TITLES, *(name for name, row in rows.items() if row["kind"] == "baseline" and name not in TITLES)]
    return [rows[name] for name in names if name in rows]


def _bar(row: Row, paper: float | None) -> dict[str, Any]:
    low, high = (100 * min(max(end, 0), 1) for end in row["interval"] or (0, 0))
    return {
        "title": TITLES.get(row["name"], row["name"]),
        "meaning": row["doc"],
        "value": told(row["srcc"]),
        "width": round(100 * min(max(row["srcc"]["mean"], 0), 1), 2),
        "spread": (round(low, 2), round(high - low, 2)) if row["interval"] else None,
        "paper": (round(100 * paper, 2), number(paper)) if paper is not None else None,
        "ours": row["name"] == "full",
    }


def beside(compared: Sequence[Row]) -> list[dict[str, str]]:
    """The same as a table: correlation with interval, relative L2, the distance to the model and what it means."""
    rows = []
    for row in _shown(compared):
        far = "behind" in row and row["behind_interval"]
        rows.append(
            {
                "title": TITLES.get(row["name"], row["name"]),
                "srcc": told(row["srcc"]),
                "interval": between(row["interval"]),
                "rl2": told(row["rl2"]),
                "behind": number(row["behind"]) if far else "",
                "behind_interval": between(row["behind_interval"]) if far else "",
                "verdict": verdict(row) if far else "",
            }
        )
    return rows


def by_task(compared: Sequence[Row], paper: Mapping[str, float]) -> dict[str, Any]:
    """A row a task: the correlation of every model with its interval, and the paper's; none where there is one task."""
    rows = _shown(compared)
    names = list(rows[0]["tasks"]) if rows else []
    return {
        "columns": [TITLES.get(row["name"], row["name"]) for row in rows],
        "rows": [
            {
                "name": task,
                "cells": [(told(row["tasks"][task]["srcc"]), between(row["tasks"][task]["interval"])) for row in rows],
                "paper": number(paper[f"srcc/{task}"]) if f"srcc/{task}" in paper else "",
            }
            for task in names
        ],
    }


def others(figures: Figures, paper: Mapping[str, float], compared: Sequence[Row]) -> list[dict[str, str]]:
    """All figures that no section shows."""
    names = [row["name"] for row in compared]
    tasks = [task for row in compared for task in row["tasks"]]
    drawn = {"srcc", "rl2", SKIPPING, WITHOUT, "alignment", *TRUE}
    drawn |= {f"{figure}/{name}" for figure in ("srcc", "rl2") for name in [*names, *tasks]}
    drawn |= {name for name in figures if "/layer" in name}
    return [
        {"title": name, "value": told(found), "paper": number(paper[name]) if name in paper else ""}
        for name, found in figures.items()
        if name not in drawn
    ]


# Comparisons -----------------------------------------------------------------------------------------------------


def comparisons(tables: Mapping[str, Sequence[Row]]) -> list[dict[str, Any]]:
    """The ablations as far as they were run, with the paper's figures, and whether the order is the paper's.

    Args:
        tables: `comparisons` of analysis.json, see `pipeline.aqa.evaluation`.
    """
    result = []
    for title, rows in tables.items():
        theirs = COMPARED.get(title, {})
        used = [figure for figure in COLUMNS if any(figure in row["figures"] for row in rows)]
        name, _, source = title.partition(" (")
        result.append(
            {
                "title": name[:1].upper() + name[1:],
                "source": source.removesuffix(")"),
                "columns": [COLUMNS[figure] for figure in used],
                "of_paper": any(theirs.get(row["variant"], ("", None))[1] for row in rows),
                "rows": [
                    {
                        "name": theirs.get(row["variant"], (row["variant"], None))[0],
                        "doc": row["doc"],
                        "full": row["variant"] == "full",
                        "random": row["random"],
                        "cells": [told(row["figures"].get(figure)) for figure in used],
                        "paper": number(value) if (value := theirs.get(row["variant"], ("", None))[1]) else "",
                    }
                    for row in rows
                ],
                "order": order(rows, theirs),
            }
        )
    return result


def order(rows: Sequence[Row], paper: Mapping[str, tuple[str, float | None]]) -> str:
    """Whether variants rank as in the paper, in a sentence; a step is clear where it exceeds the spread of both."""
    found = {row["variant"]: row["figures"]["srcc"] for row in rows if "srcc" in row["figures"]}
    found = {v: figure for v, figure in found.items() if paper.get(v, ("", None))[1] is not None}
    if len(found) < 2:
        return ""
    ours = sorted(found, key=lambda v: -found[v]["mean"])
    theirs = sorted(found, key=lambda v: -paper[v][1])
    steps = list(pairwise(ours))
    clear = sum(found[a]["mean"] - found[b]["mean"] > found[a]["std"] + found[b]["std"] for a, b in steps)
    ranked, of_paper = (" > ".join(paper[v][0] for v in some) for some in (ours, theirs))
    same = [paper[v][1] for v in ours] == sorted((paper[v][1] for v in ours), reverse=True)
    said = f"The order is the paper's: {of_paper}." if same else f"Here {ranked}; in the paper {of_paper}."
    many = f"{clear} of {len(steps)} step{'s' * (len(steps) > 1)}"
    return f"{said} {many} between neighbours exceed{'s' * (clear == 1)} the spread over seeds."


# Attention, truth ------------------------------------------------------------------------------------------------


def skipping(figures: Figures) -> str:
    """Whether temporal skipping gets worse without the attention loss, in a sentence."""
    ours, without = figures.get(SKIPPING), figures.get(WITHOUT)
    if not (ours and without):
        return ""
    change = without["mean"] - ours["mean"]
    clear = abs(change) > ours["std"] + without["std"]
    said = f"Without the attention loss the index goes from {number(ours['mean'])} to {number(without['mean'])}"
    if not clear:
        return f"{said}: no more than the spread over seeds. The paper says that it gets worse."
    return f"{said}: it gets {'worse, as the paper says' if change > 0 else 'better, unlike what the paper says'}."


def attention(figures: Figures) -> list[dict[str, str]]:
    """What the attention and the queries are like, a row a figure."""
    words = {
        SKIPPING: ("Skipping index", "distance of self-attention from its diagonal; 1: alike everywhere, 0: diagonal"),
        WITHOUT: ("Without attention loss", "skipping index of the variant that is trained without it"),
        "alignment": (
            "Query-to-clip alignment",
            "share of cross-attention near the diagonal above chance; 0: query k does not stand for clip k",
        ),
    }
    layers = sorted({name.split("/layer")[1] for name in figures if "/layer" in name}, key=int)
    for n in layers:
        words[f"skipping_index/layer{n}"] = (f"Skipping index, layer {n}", "")
    for n in layers:
        words[f"effective_rank/layer{n}"] = (f"Effective rank, layer {n}", "directions that the queries use")
    return [
        {"title": title, "value": told(figures[name]), "meaning": meaning}
        for name, (title, meaning) in words.items()
        if name in figures
    ]


def truth(figures: Figures) -> list[dict[str, Any]]:
    """Correlations with the truth as bars, controls among them."""
    rows = []
    for name, (title, meaning, ours) in TRUE.items():
        if name in figures:
            found = figures[name]
            low, high = (min(max(found["mean"] + s * found["std"], 0), 1) for s in (-1, 1))
            rows.append(
                {
                    "title": title,
                    "meaning": meaning,
                    "value": told(found),
                    "width": round(100 * min(max(found["mean"], 0), 1), 2),
                    "spread": (round(100 * low, 2), round(100 * (high - low), 2)) if found["n"] > 1 else None,
                    "paper": None,
                    "ours": ours,
                }
            )
    return rows
