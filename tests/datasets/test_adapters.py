"""Data sets: a publisher's files become rows, and nothing outside the root is ever read."""

from __future__ import annotations

from pathlib import Path

import pytest
from films import film

from pipeline.datasets import adapter, inside, manifest
from pipeline.datasets.folder import rows as folder_rows
from pipeline.datasets.table import rows as table_rows
from pipeline.errors import ChoreoError
from pipeline.manifest import Manifest


def table(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two classes of ten videos each."""
    root = tmp_path_factory.mktemp("videos")
    for i in range(20):
        film(root / ("kick", "wave hand")[i % 2] / f"v{i:02}.mp4", 6)
    return root


# Paths


def test_a_path_below_the_root_is_taken(tmp_path: Path) -> None:
    assert inside(tmp_path, "a/../b/c.mp4") == tmp_path / "a/../b/c.mp4"


def test_a_path_that_leads_outside_is_refused_however_it_does(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret.mp4").touch()
    (root / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    (root / "folder").symlink_to(tmp_path)
    (root / "loop.mp4").symlink_to(root / "loop.mp4")
    for path in ("../secret.mp4", "/etc/passwd", "link.mp4", "folder/secret.mp4", "loop.mp4", "../root2/a.mp4"):
        with pytest.raises(ChoreoError, match="leads out of the data set's root"):
            inside(root, path)


# A folder


def test_a_folder_gives_ids_and_labels_and_skips_other_files(tmp_path: Path) -> None:
    for name in ("kick/a.mp4", "kick/deep/b.AVI", "wave/a.mkv", "top.webm", "kick/notes.txt", "kick/._a.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = {v.id: v for v in folder_rows(str(tmp_path))}
    assert list(found) == ["kick/a", "kick/deep/b", "top", "wave/a"]  # one stem in two folders is two ids
    assert [v.labels for v in found.values()] == [("kick",), ("kick",), (), ("wave",)]
    with pytest.raises(ChoreoError, match="there is no folder"):
        list(folder_rows(str(tmp_path / "gone")))


def test_a_folder_of_pictures_is_a_video_and_previews_beside_videos_are_none(tmp_path: Path) -> None:
    for name in ("kick/take.1/1.jpg", "kick/take.1/2.jpg", "kick/a.mp4", "kick/a.jpg", "wave/deep/b/1.PNG"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = {v.id: v for v in folder_rows(str(tmp_path))}
    assert list(found) == ["kick/a", "kick/take.1", "wave/deep/b"]
    assert found["kick/take.1"].path == tmp_path / "kick/take.1" and found["wave/deep/b"].labels == ("wave",)


# A list


def test_a_list_gives_rows(tmp_path: Path) -> None:
    text = "\ufeffid,path,labels,split,group,more\nv1,a.mp4,kick; wave,train,p1,x\nv2,b/c.mp4,,test,,y\n"
    one, two = table_rows(table(tmp_path / "list.csv", text))  # with the mark that spreadsheets put before the header
    assert (one.id, one.labels, one.split, one.group) == ("v1", ("kick", "wave"), "train", "p1")
    assert (two.path, two.labels, two.split, two.group) == (tmp_path / "b/c.mp4", (), "test", "")


def test_columns_may_have_other_names_and_test_may_be_a_fold(tmp_path: Path) -> None:
    text = "name,file,action,fold\nv1,a.mp4,kick,0\nv2,b.mp4,wave,1\n"
    columns = {"id": "name", "path": "file", "labels": "action"}
    found = list(table_rows(table(tmp_path / "l.csv", text), root=str(tmp_path), columns=columns, test={"fold": 1}))
    assert [(v.id, v.split) for v in found] == [("v1", "train"), ("v2", "test")]


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("id,path\n", {}, "lacks the column 'labels'"),
        ("id,path,labels\n", {"columns": {"labels": "action"}}, "lacks the column 'action'"),
        ("id,path,labels\n", {"columns": {"label": "labels"}}, r"names \['label'\]"),
        ("id,path,labels\nv1,../a.mp4,kick\n", {}, "leads out of"),
        (None, {}, "there is no list"),
    ],
)
def test_a_bad_list_is_refused(text: str | None, options: dict, words: str, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ChoreoError, match=words):
        list(table_rows(str(path), **options))


def test_an_unknown_adapter_gets_the_nearest() -> None:
    with pytest.raises(ChoreoError, match="did you mean 'folder'"):
        adapter({"name": "foldr"})


# The stage


def test_the_manifest_holds_what_the_files_say_and_every_video_is_in_one_shard(classes: Path, tmp_path: Path) -> None:
    shards = [tmp_path / f"{i}.csv" for i in range(3)]
    manifest(tmp_path / "all.csv", shards, dataset={"name": "folder", "root": str(classes)}, val=0.2, test=0.2)
    whole = Manifest.read(tmp_path / "all.csv")
    assert len(whole.usable) == 20 and whole.classes == ["kick", "wave hand"]
    assert {(v.frames, v.fps, v.duration) for v in whole.videos} == {(6, 25.0, 0.24)}
    assert all(len(v.sha256) == 64 for v in whole.videos)
    assert {s: len(whole.ids(s)) for s in ("train", "val", "test")} == {"train": 12, "val": 4, "test": 4}
    parts = [Manifest.read(p) for p in shards]
    assert sorted(v.id for part in parts for v in part.videos) == [v.id for v in whole.videos]
    before = [p.read_bytes() for p in (tmp_path / "all.csv", *shards)]
    manifest(tmp_path / "all.csv", shards, dataset={"name": "folder", "root": str(classes)}, val=0.2, test=0.2)
    assert [p.read_bytes() for p in (tmp_path / "all.csv", *shards)] == before


def test_a_file_that_cannot_be_read_keeps_its_row_with_the_problem(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", 3)
    (tmp_path / "b.mp4").write_bytes(b"no video")
    text = "id,path,labels,split\na,a.mp4,x,train\nb,b.mp4,x,val\nc,gone.mp4,x,test\n"
    manifest(tmp_path / "m.csv", [], dataset={"name": "csv", "index": table(tmp_path / "l.csv", text)})
    found = Manifest.read(tmp_path / "m.csv")
    assert [v.id for v in found.usable] == ["a"]
    assert "no video that can be read" in found.by_id["b"].problem and "there is no video" in found.by_id["c"].problem


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,path,labels,split\na,a.mp4,x,train\nb,a.mp4,y,test\n", "no training video shows 'y'"),
        ("id,path,labels,split\na,a.mp4,x,train\na,a.mp4,x,test\n", "two videos have the id 'a'"),
        ("id,path,labels,split\n", "holds no videos"),
    ],
)
def test_a_data_set_that_cannot_be_learned_from_is_refused(text: str, words: str, tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", 3)
    dataset = {"name": "csv", "index": table(tmp_path / "l.csv", text)}
    with pytest.raises(ChoreoError, match=words):
        manifest(tmp_path / "m.csv", [], dataset=dataset, val=0)
    assert not (tmp_path / "m.csv").exists()
