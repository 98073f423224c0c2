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


class Project:
    """A copy of the project in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(ROOT, folder, ignore=LEFT_OUT, symlinks=True)
        (folder / "small.yaml").write_text(SMALL)

    def snakemake(self, *arguments: str, config: str = "small.yaml", check: bool = True) -> str:
        """Run Snakemake in the copy; its standard output and error together."""
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", "config.yaml", config, *arguments],
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

    def jobs(self, *arguments: str) -> dict[str, int]:
        """Rules and how many jobs of each a dry run plans."""
        text = self.snakemake("--dry-run", "--quiet", "rules", *arguments)
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
