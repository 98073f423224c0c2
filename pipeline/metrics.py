"""Figures of a run: `metrics.json`, the one form in which every model reports what it reached.

    {"run": "theatre", "model": "dance", "protocol": "strict", "seeds": [0, 1, 2],
     "figures": {"accuracy": {"mean": 0.91, "std": 0.01, "n": 3, "unit": "share"}, ...},
     "paper": {"accuracy": 0.875}}

`mean`, `std` and `n` are over seeds (`std` divides by n - 1, and is 0 for one value; a figure that does not depend on
the seed has n = 1); shares are 0-1. `paper` holds the published figures under the same names and in the same units; it
may be empty.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pipeline.errors import ChoreoError
from pipeline.manifest import PROTOCOLS
from pipeline.writing import replacing

FIELDS = {"run": str, "model": str, "protocol": str, "seeds": list, "figures": dict, "paper": dict}
FIGURE = {"mean": float, "std": float, "n": int, "unit": str}


def figure(values: float | Sequence[float], unit: str = "share") -> dict[str, object]:
    """One figure from its values over seeds."""
    values = np.atleast_1d(np.asarray(values, dtype=float))
    std = values.std(ddof=1) if len(values) > 1 else 0.0
    return {"mean": float(values.mean()), "std": float(std), "n": len(values), "unit": unit}


def write_metrics(
    path: Path,
    *,
    run: str,
    model: str,
    protocol: str,
    seeds: Sequence[int],
    figures: Mapping[str, Mapping[str, object]],
    paper: Mapping[str, float] | None = None,
) -> None:
    """Check and write `metrics.json`, by rename; the same figures give the same bytes."""
    metrics = {"run": run, "model": model, "protocol": protocol, "seeds": [int(s) for s in seeds]}
    metrics |= {"figures": {name: dict(f) for name, f in figures.items()}, "paper": dict(paper or {})}
    check(metrics, str(path))
    with replacing(path) as file:
        file.write(json.dumps(metrics, indent=1, allow_nan=False) + "\n")


def read_metrics(path: Path) -> dict[str, object]:
    """Read and check one `metrics.json`.

    Raises:
        ChoreoError: it is missing, is no JSON, or does not have this form.
    """
    try:
        metrics = json.loads(Path(path).read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise ChoreoError(
            f"{path} cannot be read: {error}", "the evaluation has not run", "run it, or `snakemake`"
        ) from error
    check(metrics, str(path))
    return metrics


def check(metrics: Mapping[str, object], where: str = "metrics") -> None:
    """Raise a ChoreoError that names every place where figures are not of this form."""
    problems = _mismatches(metrics, FIELDS, "")
    if not problems:
        if metrics["protocol"] not in PROTOCOLS:
            problems.append(f"protocol '{metrics['protocol']}' is none of {sorted(PROTOCOLS)}")
        for name, entry in metrics["figures"].items():
            problems += _mismatches(entry, FIGURE, f"figures/{name}/")
        problems += [f"paper/{n} is no number" for n, v in metrics["paper"].items() if not _fits(v, float)]
        problems += [f"paper/{n} has no figure beside it" for n in metrics["paper"] if n not in metrics["figures"]]
    if problems:
        raise ChoreoError(f"{where}: {'; '.join(problems)}", "an evaluation does not keep to the form of metrics.json")


def _mismatches(entry: object, fields: Mapping[str, type], at: str) -> list[str]:
    if not isinstance(entry, Mapping):
        return [f"{at or 'it'} is no object"]
    problems = [f"{at}{name} is missing" for name in fields if name not in entry]
    problems += [f"{at}{name} is not known" for name in entry if name not in fields]
    problems += [f"{at}{n} is no {t.__name__}" for n, t in fields.items() if n in entry and not _fits(entry[n], t)]
    return problems


def _fits(value: object, kind: type) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return isinstance(value, kind)


def table(paths: Sequence[Path], mean: bool = False) -> str:
    """Figures of several runs and models side by side, each beside its paper's, as a Markdown table.

    A cell is mean ± standard deviation over seeds (number of seeds). With `mean`, one column for each model instead:
    mean ± standard deviation over the runs' means (number of runs), as for folds.
    """
    if not paths:
        raise ChoreoError("there are no figures", "no model has been evaluated", "run `snakemake`, then ask again")
    every = [read_metrics(path) for path in paths]
    if mean:
        every = _over_runs(every)
    columns = []  # (title, figure name -> cell)
    for m in every:
        cells = {name: _cell(f) for name, f in m["figures"].items()}
        columns.append((f"{m['run']}: {m['model']} ({m['protocol']})", cells))
        if m["paper"]:
            columns.append(("paper", {name: f"{value:.3f}" for name, value in m["paper"].items()}))
    units = {name: f["unit"] for m in every for name, f in m["figures"].items()}
    rows = [["figure", "unit", *(title for title, _ in columns)]]
    rows += [[name, unit, *(cells.get(name, "") for _, cells in columns)] for name, unit in units.items()]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    leaks = [f"`{p}`: {PROTOCOLS[p]}." for p in sorted({m["protocol"] for m in every})]
    return "\n".join([*lines, "", *leaks])


def _over_runs(every: Sequence[Mapping[str, object]]) -> list[dict[str, object]]:
    """The runs of each model and protocol as one: every figure's mean over the runs."""
    groups: dict[tuple[str, str], list[Mapping[str, object]]] = {}
    for m in every:
        groups.setdefault((m["model"], m["protocol"]), []).append(m)
    result = []
    for (model, protocol), runs in groups.items():
        units = {name: f["unit"] for m in runs for name, f in m["figures"].items()}
        means = {name: [m["figures"][name]["mean"] for m in runs if name in m["figures"]] for name in units}
        figures = {name: figure(values, units[name]) for name, values in means.items()}
        result.append(
            {"run": f"{len(runs)} runs", "model": model, "protocol": protocol, "figures": figures, "paper": {}}
        )
    return result


def _cell(entry: Mapping[str, object]) -> str:
    spread = f" ± {entry['std']:.3f} ({entry['n']})" if entry["n"] > 1 else ""
    return f"{entry['mean']:.3f}{spread}"
