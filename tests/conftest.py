"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real videos, labels and weights beside a checkout; tests that need it skip without it."""
    root = Path(os.environ.get("CHOREO_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not root.is_dir():
        pytest.skip(f"real data are not at hand ({root}); set CHOREO_TEST_DATA to their folder to run this test")
    return root
