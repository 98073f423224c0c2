"""Folders of pictures, and parts of videos: read like any other video, and what is odd in them is named."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from films import film, picture

from pipeline import pictures, video
from pipeline.datasets import manifest
from pipeline.errors import ChoreoError, VideoError
from pipeline.features.keyframes import differences
from pipeline.manifest import Manifest, Video
from pipeline.video import DECODERS, Source, digest, probe, read, stream


def folder(path: Path, count: int = 12, suffix: str = ".png", size: tuple[int, int] = (48, 64), first: int = 1) -> Path:
    """Frames 1.png, 2.png, ... of the film that `picture` makes; names without zeros in front sort wrongly as text."""
    path.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        cv2.imwrite(str(path / f"frame{first + i}{suffix}"), picture(i, *size)[..., ::-1])
    return path


def decoder_or_skip(decoder: str) -> str:
    try:
        if decoder != "pyav":
            video._backend(decoder)
    except ChoreoError as error:
        pytest.skip(error.what)
    return decoder


# Folders


@pytest.mark.parametrize("decoder", DECODERS)  # which is for files: all give the pictures
def test_a_folder_streams_its_pictures_in_the_order_people_count(decoder: str, tmp_path: Path) -> None:
    frames = list(stream(folder(tmp_path / "a"), decoder))
    assert [f.index for f in frames] == list(range(12))
    assert [f.time for f in frames] == pytest.approx([i / 25 for i in range(12)])
    np.testing.assert_array_equal([f.pixels for f in frames], [picture(i) for i in range(12)])


@pytest.mark.parametrize("decoder", DECODERS)
def test_chosen_pictures_are_those_of_the_stream_and_no_other_is_opened(decoder: str, tmp_path: Path) -> None:
    path = folder(tmp_path / "a")
    (path / "frame1.png").write_bytes(b"no picture")
    pixels, times = read(path, [3, 3, 11], decoder)
    np.testing.assert_array_equal(pixels, [picture(3), picture(3), picture(11)])
    assert times == pytest.approx([0.12, 0.12, 0.44])
    with pytest.raises(VideoError, match="ends after 12 frames; frame 12"):
        read(path, [3, 12], decoder)


def test_probe_counts_the_pictures_at_25_a_second_or_as_the_path_says(tmp_path: Path) -> None:
    path = folder(tmp_path / "a")
    info = probe(path)
    assert (info.frames, info.height, info.width) == (12, 48, 64)
    assert (info.fps, info.duration) == (pytest.approx(25), pytest.approx(12 / 25))
    faster = probe(Path(f"{path}#fps=50"))
    assert (faster.frames, faster.fps, faster.duration) == (12, pytest.approx(50), pytest.approx(0.24))
    assert probe(Path(f"{path}#fps=29.97")).fps == pytest.approx(29.97)


@pytest.mark.parametrize(("suffix", "far"), [(".jpg", 20), (".JPEG", 20), (".PNG", 0)])
def test_pictures_are_jpeg_or_png_and_colours_are_not_swapped(suffix: str, far: int, tmp_path: Path) -> None:
    path = folder(tmp_path / "a", suffix=suffix)
    for other in (".hidden.png", "notes.txt", "Thumbs.db"):
        (path / other).write_bytes(b"")
    assert probe(path).frames == 12
    corner = read(path, [5])[0][0][2:8, 2:8].reshape(-1, 3).mean(0)
    assert corner == pytest.approx([255, 0, 0], abs=far + 1)


def test_grey_and_transparent_pictures_and_those_of_16_bits_become_rgb_of_8(tmp_path: Path) -> None:
    for name, pixels in {
        "grey": np.full((4, 4), 100, np.uint8),
        "deep": np.full((4, 4, 3), 100 * 257, np.uint16),
        "clear": np.full((4, 4, 4), 100, np.uint8),
    }.items():
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "1.png"), pixels)
        found = read(tmp_path / name, [0])[0]
        assert found.dtype == np.uint8 and found.shape == (1, 4, 4, 3) and np.abs(found.astype(int) - 100).max() <= 1


def test_keyframe_signals_of_a_film_and_of_its_frames_agree(tmp_path: Path) -> None:
    """A stage does not see which of both a video is."""
    path = film(tmp_path / "a.mkv", 20, codec="ffv1", pixels="bgr0")
    (tmp_path / "a").mkdir()
    for frame in stream(path):
        cv2.imwrite(str(tmp_path / "a" / f"{frame.index:06d}.png"), frame.pixels[..., ::-1])
    whole, pieces = (differences(Video("a", p)) for p in (path, tmp_path / "a"))
    np.testing.assert_array_equal(pieces[0], whole[0])
    np.testing.assert_allclose(pieces[1], whole[1], atol=1e-3)


def test_a_name_sorts_by_its_numbers_wherever_they_are() -> None:
    names = ["a10b2.png", "a2b10.png", "a2b9.png", "10.png", "9.png", "a.png"]
    ordered = sorted((Path(n) for n in names), key=pictures.natural)
    assert [p.name for p in ordered] == ["9.png", "10.png", "a.png", "a2b9.png", "a2b10.png", "a10b2.png"]


# What is odd


def test_mixed_sizes_are_refused_and_the_first_odd_file_is_named(tmp_path: Path) -> None:
    path = folder(tmp_path / "a")
    for odd in (7, 9):
        cv2.imwrite(str(path / f"frame{odd}.png"), picture(0, 50, 64)[..., ::-1])
    for attempt in (lambda: probe(path), lambda: list(stream(path)), lambda: read(path, [0, 6, 8])):
        with pytest.raises(VideoError, match=r"frame7\.png is 64 x 50 px, and frame1\.png before it 64 x 48") as caught:
            attempt()
        assert caught.value.cause and caught.value.mend
    assert read(path, [0, 1])[0].shape == (2, 48, 64, 3)


@pytest.mark.parametrize("content", [b"", b"<html>404</html>", "cut"])
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_a_picture_that_cannot_be_read_is_named(suffix: str, content: bytes | str, tmp_path: Path) -> None:
    path = folder(tmp_path / "a", suffix=suffix)
    file = path / f"frame8{suffix}"
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2] if content == "cut" else content)
    for attempt in (lambda: probe(path), lambda: list(stream(path)), lambda: read(path, [7])):
        with pytest.raises(VideoError, match=f"frame8{suffix} is no picture that can be read"):
            attempt()


def test_a_folder_without_pictures_or_with_two_kinds_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    both = folder(folder(tmp_path / "both", 3, ".jpg"), 3, ".png")
    for path, words in ((tmp_path / "empty", "holds no pictures"), (both, r"of the kinds \.jpg and \.png")):
        for attempt in (probe, digest, lambda p: list(stream(p)), lambda p: read(p, [0])):
            with pytest.raises(VideoError, match=words):
                attempt(path)


# Parts


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("kind", ["film", "folder"])
def test_a_part_is_a_video_that_begins_at_0(kind: str, decoder: str, tmp_path: Path) -> None:
    decoder_or_skip(decoder)
    if kind == "film":
        whole = film(tmp_path / "a.mp4", 40, options={"g": "10"}, times=40 * np.arange(40) + 1300)
    else:
        whole = folder(tmp_path / "a", 40)
    part = Path(f"{whole}#frames=13-29")
    pixels = np.stack([f.pixels for f in stream(whole, decoder)])
    found = list(stream(part, decoder))
    assert [f.index for f in found] == list(range(17))
    np.testing.assert_array_equal([f.pixels for f in found], pixels[13:30])
    assert [f.time for f in found] == pytest.approx([i / 25 for i in range(17)], abs=1e-6)
    some, times = read(part, [0, 16], decoder)
    np.testing.assert_array_equal(some, pixels[[13, 29]])
    assert times == pytest.approx([0, 16 / 25], abs=1e-6)
    with pytest.raises(VideoError, match="ends after 17 frames; frame 17"):
        read(part, [17], decoder)
    info = probe(part)
    assert (info.frames, info.fps, info.duration) == (17, pytest.approx(25), pytest.approx(17 / 25))
    assert (info.height, info.width) == pixels.shape[1:3]


@pytest.mark.parametrize("kind", ["film", "folder"])
def test_a_part_beyond_the_end_ends_with_the_video_and_one_after_the_end_is_refused(kind: str, tmp_path: Path) -> None:
    whole = film(tmp_path / "a.mp4", 20) if kind == "film" else folder(tmp_path / "a", 20)
    assert probe(Path(f"{whole}#frames=15-99")).frames == len(list(stream(Path(f"{whole}#frames=15-99")))) == 5
    for attempt in (probe, lambda p: list(stream(p)), lambda p: read(p, [0])):
        with pytest.raises(VideoError, match="ends after 20 frames"):
            attempt(Path(f"{whole}#frames=20-25"))


@pytest.mark.parametrize("part", ["frames=5-3", "frames=5", "frame=1-2", "frames=1-2fps=3", "fps=0", "frames=a-b", ""])
def test_a_part_that_cannot_be_meant_is_refused(part: str, tmp_path: Path) -> None:
    for whole in (film(tmp_path / "a.mp4", 3), folder(tmp_path / "b", 3)):
        with pytest.raises(VideoError, match="names no part of a video") as caught:
            probe(Path(f"{whole}#{part}"))
        assert "#frames=FIRST-LAST" in caught.value.mend
    with pytest.raises(VideoError, match="names no part"):
        probe(Path(f"{tmp_path / 'a.mp4'}#fps=30"))  # a file has times of its own


def test_a_name_with_a_number_sign_is_a_name_where_a_file_has_it(tmp_path: Path) -> None:
    for path in (film(tmp_path / "take #1.mp4", 5), folder(tmp_path / "take #2", 5)):
        assert probe(path).frames == 5
        assert probe(Path(f"{path}#frames=1-2")).frames == 2
    assert Source.of(Path("x/a#b#frames=0-4&fps=30")) == Source(Path("x/a#b"), "frames=0-4&fps=30", 0, 4, 30.0)
    with pytest.raises(VideoError, match="there is no video"):
        probe(tmp_path / "gone.mp4#frames=0-1")


# Digests


def test_the_digest_of_a_folder_changes_with_its_pictures_and_with_nothing_else(tmp_path: Path) -> None:
    path = folder(tmp_path / "a")
    before = digest(path)
    assert len(before) == 64 and digest(folder(tmp_path / "elsewhere")) == before
    (path / "notes.txt").write_text("seen")
    (path / ".frame1.png.part").write_bytes(b"")
    assert digest(path) == before
    (path / "frame3.png").rename(path / "frame99.png")
    renamed = digest(path)
    (path / "frame99.png").unlink()
    assert len({before, renamed, digest(path)}) == 3


def test_every_part_has_a_digest_of_its_own(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 10)
    parts = {digest(Path(f"{path}{part}")) for part in ("", "#frames=0-4", "#frames=5-9")}
    assert len(parts) == 3
    before = digest(Path(f"{path}#frames=0-4"))
    film(path, 9)
    assert digest(Path(f"{path}#frames=0-4")) != before


# The stage


def test_folders_and_parts_are_rows_of_a_manifest_like_any_other(tmp_path: Path) -> None:
    folder(tmp_path / "whole", 10)
    film(tmp_path / "a.mp4", 30)
    cv2.imwrite(str(folder(tmp_path / "odd", 4) / "frame3.png"), picture(0, 20, 20))
    index = tmp_path / "list.csv"
    index.write_text(
        "id,path,labels,split\n"
        "a_0,a.mp4#frames=0-9,x,train\na_1,a.mp4#frames=10-29,x,train\n"
        "b,whole#fps=5,x,val\nodd,odd,x,test\ngone,nowhere#frames=0-3,x,test\n"
    )
    manifest(tmp_path / "m.csv", [tmp_path / "0.csv"], dataset={"name": "csv", "index": str(index)})
    found = Manifest.read(tmp_path / "m.csv").by_id
    assert {i: (v.frames, v.duration) for i, v in found.items() if not v.problem} == {
        "a_0": (10, pytest.approx(0.4)), "a_1": (20, pytest.approx(0.8)), "b": (10, pytest.approx(2)),
    }  # fmt: skip
    assert "frame3.png is 20 x 20" in found["odd"].problem and "there is no video" in found["gone"].problem
    assert len({v.sha256 for v in found.values() if not v.problem}) == 3
    assert [f.index for f in stream(Manifest.read(tmp_path / "0.csv").by_id["a_1"].path)] == list(range(20))
