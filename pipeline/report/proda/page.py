"""The report of a ProDA: what it reaches, how much of that its prompts give away, and what it looks at."""

from __future__ import annotations

from pathlib import Path

import h5py

from pipeline.manifest import Manifest
from pipeline.metrics import read_metrics
from pipeline.report import page
from pipeline.report.proda import drawings, figures, videos

NEEDED = {"actions", "objects", "relations", "edges", "chosen", "videos"}
ENCODERS = {"scene_graphs": "Crops and frames"}  # by the artifact they make


def proda_report(
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
    """Write the report of a ProDA: one HTML page that opens from disk and loads nothing.

    Args:
        metrics, analysis: figures and tables that `proda_evaluate` wrote.
        explanations: what `proda_explain` wrote.
        failures: table of the stage `failures`.
        manifest: the videos, whose frames are shown where their files can be read.
        artifacts: scene graphs, and checkpoints or other files, whose provenance is told. May be empty.
        out: page to write.
        title: name of the run; the one in the metrics when empty.

    Raises:
        ChoreoError: an input is missing or has another form.
    """
    page.check_inputs([*artifacts, manifest, failures, explanations, analysis, metrics])
    graphs = [path for path in artifacts if h5py.is_hdf5(path)]
    files = [path for path in artifacts if path not in graphs]
    files += [manifest, failures, explanations, analysis, metrics]
    figured, content = read_metrics(metrics), page.read(analysis, (), "proda_evaluate")
    explained = page.read(explanations, NEEDED, "proda_explain")
    found, known = figured["figures"], figured["paper"]
    tables = content.get("annotated", content.get("predicted", {}))
    main = figures.of_origin(found, "annotated" in content or not content)
    shown = videos.videos(explained, Manifest.read(manifest))
    values = page.head(title, figured, manifest, failures, files, graphs, ENCODERS)
    protocols = figures.protocols(found, known)
    values |= {
        "lead": figures.lead(main),
        "protocols": protocols,
        "any_given": any(row["given"] for p in protocols for row in p["rows"]),
        "others": figures.others(found, known),
        "by_action": figures.by_action(tables.get("average_precision", {}), tables.get("actions", [])),
        "comparisons": figures.comparisons(tables.get("comparisons", {})),
        "by_labels": figures.by_labels(tables.get("robustness", [])),
        "recall": figures.bars(figures.TIME, main, known),
        "ranked": figures.bars(figures.RANKED, main, known),
        "paper_map": figures.frame_tables(tables.get("paper_map", {})),
        "distances": figures.distances(main),
        "plane": drawings.plane(tables["separation"], tables["actions"]) if tables.get("separation") else "",
        "chosen": explained["chosen"],
        "videos": shown,
        "most_questions": max((len(v["questions"]) for v in shown), default=0),
    }
    page.write("proda", out, values)
