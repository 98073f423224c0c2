"""HDF5 artifacts: what a stage writes for a shard of videos, and what the stages below it read.

Layouts are declared in `kinds.py`. An artifact appears under its name complete or not at all: every finished video
goes, by rename, into a spool folder beside the target; the file is assembled from the spool, closed, read back,
checked, synced to disk and renamed into place. A killed job goes on from its spool. Same input, same bytes: no time
stamps.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np
from numpy.typing import NDArray

from pipeline.digest import file_digest
from pipeline.errors import ChoreoError, StorageError
from pipeline.kinds import KINDS, TEXT, Array, Kind

# Installed versions are recorded, whether loaded or not: what a run imports depends on what it had left to do.
LIBRARIES = (
    "numpy", "h5py", "torch", "torchvision", "transformers", "open_clip_torch", "timm", "onnxruntime",
    "av", "opencv-python-headless", "opencv-python", "scikit-learn", "finch-clust",
)  # fmt: skip


# Writing


@contextmanager
def create(
    out: Path,
    kind: str,
    *,
    ids: Sequence[str] = (),
    stage: str = "",
    params: Mapping[str, object] | None = None,
    inputs: Iterable[Path] = (),
    model: str = "",
) -> Iterator[Writer]:
    """Open an artifact for writing; it is committed when the block ends without an error.

    Args:
        out: the file to write.
        kind: name of a declared kind.
        ids: the videos of the shard, in the order of the file. Each must be added or failed by the end of the block.
        stage: digest of the stage's source.
        params: options of the stage.
        inputs: files that were read; their content hashes are recorded.
        model: id and weight hash of the model that was used.

    Raises:
        ChoreoError: another job writes the same artifact, or the arrays do not fit the declared layout.
        StorageError: the disk is full or read-only; what was added stays in the spool.
    """
    out = Path(out)
    header = {
        "artifact": kind,
        "spec": KINDS[kind].version,
        "stage_digest": stage,
        "params": json.dumps(dict(params or {}), sort_keys=True, default=str),
        "inputs": json.dumps({f"{p.parent.name}/{p.name}": file_digest(p) for p in map(Path, inputs)}, sort_keys=True),
        "model": model,
    }
    with _spool(out, header) as spool:
        writer = Writer(KINDS[kind], list(ids), spool)
        yield writer
        writer.missing()
        with _storing(out):
            _commit(out, writer, header | {"software": json.dumps(_software(), sort_keys=True)})
        shutil.rmtree(spool, ignore_errors=True)


class Writer:
    """Collects the arrays of an artifact; made by `create`."""

    def __init__(self, kind: Kind, ids: list[str], spool: Path) -> None:
        if len(set(ids)) != len(ids):
            raise ChoreoError(
                "an artifact was asked for two videos of one id", mend="make the ids of the manifest unique"
            )
        self.kind, self.ids, self.spool = kind, ids, spool
        self.shared: dict[str, NDArray] = {}

    def pending(self) -> list[str]:
        """Ids of the videos that have not been added yet. Failures of an earlier, killed job are tried again."""
        return [i for i in self.ids if not self._path(i).exists()]

    def add(self, video_id: str, **arrays: NDArray) -> None:
        """Add one video: arrays without the `video` axis, ragged ones with theirs."""
        names = set(self.kind.per_video)
        if set(arrays) != names:
            raise ChoreoError(
                f"{self.kind.name}: video '{video_id}' came with {sorted(arrays)}, declared are {sorted(names)}"
            )
        packed = {name: self._checked(name, video_id, value) for name, value in arrays.items()}
        for axis in self.kind.ragged:
            rows = {n: len(a) for n, a in packed.items() if self.kind.arrays[n].axes[0] == axis}
            if len(set(rows.values())) > 1:
                raise ChoreoError(f"{self.kind.name}: video '{video_id}': lengths along '{axis}' differ: {rows}")
        _rename_into(self._path(video_id), lambda file: np.savez(file, **packed))
        self._path(video_id, ".failed").unlink(missing_ok=True)

    def fail(self, video_id: str, error: BaseException) -> None:
        """Record that one video could not be processed, and why."""
        text = str(error) if isinstance(error, ChoreoError) else f"{type(error).__name__}: {error}"
        _rename_into(self._path(video_id, ".failed"), lambda file: file.write(text.encode()))

    def share(self, **arrays: object) -> None:
        """Set arrays that all videos share."""
        for name, value in arrays.items():
            if name not in self.kind.arrays or self.kind.storage(name) != "shared":
                raise ChoreoError(f"{self.kind.name} declares no shared array '{name}'")
            self.shared[name] = self._checked(name, "", value)

    def missing(self) -> None:
        """Raise when a video was neither added nor failed, or a shared array was not set."""
        lost = [i for i in self.pending() if not self._path(i, ".failed").exists()]
        unset = [n for n in self.kind.arrays if self.kind.storage(n) == "shared" and n not in self.shared]
        if lost or unset:
            raise ChoreoError(
                f"{self.kind.name}: not written: {', '.join((lost + unset)[:5])}", "an error in the stage"
            )

    def failure(self, video_id: str) -> str | None:
        """Why a video failed, or None."""
        path = self._path(video_id, ".failed")
        return path.read_text() if path.exists() else None

    def done(self) -> list[str]:
        """Ids of the videos that were added, in order."""
        return [i for i in self.ids if self._path(i).exists()]

    def load(self, video_id: str) -> dict[str, NDArray]:
        """The arrays of one added video."""
        with np.load(self._path(video_id), allow_pickle=False) as arrays:
            return dict(arrays)

    def _path(self, video_id: str, suffix: str = ".npz") -> Path:
        return self.spool / (hashlib.sha256(video_id.encode()).hexdigest()[:32] + suffix)

    def _checked(self, name: str, video_id: str, value: object) -> NDArray:
        declared = self.kind.arrays[name]
        where = f"{self.kind.name}/{name}" + (f" of video '{video_id}'" if video_id else "")
        given = np.asarray(value)
        rank = len(declared.axes) - (self.kind.storage(name) == "video")
        if given.ndim != rank:
            raise ChoreoError(f"{where} has shape {given.shape}; declared axes: {declared.axes}")
        with np.errstate(invalid="ignore", over="ignore"):
            array = given.astype(np.str_ if declared.dtype == TEXT else declared.dtype)
        if array.dtype.kind in "iu" and (array != given).any():
            raise ChoreoError(f"{where}: holds numbers that {declared.dtype} cannot", "fractions, NaN or an overflow")
        for problem in _bad_values(declared, array):
            raise ChoreoError(
                f"{where}: {problem}", "the encoder gave invalid numbers", "look at the video and the model"
            )
        return array


@contextmanager
def _spool(out: Path, header: Mapping[str, object]) -> Iterator[Path]:
    """The spool folder of an artifact, locked; emptied when it was filled under other inputs or parameters."""
    spool = out.with_name(f".{out.name}.spool")
    with _storing(out):
        spool.mkdir(parents=True, exist_ok=True)
        lock = open(spool / "lock", "w")  # noqa: SIM115
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(lock.fileno()), (spool / "lock").stat()):
                raise BlockingIOError
        except (BlockingIOError, FileNotFoundError):  # the other one was just clearing its spool
            raise ChoreoError(
                f"another job is writing {out}",
                "an earlier run was killed while its jobs went on",
                "wait for that job or end it, then run again",
            ) from None
        identity = hashlib.sha256(json.dumps(header, sort_keys=True).encode()).hexdigest()
        mark = spool / "identity"
        if not mark.exists() or mark.read_text() != identity:
            for stale in spool.iterdir():
                if stale.name != "lock":
                    stale.unlink()
            mark.write_text(identity)
        yield spool


def _commit(out: Path, writer: Writer, header: Mapping[str, object]) -> None:
    """Assemble the file aside, close, read back, check, sync, rename."""
    aside = writer.spool / "artifact.h5"
    with h5py.File(aside, "w", libver="v110") as file:
        file.attrs.update(header)
        file.attrs["checksum"] = _checksum(file)
        _write_arrays(file, writer)
        _write_failures(file, writer)
    validate(aside)
    with open(aside, "rb") as file:
        os.fsync(file.fileno())
    aside.replace(out)
    folder = os.open(out.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def _write_arrays(file: h5py.File, writer: Writer) -> None:
    kind, ids = writer.kind, writer.done()
    for name, array in writer.shared.items():
        _dataset(file, name, kind.arrays[name], array)
    if not kind.per_video:
        return
    _dataset(file, "video_id", Array(TEXT, ("video",), "the manifest's id"), np.array(ids, dtype=np.str_))
    sizes: dict[str, list[int]] = {axis: [] for axis in kind.ragged}
    shapes: dict[str, tuple[int, ...]] = {}
    for video_id in ids:
        arrays = writer.load(video_id)
        for axis in kind.ragged:
            sizes[axis].append(next(len(a) for n, a in arrays.items() if kind.arrays[n].axes[0] == axis))
        for name, array in arrays.items():
            shape = array.shape if kind.storage(name) == "video" else array.shape[1:]
            if shapes.setdefault(name, shape) != shape:
                raise ChoreoError(
                    f"{kind.name}/{name}: video '{video_id}' has shape {shape}, those before it {shapes[name]}"
                )
    offsets = {axis: np.concatenate([[0], np.cumsum(n)]).astype("i8") for axis, n in sizes.items()}
    for axis, values in offsets.items():
        _dataset(file, f"offsets/{axis}", Array("i8", ("edge",), f"first row of each video along '{axis}'"), values)
    datasets = {}
    for name in kind.per_video:
        rows = len(ids) if kind.storage(name) == "video" else int(offsets[kind.arrays[name].axes[0]][-1])
        rest = shapes.get(name, (0,) * (len(kind.arrays[name].axes) - 1))
        datasets[name] = _dataset(file, name, kind.arrays[name], shape=(rows, *rest))
    for row, video_id in enumerate(ids):
        for name, array in writer.load(video_id).items():
            if kind.storage(name) == "video":
                datasets[name][row] = array
            elif len(array):
                first = offsets[kind.arrays[name].axes[0]][row]
                datasets[name][first : first + len(array)] = array


def _write_failures(file: h5py.File, writer: Writer) -> None:
    if not writer.kind.per_video:
        return
    rows = [
        (i, writer.failure(i)) for i in writer.ids if writer.failure(i) is not None and not writer._path(i).exists()
    ]
    for name, column in (("video_id", 0), ("reason", 1)):
        texts = np.array([row[column] for row in rows], dtype=np.str_)
        _dataset(file, f"failures/{name}", Array(TEXT, ("failure",)), texts)


def _dataset(file: h5py.File, name: str, declared: Array, array: NDArray | None = None, shape=None) -> h5py.Dataset:
    """One dataset, chunked, compressed and checksummed, with its axes and unit as attributes."""
    dtype: object = declared.dtype
    if declared.dtype == TEXT:
        encoded = [str(x).encode() for x in np.ravel(array)]
        dtype = h5py.string_dtype("utf-8", max([1, *map(len, encoded)]))
        array = np.array(encoded, dtype=dtype).reshape(array.shape)
    shape = array.shape if array is not None else shape
    options = {}
    if shape and 0 not in shape:
        row = max(1, int(np.prod(shape[1:])) * 4)
        chunks = (min(shape[0], max(1, 2**18 // row)), *shape[1:])
        options = {"chunks": chunks, "compression": 1, "shuffle": True, "fletcher32": True}
    dataset = file.create_dataset(name, shape=shape, dtype=dtype, data=array, track_times=False, **options)
    dataset.attrs["axes"] = json.dumps(declared.axes)
    if declared.unit:
        dataset.attrs["unit"] = declared.unit
    return dataset


def _rename_into(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    aside = path.with_name(f"{path.name}.aside")
    with _storing(path):
        with open(aside, "wb") as file:
            write(file)
        aside.replace(path)


@contextmanager
def _storing(path: Path) -> Iterator[None]:
    """Errors of the disk, in words."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written ({error.strerror or error})",
            "the disk is full, or the folder is read-only",
            "make room and run again: it goes on from what is finished",
        ) from error


def _checksum(file: h5py.File) -> str:
    """SHA-256 of the other root attributes, which HDF5 itself does not protect."""
    header = {name: str(value) for name, value in file.attrs.items() if name != "checksum"}
    return hashlib.sha256(json.dumps(header, sort_keys=True).encode()).hexdigest()


def _software() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


# Reading


class Artifact:
    """Read-only view of one artifact, given as one file or as the files of its shards.

    Example:
        >>> poses = Artifact(shards, "pose")
        >>> poses["joints"]                # (clip, frame, joint, xy), the clips of all videos
        >>> poses.video("v_01")["joints"]  # those of one video
    """

    def __init__(self, paths: Path | Sequence[Path], kind: str) -> None:
        self.paths = [Path(p) for p in ([paths] if isinstance(paths, str | Path) else paths)]
        self.kind = KINDS[kind]
        self._files = [open_artifact(path, kind) for path in self.paths]

    def __enter__(self) -> Artifact:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._files:
            file.close()

    @cached_property
    def ids(self) -> list[str]:
        """Ids of the videos, shard after shard."""
        return [i for file in self._files for i in _texts(file["video_id"])]

    @cached_property
    def _rows(self) -> dict[str, tuple[h5py.File, int]]:
        rows = {i: (file, row) for file in self._files for row, i in enumerate(_texts(file["video_id"]))}
        if len(rows) != len(self.ids):
            raise ChoreoError(f"two shards of {self.kind.name} hold the same video", "files of two runs were mixed")
        return rows

    @property
    def model(self) -> str:
        """Id and weight hash of the model that made the artifact."""
        return str(self._files[0].attrs["model"])

    @property
    def params(self) -> dict[str, Any]:
        """The options under which the artifact was made."""
        return json.loads(self._files[0].attrs["params"])

    def __contains__(self, video_id: str) -> bool:
        return video_id in self._rows

    def __getitem__(self, name: str) -> NDArray:
        """A whole array: rows of all shards one after another; shared arrays once."""
        if self.kind.storage(name) == "shared":
            return _values(self._files[0][name])
        parts = [_values(f[name]) for f in self._files]
        parts = [p for p in parts if len(p)] or parts[:1]  # an empty shard does not know the lengths of its axes
        return np.concatenate(parts)

    def video(self, video_id: str) -> dict[str, NDArray]:
        """All arrays of one video."""
        file, row = self._rows[video_id]
        arrays = {}
        for name in self.kind.per_video:
            if self.kind.storage(name) == "video":
                arrays[name] = file[name][row]
            else:
                edges = file[f"offsets/{self.kind.arrays[name].axes[0]}"]
                arrays[name] = file[name][edges[row] : edges[row + 1]]
        return arrays

    def rows(self, name: str, ids: Sequence[str]) -> NDArray:
        """The rows of a `video` array for the given videos, in their order."""
        index = {video_id: row for row, video_id in enumerate(self.ids)}
        return self[name][[index[i] for i in ids]]

    def owners(self, axis: str) -> list[str]:
        """The video of every row along a ragged axis."""
        counts = np.concatenate([np.diff(f[f"offsets/{axis}"][:]) for f in self._files])
        return [i for i, n in zip(self.ids, counts, strict=True) for _ in range(n)]

    @cached_property
    def failures(self) -> dict[str, str]:
        """What could not be processed, and why."""
        rows = {}
        for file in self._files:
            rows.update(zip(_texts(file["failures/video_id"]), _texts(file["failures/reason"]), strict=True))
        return rows


def open_artifact(path: Path, kind: str = "") -> h5py.File:
    """An artifact's file, open for reading, its header checked.

    Args:
        path: the file.
        kind: the kind it must be of; any when empty.

    Raises:
        ChoreoError: there is no such file, it is no artifact, another kind of artifact, or of another layout.
    """
    if not Path(path).is_file():
        raise ChoreoError(
            f"there is no artifact {path}", "the stage that writes it has not run", "run it, or `snakemake`"
        )
    try:
        file = h5py.File(path, "r")
        found, spec = str(file.attrs["artifact"]), int(file.attrs["spec"])
    except (OSError, KeyError, RuntimeError) as error:
        raise ChoreoError(
            f"{path} cannot be read: {error}",
            "it is damaged, or no artifact of this pipeline",
            "delete it and run again: it is computed anew",
        ) from error
    if found not in KINDS or (kind and found != kind):
        raise ChoreoError(
            f"{path} holds '{found}', " + (f"not '{kind}'" if kind else "which is no kind of artifact"),
            "two arguments were swapped" if kind else "it was not written by this pipeline",
        )
    if spec != KINDS[found].version:
        raise ChoreoError(
            f"{path} has layout {spec} of '{found}', this version reads {KINDS[found].version}",
            "it was written by another version of the pipeline",
            "delete it and run again",
        )
    return file


def _values(dataset: h5py.Dataset) -> NDArray:
    return np.array(_texts(dataset), dtype=object) if h5py.check_string_dtype(dataset.dtype) else dataset[()]


def _texts(dataset: h5py.Dataset) -> list[str]:
    return [x.decode() for x in dataset[()].ravel()]


# Checking


def validate(path: Path) -> None:
    """Check a file against its kind: header, layout, axes, offsets, ranges, checksums.

    Raises:
        ChoreoError: naming the file, the path inside it and what is wrong.
    """
    try:
        with open_artifact(path) as file:
            problems = list(_problems(file, KINDS[str(file.attrs["artifact"])]))
    except (OSError, KeyError, ValueError, RuntimeError) as error:  # what h5py raises on damage
        problems = [f"cannot be read ({error})"]
    if problems:
        raise ChoreoError(f"{path}: " + "; ".join(problems), "the file is damaged", "delete it and run again")


def _problems(file: h5py.File, kind: Kind) -> Iterator[str]:
    lengths: dict[str, int] = {}
    if file.attrs.get("checksum") != _checksum(file):
        yield "/: the attributes are not those that were written"
    if kind.per_video:
        ids = _texts(file["video_id"])
        lengths["video"] = len(ids)
        if len(set(ids)) != len(ids):
            yield "/video_id: an id stands twice"
        if len(_texts(file["failures/video_id"])) != len(_texts(file["failures/reason"])):
            yield "/failures: as many reasons as videos"
    for axis in kind.ragged:
        edges = file[f"offsets/{axis}"][:]
        if len(edges) == 0 or len(edges) != lengths["video"] + 1 or edges[0] != 0 or (np.diff(edges) < 0).any():
            yield f"/offsets/{axis}: must rise from 0, with one edge more than there are videos"
        lengths[axis] = int(edges[-1]) if len(edges) else 0
    empty = kind.per_video and lengths["video"] == 0
    for name, declared in kind.arrays.items():
        if name not in file:
            yield f"/{name}: missing"
            continue
        data = file[name]
        if len(data.shape) != len(declared.axes):
            yield f"/{name}: has {len(data.shape)} axes, declared {declared.axes}"
            continue
        if data.attrs.get("axes") != json.dumps(declared.axes) or data.attrs.get("unit", "") != declared.unit:
            yield f"/{name}: its axes or unit are not the declared ones"
        if declared.dtype != TEXT and data.dtype != np.dtype(declared.dtype):
            yield f"/{name}: is {data.dtype}, declared {declared.dtype}"
        for axis, length in zip(declared.axes, data.shape, strict=True):
            if not (empty and kind.storage(name) != "shared") and lengths.setdefault(axis, length) != length:
                yield f"/{name}: axis '{axis}' has {length} entries, elsewhere {lengths[axis]}"
        for problem in _bad_values(declared, data[()]):
            yield f"/{name}: {problem}"


def _bad_values(declared: Array, array: NDArray) -> Iterator[str]:
    if declared.dtype == TEXT or array.size == 0:
        return
    if array.dtype.kind == "f":
        if declared.missing is None and not np.isfinite(array).all():
            yield "holds NaN or infinity"
        elif np.isinf(array).any():
            yield "holds infinity"
    if declared.range is not None:
        low, high = declared.range
        if not ((array >= low) & (array <= high) | np.isnan(array.astype("f8"))).all():
            yield f"holds values outside {low} to {high}"
