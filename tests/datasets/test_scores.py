"""Scores: what judges gave, from the data set's own files, checked before anything learns from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.datasets.scores import points, read, scores
from pipeline.errors import ChoreoError

LIST = (
    "id,path,labels,split,scene\n"
    "v1,a.mp4,kick,train,hall\nv2,b.mp4,kick,test,hall\nv3,c.mp4,kick,train,garage\nv4,d.mp4,kick,test,garage\n"
)


def dataset(folder: Path, text: str | None, **more: object) -> dict:
    (folder / "list.csv").write_text(LIST)
    options = {"name": "csv", "index": str(folder / "list.csv")} | more
    if text is not None:
        (folder / "wide.csv").write_text(text)
        options["scores"] = str(folder / "wide.csv")
    return options


def test_a_wide_table_becomes_a_row_a_score_in_order_and_an_empty_cell_is_no_score(tmp_path: Path) -> None:
    text = "\ufeffid,total,difficulty\nv2,12.5,3\nv1,0.1,\nv3,7,1e1\n"
    out = tmp_path / "out" / "scores.csv"
    scores(out, dataset=dataset(tmp_path, text))
    assert out.read_text() == (
        "id,score,value\nv1,total,0.1\nv2,difficulty,3.0\nv2,total,12.5\nv3,difficulty,10.0\nv3,total,7.0\n"
    )


def test_what_is_written_is_read_to_the_last_bit(tmp_path: Path) -> None:
    third = 1 / 3
    scores(tmp_path / "out.csv", dataset=dataset(tmp_path, f"id,total,TES\nv1,{third!r},2\nv2,-4.25,0\n"))
    assert read(tmp_path / "out.csv") == {"total": {"v1": third, "v2": -4.25}, "TES": {"v1": 2.0, "v2": 0.0}}


def test_scores_of_videos_that_are_not_listed_stay_so_that_they_can_be_told(tmp_path: Path) -> None:
    scores(tmp_path / "out.csv", dataset=dataset(tmp_path, "id,total\nv1,1\nv9,2\n"))
    assert set(read(tmp_path / "out.csv")["total"]) == {"v1", "v9"}


def test_videos_that_the_scenes_leave_out_have_no_scores(tmp_path: Path) -> None:
    options = dataset(tmp_path, "id,total\nv1,1\nv2,2\nv3,3\nv4,4\n", scenes={"train": ["hall"], "test": ["garage"]})
    scores(tmp_path / "out.csv", dataset=options)
    assert set(read(tmp_path / "out.csv")["total"]) == {"v1", "v4"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("video,total\nv1,2\n", r"has the columns \['video', 'total'\]"),
        ("id\nv1\n", "at least one column of scores"),
        ("", "at least one column of scores"),
        ("id,total\nv1,2\nv2,high\n", "line 3, total: the score 'high' is no number"),
        ("id,total\nv1,nan\n", "the score is nan"),
        ("id,total\nv1,-inf\n", "the score is -inf"),
        ("id,total,TES\nv1,2\n", "the score 'None' is no number"),
        ("id,total\nv1,2\nv1,3\n", "line 3: 'v1' is there twice"),
        ("id,total\nv1,\n", "no video of the data set 'csv' has a score"),
        (None, "not said how well the actions"),
    ],
)
def test_scores_that_cannot_be_are_refused_and_nothing_is_written(text, words: str, tmp_path: Path) -> None:
    with pytest.raises(ChoreoError, match=words):
        scores(tmp_path / "out.csv", dataset=dataset(tmp_path, text))
    assert not (tmp_path / "out.csv").exists()


def test_a_missing_file_of_scores_is_named(tmp_path: Path) -> None:
    with pytest.raises(ChoreoError, match=r"no file of scores gone\.csv"):
        scores(tmp_path / "out.csv", dataset=dataset(tmp_path, None, scores="gone.csv"))


def test_an_adapter_without_scores_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ChoreoError, match=r"'folder' knows of no scores(.|\n)*adapter `csv`"):
        scores(tmp_path / "out.csv", dataset={"name": "folder", "root": str(tmp_path)})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "no file of scores"),
        ("id,value\nv1,2\n", "lacks the column 'score'"),
        ("id,score,value\nv1,total,2\nv1,total,2\n", "line 3: 'v1' has the score 'total' twice"),
        ("id,score,value\nv1,total,\n", "line 2: the score '' is no number"),
        ("id,score,value\nv1,total,nan\n", "line 2: the score is nan"),
    ],
)
def test_a_damaged_file_of_scores_is_refused(text: str | None, words: str, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "scores.csv").write_text(text)
    with pytest.raises(ChoreoError, match=words):
        read(tmp_path / "scores.csv")


def test_a_score_at_the_ends_of_its_range_is_one_and_beyond_them_is_none() -> None:
    assert points("25", "here", 0, 25) == 25 and points(0, "here", 0, 25) == 0
    for value in ("25.01", -0.01):
        with pytest.raises(ChoreoError, match=r"here: the score .* is outside 0 to 25"):
            points(value, "here", 0, 25)
