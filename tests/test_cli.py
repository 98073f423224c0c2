"""The command line: options come from signatures, and errors help."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Optional

import pytest

from pipeline import cli
from pipeline.cli import STAGES, TOOLS, load, main, parser
from pipeline.digest import module_path
from pipeline.errors import ChoreoError

NAMES = {name: target for name, target in (STAGES | TOOLS).items() if module_path(target.split(":")[0])}


def stage(
    manifest: Path,
    files: list[Path],
    out: Path,
    *,
    encoder: dict | str = "vitpose",
    options: dict | None = None,
    columns: dict[str, str] | None = None,
    count: int = 10,
    share: float = 0.5,
    limit: Optional[int] = None,  # noqa: UP045
    names: list[str] | None = None,
    strict: bool = True,
    text: str = "100% of {}",
) -> None:
    """A stage with an option of every type."""


def parsed(*argv: str) -> dict:
    needed = ["--manifest", "m.csv", "--files", "a.h5", "b.h5", "--out", "o.h5"]
    return vars(parser("stage", stage).parse_args([*needed, *argv]))


def test_paths_and_lists_are_read_and_defaults_stay() -> None:
    assert parsed() == {
        "manifest": Path("m.csv"), "files": [Path("a.h5"), Path("b.h5")], "out": Path("o.h5"), "encoder": "vitpose",
        "options": None, "columns": None, "count": 10, "share": 0.5, "limit": None, "names": None, "strict": True,
        "text": "100% of {}",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("argv", "value"),
    [
        (["--encoder", "{name: onnx, model: a b.onnx, size: [1, 2]}"],
         {"name": "onnx", "model": "a b.onnx", "size": [1, 2]}),
        (["--encoder", "onnx:a.onnx"], "onnx:a.onnx"),
        (["--options", "{a: 1.5}"], {"a": 1.5}),
        (["--options", "none"], None),
        (["--columns", "{id: name}"], {"id": "name"}),
        (["--count", "3"], 3),
        (["--share", "1e-3"], 0.001),
        (["--limit", "4"], 4),
        (["--limit", "none"], None),
        (["--names", "a", "b c"], ["a", "b c"]),
        (["--strict", "false"], False),
        (["--strict", "True"], True),
    ],
)  # fmt: skip
def test_every_type_is_read(argv: list[str], value: object) -> None:
    found = parsed(*argv)[argv[0].removeprefix("--")]
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    "argv",
    [
        ["--strict", "yes"],
        ["--count", "many"],
        ["--limit", "x"],
        ["--encoder", "{a: ["],
        ["--cou", "3"],
        ["--more", "1"],
    ],
)
def test_what_does_not_fit_is_refused_without_a_traceback(argv: list[str], capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as caught:
        parsed(*argv)
    assert caught.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_forgotten_option_is_named(capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        parser("stage", stage).parse_args(["--manifest", "m.csv"])
    assert "--files, --out" in capsys.readouterr().err


def test_help_shows_the_docstring_and_the_defaults() -> None:
    text = parser("stage", stage).format_help()
    assert "A stage with an option of every type." in text and "default: 100% of {}" in text


@pytest.mark.parametrize("name", NAMES)
def test_every_stage_and_tool_can_be_loaded_says_what_it_does_and_has_options(name: str) -> None:
    try:
        function = load(NAMES[name])
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("pipeline"):
            raise
        pytest.skip(f"{name} needs {error.name}, which is not installed here")
    assert inspect.getdoc(function)
    assert cli._summary(NAMES[name]) == inspect.getdoc(function).split("\n")[0]
    assert parser(name, function).format_help()


def test_an_unknown_name_gets_the_nearest(capsys: pytest.CaptureFixture) -> None:
    assert main(["keyframe"]) == 2
    assert "there is no 'keyframe'; did you mean keyframes" in capsys.readouterr().err
    assert main(["qqq"]) == 2
    assert "--help" in capsys.readouterr().err


def test_help_lists_every_name(capsys: pytest.CaptureFixture) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().err
    assert all(name in shown for name in STAGES | TOOLS)


def test_an_error_that_helps_ends_with_1_and_without_a_traceback(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipeline", "keyframes", "--manifest", "gone.csv", "--out", str(tmp_path / "a.h5")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(cli.__file__).parents[1], check=False)
    assert done.returncode == 1
    assert "keyframes: there is no manifest gone.csv" in done.stderr and "Mend:" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_error_of_the_program_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(out: Path) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "load", lambda _: broken)
    with pytest.raises(ZeroDivisionError):
        main(["keyframes", "--out", "x"])


def test_an_answer_is_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    def failing(out: Path) -> str:
        if out == Path("bad"):
            raise ChoreoError("it is bad", "so it is", "make it good")
        return "fine"

    monkeypatch.setattr(cli, "load", lambda _: failing)
    assert main(["keyframes", "--out", "good"]) == 0
    assert main(["keyframes", "--out", "bad"]) == 1
    shown = capsys.readouterr()
    assert shown.out == "fine\n"
    assert shown.err == "\nkeyframes: it is bad\nLikely cause: so it is\nMend: make it good\n"
