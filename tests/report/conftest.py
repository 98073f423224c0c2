"""Fixtures of the report's tests."""

from pathlib import Path

import pytest
from dance_run import Run, build


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """The inputs of a report; tests may change them."""
    return build(tmp_path)
