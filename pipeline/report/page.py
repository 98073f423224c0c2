"""What the pages of all models share: one HTML page a model, of one run, that opens from disk and loads nothing.

page.html holds the head, the figures, the failures and the provenance; a model's own page.html extends it by its
sections. Styles and scripts are joined in the same way.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline.digest import file_digest
from pipeline.errors import ChoreoError
from pipeline.manifest import PROTOCOLS, SPLITS, Manifest
from pipeline.writing import replacing

FOLDER = Path(__file__).parent


# Inputs ----------------------------------------------------------------------------------------------------------


def check_inputs(paths: Sequence[Path]) -> None:
    """Raise a ChoreoError for the first input that is missing."""
    for path in paths:
        if not path.is_file():
            raise ChoreoError(f"there is no {path}", "the stage that writes it has not run", "run it, or `snakemake`")


def read(path: Path, needed: Collection[str], stage: str) -> dict[str, Any]:
    """Read a JSON file that a stage wrote.

    Raises:
        ChoreoError: it lacks some of the fields that are needed.
    """
    try:
        content = json.loads(path.read_text())
        missing = set(needed) - content.keys()
    except (ValueError, AttributeError):
        missing = set(needed)
    if missing:
        raise ChoreoError(
            f"{path} lacks {', '.join(sorted(missing))}",
            f"it is no output of {stage}, or one of another version",
            "delete it and run again",
        )
    return content


def table(path: Path, delimiter: str = ",") -> list[dict[str, str]]:
    """The rows of a table with a header."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def of_kind(artifacts: Sequence[Path], kind: str) -> list[Path]:
    """The artifacts of one kind."""
    return [path for path in artifacts if _attributes(path)["artifact"] == kind]


# The page --------------------------------------------------------------------------------------------------------


def write(model: str, out: Path, values: Mapping[str, Any]) -> None:
    """Write a model's page, with the values of its head (see `head`) and of its own sections."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = (_joined(model, suffix) for suffix in ("css", "js"))
    page = environment.get_template(f"{model}/page.html").render(style=style, script=script, **values)
    with replacing(out) as file:
        file.write(page)


def _joined(model: str, suffix: str) -> Markup:
    """What all pages share, and then the model's own, if it has some."""
    files = [folder / f"page.{suffix}" for folder in (FOLDER, FOLDER / model)]
    return Markup("".join(file.read_text() for file in files if file.is_file()))


def head(
    title: str,
    metrics: Mapping[str, Any],
    manifest: Path,
    failures: Path,
    files: Sequence[Path],
    artifacts: Sequence[Path],
    encoders: Mapping[str, str],
) -> dict[str, Any]:
    """What every page tells: run, protocol, data, seeds, encoders, failures and provenance.

    Args:
        title: name of the run; the one in the metrics when empty.
        metrics: figures of the model.
        manifest: the videos.
        failures: table of the stage `failures`.
        files, artifacts: all inputs of the page; artifacts tell their provenance themselves.
        encoders: kind of artifact -> what its encoder is called on the page.
    """
    rows = provenance(artifacts, files)
    return {
        "run": title or metrics["run"] or "A run",
        "protocol": metrics["protocol"],
        "protocol_words": PROTOCOLS[metrics["protocol"]],
        "leaks": metrics["protocol"] == "published",
        "data": data(Manifest.read(manifest)),
        "seeds": ", ".join(str(s) for s in sorted(set(metrics["seeds"]))) or "not told",
        "encoders": [
            (words, r["model"]) for kind, words in encoders.items() for r in rows if r["name"] == kind and r["model"]
        ],
        "any_paper": bool(metrics["paper"]),
        "failures": table(failures, "\t"),
        "provenance": rows,
        "software": software(artifacts),
    }


def data(manifest: Manifest) -> dict[str, Any]:
    """How many videos there are, by split and class."""
    splits = [s for s in SPLITS if manifest.ids(s)]
    counts = Counter((label, v.split) for v in manifest.usable for label in v.labels)
    return {
        "total": len(manifest.videos),
        "splits": splits,
        "classes": [(name, [counts[name, s] for s in splits]) for name in manifest.classes],
        "words": ", ".join(f"{len(manifest.ids(s))} {s}" for s in splits) or "none of them usable",
    }


# Provenance ------------------------------------------------------------------------------------------------------


def provenance(artifacts: Sequence[Path], files: Sequence[Path]) -> list[dict[str, Any]]:
    """One row a kind of artifact and its encoder, and one a name of other files; the digest is over all of a row."""
    rows: dict[tuple[str, str], list[Path]] = {}
    stages = {}
    for path in artifacts:
        told = _attributes(path)
        key = str(told["artifact"]), str(told["model"])
        rows.setdefault(key, []).append(path)
        stages[key] = str(told["stage_digest"])
    for path in files:
        rows.setdefault((path.name, ""), []).append(path)
    return [
        {
            "name": name,
            "files": len(paths),
            "digest": _digest(paths),
            "stage": stages.get((name, model), ""),
            "model": model,
        }
        for (name, model), paths in rows.items()
    ]


def software(artifacts: Sequence[Path]) -> str:
    """Versions of all software that the artifacts were made with."""
    found: dict[str, set[str]] = {}
    for path in artifacts:
        for name, version in json.loads(_attributes(path)["software"]).items():
            found.setdefault(name, set()).add(version)
    return ", ".join(f"{name} {' and '.join(sorted(v))}" for name, v in sorted(found.items()))


def _attributes(path: Path) -> dict[str, Any]:
    """What an artifact says of itself."""
    with h5py.File(path, "r") as file:
        return dict(file.attrs)


def _digest(paths: Sequence[Path]) -> str:
    """The file's digest, or one over those of several files."""
    digests = [file_digest(p) for p in paths]
    return (digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest())[:16]
