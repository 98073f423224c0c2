"""Versions of Python and of packages, looked at with nothing but Python itself: what else is needed may be missing."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from pipeline.doctor.table import BAD, NOTE, Row, some

HOME = Path(__file__).parents[2]
PINS, PINS_MMPOSE = HOME / "requirements.txt", HOME / "requirements-mmpose.txt"
# Packages that only some runs use: other decoders, the training of the demo's encoders, a cluster, tests.
OPTIONAL = {"decord", "torchcodec", "onnxscript", "snakemake-executor-plugin-slurm", "pytest"}


def rows() -> Iterator[Row]:
    """Python, and the packages of the environment that this is: MMPose has one of its own."""
    yield python()
    yield from packages(PINS_MMPOSE if installed("mmpose") else PINS)


def python() -> Row:
    """Python against the version that the project asks for."""
    wanted = tomllib.loads((HOME / "pyproject.toml").read_text())["project"]["requires-python"]
    here = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < tuple(map(int, re.findall(r"\d+", wanted))):
        return Row("Python", f"{here}; {wanted} is needed", BAD, "make an environment of a newer Python")
    return Row("Python", here)


def packages(pins: Path) -> Iterator[Row]:
    """Packages against the versions that the project was tested with; one that is needed must be there in some."""
    pinned = dict(re.findall(r"^([\w.-]+)==(\S+)", pins.read_text(), re.MULTILINE))
    here = {name: installed(name).partition("+")[0] for name in pinned}  # torch 2.13.0+cpu is torch 2.13.0
    same = [name for name in pinned if here[name] == pinned[name]]
    other = [f"{name} {here[name]} (pinned {pinned[name]})" for name in pinned if here[name] not in ("", pinned[name])]
    mend = f"pip install -r {pins.name}"
    yield Row("packages", f"{len(same)} of {len(pinned)} as pinned in {pins.name}")
    if other:
        yield Row("packages", f"of another version: {some(other, 8)}", NOTE, f"where something fails, {mend}")
    absent = sorted(name for name in pinned if not here[name])
    if needed := [name for name in absent if name not in OPTIONAL]:
        yield Row("packages", f"not installed: {', '.join(needed)}", BAD, mend)
    if optional := [name for name in absent if name in OPTIONAL]:
        yield Row("packages", f"not installed, and used by some runs only: {', '.join(optional)}", NOTE, mend)


def installed(package: str) -> str:
    """The version of an installed package; empty when it is not."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
