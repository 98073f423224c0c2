"""What could not be processed, over all stages and shards: a table for people, and a stop where it is too much."""

from __future__ import annotations

import csv
from pathlib import Path

from pipeline.artifacts import Artifact, open_artifact
from pipeline.errors import ChoreoError
from pipeline.manifest import Manifest


def failures(manifest: Path, artifacts: list[Path], out: Path, *, max_failed_fraction: float = 0.1) -> None:
    """List the videos that failed, at which stage and why; writes a TSV file with the columns id, stage, reason.

    Args:
        manifest: all videos.
        artifacts: artifacts of the slow stages, all shards.
        out: table to write.
        max_failed_fraction: share of the videos that may fail.

    Raises:
        ChoreoError: more failed than that; the table and every artifact stay.
    """
    whole = Manifest.read(manifest)
    rows = {v.id: ("manifest", v.problem) for v in whole.videos if v.problem}
    for path in artifacts:
        with open_artifact(path) as file:
            kind = str(file.attrs["artifact"])
        with Artifact(path, kind) as artifact:
            for video_id, reason in artifact.failures.items():
                rows.setdefault(video_id, (kind, reason))
    out.parent.mkdir(parents=True, exist_ok=True)
    lines = [(i, stage, " ".join(reason.split())) for i, (stage, reason) in sorted(rows.items())]
    failed = len(lines) / max(1, len(whole.videos))
    table = out if failed <= max_failed_fraction else out.with_name(f"{out.stem}.too_many{out.suffix}")
    with open(table, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(("id", "stage", "reason"))
        writer.writerows(lines)
    if table is not out:
        raise ChoreoError(
            f"{len(lines)} of {len(whole.videos)} videos failed ({failed:.0%}); `max_failed_fraction` is"
            f" {max_failed_fraction:.0%}. The first: {lines[0][0]}: {lines[0][2]}",
            "a wrong root folder, a cut download, or a model that does not fit",
            f"see {table}; mend the videos or raise `max_failed_fraction`. What was finished stays.",
        )
