"""Tools for people."""

from __future__ import annotations

from pathlib import Path

import pytest
from archive.make import archived, write

from pipeline.errors import ChoreoError
from pipeline.kinds import KINDS
from pipeline.tools import docs, inspect, validate


def test_validate_counts_the_sound_files_and_names_the_first_that_is_not(tmp_path: Path) -> None:
    files = [archived(kind) for kind in KINDS.values()]
    assert validate(files) == f"{len(files)} sound"
    (tmp_path / "a.h5").write_bytes(b"")
    with pytest.raises(ChoreoError, match=r"a\.h5"):
        validate([*files, tmp_path / "a.h5"])


@pytest.mark.parametrize("name", KINDS)
def test_inspect_shows_header_arrays_and_failures(name: str, tmp_path: Path) -> None:
    kind = KINDS[name]
    shown = inspect(write(tmp_path / "a.h5", kind))
    assert f"{name}, layout {kind.version}" in shown and "0123456789ab" in shown and "tiny" in shown and "a: 1" in shown
    assert all(array in shown for array in kind.arrays)
    if kind.per_video:
        assert "3 videos, 1 failed" in shown and "v_4: it ends after 3 frames" in shown


def test_docs_name_every_kind_and_array() -> None:
    text = docs()
    for kind in KINDS.values():
        assert f"## `{kind.name}`, layout {kind.version}" in text
        assert all(f"| `{array}` |" in text for array in kind.arrays)
