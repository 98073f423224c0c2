"""A copy of the project, as a fresh clone would be, with a small run of the demo in it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "results", "cache", ".snakemake", "__pycache__", ".pytest_cache", ".ruff_cache"
)

SMALL = """
run: small
shards: 2
seeds: [0]
features: results/small/features
theatre: {videos: 96}
dataset: {name: csv, index: results/theatre/stage/actions/index.csv}
dance: {steps: 300}
"""

HOME = """
run: small_home
shards: 2
seeds: [0]
theatre: {videos: 64}
scene_graphs: {frames: 8}
ablations: [simple_prompt]
proda_pretrain: {dim: 16, feedforward: 32, adapter: 16, layers: 1, frames: 6, batch: 8, encoder_epochs: 2, epochs: 1}
proda_posttrain: {batch: 8, epochs: 1}
"""

COURT = """
run: small_court
shards: 1
seeds: [0]
court: {videos: 48}
pairs_train: {part: 16, spatial: 16, feedforward: 32, larger: 90, epochs: 1, warmup: 1}
"""


ROUTINES = """
run: small_routines
shards: 2
seeds: [0]
theatre: {videos: 48}
aqa_train: {dim: 16, feedforward: 16, hidden: 16, epochs: 3}
"""


class Project:
    """A copy of the project in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT, folder, ignore=LEFT_OUT, symlinks=True)
        for name, text in {"small": SMALL, "home": HOME, "court": COURT, "routines": ROUTINES}.items():
            (folder / f"{name}.yaml").write_text(text)

    def snakemake(self, *arguments: str, config: str = "config.yaml small.yaml", check: bool = True) -> str:
        """Run Snakemake in the copy; its standard output and error together."""
        configs = config.split()
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", "--cores", "2", *arguments, "--configfile", *configs],
            cwd=self.folder,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"snakemake ended with {done.returncode}:\n{done.stdout[-6000:]}")
        return done.stdout

    def jobs(self, *arguments: str, config: str = "config.yaml small.yaml") -> dict[str, int]:
        """Rules and how many jobs of each a dry run plans."""
        text = self.snakemake("--dry-run", "--quiet", "rules", *arguments, config=config)
        rows = [line.split() for line in text.splitlines()]
        return {
            row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit() and row[0] not in ("total", "all")
        }


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The project with a finished small run."""
    copy = Project(tmp_path_factory.mktemp("choreo") / "project")
    copy.snakemake()
    return copy
