"""The figures of a ProDA: every prompted one beside what its prompt gives away; comparisons beside the paper's.

Tables and figures that are told by their number are the paper's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from pipeline.report.numbers import percent, shown
from pipeline.report.proda.published import COLUMNS, COMPARED, FRAMES, LABELS
from pipeline.report.scores import score

Figures = Mapping[str, Mapping[str, Any]]  # of metrics.json

PREDICTED = "predicted_graphs/"
GRAPHS = {"": "oracle graphs", PREDICTED: "predicted graphs"}

CONTROL = "map/prompt_only_control"
PROTOCOLS = {  # figure -> title, meaning, and the figure of what its prompt alone reaches
    "map/prompt_free": ("Prompt-free", "every action is scored from the video alone: nothing is asked", ""),
    "map/encoder_alone": (
        "Encoder alone",
        "the video encoder trained by itself: what prompts in training must add to",
        "",
    ),
    "map/queried": (
        "Queried",
        "each action is asked of each video by itself, as by somebody who does not know the answer",
        f"{CONTROL}/queried",
    ),
    "map/oracle_prompt": (
        "Oracle prompt",
        "the paper's headline: the prompts are made of the test labels, so that part of the answer is in the question",
        CONTROL,
    ),
}

TIME = {  # figure -> title and meaning
    "localisation/recall@0.5": ("As found best on val", "whichever of the three ways below finds most on val"),
    "localisation/left_out/recall@0.5": (
        "By what is left out",
        "the stretch without which the unasked score falls most",
    ),
    "localisation/by_weight/recall@0.5": ("By frame weights", "frames whose weight exceeds a threshold chosen on val"),
    "localisation/by_occlusion/recall@0.5": ("By occlusion", "frames without which the readout's score falls"),
    "localisation/middle_half/recall@0.5": ("The middle half", "a guess that looks at nothing"),
    "localisation/all_frames/recall@0.5": ("All frames", "another guess that looks at nothing"),
}
RANKED = {
    "localisation/frame_map": ("Frames of an action's videos", "of the videos that show an action: its frames first?"),
    "localisation/frame_map/chance": ("By chance", "the same of equal weights"),
    "localisation/detection_map": ("Frames of all videos", "weights times scores: which videos, and when?"),
    "localisation/detection_map/chance": ("By chance", "the same of equal weights and scores"),
}
GUESSES = ("middle_half", "all_frames", "chance")  # in the names of figures that stand for no model
MEANINGS = {
    "map/prompt_free/all_query": ("Prompt-free, all asked", "mAP of a_t when all actions are asked for at once"),
    "map/oracle_prompt/specified": ("Oracle prompt, a_s", "of the branch that is asked, on the actions in the prompt"),
    f"{CONTROL}": ("Prompt alone", "a_t of a model that never saw a video, on the oracle prompts"),
    f"{CONTROL}/specified": ("Prompt alone, a_s", "the same, of the branch that is asked"),
    f"{CONTROL}/queried": ("Prompt alone, queried", "the same, each action asked by itself"),
    f"{CONTROL}/zeroed": ("Video zeroed in test alone", "the full model on oracle prompts, its videos taken away"),
    f"{CONTROL}/zeroed/specified": ("Video zeroed, a_s", "the same, of the branch that is asked"),
    "localisation/paper_map": ("As Table 9 counts", "at θ 0.5 and IoU 0.5, clean prompts"),
    "localisation/paper_map/distractor": ("As Table 8 counts", "the same, prompts with distractors"),
    "map/chance": ("Chance", "mAP of equal scores"),
}

DISTANCES = {
    "distance": "in the plane of t-SNE",
    "distance/feature": "of the features, at length 1",
    "distance/feature/prompt_only_control": "the same, the prompt alone",
}
KINDS = {"clean": "clean prompts", "distractor": "prompts with distractors"}


def protocols(figures: Figures, paper: Mapping[str, float]) -> list[dict[str, Any]]:
    """mAP by protocol, for both kinds of graphs, each beside what its prompt alone reaches."""
    result = []
    for name, (title, meaning, control) in PROTOCOLS.items():
        rows = []
        for prefix, graphs in GRAPHS.items():
            if (found := figures.get(prefix + name)) is None:
                continue
            row = score(found, paper.get(prefix + name), (graphs, ""))
            given = figures.get(prefix + control, figures.get(control)) if control else None
            rows.append(row | {"given": _given(given, found), "predicted": prefix == PREDICTED})
        if rows:
            result.append({"title": title, "meaning": meaning, "rows": rows, "prompted": bool(control)})
    return result


def _given(control: Mapping[str, Any] | None, figure: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a prompt alone reaches; the bar is hatched as far as both go."""
    if control is None:
        return None
    return {"value": _value(control), "width": round(100 * min(control["mean"], figure["mean"]), 2)}


def bars(words: Mapping[str, tuple[str, str]], figures: Figures, paper: Mapping[str, float]) -> list[dict[str, Any]]:
    """Some figures as bars; those that stand for no model are pale."""
    return [
        score(figures[n], paper.get(n), words[n]) | {"ours": not any(g in n for g in GUESSES)}
        for n in words
        if n in figures
    ]


def others(figures: Figures, paper: Mapping[str, float]) -> list[dict[str, Any]]:
    """All figures that no section shows."""
    drawn = {f"{prefix}{name}" for prefix in GRAPHS for name in PROTOCOLS} | TIME.keys() | RANKED.keys()
    drawn |= {f"{name}/{which}" for name in DISTANCES for which in ("intra", "inter")}
    rows = []
    for name, found in figures.items():
        if name in drawn or name.startswith("ablation/"):
            continue
        title, meaning = (TIME | RANKED | MEANINGS).get(
            name.removeprefix(PREDICTED), (name.removeprefix(PREDICTED), "")
        )
        before = "Predicted graphs: " if name.startswith(PREDICTED) else ""
        rows.append(score(found, paper.get(name), (before + title, meaning)))
    return rows


def of_origin(figures: Figures, annotated: bool) -> Figures:
    """Figures of the oracle graphs; where there were none, those of the predicted graphs under the same names."""
    if annotated:
        return figures
    return {name.removeprefix(PREDICTED): f for name, f in figures.items() if name.startswith(PREDICTED)}


def lead(figures: Figures) -> str:
    """The run in a few sentences: what it reaches without a prompt, with the paper's, and by the prompt alone."""
    text = []
    if free := figures.get("map/prompt_free"):
        text.append(f"From the video alone, ProDA reaches {percent(free['mean'])} mAP")
        if alone := figures.get("map/encoder_alone"):
            text[-1] += f"; its encoder, trained without prompts, {percent(alone['mean'])}"
    if oracle := figures.get("map/oracle_prompt"):
        text.append(
            f"With the paper's prompts, which are made of the test labels, it reaches {percent(oracle['mean'])}"
        )
        if control := figures.get(CONTROL):
            text[-1] += f"; a model that reads the same prompts and sees no video, {percent(control['mean'])}"
    return " ".join(f"{t}." for t in text)


# Comparisons -----------------------------------------------------------------------------------------------------


def comparisons(tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """The ablations as far as they were run, with the paper's figures, and whether the order is the paper's.

    Args:
        tables: `comparisons` of analysis.json, see `pipeline.proda.evaluation`.
    """
    of = {row["variant"]: row["figures"] for rows in tables.values() for row in rows}
    result = []
    for title, (source, rows) in COMPARED.items():
        measured = {v: told for v, told in rows.items() if of.get(v)}
        if len(measured) < 2:
            continue
        used = [i for i, column in enumerate(COLUMNS) if any(column in of[v] for v in measured)]
        names = list(COLUMNS)
        known = {v: of[v][names[0]] for v in measured if names[0] in of[v] and rows[v][1] is not None}
        result.append(
            {
                "title": title,
                "source": source,
                "columns": [COLUMNS[names[i]] for i in used],
                "rows": [
                    {
                        "name": name,
                        "full": v == "full",
                        "cells": [(_value(of[v].get(names[i])), _of_paper(theirs[i])) for i in used],
                    }
                    for v, (name, *theirs) in measured.items()
                ],
                "order": order(known, {v: rows[v][1] for v in known}, {v: rows[v][0] for v in known}),
            }
        )
    return result


def order(found: Figures, paper: Mapping[str, float], names: Mapping[str, str]) -> str:
    """Whether variants rank as in the paper, in a sentence; a step is clear where it exceeds the spread of both."""
    if len(found) < 2:
        return ""
    theirs = sorted(found, key=lambda v: -paper[v])
    ours = sorted(found, key=lambda v: -found[v]["mean"])
    clear = sum(found[a]["mean"] - found[b]["mean"] > found[a]["std"] + found[b]["std"] for a, b in pairwise(ours))
    ranked, of_paper = (" > ".join(names[v] for v in some) for some in (ours, theirs))
    steps = f"{clear} of {len(ours) - 1} step{'s' * (len(ours) > 2)}"
    said = f"The order is the paper's: {of_paper}." if ours == theirs else f"Here {ranked}; in the paper {of_paper}."
    return (
        f"{said} With the oracle prompt, {steps} between neighbours exceed{'s' * (clear == 1)} the spread over seeds."
    )


def _value(figure: Mapping[str, Any] | None) -> str:
    if figure is None:
        return ""
    return shown(figure["mean"], figure["std"] if figure["n"] > 1 else None, figure["unit"])


def _of_paper(value: float | None) -> str:
    return percent(value / 100) if value is not None else ""


# Prompts, frames -------------------------------------------------------------------------------------------------


def by_labels(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """mAP of a_s by the number of labels of a video: one row a number, both kinds of prompts, and the paper's."""
    of = {(row["kind"], row["labels"]): row for row in rows}
    result = []
    for number in sorted({row["labels"] for row in rows}):
        cells = []
        for kind in KINDS:
            row, theirs = of.get((kind, number)), LABELS[kind].get(number)
            cells.append(
                {
                    "value": shown(row["mean"], row["std"], "share") if row else "",
                    "paper": shown(*theirs, "share") if theirs else "",
                }
            )
        result.append(
            {"labels": number, "samples": sum(r["samples"] for r in rows if r["labels"] == number), "kinds": cells}
        )
    return result


def frame_tables(tables: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Tables 8-9 beside the paper's: a row a theta, cells (value, the paper's) by IoU.

    Args:
        tables: `paper_map` of analysis.json.
    """
    return [
        {
            "title": title,
            "rows": [
                (theta, [(percent(v), percent(p)) for v, p in zip(row, theirs, strict=True)])
                for theta, row, theirs in zip(tables["thetas"], tables[kind], FRAMES[kind], strict=True)
            ],
        }
        for kind, title in KINDS.items()
        if kind in tables
    ]


def distances(figures: Figures) -> list[dict[str, str]]:
    """Distances within and between actions (Figure 4), each with their ratio."""
    result = []
    for name, title in DISTANCES.items():
        intra, inter = (figures.get(f"{name}/{which}") for which in ("intra", "inter"))
        if intra and inter:
            ratio = f"{inter['mean'] / intra['mean']:.1f}" if intra["mean"] else ""
            result.append({"name": title, "intra": _plain(intra), "inter": _plain(inter), "ratio": ratio})
    return result


def _plain(figure: Mapping[str, Any]) -> str:
    return shown(figure["mean"], figure["std"] if figure["n"] > 1 else None, "")


def by_action(tables: Mapping[str, Sequence[float | None]], actions: Sequence[str]) -> list[dict[str, Any]]:
    """Average precision of every action that some test video shows, by protocol; none where `tables` are empty."""
    columns = [tables[name] for name in ("prompt_free", "queried", "oracle_prompt") if tables]
    rows = zip(actions, *columns, strict=True) if columns else ()
    return [{"name": name, "cells": [percent(v) for v in values]} for name, *values in rows if None not in values]
