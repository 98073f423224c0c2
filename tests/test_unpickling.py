"""Pickles from outside: data is read, code is refused."""

import os
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from pipeline import unpickling
from pipeline.errors import ChoreoError


def write(path: Path, data: object, protocol: int = 2) -> Path:
    path.write_bytes(pickle.dumps(data, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_containers_scalars_and_arrays_come_back_as_they_were(tmp_path, protocol):
    data = {
        "video,0001": np.arange(8.0).reshape(2, 4),
        "names": ["a", ("b", None)],
        "set": {1, 2},
        "one": np.float32(3),
    }
    data |= {
        "bytes": b"\x00\xff",
        "order": OrderedDict(a=1),
        "flags": np.array([True, False]),
        "half": 1.5,
        "one": np.float32(3),
    }
    read = unpickling.load(write(tmp_path / "x.pkl", data, protocol))
    assert read.keys() == data.keys()
    np.testing.assert_array_equal(read["video,0001"], data["video,0001"])
    np.testing.assert_array_equal(read["flags"], data["flags"])
    assert read["one"] == np.float32(3) and read["one"].dtype == np.float32
    assert all(read[name] == data[name] for name in ("names", "set", "bytes", "order", "half"))


def test_a_file_written_by_numpy_1_is_read(tmp_path):
    old = pickle.dumps(np.arange(3), protocol=2).replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")
    assert b"numpy.core" in old
    (tmp_path / "old.pkl").write_bytes(old)
    np.testing.assert_array_equal(unpickling.load(tmp_path / "old.pkl"), [0, 1, 2])


class Harm:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ("function", "name"), [(os.system, "system"), (eval, "eval"), (getattr, "getattr"), (np.load, "load")]
)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_code_is_refused_by_its_name_and_never_run(tmp_path, function, name, protocol):
    mark = tmp_path / "mark"
    path = write(tmp_path / "x.pkl", {"box": [Harm(function, f"touch {mark}")]}, protocol)
    with pytest.raises(ChoreoError, match=rf"asks for `[\w.]*\.?{name}`.*nothing of it was run"):
        unpickling.load(path)
    assert not mark.exists()


def test_a_dotted_name_does_not_reach_through_an_allowed_one(tmp_path):
    """Protocol 4 may ask for `numpy`, `dtype.__class__`: only the names themselves are allowed."""
    (tmp_path / "x.pkl").write_bytes(b"\x80\x04\x8c\x05numpy\x8c\x0fdtype.__class__\x93.")
    with pytest.raises(ChoreoError, match=r"numpy\.dtype\.__class__"):
        unpickling.load(tmp_path / "x.pkl")


@pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps(list(range(1000)))[:-40]])
def test_a_broken_file_is_named(tmp_path, content):
    (tmp_path / "cut.pkl").write_bytes(content)
    with pytest.raises(ChoreoError, match=r"cut\.pkl cannot be read as a pickle"):
        unpickling.load(tmp_path / "cut.pkl")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ChoreoError, match=r"no file .*none\.pkl"):
        unpickling.load(tmp_path / "none.pkl")
