"""Features of persons and of their ordered pairs in keyframes (ProDA on SportsHHI, Sec. 4.1; Wu et al., CVPR 2024).

A pair is told by its subject's crop, its object's, and the crop that holds both; where they stand to each other is in
their boxes. The published features are those of VideoMAE on a clip, pooled in the three boxes (RoIAlign): `clip: true`
comes near to it with any backbone, and features made elsewhere are read with the encoder `import`.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import encoders
from pipeline.artifacts import create
from pipeline.datasets.sportshhi import Keyframe
from pipeline.digest import source_digest
from pipeline.encoders.frames import resized
from pipeline.engine import process
from pipeline.errors import ChoreoError, VideoError
from pipeline.manifest import Manifest, Video
from pipeline.video import read

# name -> module; each has `interactions`, `keyframes` and `files`, as `pipeline.datasets.sportshhi`.
SOURCES = {"sportshhi": "pipeline.datasets.sportshhi"}


def pairs(
    manifest: Path,
    out: Path,
    *,
    source: dict,
    encoder: dict | str = "open_clip",
    clip: bool = False,
    stride: int = 2,
    size: int = 224,
    margin: float = 0.1,
    decoder: str = "pyav",
    workers: int = 0,
) -> None:
    """Features of all persons and ordered pairs in the keyframes; writes `pairs`.

    Args:
        manifest: the shard's videos.
        out: artifact to write.
        source: name of what knows persons and interactions, and its options: {name: sportshhi, root: ...}.
        encoder: name of an image-text encoder, or with `clip` of a backbone, with its options; or {name: import, root:
            FOLDER} for features made elsewhere, `FOLDER/VIDEO.npz` (see `imported`).
        clip: crops are cut from the frames around the keyframe, as in the publication, not from it alone.
        stride: frames from one to the next of a clip.
        size: side of the crops, px.
        margin: share of a box's longer side that a crop shows around it.
        decoder: reads the videos.
        workers: processes that decode ahead.
    """
    told = _source(source)
    options = {name: value for name, value in source.items() if name != "name"}
    names, (known, origin) = told.interactions(**options), told.keyframes(**options)
    name, settings = encoders.parse(encoder)
    kind = "backbone" if clip else "image_text"
    elsewhere = Path(settings["root"]) if name == "import" else None
    model = None if elsewhere else encoders.load(kind, encoder)
    spread = stride * (np.arange(model.frames) - model.frames // 2) if clip and model else np.zeros(1, int)
    videos = Manifest.read(manifest).usable
    used = [told.__name__.removeprefix("pipeline.")] + ([] if elsewhere else [encoders.module(kind, encoder)])
    with create(
        out,
        "pairs",
        ids=[v.id for v in videos],
        stage=source_digest("features.pairs", *used),
        params={"source": source, "encoder": encoder, "clip": clip, "stride": stride, "size": size, "margin": margin},
        inputs=[manifest, *told.files(**options), *(_features(elsewhere, videos) if elsewhere else [])],
        model="import" if elsewhere else model.identity,
    ) as artifact:
        artifact.share(action_name=list(names.values()), origin=[origin])

        def encode(video: Video, frames: dict[int, NDArray]) -> dict[str, NDArray]:
            moments = known.get(video.id, [])
            layout = lay_out(moments, len(names))
            if elsewhere:
                return layout | imported(elsewhere / f"{video.id}.npz", layout)
            person, union = [], []
            for moment in moments:
                pixels = np.stack([frames[int(i)] for i in _clip(moment.frame, video.frames, spread)])
                views = [cut(pixels, box, size, margin) for box in (*moment.box, *_unions(moment.box))]
                found = model.encode(views) if clip else model.images(np.concatenate(views))
                person.append(found[: len(moment.box)])
                union.append(found[len(moment.box) :][_which_union(len(moment.box))])
            nothing = np.zeros((0, model.dim), np.float32)
            return layout | {"feature": np.concatenate([nothing, *person]), "union": np.concatenate([nothing, *union])}

        moments = {} if elsewhere else {i: [k.frame for k in some] for i, some in known.items()}
        decode = partial(_decode, moments=moments, spread=spread, decoder=decoder)
        process(artifact, videos, decode, encode, workers=workers)


def lay_out(keyframes: list[Keyframe], actions: int) -> dict[str, NDArray]:
    """The persons of a video, its ordered pairs and what they do: the arrays of `pairs` that need no picture."""
    frame, box, ends, label = [], [np.zeros((0, 4))], [], []
    for keyframe in keyframes:
        first = len(frame)
        frame += [keyframe.frame] * len(keyframe.box)
        box.append(keyframe.box)
        for subject, other in permutations(range(len(keyframe.box)), 2):
            ends.append((first + subject, first + other))
            label.append(np.isin(np.arange(actions), list(keyframe.doing.get((subject, other), ()))))
    ends = np.array(ends, dtype=int).reshape(-1, 2)
    return {
        "frame": np.array(frame, dtype=int),
        "box": np.concatenate(box).clip(0, 1),
        "subject": ends[:, 0],
        "object": ends[:, 1],
        "label": np.array(label, dtype=bool).reshape(-1, actions),
    }


def imported(path: Path, layout: dict[str, NDArray]) -> dict[str, NDArray]:
    """Features made elsewhere, checked against the persons and pairs they must belong to.

    Args:
        path: an npz file with `frame` (P,), `box` (P,4) and `feature` (P,F) of persons, `subject`, `object` (R,) and
            `union` (R,F) of pairs, in the order of `lay_out`.
        layout: the arrays of `lay_out`.

    Raises:
        VideoError: no such file, an array is missing, or persons or pairs are others.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            given = {name: file[name] for name in ("frame", "box", "feature", "subject", "object", "union")}
    except (OSError, KeyError, ValueError) as error:
        raise VideoError(
            f"the features {path} cannot be read: {error}",
            "they were not made for this video, or by another tool",
            "write `frame`, `box`, `feature`, `subject`, `object` and `union` into it",
        ) from error
    for name in ("frame", "box", "subject", "object"):
        if given[name].shape != layout[name].shape or np.abs(given[name] - layout[name]).max(initial=0) > 0.01:
            raise VideoError(
                f"{path}: `{name}` is not that of the annotations",
                "the features are of other persons, or in another order",
                "keyframes rise; persons as in the proposals; pairs by subject, then object",
            )
    return {"feature": given["feature"], "union": given["union"]}


def cut(pixels: NDArray, box: NDArray, size: int, margin: float) -> NDArray:
    """The square around a box (4,), 0-1, in each frame: (T,H,W,3) -> (T,size,size,3). At a border it moves inside."""
    height, width = pixels.shape[1:3]
    corners = box.reshape(2, 2) * [width, height]
    side = int(np.clip(np.ceil((1 + 2 * margin) * (corners[1] - corners[0]).max()), 2, min(height, width)))
    x, y = np.clip(np.rint(corners.mean(0) - side / 2), 0, [width - side, height - side]).astype(int)
    return resized(pixels[:, y : y + side, x : x + side], size, size)


def _unions(box: NDArray) -> list[NDArray]:
    """The box round every two persons, (i, j) with i < j."""
    rows, columns = np.triu_indices(len(box), 1)
    return [np.concatenate([np.minimum(box[i, :2], box[j, :2]), np.maximum(box[i, 2:], box[j, 2:])])
            for i, j in zip(rows, columns, strict=True)]  # fmt: skip


def _which_union(persons: int) -> NDArray[np.int64]:
    """The union of every ordered pair, in the order of `lay_out`: a pair has the same one both ways round."""
    of = np.zeros((persons, persons), dtype=int)
    of[np.triu_indices(persons, 1)] = np.arange(persons * (persons - 1) // 2)
    of += of.T
    return of[~np.eye(persons, dtype=bool)]


def _clip(frame: int, frames: int, spread: NDArray) -> NDArray:
    return np.clip(frame + spread, 0, frames - 1)


def _decode(video: Video, *, moments: dict[str, list[int]], spread: NDArray, decoder: str) -> dict[int, NDArray]:
    """All frames that the keyframes of a video need, by their index."""
    keys = moments.get(video.id, [])
    if late := [k for k in keys if k >= video.frames]:
        raise VideoError(
            f"'{video.id}' has {video.frames} frames, a person is annotated in frame {late[0]}",
            "the annotations are of another cut, or frames got lost",
            "fetch the video again",
        )
    if not keys:
        return {}
    wanted = np.unique(np.concatenate([_clip(k, video.frames, spread) for k in keys])).tolist()
    return dict(zip(wanted, read(video.path, wanted, decoder)[0], strict=True))


def _source(source: dict) -> Any:
    name = source.get("name", "")
    if name not in SOURCES:
        raise ChoreoError(f"there is no source of pairs '{name}'", "a typo", f"one of {sorted(SOURCES)}")
    return import_module(SOURCES[name])


def _features(root: Path, videos: list[Video]) -> list[Path]:
    return [path for v in videos if (path := root / f"{v.id}.npz").is_file()]
