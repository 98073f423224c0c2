"""Intervals: when an action takes place, from the data set's own files, checked before anything is scored with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.datasets.intervals import intervals
from pipeline.datasets.table import rows
from pipeline.errors import ChoreoError

LIST = (
    "id,path,labels,split,scene\n"
    "v1,a.mp4,kick;wave,train,hall\nv2,b.mp4,wave,test,hall\nv3,c.mp4,kick,train,garage\nv4,d.mp4,wave,test,garage\n"
)


def dataset(folder: Path, text: str | None, **more: object) -> dict:
    (folder / "list.csv").write_text(LIST)
    options = {"name": "csv", "index": str(folder / "list.csv")} | more
    if text is not None:
        (folder / "times.csv").write_text(text)
        options["intervals"] = str(folder / "times.csv")
    return options


def test_intervals_of_a_list_are_written_in_order_with_every_occurrence(tmp_path: Path) -> None:
    text = "\ufeffid,end,start,action,by\nv2,2.5,0,wave,x\nv1,9,8,wave,x\nv1,3.25,1,wave,y\nv1,4,0.5,kick,y\n"
    out = tmp_path / "out" / "intervals.csv"
    intervals(out, dataset=dataset(tmp_path, text))
    assert out.read_text() == (
        "id,action,start,end\nv1,kick,0.500,4.000\nv1,wave,1.000,3.250\nv1,wave,8.000,9.000\nv2,wave,0.000,2.500\n"
    )


def test_what_is_written_can_be_read_as_the_intervals_of_a_list(tmp_path: Path) -> None:
    first, second = tmp_path / "1.csv", tmp_path / "2.csv"
    options = dataset(tmp_path, "id,action,start,end\nv1,kick,0.5,4\nv3,kick,0,1\n")
    intervals(first, dataset=options)
    intervals(second, dataset=options | {"intervals": str(first)})
    assert first.read_bytes() == second.read_bytes()


def test_videos_that_the_scenes_leave_out_have_no_intervals(tmp_path: Path) -> None:
    text = "id,action,start,end\nv1,kick,0,1\nv2,wave,0,1\nv3,kick,0,1\nv4,wave,0,1\n"
    options = dataset(tmp_path, text, scenes={"train": ["hall"], "test": ["garage"]})
    intervals(tmp_path / "out.csv", dataset=options)
    assert [line[:2] for line in (tmp_path / "out.csv").read_text().splitlines()[1:]] == ["v1", "v4"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,action,start\n", "lacks the column 'end'"),
        ("id,action,start,end\nv1,kick,0,1\nv9,kick,0,1\n", "line 3: no video is called 'v9'"),
        ("id,action,start,end\nv2,kick,0,1\n", "'kick' is no label of the video 'v2'"),
        ("id,action,start,end\nv1,kick,zero,1\n", "'zero' to '1' is no interval"),
        ("id,action,start,end\nv1,kick,0\n", "'0' to 'None' is no interval"),
        ("id,action,start,end\nv1,kick,2,2\n", "empty or impossible"),
        ("id,action,start,end\nv1,kick,3,2\n", "empty or impossible"),
        ("id,action,start,end\nv1,kick,-1,2\n", "empty or impossible"),
        ("id,action,start,end\nv1,kick,nan,2\n", "empty or impossible"),
        ("id,action,start,end\nv1,kick,0,inf\n", "empty or impossible"),
        (None, "not said when the actions"),
    ],
)
def test_intervals_that_cannot_be_are_refused_and_nothing_is_written(text, words: str, tmp_path: Path) -> None:
    with pytest.raises(ChoreoError, match=words):
        intervals(tmp_path / "out.csv", dataset=dataset(tmp_path, text))
    assert not (tmp_path / "out.csv").exists()


def test_a_missing_file_of_intervals_is_named(tmp_path: Path) -> None:
    with pytest.raises(ChoreoError, match=r"no file of intervals gone\.csv"):
        intervals(tmp_path / "out.csv", dataset=dataset(tmp_path, None, intervals="gone.csv"))


def test_an_adapter_without_intervals_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ChoreoError, match=r"'folder' knows of no intervals(.|\n)*adapter `csv`"):
        intervals(tmp_path / "out.csv", dataset={"name": "folder", "root": str(tmp_path)})


def test_several_values_of_a_column_may_be_test(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("id,path,labels,place\na,a,x,hall\nb,a,x,attic\nc,a,x,7\n")
    found = rows(str(tmp_path / "l.csv"), test={"place": ["attic", 7]})
    assert [v.split for v in found] == ["train", "test", "test"]


def test_a_list_is_split_by_scenes_that_a_seed_draws(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("id,path,labels,place\na,a,x,hall\nb,a,x,attic\nc,a,x,hall\n")
    split = {v.id: v.split for v in rows(str(tmp_path / "l.csv"), scenes={"column": "place", "seed": 0})}
    assert split["a"] == split["c"] != split["b"] and set(split.values()) == {"train", "test"}
    with pytest.raises(ChoreoError, match="lacks the column 'scene'"):
        rows(str(tmp_path / "l.csv"), scenes={"seed": 0})
