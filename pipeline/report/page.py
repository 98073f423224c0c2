"""The report of a run: what was found, how well it does, and why it says what it says."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline.errors import ChoreoError
from pipeline.manifest import Manifest
from pipeline.metrics import read_metrics
from pipeline.report import figures, sections
from pipeline.writing import replacing

FOLDER = Path(__file__).parent
ENCODERS = {"pose": "Poses", "features": "Backbone", "embeddings": "Images and texts"}  # by the artifact they make
NEEDED = {"protocol", "classes", "concepts", "confusion", "weights", "motion", "pairs", "videos", "edits"}


def report(
    metrics: list[Path],
    explanations: Path,
    motion: Path,
    pseudo: Path,
    vocabulary: Path,
    dropped: Path,
    failures: Path,
    manifest: Path,
    artifacts: list[Path],
    out: Path,
    *,
    title: str = "",
    frames: int = 8,
) -> None:
    """Write the report: one HTML page that opens from disk and loads nothing.

    Args:
        metrics: `metrics.json` of every model; may be empty.
        explanations: what `dance_explain` wrote.
        motion, pseudo: artifacts `motion_concepts` and `pseudo_labels`.
        vocabulary, dropped: tables of the stage `vocabulary`.
        failures: table of the stage `failures`.
        manifest: the videos, whose frames are shown where their files can be read.
        artifacts: others whose provenance is told; poses among them are drawn beside the motion concepts. May be empty.
        out: page to write.
        title: name of the run; the one in the metrics when empty.
        frames: frames in the film strip of a video.

    Raises:
        ChoreoError: an input is missing or has another form.
    """
    files = [manifest, vocabulary, dropped, failures, explanations, *metrics]
    known = [*artifacts, motion, pseudo]
    for path in [*files, *known]:
        if not path.is_file():
            raise ChoreoError(f"there is no {path}", "the stage that writes it has not run", "run it, or `snakemake`")
    figured = [read_metrics(path) for path in metrics]
    explained = _read(explanations)
    videos = Manifest.read(manifest)
    kinds = {path: _kind(path) for path in artifacts}
    counts = np.array(explained["confusion"])
    fates = sections.fates(explained, vocabulary, dropped, pseudo)
    chance = float(counts.sum(axis=1).max(initial=0) / max(counts.sum(), 1))
    provenance = sections.provenance(known, files)
    models = {row["name"]: row["model"] for row in provenance}
    page = _template().render(
        run=title or next((m["run"] for m in figured if m["run"]), "") or "A run",
        lead=sections.lead(figured, explained),
        protocols=sections.protocols(figured, explained),
        data=sections.data(videos),
        seeds=", ".join(str(s) for s in sorted({s for m in figured for s in m["seeds"]})) or "not told",
        encoders=[(words, models[kind]) for kind, words in ENCODERS.items() if models.get(kind)],
        figures=[sections.scores(m, chance) for m in figured],
        anything_published=any(m["paper"] for m in figured),
        motion=sections.motion(explained, motion, videos),
        words=sections.words(fates),
        fates=fates,
        classes=sections.classes(explained),
        pairs=sections.pairs(explained),
        videos=sections.videos(explained, videos, [p for p in artifacts if kinds[p] == "pose"], frames),
        edits=sections.edits(explained),
        confusion=figures.confusion(counts, explained["classes"]) if counts.sum() else "",
        confused=sections.confused(counts, explained["classes"]),
        failures=sections.table(failures, "\t"),
        provenance=provenance,
        software=sections.software(known),
        parts=figures.PARTS,
        head=figures.HEAD,
        style=Markup((FOLDER / "page.css").read_text()),
        script=Markup((FOLDER / "page.js").read_text()),
    )
    with replacing(out) as file:
        file.write(page)


def _template():
    loader = FileSystemLoader(FOLDER)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("page.html")


def _read(path: Path) -> dict:
    try:
        explained = json.loads(path.read_text())
        missing = NEEDED - explained.keys()
    except (ValueError, AttributeError):
        missing = NEEDED
    if missing:
        raise ChoreoError(
            f"{path} lacks {', '.join(sorted(missing))}",
            "it is no output of dance_explain, or one of another version",
            "delete it and run again",
        )
    return explained


def _kind(path: Path) -> str:
    with h5py.File(path, "r") as file:
        return str(file.attrs["artifact"])
