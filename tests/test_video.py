"""Reading videos: every decoder gives the same frames, and a bad file says what is wrong and never hangs."""

from __future__ import annotations

import faulthandler
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from films import cut_without_encoding, film, picture, sound, turned

from pipeline import video
from pipeline.errors import ChoreoError, VideoError
from pipeline.video import DECODERS, probe, read, segments, stream, window

VARIABLE = np.cumsum([0, *np.random.default_rng(0).integers(20, 120, 29)])
SOUND: dict[str, Callable[[Path], Path]] = {
    "h264 mp4": lambda p: film(p / "a.mp4"),
    "h264 mkv of odd size": lambda p: film(p / "a.mkv", size=(47, 63), pixels="yuv444p"),
    "mpeg4 avi": lambda p: film(p / "a.avi", codec="mpeg4"),
    "vp9 webm": lambda p: film(p / "a.webm", 12, codec="libvpx-vp9"),
    "variable frame rate": lambda p: film(p / "a.mp4", times=VARIABLE),
    "first frame late, mkv": lambda p: film(p / "a.mkv", times=1300 + 40 * np.arange(30)),
    "first frame late, mp4": lambda p: film(p / "a.mp4", times=1300 + 40 * np.arange(30)),
    "full range": lambda p: film(p / "a.mp4", pixels="yuvj420p"),
    "one frame": lambda p: film(p / "a.mp4", 1),
    "name with blanks, quotes and more": lambda p: film(p / "Tänzer '1' 舞\n (2).mp4"),
    "turned by 90": lambda p: turned(p / "b.mp4", film(p / "a.mp4"), 90),
    "turned by 180": lambda p: turned(p / "b.mp4", film(p / "a.mp4"), 180),
    "turned by 270": lambda p: turned(p / "b.mp4", film(p / "a.mp4"), 270),
}


@pytest.fixture(autouse=True)
def never_hangs() -> Iterator[None]:
    """End the run, with a traceback, when one test takes a minute: a decoder that hangs cannot be interrupted."""
    faulthandler.dump_traceback_later(60, exit=True, file=sys.__stderr__)
    yield
    faulthandler.cancel_dump_traceback_later()


def loads(decoder: str) -> str:
    """The decoder, or a skip where it cannot be loaded."""
    try:
        if decoder != "pyav":
            video._backend(decoder)
    except ChoreoError as error:
        pytest.skip(error.what)
    return decoder


def frames(path: Path, decoder: str = "pyav") -> tuple[np.ndarray, np.ndarray]:
    """Pixels (T, H, W, 3) and times (T,)."""
    found = list(stream(path, decoder))
    assert [f.index for f in found] == list(range(len(found)))
    return np.stack([f.pixels for f in found]), np.array([f.time for f in found])


def far(one: np.ndarray, two: np.ndarray) -> float:
    """Mean difference in grey levels."""
    return float(np.abs(one.astype(int) - two.astype(int)).mean())


# Sound files


@pytest.mark.parametrize("decoder", DECODERS[1:])
@pytest.mark.parametrize("name", SOUND)
def test_every_decoder_gives_the_same_frames_at_the_same_times(name: str, decoder: str, tmp_path: Path) -> None:
    path = SOUND[name](tmp_path)
    loads(decoder)
    pixels, times = frames(path)
    if decoder == "decord" and name in ("turned by 90", "turned by 270"):  # of widths that are no multiple of 64
        with pytest.raises(VideoError, match="decord cannot read"):
            frames(path, decoder)
        return
    others, other_times = frames(path, decoder)
    assert others.shape == pixels.shape
    assert far(others, pixels) < 0.5  # the same conversion to RGB, up to rounding
    assert other_times == pytest.approx(times, abs=1e-6)
    some, some_times = read(path, [0, len(pixels) - 1, len(pixels) - 1], decoder)
    assert far(some, pixels[[0, -1, -1]]) < 0.5 and some_times[-1] == pytest.approx(times[-1], abs=1e-6)


@pytest.mark.parametrize("decoder", DECODERS[1:])
def test_every_decoder_reads_10_bit(decoder: str, tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", 8, codec="libx265", pixels="yuv420p10le", options={"x265-params": "log-level=none"})
    loads(decoder)
    one, two = frames(path)[0], frames(path, decoder)[0]
    assert one.shape == two.shape and far(one, two) < 3  # each brings 10 bits to 8, and chroma to full size, in its way


@pytest.mark.parametrize("name", SOUND)
def test_pixels_are_those_that_were_filmed(name: str, tmp_path: Path) -> None:
    """A swap of channels, of the colour range or of a turn would be far off."""
    found, _ = frames(SOUND[name](tmp_path))
    turns = int(name.split()[-1]) // 90 if name.startswith("turned") else 0
    first = np.rot90(found[0], turns)  # clockwise as shown, anticlockwise back
    assert far(first, picture(0, *first.shape[:2])) < 12
    corner = first[2:8, 2:8].reshape(-1, 3).mean(0)
    assert corner == pytest.approx([255, 0, 0], abs=30)


@pytest.mark.parametrize("name", SOUND)
def test_probe_counts_what_is_decoded(name: str, tmp_path: Path) -> None:
    path = SOUND[name](tmp_path)
    pixels, times = frames(path)
    info = probe(path)
    assert (info.frames, info.height, info.width) == pixels.shape[:3]
    span = times[-1] - times[0]
    assert info.fps == pytest.approx((len(times) - 1) / span if span else 0, rel=1e-3)
    assert info.duration >= span


def test_times_are_those_of_the_file_and_not_of_an_even_rate(tmp_path: Path) -> None:
    _, times = frames(film(tmp_path / "a.mp4", times=VARIABLE))
    assert times == pytest.approx(VARIABLE / 1000, abs=1e-3)


def test_times_rise_where_the_container_keeps_none_for_b_frames(tmp_path: Path) -> None:
    path = film(tmp_path / "a.avi", options={"bf": "2", "b-adapt": "0"})
    _, times = frames(path)
    assert len(times) == probe(path).frames == 30
    assert (np.diff(times) > 0).all()
    assert times == pytest.approx(0.04 * np.arange(30), abs=0.081)  # they can be late by the frames that are reordered


@pytest.mark.parametrize("decoder", DECODERS)
def test_what_an_edit_list_hides_is_not_shown(decoder: str, tmp_path: Path) -> None:
    whole = film(tmp_path / "a.mp4")
    path = cut_without_encoding(tmp_path / "b.mp4", whole, 8)
    assert probe(path).frames == 22
    loads(decoder)
    if decoder == "decord":  # it shows all 30
        with pytest.raises(VideoError, match=r"decord finds 30 frames .* there are 22"):
            read(path, [0], decoder)
    else:
        assert len(frames(path, decoder)[0]) == 22
        assert far(read(path, [0], decoder)[0][0], frames(whole)[0][8]) < 0.5


@pytest.mark.parametrize("decoder", DECODERS)
def test_chosen_frames_are_those_of_the_stream(decoder: str, tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", 40, options={"g": "10"})
    loads(decoder)
    pixels, times = frames(path)
    chosen = [0, 7, 7, 19, 20, 39]
    found, found_times = read(path, chosen, decoder)
    assert far(found, pixels[chosen]) < 0.5 and found_times == pytest.approx(times[chosen])
    with pytest.raises(VideoError, match="ends after 40 frames; frame 40 was asked for"):
        read(path, [3, 40], decoder)
    for wrong in ([], [3, 2], [-1]):
        with pytest.raises(ValueError, match="rising"):
            read(path, wrong, decoder)


def test_an_unknown_decoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ChoreoError, match="no decoder 'opencv'"):
        read(film(tmp_path / "a.mp4", 2), [0], "opencv")


# Bad files: a VideoError with a cause and a mend


def cut(path: Path, keep: float) -> Path:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    return path


def damaged(path: Path) -> Path:
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 800] = np.random.default_rng(0).bytes(800)
    path.write_bytes(data)
    return path


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def empty_of_frames(path: Path) -> Path:
    """A film whose file ends with its header."""
    film(path, 10, movflags="faststart")
    data = path.read_bytes()
    return written(path, data[: data.index(b"mdat") + 4])


def noisy(path: Path, **options: str) -> Path:
    """A film that takes many bytes, so that a cut falls into its pictures."""
    rng = np.random.default_rng(0)
    return film(path, [rng.integers(0, 256, (48, 64, 3), np.uint8) for _ in range(60)], **options)


FAULTS: dict[str, Callable[[Path], Path]] = {
    "no such file": lambda p: p / "a.mp4",
    "a folder": lambda p: p,
    "zero bytes": lambda p: written(p / "a.mp4", b""),
    "text that is called a video": lambda p: written(p / "a.mp4", b"<html>404</html>\n" * 50),
    "cut before the index": lambda p: cut(noisy(p / "a.mp4"), 0.6),
    "cut after the index": lambda p: cut(noisy(p / "a.mp4", movflags="faststart"), 0.6),
    "cut to the index": lambda p: empty_of_frames(p / "a.mp4"),
    "cut avi": lambda p: cut(film(p / "a.avi", 100, codec="mpeg4"), 0.5),
    "cut mkv": lambda p: cut(noisy(p / "a.mkv"), 0.6),
    "sound alone": lambda p: sound(p / "a.mp4"),
}


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_file_says_what_is_wrong_why_and_how_to_mend_it(fault: str, decoder: str, tmp_path: Path) -> None:
    path = FAULTS[fault](tmp_path)
    loads(decoder)
    for attempt in (lambda: probe(path), lambda: list(stream(path, decoder))):
        with pytest.raises(VideoError) as caught:
            attempt()
        assert str(path) in caught.value.what and caught.value.cause and caught.value.mend


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_damaged_middle_is_an_error_or_gives_every_frame(decoder: str, tmp_path: Path) -> None:
    path = damaged(noisy(tmp_path / "a.mp4"))
    loads(decoder)
    try:
        found = frames(path, decoder)[0]
    except VideoError as error:
        assert str(path) in error.what and error.mend
    else:
        assert len(found) == 60


def test_a_file_that_grows_or_shrinks_after_the_manifest_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="ends after 5 frames; frame 9") as caught:
        read(film(tmp_path / "a.mp4", 5), [9])
    assert "replaced" in caught.value.cause


def test_a_header_that_promises_too_many_frames_of_an_even_rate_is_not_believed(tmp_path: Path) -> None:
    """An AVI of 25 frames a second in a time base of 1/1000 counts 1000 frames a second in its header."""
    path = film(tmp_path / "a.avi", 30, codec="mpeg4", times=40 * np.arange(30), rate=1000)
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames > 1000
    assert probe(path).frames == len(frames(path)[0]) == 30


# Sampling


def test_segments_are_the_middles_of_equal_parts() -> None:
    assert segments(80, 8).tolist() == [5, 15, 25, 35, 45, 55, 65, 75]
    assert segments(3, 8).tolist() == [0, 0, 0, 1, 1, 2, 2, 2]
    assert segments(1, 4).tolist() == [0, 0, 0, 0]


def test_a_window_lies_in_the_middle_and_repeats_the_last_frame_where_it_must() -> None:
    assert window(100, 4, 5).tolist() == [40, 45, 50, 55]
    assert window(10, 4, 5).tolist() == [0, 5, 9, 9]
    assert window(1, 3, 4).tolist() == [0, 0, 0]
