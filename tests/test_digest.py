"""Digests: what can change a result counts, what cannot does not."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import digest

PACKAGE = {
    "__init__": "",
    "stage": '"""A stage."""\nfrom pipeline import helper\n\n'
    "def run():\n    from pipeline.lazy import thing\n    return 1\n",
    "helper": "from .deep.leaf import VALUE\nfrom pipeline.errors import ChoreoError\nimport pipeline.plain as p\n",
    "lazy": "from pipeline import artifacts\nthing = 1\n",
    "plain": "import os\nPLAIN = 1\n",
    "deep/__init__": "from . import beside\n",
    "deep/leaf": "from ..top import TOP\nVALUE = 1\n",
    "deep/beside": "BESIDE = 1\n",
    "top": "TOP = 1\n",
    "other": "OTHER = 1\n",
    "errors": "class ChoreoError(Exception): ...\n",
    "artifacts": "import pipeline.other\n",
}


@pytest.fixture
def edit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Change a module of a small package, and return the digest of its stage then."""
    root = tmp_path / "pipeline"
    monkeypatch.setattr(digest, "PACKAGE", root)

    def write(module: str, source: str) -> None:
        path = (root / module).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)

    for module, source in PACKAGE.items():
        write(module, source)

    def changed(module: str = "stage", source: str | None = None) -> str:
        write(module, PACKAGE[module] if source is None else source)
        digest.source_digest.cache_clear()
        return digest.source_digest("stage")

    yield changed
    digest.source_digest.cache_clear()


def test_comments_and_docstrings_do_not_count(edit: Callable[..., str]) -> None:
    commented = '"""Another text."""\n# why\nfrom pipeline import helper\n\n\ndef run():\n    """What."""\n'
    assert edit() == edit("stage", commented + "    from pipeline.lazy import thing\n    return 1  # one\n")


def test_code_counts(edit: Callable[..., str]) -> None:
    assert edit() != edit("stage", PACKAGE["stage"].replace("return 1", "return 2"))


@pytest.mark.parametrize("module", ["helper", "lazy", "plain", "deep/leaf", "top"])
def test_what_is_imported_counts_however_it_is_imported(module: str, edit: Callable[..., str]) -> None:
    assert edit() != edit(module, PACKAGE[module] + "MORE = 1\n")


@pytest.mark.parametrize("module", ["errors", "artifacts", "other"])
def test_plumbing_and_strangers_do_not_count(module: str, edit: Callable[..., str]) -> None:
    assert edit() == edit(module, PACKAGE[module] + "MORE = 1\n")


def test_a_package_stands_for_what_it_imports(edit: Callable[..., str]) -> None:
    edit()
    assert digest.closure("deep") == {"deep", "deep.beside"}


def test_stages_of_this_package_rest_on_what_they_import() -> None:
    assert {"features.pose", "features.keyframes", "video", "manifest", "encoders", "encoders.pose"} <= digest.closure(
        "features.pose"
    )
    assert not digest.closure("features.pose") & digest.PLUMBING


def test_several_modules_have_one_digest_whatever_their_order() -> None:
    one = digest.source_digest("features.pose", "features.backbone")
    assert one == digest.source_digest("features.backbone", "features.pose") != digest.source_digest("features.pose")


def test_the_digest_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc" * 999)
    assert digest.file_digest(tmp_path / "a") == hashlib.sha256(b"abc" * 999).hexdigest()
