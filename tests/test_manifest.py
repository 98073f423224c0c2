"""The manifest: unique ids, stable shards, splits that do not leak."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.errors import ChoreoError
from pipeline.manifest import COLUMNS, Manifest, Video, draw_splits, shard_of


def video(index: int, **columns: object) -> Video:
    return Video(id=f"v{index:03}", path=Path(f"videos/{index}.mp4"), **columns)


def people(split: str = "") -> list[Video]:
    """120 videos of three classes by 24 people."""
    return [video(i, split=split, labels=("abc"[i % 3],), group=f"p{i % 24}") for i in range(120)]


def test_what_is_written_is_what_is_read_with_the_same_bytes(tmp_path: Path) -> None:
    rows = [
        video(2, split="test", labels=("a, b", "ü"), group="g", duration=1.25, frames=31, fps=24.8, sha256="ff"),
        video(1, problem='it ends\n"early"'),
    ]
    Manifest(rows).write(tmp_path / "one.csv")
    found = Manifest.read(tmp_path / "one.csv")
    assert found.videos == sorted(rows, key=lambda v: v.id)
    found.write(tmp_path / "two.csv")
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "two.csv").read_bytes()
    assert [v.id for v in found.usable] == ["v002"]


def test_equal_ids_are_refused_with_both_paths() -> None:
    with pytest.raises(ChoreoError, match=r"'v001' \(videos/1.mp4 and other.mp4\)"):
        Manifest([video(1), Video(id="v001", path=Path("other.mp4"))])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (",".join(COLUMNS[:-1]) + "\n", "lacks the columns ['problem']"),
        (",".join(COLUMNS) + "\nv1,a.mp4,,,,x,3,25,,\n", "line 2: could not convert"),
        (",".join(COLUMNS) + "\nv1,a.mp4,,,,1.0,3.5,25,,\n", "line 2: invalid literal"),
        (",".join(COLUMNS) + "\nv1,a.mp4\n", "line 2: more or fewer cells"),
        (",".join(COLUMNS) + "\nv1,a.mp4,,,,1,3,25,,,,\n", "line 2: more or fewer cells"),
        (None, "there is no manifest"),
    ],
)
def test_a_bad_file_is_refused_and_the_message_says_where(text: str | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ChoreoError) as caught:
        Manifest.read(path)
    assert words in str(caught.value) and str(path) in str(caught.value)


def test_a_label_that_would_be_read_as_two_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ChoreoError, match="semicolon"):
        Manifest([video(1, labels=("a;b",))]).write(tmp_path / "m.csv")


# Shards


def test_shards_of_videos_stay_what_they_were() -> None:
    """Another hash would compute every artifact anew."""
    assert [shard_of(i, 16) for i in ("v_Kayaking_g03_c02", "a", "Ä b", "")] == [7, 10, 15, 4]


def test_every_video_is_in_one_shard_and_a_new_one_changes_no_other() -> None:
    few, more = Manifest(people()), Manifest([*people(), video(999)])
    before = [[v.id for v in few.shard(i, 8).videos] for i in range(8)]
    after = [[v.id for v in more.shard(i, 8).videos] for i in range(8)]
    assert sorted(i for shard in before for i in shard) == [v.id for v in few.videos]
    assert sum(one != two for one, two in zip(before, after)) == 1


def test_a_shard_holds_nothing_that_slow_stages_do_not_read() -> None:
    (found,) = Manifest([video(1, split="test", labels=("a",), group="g", frames=3)]).shard(0, 1).videos
    assert (found.split, found.labels, found.group, found.frames) == ("", (), "", 3)


# Splits


def groups(videos: list[Video], split: str) -> set[str]:
    return {v.group for v in videos if v.split == split}


@pytest.mark.parametrize("seed", range(5))
def test_a_group_is_never_split_apart(seed: int) -> None:
    found = draw_splits(people(), seed=seed)
    assert {v.split for v in found} == {"train", "val", "test"}
    for one, two in (("train", "val"), ("train", "test"), ("val", "test")):
        assert not groups(found, one) & groups(found, two)


def test_shares_and_classes_are_in_proportion() -> None:
    found = draw_splits([video(i, labels=("abc"[i % 3],)) for i in range(300)], val=0.15, test=0.25)
    for split, share in (("val", 0.15), ("test", 0.25)):
        for label in "abc":
            count = sum(v.split == split and v.labels == (label,) for v in found)
            assert abs(count / 100 - share) < 0.03


def test_the_draw_follows_its_seed() -> None:
    one, again, other = (draw_splits(people(), seed=s) for s in (1, 1, 2))
    assert one == again != other


def test_val_is_carved_out_of_train_and_test_stays() -> None:
    given = people("train")
    given = [v if i % 24 > 5 else video(i, split="test", labels=v.labels, group=v.group) for i, v in enumerate(given)]
    found = draw_splits(given, val=0.2)
    assert [v.id for v in found if v.split == "test"] == [v.id for v in given if v.split == "test"]
    assert {v.split for v in found} == {"train", "val", "test"}
    assert not groups(found, "train") & groups(found, "val")


def test_splits_that_are_all_given_stay() -> None:
    given = [video(i, split=("train", "val", "test")[i % 3]) for i in range(9)]
    assert draw_splits(given) == given


def test_a_share_of_nothing_draws_nothing() -> None:
    assert {v.split for v in draw_splits(people(), val=0, test=0)} == {"train"}


def test_a_video_with_a_problem_does_not_count() -> None:
    found = Manifest(draw_splits([*people(), video(500, problem="cut")]))
    assert len(found.videos) == 121
    assert "v500" not in [*found.ids("train"), *found.ids("val"), *found.ids("test")]


@pytest.mark.parametrize(
    ("videos", "options", "words"),
    [
        ([video(1, split="train"), video(2)], {}, "some rows have a split"),
        ([video(1, split="training")], {}, "training"),
        ([video(i, group="one") for i in range(50)], {}, "cannot be carved"),
        ([video(i) for i in range(50)], {"test": 0.9}, "share of 'test'"),
    ],
)
def test_splits_that_cannot_be_drawn_are_refused(videos: list[Video], options: dict, words: str) -> None:
    with pytest.raises(ChoreoError, match=words):
        draw_splits(videos, **options)


def test_the_strict_protocol_keeps_test_out_and_the_published_one_does_not() -> None:
    found = Manifest([video(i, split=("train", "val", "test")[i % 3]) for i in range(6)])
    train, val, test = ["v000", "v003"], ["v001", "v004"], ["v002", "v005"]
    assert found.split_ids() == {"discover": train, "train": train, "val": val, "test": test}
    assert found.split_ids("published") == {
        "discover": train + val + test, "train": train + val, "val": test, "test": test,
    }  # fmt: skip
    with pytest.raises(ChoreoError, match="no protocol 'lenient'"):
        found.split_ids("lenient")
