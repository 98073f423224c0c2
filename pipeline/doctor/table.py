"""What a check found, and the table of all checks."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.errors import ChoreoError

OK, NOTE, BAD = "ok", "note", "bad"  # as it should be; worth knowing; something that is needed is missing
COLOURS = {OK: 32, NOTE: 33, BAD: 31}
NARROW, WIDE = 80, 140  # characters


@dataclass(frozen=True)
class Row:
    """One check.

    Attributes:
        check: what was looked at.
        found: what there is.
        state: OK, NOTE or BAD.
        mend: what to do about it.
    """

    check: str
    found: str
    state: str = OK
    mend: str = ""


def failed(check: str, error: ChoreoError, state: str = BAD) -> Row:
    """The row of a check that ended in an error."""
    cause = error.cause if error.cause.endswith("?") else f"likely cause: {error.cause}"
    return Row(check, error.what + (f" ({cause})" if error.cause else ""), state, error.mend)


def size(count: float) -> str:
    """Bytes as people read them: 1.2 GB."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}" if count < 1000 * factor else f"{count / factor:.0f} {unit}"
    return f"{count:.0f} bytes"


def some(names: Sequence[str], most: int = 3) -> str:
    """The first few of many names."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def layout(rows: Sequence[Row], width: int | None = None, coloured: bool | None = None) -> str:
    """The rows as a table, each with its mend below what was found.

    Args:
        rows: at least one.
        width: characters in a line; those of the terminal when not given.
        coloured: with colours; on a terminal when not given.
    """
    width = width or min(max(shutil.get_terminal_size((WIDE, 0)).columns, NARROW), WIDE)
    coloured = (sys.stdout.isatty() and not os.environ.get("NO_COLOR")) if coloured is None else coloured
    first, second = max(map(len, COLOURS)) + 2, max(len(row.check) for row in rows) + 2
    lines = []
    for row in rows:
        cell = _wrapped(row.found, width - first - second)
        cell += _wrapped(f"Mend: {row.mend}", width - first - second) if row.mend else []
        state = f"\033[{COLOURS[row.state]}m{row.state}\033[0m" if coloured else row.state
        lines.append(f"{state}{' ' * (first - len(row.state))}{row.check:{second}}{cell[0]}")
        lines += [" " * (first + second) + line for line in cell[1:]]
    return "\n".join(lines)


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of a text; paths and commands stay whole, so that they can be copied."""
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
