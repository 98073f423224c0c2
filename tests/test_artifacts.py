"""Artifacts: what was written is what is read, complete or not at all, and wrong numbers do not get in."""

from __future__ import annotations

import hashlib
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from archive.make import FAILED, ROWS, archived, values, write

from pipeline import artifacts, kinds
from pipeline.artifacts import Artifact, create, validate
from pipeline.errors import ChoreoError, StorageError, VideoError
from pipeline.kinds import KINDS
from pipeline.tools import docs

KILLED = """
import os, signal, sys
from pathlib import Path
import numpy as np
from pipeline.artifacts import create

out, stop = Path(sys.argv[1]), int(sys.argv[2])
with create(out, "features", ids=["a", "b", "c", "d"], params={"x": 1}) as artifact:
    for video_id in artifact.pending():
        if len(artifact.done()) == stop:
            os.kill(os.getpid(), signal.SIGKILL)
        print(video_id, flush=True)
        artifact.add(video_id, feature=np.full(5, ord(video_id), "f4"))
"""


def features(path: Path, rows: dict[str, list[float]], failed: tuple[str, ...] = (), **header) -> Path:
    """A `features` artifact."""
    with create(path, "features", ids=[*rows, *failed], **header) as artifact:
        for video_id, row in rows.items():
            artifact.add(video_id, feature=row)
        for video_id in failed:
            artifact.fail(video_id, VideoError("it ends early"))
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def same(found: np.ndarray, wanted: np.ndarray) -> bool:
    return np.array_equal(found, wanted) if wanted.dtype.kind == "U" else np.array_equal(found, wanted, equal_nan=True)


# What was written is what is read


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_read_as_it_was_written(name: str, tmp_path: Path) -> None:
    check(write(tmp_path / "a.h5", KINDS[name]), name)


@pytest.mark.parametrize("name", KINDS)
def test_a_file_of_the_archive_is_still_read(name: str) -> None:
    """A layout that changes so that this fails needs a new version, and a new file: python tests/archive/make.py."""
    check(archived(KINDS[name]), name)


def check(path: Path, name: str) -> None:
    """Everything of `archive.make` comes back."""
    validate(path)
    kind = KINDS[name]
    with Artifact(path, name) as found:
        for array in kind.arrays:
            if kind.storage(array) == "shared":
                assert same(found[array], values(kind, array)), array
        if not kind.per_video:
            return
        assert found.ids == list(ROWS)
        assert list(found.failures) == [FAILED]
        assert "ends after 3 frames" in found.failures[FAILED]
        for seed, (video_id, rows) in enumerate(ROWS.items()):
            assert video_id in found
            for array, stored in found.video(video_id).items():
                assert same(stored, values(kind, array, rows, seed)), (video_id, array)
        for axis in kind.ragged:
            assert found.owners(axis) == [i for i, rows in ROWS.items() for _ in range(rows)]


def test_rows_come_in_the_order_that_was_asked_for(tmp_path: Path) -> None:
    with Artifact(features(tmp_path / "a.h5", {"a": [1, 2], "b": [3, 4], "c": [5, 6]}), "features") as found:
        assert found.rows("feature", ["c", "a"]).tolist() == [[5, 6], [1, 2]]


def test_shards_are_read_as_one_an_empty_one_and_a_failed_one_among_them(tmp_path: Path) -> None:
    shards = [
        features(tmp_path / "0.h5", {}),
        features(tmp_path / "1.h5", {"b": [1, 2]}),
        features(tmp_path / "2.h5", {}, failed=("x",)),
        features(tmp_path / "3.h5", {"a": [3, 4], "c": [5, 6]}),
    ]
    for shard in shards:
        validate(shard)
    with Artifact(shards, "features") as found:
        assert found.ids == ["b", "a", "c"]
        assert found["feature"].tolist() == [[1, 2], [3, 4], [5, 6]]
        assert found.video("c")["feature"].tolist() == [5, 6]
        assert found.failures == {"x": "it ends early"}
    with Artifact(shards[:1], "features") as found:
        assert found.ids == [] and len(found["feature"]) == 0


def test_ragged_shards_are_read_as_one(tmp_path: Path) -> None:
    one = {"frames": 9, "fps": 25, "keyframe": [1, 4], "time": [0.1, 0.4], "difference": np.arange(9)}
    two = {"frames": 2, "fps": 25, "keyframe": [], "time": [], "difference": [0, 1]}
    for shard, rows in enumerate([{}, {"a": one}, {"b": two, "c": one}]):
        with create(tmp_path / f"{shard}.h5", "keyframes", ids=list(rows)) as artifact:
            for video_id, arrays in rows.items():
                artifact.add(video_id, **arrays)
    with Artifact(sorted(tmp_path.glob("*.h5")), "keyframes") as found:
        assert found["keyframe"].tolist() == [1, 4, 1, 4]
        assert found.owners("keyframe") == ["a", "a", "c", "c"]
        assert found.video("b")["difference"].tolist() == [0, 1]
        assert len(found["difference"]) == 20


def test_the_same_video_in_two_shards_is_refused(tmp_path: Path) -> None:
    shards = [features(tmp_path / f"{i}.h5", {"a": [1]}) for i in range(2)]
    with Artifact(shards, "features") as found, pytest.raises(ChoreoError, match="the same video"):
        found.video("a")


def test_the_same_input_gives_the_same_bytes_whenever_it_is_written(tmp_path: Path) -> None:
    first = sha256(write(tmp_path / "a.h5", KINDS["pose"]))
    time.sleep(1.1)
    assert sha256(write(tmp_path / "b.h5", KINDS["pose"])) == first


def test_the_order_in_which_videos_finish_changes_nothing(tmp_path: Path) -> None:
    rows = {"a": [1.0], "b": [2.0], "c": [3.0]}
    first = sha256(features(tmp_path / "a.h5", rows))
    with create(tmp_path / "b.h5", "features", ids=list(rows)) as artifact:
        for video_id in ("c", "a", "b"):
            artifact.add(video_id, feature=rows[video_id])
    assert sha256(tmp_path / "b.h5") == first


def test_the_header_says_from_what_it_was_made(tmp_path: Path) -> None:
    source = tmp_path / "in" / "a.csv"
    source.parent.mkdir()
    source.write_text("x")
    path = features(tmp_path / "a.h5", {"a": [1]}, inputs=[source], params={"k": 3}, model="m@1", stage="s")
    with h5py.File(path) as file:
        assert dict(file.attrs, software="", checksum="") == {
            "artifact": "features", "spec": 1, "stage_digest": "s", "params": '{"k": 3}', "model": "m@1",
            "inputs": '{"in/a.csv": "' + hashlib.sha256(b"x").hexdigest() + '"}', "software": "", "checksum": "",
        }  # fmt: skip
        assert '"h5py"' in file.attrs["software"]


# Wrong numbers do not get in


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"joints": np.zeros((1, 2, 17))}, ["pose/joints", "'v_7'", "shape (1, 2, 17)"]),
        ({"start": [1, 2]}, ["pose", "'v_7'", "lengths along 'clip' differ"]),
        ({"confidence": np.full((1, 2, 17), np.nan)}, ["pose/confidence", "'v_7'", "NaN"]),
        ({"confidence": np.full((1, 2, 17), 1.5)}, ["pose/confidence", "'v_7'", "outside 0 to 1"]),
        ({"box": np.full((1, 2, 4), np.inf)}, ["pose/box", "'v_7'", "infinity"]),
        ({"start": [1.5]}, ["pose/start", "'v_7'", "i4 cannot"]),
        ({"start": [np.nan]}, ["pose/start", "'v_7'", "i4 cannot"]),
        ({"size": np.array([2**40, 3])}, ["pose/size", "'v_7'", "i4 cannot"]),
    ],
)
def test_a_wrong_array_is_refused_and_the_message_says_where(change: dict, words: list[str], tmp_path: Path) -> None:
    arrays = {
        "joints": np.full((1, 2, 17, 2), np.nan), "confidence": np.zeros((1, 2, 17)),
        "box": np.zeros((1, 2, 4)), "start": [0], "size": [48, 64],
    }  # fmt: skip
    with pytest.raises(ChoreoError) as caught, create(tmp_path / "a.h5", "pose", ids=["v_7"]) as artifact:
        artifact.add("v_7", **arrays)  # sound
        artifact.add("v_7", **arrays | change)
    for word in words:
        assert word in str(caught.value)
    assert not (tmp_path / "a.h5").exists()


def test_arrays_that_were_not_declared_or_are_not_given_are_refused(tmp_path: Path) -> None:
    with create(tmp_path / "a.h5", "features", ids=["a"]) as artifact:
        with pytest.raises(ChoreoError, match="declared are"):
            artifact.add("a", feature=[1], more=[2])
        with pytest.raises(ChoreoError, match="declared are"):
            artifact.add("a")
        with pytest.raises(ChoreoError, match="no shared array 'feature'"):
            artifact.share(feature=[1])
        artifact.add("a", feature=[1])


def test_videos_of_unequal_shape_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ChoreoError, match="features/feature: video 'b' has shape"):
        features(tmp_path / "a.h5", {"a": [1, 2], "b": [1]})


def test_a_forgotten_video_and_a_forgotten_shared_array_are_named(tmp_path: Path) -> None:
    with (
        pytest.raises(ChoreoError, match="not written: b"),
        create(tmp_path / "a.h5", "features", ids="ab") as artifact,
    ):
        artifact.add("a", feature=[1])
    with pytest.raises(ChoreoError, match="not written: concept, kind"), create(tmp_path / "b.h5", "texts"):
        pass


# Files that are damaged, or others than was thought


def test_a_flipped_byte_anywhere_is_found_or_harmless(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", KINDS["pose"])
    sound, wanted = path.read_bytes(), contents(path)
    found = 0
    for place in range(0, len(sound), 37):
        path.write_bytes(sound[:place] + bytes([sound[place] ^ 0x55]) + sound[place + 1 :])
        try:
            validate(path)
        except ChoreoError as error:
            assert str(path) in str(error)
            found += 1
        else:
            assert contents(path) == wanted, f"byte {place}"
    assert found > 50


def contents(path: Path) -> dict[str, object]:
    """All that a file holds."""
    with h5py.File(path) as file:
        held = {f"@{k}": v for k, v in file.attrs.items()}
        file.visititems(lambda name, item: held.update({name: item[()].tobytes()} if hasattr(item, "shape") else {}))
    return held


@pytest.mark.parametrize("content", [b"", b"not an artifact", None])
def test_what_is_no_artifact_is_refused_in_words(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    if content is not None:
        path.write_bytes(content)
    for read in (validate, lambda p: Artifact(p, "pose")):
        with pytest.raises(ChoreoError, match=r"a\.h5") as caught:
            read(path)
        assert caught.value.mend


def test_every_array_carries_a_checksum(tmp_path: Path) -> None:
    with h5py.File(write(tmp_path / "a.h5", KINDS["pose"])) as file:
        assert all(file[name].fletcher32 for name in [*KINDS["pose"].arrays, "video_id", "offsets/clip"])


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    path = features(tmp_path / "a.h5", {"a": [1]})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ChoreoError, match="cannot be read"):
        validate(path)


def test_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ChoreoError, match="holds 'features', not 'pose'"):
        Artifact(features(tmp_path / "a.h5", {"a": [1]}), "pose")


def test_another_layout_is_refused(tmp_path: Path) -> None:
    path = features(tmp_path / "a.h5", {"a": [1]})
    with h5py.File(path, "r+") as file:
        file.attrs["spec"] = 99
    for read in (validate, lambda p: Artifact(p, "features")):
        with pytest.raises(ChoreoError, match="layout 99 of 'features', this version reads 1"):
            read(path)


def test_a_file_that_lacks_an_array_is_refused(tmp_path: Path) -> None:
    path = features(tmp_path / "a.h5", {"a": [1]})
    with h5py.File(path, "r+") as file:
        del file["feature"]
    with pytest.raises(ChoreoError, match="/feature: missing"):
        validate(path)


def test_offsets_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", KINDS["pose"])
    with h5py.File(path, "r+") as file:
        file["offsets/clip"][1] = 9
    with pytest.raises(ChoreoError, match="/offsets/clip: must rise"):
        validate(path)


# Writers that are killed, disturbed or in each other's way


def run_killed(out: Path, stop: int) -> subprocess.CompletedProcess:
    """A child that adds videos and kills itself when `stop` are done."""
    command = [sys.executable, "-c", KILLED, str(out), str(stop)]
    return subprocess.run(command, capture_output=True, text=True, cwd=Path(artifacts.__file__).parents[1], check=False)


def test_a_killed_writer_leaves_no_file_and_goes_on_where_it_was(tmp_path: Path) -> None:
    undisturbed = run_killed(tmp_path / "whole.h5", 9)
    assert undisturbed.returncode == 0, undisturbed.stderr
    first = run_killed(tmp_path / "a.h5", 2)
    assert first.returncode == -signal.SIGKILL and first.stdout.split() == ["a", "b"]
    assert not (tmp_path / "a.h5").exists()
    second = run_killed(tmp_path / "a.h5", 9)
    assert second.returncode == 0 and second.stdout.split() == ["c", "d"]
    assert sha256(tmp_path / "a.h5") == sha256(tmp_path / "whole.h5")
    assert {p.name for p in tmp_path.iterdir()} == {"a.h5", "whole.h5"}  # no spool is left


def test_a_half_written_video_in_the_spool_is_written_again(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), create(tmp_path / "a.h5", "features", ids="ab") as artifact:
        artifact.add("a", feature=[1])
        artifact._path("b").with_suffix(".npz.aside").write_bytes(b"half")
        raise KeyboardInterrupt
    with create(tmp_path / "a.h5", "features", ids="ab") as artifact:
        assert artifact.pending() == ["b"]
        artifact.add("b", feature=[2])
    with Artifact(tmp_path / "a.h5", "features") as found:
        assert found["feature"].tolist() == [[1], [2]]


@pytest.mark.parametrize("change", [{"params": {"x": 2}}, {"stage": "new"}, {"model": "other"}])
def test_other_parameters_or_code_start_anew(change: dict, tmp_path: Path) -> None:
    header = {"params": {"x": 1}, "stage": "old", "model": "one"}
    for given, pending in ((header, "ab"), (header, "b"), (header | change, "ab")):
        with pytest.raises(ZeroDivisionError), create(tmp_path / "a.h5", "features", ids="ab", **given) as artifact:
            assert "".join(artifact.pending()) == pending
            artifact.add("a", feature=[1])
            raise ZeroDivisionError


def test_an_older_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = features(tmp_path / "a.h5", {"a": [1]})
    with Artifact(path, "features") as reader:
        with pytest.raises(ZeroDivisionError), create(path, "features", ids="a") as artifact:
            artifact.add("a", feature=[2])
            raise ZeroDivisionError
        with Artifact(path, "features") as found:
            assert found["feature"].tolist() == [[1]]
        features(path, {"a": [2]})
        assert reader["feature"].tolist() == [[1]]  # a reader keeps what it opened
    with Artifact(path, "features") as found:
        assert found["feature"].tolist() == [[2]]


def test_two_writers_of_one_artifact_do_not_mix(tmp_path: Path) -> None:
    with create(tmp_path / "a.h5", "features", ids="a") as first:
        with pytest.raises(ChoreoError, match="another job is writing"), create(tmp_path / "a.h5", "features", ids="a"):
            pass
        first.add("a", feature=[1])
    with Artifact(tmp_path / "a.h5", "features") as found:
        assert found["feature"].tolist() == [[1]]


def test_a_failure_is_forgotten_when_the_video_succeeds_later(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), create(tmp_path / "a.h5", "features", ids="a") as artifact:
        artifact.fail("a", VideoError("no"))
        raise ZeroDivisionError
    with create(tmp_path / "a.h5", "features", ids="a") as artifact:
        assert artifact.pending() == ["a"]
        artifact.add("a", feature=[1])
    with Artifact(tmp_path / "a.h5", "features") as found:
        assert found.failures == {} and found.ids == ["a"]


def test_a_full_disk_is_said_in_words(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with (
            pytest.raises(StorageError, match="File too large"),
            create(tmp_path / "a.h5", "features", ids="a") as writer,
        ):
            resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
            writer.add("a", feature=np.arange(9999))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


# The documentation


def test_the_documentation_of_the_format_is_that_of_the_declarations() -> None:
    """Mend: python -m pipeline docs > docs/artifacts.md"""
    written = (Path(kinds.__file__).parents[1] / "docs" / "artifacts.md").read_text()
    assert written == docs() + "\n"
