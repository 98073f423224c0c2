"""Figures of ProDA over seeds, variants and kinds of scene graphs: `metrics.json`, and tables for the report."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pipeline import metrics, plain
from pipeline.errors import ChoreoError
from pipeline.metrics import figure
from pipeline.proda.localisation import GRID, IOUS, THETAS
from pipeline.proda.measuring import CONTROL
from pipeline.proda.variants import TABLES, VARIANTS

log = logging.getLogger(__name__)

PREFIX = {"annotated": "", "predicted": "predicted_graphs/"}  # by the origin of the scene graphs
# Figures with a name of their own that are also rows of the comparisons: variant, name there, name here.
ALSO = (("encoder", "map/prompt_free", "map/encoder_alone"), ("blind", "map/oracle_prompt", CONTROL))

Part = Mapping[str, object]  # what `proda_measure` wrote
Row = Mapping[str, object]  # what it wrote of one network


def proda_evaluate(
    measured: list[Path],
    out: Path,
    analysis: Path,
    *,
    run: str = "",
    paper: dict | None = None,
    protocol: str = "strict",
) -> None:
    """Figures of ProDA over seeds, on oracle and on predicted graphs; writes `metrics.json` and the report's tables.

    The figures are those of `proda_measure`; of predicted graphs with `predicted_graphs/` in front. The tables are by
    the origin of the graphs, `annotated` (the oracle) and `predicted`; they are means over the seeds of `full`:

    - `actions`: names; `videos`: numbers in train, val and test; `prompts`: number of the paper's prompts
    - `comparisons`: {title: [{variant, doc, figures: {name: figure}}, ...]}, the paper's tables of ablations in its
      order, as far as their variants were measured
    - `average_precision`: by action, `prompt_free`, `queried`, `oracle_prompt`; null where no test video shows it
    - `robustness` (Tables 6-7): {kind, labels, samples, mean, std, present: [[number present, samples, mAP], ...]}
    - `paper_map` (Tables 8-9): `thetas`, `ious`, `clean` and `distractor`: by theta (row) and IoU (column)
    - `localisation`: as chosen on val, by seed: `theta` for `weight` and `occlusion`, `length` of stretches, and
      `chosen`, the way that finds most; `between_frames`: share of the true (video, action) that no sampled frame
      shows; `recall_by_theta`: recall@0.5 on test at each of `grid`
    - `separation` (Figure 4): [[x, y, action], ...] of the first seed

    Args:
        measured: what `proda_measure` wrote, one a kind of graphs, or several.
        out: `metrics.json` to write.
        analysis: JSON file of the tables to write.
        run: name of the run.
        paper: the paper's figures by name, as shares, such as {map/oracle_prompt: 0.711}.
        protocol: the protocol that the models were trained under.
    """
    parts = _parts(measured)
    figures: dict[str, dict[str, object]] = {}
    tables: dict[str, object] = {}
    for origin, prefix in PREFIX.items():
        if origin in parts:
            part = parts[origin]
            found = over_seeds(part["models"])
            figures |= {prefix + name: entry for name, entry in found.items()}
            tables[origin] = _tables(part, found)
    if _has(figures, "map/oracle_prompt") and not _has(figures, CONTROL):
        log.warning("map/oracle_prompt stands without its control: the variant `blind` was not measured")
    seeds = sorted({row["seed"] for part in parts.values() for row in part["models"]})
    ordered = dict(sorted(figures.items()))
    metrics.write_metrics(out, run=run, model="proda", protocol=protocol, seeds=seeds, figures=ordered, paper=paper)
    plain.write(analysis, tables)


def _parts(paths: Sequence[Path]) -> dict[str, dict[str, object]]:
    """What was measured, by origin of the graphs; several files of one origin are joined."""
    parts: dict[str, dict[str, object]] = {}
    for path in paths:
        try:
            part = json.loads(Path(path).read_text())
            joined = parts.setdefault(part["graphs"], part | {"models": []})
            joined["models"] = joined["models"] + part["models"]
        except (OSError, json.JSONDecodeError, KeyError, TypeError) as error:
            raise ChoreoError(
                f"{path} cannot be read: {error}", "`proda_measure` did not write it", "run it, or `snakemake`"
            ) from error
        if part["graphs"] not in PREFIX:
            raise ChoreoError(f"{path} is of '{part['graphs']}' scene graphs", mend=f"one of {', '.join(PREFIX)}")
        if part["actions"] != joined["actions"] or part["videos"] != joined["videos"]:
            raise ChoreoError(f"{path} was measured on other videos than {paths[0]}", "files of two runs were mixed")
    if not parts:
        raise ChoreoError("nothing was measured", "no file was named", "run `proda_measure`, or `snakemake`")
    return parts


def _has(figures: Mapping[str, object], name: str) -> bool:
    """Whether a figure is there, on either kind of graphs."""
    return any(prefix + name in figures for prefix in PREFIX.values())


def over_seeds(rows: Sequence[Row]) -> dict[str, dict[str, object]]:
    """Mean, spread and number of every figure over the networks that have it."""
    units = {name: unit for row in rows for name, (_, unit) in row["figures"].items()}
    values = {name: [row["figures"][name][0] for row in rows if name in row["figures"]] for name in units}
    return {name: figure(values[name], unit) for name, unit in units.items()}


# Tables ----------------------------------------------------------------------------------------------------------


def _tables(part: Part, figures: Mapping[str, Mapping[str, object]]) -> dict[str, object]:
    result = {name: part[name] for name in ("actions", "videos", "prompts")}
    result["comparisons"] = _comparisons(figures)
    full = [row["tables"] for row in part["models"] if row["variant"] == "full" and not row["pretrained"]]
    if not full:
        return result
    every = {name: [tables[name] for tables in full] for name in full[0]}
    result["average_precision"] = {
        name: _mean([each[name] for each in every["average_precision"]]) for name in every["average_precision"][0]
    }
    result["robustness"] = [_robustness(rows) for rows in zip(*every["robustness"], strict=True)]
    result["separation"] = every["separation"][0]
    if "localisation" in every:
        maps, found = every["paper_map"], every["localisation"]
        result["paper_map"] = {"thetas": THETAS, "ious": IOUS} | {k: _mean([m[k] for m in maps]) for k in maps[0]}
        result["localisation"] = {
            "theta": {name: [each["theta"][name] for each in found] for name in found[0]["theta"]},
            "length": [each["length"] for each in found],
            "chosen": [each["chosen"] for each in found],
            "between_frames": found[0]["between_frames"],
            "grid": GRID,
            "recall_by_theta": {
                name: _mean([each["recall_by_theta"][name] for each in found]) for name in found[0]["recall_by_theta"]
            },
        }
    return result


def _comparisons(figures: Mapping[str, Mapping[str, object]]) -> dict[str, list[dict[str, object]]]:
    """The paper's tables of ablations, filled with what was measured."""
    of_variant = {
        variant: {name.removeprefix(prefix): entry for name, entry in figures.items() if name.startswith(prefix)}
        for variant, prefix in ((variant, f"ablation/{variant}/") for variant in VARIANTS)
    }
    for variant, name, found in ALSO:
        if found in figures:
            of_variant[variant][name] = figures[found]
    return {
        title: [
            {"variant": name, "doc": VARIANTS[name].doc, "figures": of_variant[name]}
            for name in names
            if of_variant[name]
        ]
        for title, names in TABLES.items()
    }


def _robustness(rows: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """One row of Tables 6-7 from those of the seeds, which share their samples."""
    present = [[p, n, _mean([row["present"][i][2] for row in rows])] for i, (p, n, _) in enumerate(rows[0]["present"])]
    return dict(rows[0]) | {key: _mean([row[key] for row in rows]) for key in ("mean", "std")} | {"present": present}


def _mean(values: Sequence[object]) -> object:
    """Mean of numbers, or of lists of numbers (null where there is none), place by place."""
    return np.mean(np.array(values, dtype=float), axis=0)
