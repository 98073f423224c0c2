"""Figures of AQA over tasks, seeds, variants and baselines: `metrics.json`, and tables for the report.

Axes: V test video, S seed, N draw of the bootstrap, Q query, T clip.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from pipeline import metrics, plain
from pipeline.aqa import trained, truth
from pipeline.aqa.data import Data, Task, load
from pipeline.aqa.measures import alignment, effective_rank, relative_l2, skipping_index, spearman
from pipeline.aqa.trained import Answer, Trained, answers
from pipeline.aqa.truth import Elements
from pipeline.aqa.variants import TABLES, VARIANTS
from pipeline.errors import ChoreoError
from pipeline.metrics import figure

log = logging.getLogger(__name__)

LEVEL = 0.95  # of confidence intervals
UNITS = {  # by the first word of a figure's name
    "srcc": "correlation", "rl2": "x100", "skipping_index": "ratio", "alignment": "share",
    "effective_rank": "directions", "truth": "correlation",
}  # fmt: skip
ALSO = {("no_attention_loss", "skipping_index"): "skipping_index/without_attention_loss"}

Values = dict[str, float]  # figures by name


@dataclass(frozen=True)
class Row:
    """What one model or baseline reaches on the test videos of one task.

    Attributes:
        task: name of the task.
        name: of the variant or the baseline.
        seed: that it was trained with; None where there is none.
        score: (V,) points.
        figures: by name; one that is not defined is not there.
        doc: what it is.
        random: whether it answers at random.
    """

    task: str
    name: str
    seed: int | None
    score: NDArray
    figures: Values
    doc: str
    random: bool = False


def aqa_evaluate(
    models: list[Path],
    baselines: list[Path],
    features: list[Path],
    scores: Path,
    manifest: Path,
    out: Path,
    analysis: Path,
    *,
    tasks: dict,
    elements: list[Path] | None = None,
    run: str = "",
    paper: dict | None = None,
    samples: int = 2000,
    protocol: str = "strict",
    max_failed_fraction: float = 0.1,
) -> None:
    """Figures of AQA on the test videos, over seeds, beside its baselines and ablations; writes `metrics.json`.

    All are means over tasks, and `srcc` and `rl2` of the variant `full` are told for each task too:

    - `srcc`, `srcc/TASK`: Spearman's correlation (Eq. 7); `srcc/BASELINE`, `srcc/VARIANT`: of what it is compared with
    - `rl2`, likewise: relative L2 distance, times 100 (Eq. 8)
    - `skipping_index`, and of each `.../layerN`: how far self-attention is from its diagonal; 1: alike everywhere;
      `skipping_index/without_attention_loss`: of the variant `no_attention_loss`
    - `alignment`: share of the last layer's cross-attention near the diagonal, above chance (0 as by chance, 1 all of
      it); `effective_rank/layerN`: how many directions the queries use after a layer
    - `truth/...` where elements are known: see `pipeline.aqa.truth.figures`

    A task whose test scores are all equal has no `srcc`, which is said in the log and in the tables. A model that gives
    all videos one score has ranked nothing: its correlation counts as 0. The tables:

    - `tasks`: rows of `name`, `score`, `label`, `range`; `videos`: number by role; `left_out`: {id: why}; `undefined`:
      why there is no `srcc`, or null; `ids`, `true`: points of the test videos; `predicted`: {variant or baseline:
      points, mean over seeds}
    - `compared`: rows of `name`, `kind` (model, variant, baseline), `doc`, `random`: whether it answers at random, and
      `srcc` and `rl2` over seeds; `interval`: of the mean `srcc`, over test videos drawn anew; `behind`: by how much it
      falls behind `full` on the same draws, and `behind_interval`; `tasks`: {name: the same for one task}
    - `comparisons`: {title: [{variant, doc, random, figures}, ...]}, the paper's ablations in its order
    - `level`, `samples`: of the intervals, percentiles of the bootstrap over test videos

    Args:
        models: checkpoints of all tasks, variants and seeds.
        baselines: what `aqa_baselines` wrote, one a task.
        features: artifacts `clip_features`, one a shard.
        scores: CSV file `id,score,value`.
        manifest: the videos, their labels and splits.
        out: `metrics.json` to write.
        analysis: JSON file of the tables to write.
        tasks: the tasks by name, {name: {score, label, range}}.
        elements: artifacts `elements`, where it is known what the videos are made of.
        run: name of the run.
        paper: the paper's figures by name, such as {srcc: 0.842}.
        samples: draws of the bootstrap.
        protocol: the protocol that the models were trained under.
        max_failed_fraction: share of the videos that may lack their features or their score.
    """
    tolerated = {"protocol": protocol, "max_failed_fraction": max_failed_fraction}
    data = {n: load(features, manifest, scores, task=options, **tolerated) for n, options in tasks.items()}
    known = truth.read(elements, _test_ids(data)) if elements else {}
    rows = [row for path in baselines for row in _baselines(path, data, protocol)]
    rows = [*(_measured(path, data, known) for path in models), *rows]
    _check([(row.task, row.name, row.seed) for row in rows], data)
    figures = _figures(rows, list(data))
    of_paper = {name: value for name, value in (paper or {}).items() if name in figures}
    if lost := sorted((paper or {}).keys() - of_paper.keys()):
        log.warning("the paper's %s have no figure beside them", ", ".join(lost))
    seeds = sorted({row.seed for row in rows if row.name in VARIANTS})
    ordered = dict(sorted(figures.items()))
    metrics.write_metrics(out, run=run, model="aqa", protocol=protocol, seeds=seeds, figures=ordered, paper=of_paper)
    tables = {
        "tasks": [_task(name, part, rows) for name, part in data.items()],
        "compared": _compared(rows, data, samples),
        "comparisons": _comparisons(rows),
        "level": LEVEL,
        "samples": samples,
    }
    plain.write(analysis, tables)


# Reading -----------------------------------------------------------------------------------------------------------


def _test_ids(data: Mapping[str, Data]) -> list[str]:
    return sorted({i for part in data.values() for i in part.roles["test"].ids})


def name_of(task: Task, data: Mapping[str, Data], path: Path) -> str:
    """The name under which the config has a task.

    Raises:
        ChoreoError: it has none.
    """
    for name, part in data.items():
        if part.task == task:
            return name
    raise ChoreoError(
        f"{path} is of the task {task.options}, which is none of {', '.join(data) or 'no tasks'}",
        "`tasks` was edited after it was made, or files of two runs were mixed",
        "use the config that it was made under, or delete it and run again",
    )


def _baselines(path: Path, data: Mapping[str, Data], protocol: str) -> list[Row]:
    """The baselines of one task."""
    try:
        content = json.loads(Path(path).read_text())
        task, ids, found = Task.of(content["task"]), content["ids"], content["baselines"]
        rows = [(row["name"], row["seed"], np.array(row["test"], dtype=float), row["doc"]) for row in found]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ChoreoError(
            f"{path} cannot be read: {error}", "`aqa_baselines` did not write it", "run it, or `snakemake`"
        ) from error
    name = name_of(task, data, path)
    test = data[name].roles["test"]
    if ids != test.ids or content.get("protocol") != protocol:
        raise ChoreoError(
            f"{path} is of other test videos, or of another protocol than '{protocol}'",
            "the manifest changed after it was made, or files of two runs were mixed",
            "delete it and run again",
        )
    true = data[name].task.points(test.targets)
    return [Row(name, baseline, seed, score, _of_scores(score, true), doc) for baseline, seed, score, doc in rows]


def _check(named: Sequence[tuple[str, str, int | None]], tasks: Iterable[str]) -> None:
    """`full` is there for every task, and every name has the same seeds for all tasks, each once.

    Args:
        named: task, name of the variant or baseline, seed.
        tasks: names of the tasks.
    """
    for name in dict.fromkeys(["full", *(name for _, name, _ in named)]):
        if name in tasks:
            raise ChoreoError(f"a task is called '{name}', as a variant or baseline is", mend="rename it in `tasks`")
        seeds = {task: sorted(str(seed) for t, n, seed in named if (t, n) == (task, name)) for task in tasks}
        told = ", ".join(f"'{task}': {' '.join(some) or 'none'}" for task, some in seeds.items())
        if len({tuple(some) for some in seeds.values()}) > 1 or not all(seeds.values()):
            raise ChoreoError(
                f"'{name}' was not trained alike for all tasks; seeds of {told}",
                "some files were not named",
                "train all, or `snakemake`",
            )
        if any(len(set(some)) != len(some) for some in seeds.values()):
            raise ChoreoError(f"'{name}' was named twice for one seed; seeds of {told}", "a path was given twice")


# Measuring ---------------------------------------------------------------------------------------------------------


def _measured(path: Path, data: Mapping[str, Data], known: Mapping[str, Elements]) -> Row:
    """What a checkpoint reaches on the test videos of its task; it is forgotten then, as there may be hundreds."""
    network = trained.load(path)
    task = name_of(network.task, data, path)
    if network.settings.features != data[task].features:
        raise ChoreoError(
            f"{path} reads {network.settings.features} features, and the clips have {data[task].features}",
            "it was trained on those of another backbone",
            "delete it and run again",
        )
    return measure(network, data[task], known, task)


def measure(network: Trained, data: Data, known: Mapping[str, Elements], task: str = "") -> Row:
    """What a trained model reaches on the test videos of its task."""
    test = data.roles["test"]
    said = answers(network, test)
    score = np.array([answer.score for answer in said])
    found = _of_scores(score, data.task.points(test.targets)) | _of_attention(said)
    curves = {i: truth.curves(answer) for i, answer in zip(test.ids, said, strict=True) if i in known}
    found |= {f"truth/{name}": value for name, value in truth.figures(curves, known).items()} if curves else {}
    doc = VARIANTS[network.variant].doc
    return Row(task, network.variant, int(network.recipe["seed"]), score, found, doc, network.random)


def _of_scores(score: NDArray, true: NDArray) -> Values:
    """Both metrics of the paper: (V,), (V,) points."""
    return _defined({"srcc": correlation(score, true), "rl2": relative_l2(score, true)})


def correlation(score: NDArray, true: NDArray) -> float:
    """Spearman's; 0 of one score for all videos, NaN where the true scores are all equal: (V,), (V,)."""
    found = spearman(score, true)
    return 0.0 if np.isnan(found) and len(true) > 1 and np.ptp(true) > 0 else found


def _of_attention(said: Sequence[Answer]) -> Values:
    """What the attention of some videos tells, each a mean over them."""
    skipped = np.mean([skipping_index(answer.self_attention) for answer in said], axis=0)  # (layers,)
    rank = np.mean([effective_rank(answer.queries) for answer in said], axis=0)
    near = [alignment(answer.cross_attention[-1]) for answer in said]
    found = {"skipping_index": skipped.mean(), "alignment": np.mean([one.above_chance for one in near])}
    found |= {f"skipping_index/layer{n}": value for n, value in enumerate(skipped, start=1)}
    return _defined(found | {f"effective_rank/layer{n}": value for n, value in enumerate(rank, start=1)})


def _defined(figures: Mapping[str, float]) -> Values:
    return {name: float(value) for name, value in figures.items() if not np.isnan(value)}


# Figures -----------------------------------------------------------------------------------------------------------


def _figures(rows: Sequence[Row], tasks: Sequence[str]) -> dict[str, dict[str, object]]:
    """All figures of `metrics.json`."""
    found = over_seeds(rows, "full")
    for task in tasks if len(tasks) > 1 else ():
        alone = over_seeds([row for row in rows if row.task == task], "full")
        found |= {f"{name}/{task}": alone[name] for name in ("srcc", "rl2") if name in alone}
    for other in dict.fromkeys(row.name for row in rows if row.name != "full"):
        of_other = over_seeds(rows, other)
        found |= {f"{name}/{other}": of_other[name] for name in ("srcc", "rl2") if name in of_other}
        found |= {also: of_other[name] for (v, name), also in ALSO.items() if v == other and name in of_other}
    return found


def over_seeds(rows: Iterable[Row], name: str) -> dict[str, dict[str, object]]:
    """Figures of a variant or a baseline: of each seed the mean over tasks, as far as they are defined there."""
    by_seed: dict[int | None, list[Values]] = {}
    for row in rows:
        if row.name == name:
            by_seed.setdefault(row.seed, []).append(row.figures)
    names = dict.fromkeys(n for some in by_seed.values() for figures in some for n in figures)
    values = {n: [[f[n] for f in some if n in f] for some in by_seed.values()] for n in names}
    return {n: figure([np.mean(v) for v in some if v], UNITS[n.split("/")[0]]) for n, some in values.items()}


# Tables ------------------------------------------------------------------------------------------------------------


def _task(name: str, data: Data, rows: Sequence[Row]) -> dict[str, object]:
    """One task: its videos, and what is said of the test videos."""
    test, mine = data.roles["test"], [row for row in rows if row.task == name]
    true = data.task.points(test.targets)
    equal = f"all {len(true)} test scores are equal ({true[0]:g}): Spearman's correlation is undefined"
    return {
        "name": name,
        **data.task.options,
        "videos": {role: len(videos) for role, videos in data.roles.items()},
        "left_out": data.left_out,
        "undefined": equal if np.ptp(true) == 0 else None,
        "ids": test.ids,
        "true": true,
        "predicted": {n: _scores(mine, n).mean(axis=0) for n in dict.fromkeys(row.name for row in mine)},
    }


def _scores(rows: Sequence[Row], name: str) -> NDArray:
    """Points of the test videos of one task by each seed: (S,V)."""
    return np.stack([row.score for row in rows if row.name == name])


def _compared(rows: Sequence[Row], data: Mapping[str, Data], samples: int) -> list[dict[str, object]]:
    """Every model beside `full`, with intervals, over all tasks and for each."""
    every = {task: {} for task in data}  # task -> name -> draws (N,)
    for task, part in data.items():
        mine = [row for row in rows if row.task == task]
        true = part.task.points(part.roles["test"].targets)
        for name in dict.fromkeys(row.name for row in mine):
            every[task][name] = drawn(_scores(mine, name), true, samples)
    defined = [draws for draws in every.values() if not np.isnan(draws["full"]).all()] or list(every.values())
    of = {row.name: row for row in rows}
    result = []
    for name in dict.fromkeys(["full", *(row.name for row in rows)]):
        kind = "model" if name == "full" else "variant" if name in VARIANTS else "baseline"
        told = {"name": name, "kind": kind, "doc": of[name].doc, "random": of[name].random}
        together = {n: np.mean([draws[n] for draws in defined], axis=0) for n in ("full", name)}
        alone = {task: _beside(rows, name, every[task], task) for task in data} if len(data) > 1 else {}
        result.append(told | _beside(rows, name, together) | {"tasks": alone})
    return result


def _beside(rows: Sequence[Row], name: str, draws: Mapping[str, NDArray], task: str = "") -> dict[str, object]:
    """What a model reaches, over all tasks or for one, and how far it is behind `full`."""
    mine = [row for row in rows if not task or row.task == task]
    found, full = over_seeds(mine, name), over_seeds(mine, "full")
    told = {key: found.get(key) for key in ("srcc", "rl2")}
    told["interval"] = interval(draws[name])
    if name != "full" and told["srcc"]:
        told["behind"] = full["srcc"]["mean"] - found["srcc"]["mean"]
        told["behind_interval"] = interval(draws["full"] - draws[name])
    return told


def drawn(scores: NDArray, true: NDArray, samples: int, seed: int = 0) -> NDArray[np.float64]:
    """Spearman's correlation, mean over seeds, on test videos drawn anew with replacement: (S,V), (V,) -> (N,).

    The same draws for all models, so that they can be subtracted; NaN where all true scores of a draw are equal.
    """
    videos = np.random.default_rng(seed).integers(0, len(true), (samples, len(true)))  # (N,V)
    ranks = [_ranks(np.asarray(one)[videos]) for one in (true, *scores)]
    found = []
    for ours in ranks[1:]:
        scale = np.sqrt((ours**2).sum(axis=1) * (ranks[0] ** 2).sum(axis=1))
        found.append(np.divide((ours * ranks[0]).sum(axis=1), scale, out=np.zeros(samples), where=scale > 0))
    return np.where(np.ptp(ranks[0], axis=1) > 0, np.mean(found, axis=0), np.nan)


def _ranks(values: NDArray) -> NDArray[np.float64]:
    """Ranks of each row, less their mean; ties share theirs: (N,V) -> (N,V)."""
    return rankdata(values, axis=1) - (values.shape[1] + 1) / 2


def interval(draws: NDArray) -> list[float] | None:
    """Both ends of the interval that holds `LEVEL` of the draws; None where none is defined: (N,)."""
    some = draws[~np.isnan(draws)]
    return np.quantile(some, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist() if len(some) else None


def _comparisons(rows: Sequence[Row]) -> dict[str, list[dict[str, object]]]:
    """The paper's tables of ablations, filled with what was trained; a table of `full` alone is none."""
    there = {row.name: row for row in rows}
    return {
        title: [
            {"variant": n, "doc": there[n].doc, "random": there[n].random, "figures": over_seeds(rows, n)}
            for n in names
            if n in there
        ]
        for title, names in TABLES.items()
        if len(there.keys() & set(names)) > 1
    }
