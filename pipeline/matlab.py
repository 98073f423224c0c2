"""MATLAB files from outside: the variables that are asked for, as arrays; nothing in such a file is run."""

from __future__ import annotations

from pathlib import Path

from numpy.typing import NDArray

from pipeline.errors import ChoreoError


def load(path: Path, *names: str) -> dict[str, NDArray]:
    """Variables of a .mat file (versions 4 to 7.2), with MATLAB's two axes or more.

    Args:
        path: the file.
        names: variables that must be there; others are not read.

    Raises:
        ChoreoError: there is no such file, it cannot be read, or a variable is missing or no plain array.
    """
    from scipy.io import loadmat

    if not path.is_file():
        raise ChoreoError(f"there is no file {path}", mend="fetch it, or mend the path")
    try:
        found = loadmat(path, variable_names=names)
    except Exception as error:  # on a damaged file the reader raises whatever it stumbles over
        raise ChoreoError(
            f"{path} cannot be read as a MATLAB file: {error}", "it was cut, or is another format", "fetch it again"
        ) from error
    for name in names:
        if name not in found:
            raise ChoreoError(f"{path} lacks the variable '{name}'", "it is another file, or was saved without it")
        if found[name].dtype.kind not in "biufU":
            raise ChoreoError(f"{path}: '{name}' is neither numbers nor text", "it is another file")
    return {name: found[name] for name in names}
