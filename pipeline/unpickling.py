"""Pickles from outside, read so that they cannot run code: plain containers, scalars and numpy arrays, nothing else.

A pickle is a program that names functions and calls them. Here only the names in `ALLOWED` are known; any other stops
the reading before it is called.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from pipeline.errors import ChoreoError

_SCALARS = {"bool", "int", "float", "complex", "str", "bytes", "bytearray"}
_BUILTINS = {"list", "tuple", "dict", "set", "frozenset", *_SCALARS}
_NUMBERS = {f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)} | {"float16", "float32", "float64"}
# numpy 2 renamed `numpy.core`; files of both are about.
_REBUILD = {"multiarray": {"_reconstruct", "scalar"}, "numeric": {"_frombuffer"}}

ALLOWED: dict[str, set[str]] = {
    "builtins": _BUILTINS,
    "__builtin__": _BUILTINS,  # Python 2
    "collections": {"OrderedDict"},
    "_codecs": {"encode"},  # bytes, as protocol 2 writes them
    "numpy": {"ndarray", "dtype", "bool_", *_NUMBERS},
    **{f"numpy.{core}.{module}": names for core in ("core", "_core") for module, names in _REBUILD.items()},
}


class _RefusedError(Exception):
    """A pickle asked for a name that is not allowed."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if name not in ALLOWED.get(module, ()):
            raise _RefusedError(f"{module}.{name}")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def load(path: Path) -> Any:
    """What a pickle holds, if that is made of builtin containers, scalars and numpy arrays.

    Args:
        path: the file; strings of Python 2 are read as Latin-1, as numpy wants them.

    Raises:
        ChoreoError: there is no such file, it is cut short or no pickle, or it asks for anything else, which is named.
    """
    try:
        with open(path, "rb") as file:
            return _Unpickler(file, encoding="latin1").load()
    except _RefusedError as refused:
        raise ChoreoError(
            f"{path} asks for `{refused}`, which is neither a plain container nor a numpy array; nothing of it was run",
            "it was made by other code, or to do harm",
            "fetch the file from its publisher again, or convert it where you trust it",
        ) from None
    except FileNotFoundError as error:
        raise ChoreoError(f"there is no file {path}", mend="fetch it, or mend the path") from error
    except (OSError, EOFError, pickle.UnpicklingError, LookupError, TypeError, ValueError, AttributeError) as error:
        raise ChoreoError(f"{path} cannot be read as a pickle: {error}", "it was cut, or is another format") from error
