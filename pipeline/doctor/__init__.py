"""`python -m pipeline doctor`: what a run needs, looked at before it starts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.doctor import versions
from pipeline.doctor.table import BAD, NOTE, Row, failed, layout
from pipeline.errors import ChoreoError

DEFAULT = Path("config.yaml")


def doctor(
    *,
    config: list[Path] | None = None,
    dataset: str = "",
    root: str = "",
    options: dict | None = None,
    sample: int = 12,
) -> str:
    """Check before a run: this machine and what a config needs, or the download of a data set.

    A table with one row a check, `ok`, `note` or `bad`, and the mend with whatever can be mended. Nothing is fetched.

    Args:
        config: configs, the later ones over the earlier as Snakemake has them; config.yaml when none is named.
        dataset: name of a data set adapter, to check its download alone.
        root: the folder of that download.
        options: more options of the adapter, as in {split: 2}.
        sample: videos to probe, at random but always the same.

    Raises:
        ChoreoError: something that is needed is missing; the table is printed before.
    """
    if (root or options) and not dataset:
        raise ChoreoError("--root and --options belong to a data set", mend="name it: --dataset NAME")
    given = {"name": dataset} | ({"root": root} if root else {}) | (options or {})
    rows = list(_download(given, sample) if dataset else _run(config or [DEFAULT], sample))
    bad = [row.check for row in rows if row.state == BAD]
    if not bad:
        return layout(rows)
    print(layout(rows), flush=True)
    raise ChoreoError(
        f"{len(bad)} of {len(rows)} checks failed: {', '.join(dict.fromkeys(bad))}", mend="see the table above"
    )


def _download(dataset: dict[str, Any], sample: int) -> Iterator[Row]:
    from pipeline.doctor import download

    yield from download.rows(dataset, sample)


def _run(paths: list[Path], sample: int) -> Iterator[Row]:
    """Every check of the machine and of a config; without the packages, none but that of the packages."""
    for row in versions.rows():
        yield row
        if row.state == BAD:
            yield Row("the rest", "not looked at", NOTE, "mend this first, and run it again")
            return
    from pipeline.doctor import configured, machine

    try:
        config = configured.read(paths)
    except ChoreoError as error:
        yield from machine.rows()
        yield failed("config", error)
        return
    sound = configured.check(config, paths)
    if sound.state == BAD:
        yield from machine.rows()
        yield sound
        return
    yield from machine.rows(config.get("decoder", "pyav"), *configured.devices(config))
    yield sound
    yield from configured.rows(config)
    yield from _download(config["dataset"], sample)
