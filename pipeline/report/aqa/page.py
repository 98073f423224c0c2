"""The report of AQA: how well its scores rank the videos, and which seconds earned them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py

from pipeline.manifest import Manifest
from pipeline.metrics import read_metrics
from pipeline.report import page
from pipeline.report.aqa import drawings, figures, videos

ENCODERS = {"clip_features": "Clips"}  # by the artifact they make
CHOICE = {
    "strict": "the epoch whose scores correlate best on val, over it and the epochs before it",
    "published": "the epoch whose scores correlate best on the test videos themselves, as in the authors' code: the"
    " best of many test evaluations, not what a new video would get",
}


def aqa_report(
    metrics: Path,
    analysis: Path,
    explanations: Path,
    failures: Path,
    manifest: Path,
    artifacts: list[Path],
    out: Path,
    *,
    title: str = "",
) -> None:
    """Write the report of AQA: one HTML page that opens from disk and loads nothing.

    Args:
        metrics, analysis: figures and tables that `aqa_evaluate` wrote.
        explanations: what `aqa_explain` wrote.
        failures: table of the stage `failures`.
        manifest: the videos, whose frames are shown where their files can be read.
        artifacts: clip features, and checkpoints or other files, whose provenance is told. May be empty.
        out: page to write.
        title: name of the run; the one in the metrics when empty.

    Raises:
        ChoreoError: an input is missing or has another form.
    """
    page.check_inputs([*artifacts, manifest, failures, explanations, analysis, metrics])
    of_pipeline = [path for path in artifacts if h5py.is_hdf5(path)]
    files = [path for path in artifacts if path not in of_pipeline]
    files += [manifest, failures, explanations, analysis, metrics]
    figured = read_metrics(metrics)
    tables = page.read(analysis, {"tasks", "compared", "comparisons", "level", "samples"}, "aqa_evaluate")
    explained = page.read(explanations, {"step", "tasks"}, "aqa_explain")
    found, known, compared = figured["figures"], figured["paper"], tables["compared"]
    values = page.head(title, figured, manifest, failures, files, of_pipeline, ENCODERS)
    values |= {
        "lead": figures.lead(found, compared),
        "choice": CHOICE[figured["protocol"]],
        "tasks": tables["tasks"],
        "level": f"{100 * tables['level']:.0f}\u00a0%",
        "samples": tables["samples"],
        "bars": figures.bars(compared, known),
        "beside": figures.beside(compared),
        "by_task": figures.by_task(compared, known),
        "others": figures.others(found, known, compared),
        "comparisons": figures.comparisons(tables["comparisons"]),
        "skipping": figures.skipping(found),
        "attention": figures.attention(found),
        "truth": figures.truth(found),
        "scatter": [_scatter(task) for task in tables["tasks"] if "full" in task["predicted"]],
        "videos": videos.videos(explained, Manifest.read(manifest)),
    }
    page.write("aqa", out, values)


def _scatter(task: dict[str, Any]) -> dict[str, Any]:
    words = f"{task['name']}: what was said of {len(task['ids'])} test videos, over what the judges gave"
    return {
        "name": task["name"],
        "drawing": drawings.against(task["true"], task["predicted"]["full"], task["ids"], words),
    }
