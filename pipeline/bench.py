"""How fast a slow stage is, and what holds it up: `python -m pipeline bench STAGE`.

The stage itself runs, on real files, with a stopwatch in the place of the engine's `run`. In every round it measures,
one after the other,

- decoding: what the worker processes do, and that it reaches this process, with nothing done to it here;
- model: what this process does to what they decoded, with all of it at hand: pre-processing and the network;
- whole: the stage, videos to artifact, both at once.

The clock starts when every worker has given its first answer, so that the start of processes does not count. Efficiency
is whole / min(decoding, model): 1 where the slower one never waits. Ratios are taken within a round, and of them the
median over the rounds, because machines are noisy. Networks have their real sizes, and random weights where none are
named.
"""

from __future__ import annotations

import inspect
import os
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from importlib import import_module
from json import dumps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from pipeline import encoders, engine
from pipeline.artifacts import Writer, create
from pipeline.errors import ChoreoError
from pipeline.manifest import Manifest, Video
from pipeline.video import probe

Arrays = engine.Arrays
SIZE, SECONDS, RATE = (240, 320), 10, 25  # height and width in px, s, frames a second of the videos made here


@dataclass(frozen=True)
class Stage:
    """What is measured of a stage where nothing else is asked for: few videos, because a CPU needs seconds for a clip.

    Attributes:
        kind: of its encoder; empty without one.
        encoder: the default one.
        unit, count: in what it is measured, and how many of them the arrays of a video hold.
        videos, options: videos, and options of the stage.
    """

    kind: str
    encoder: str
    unit: str
    count: Callable[[Arrays], int]
    videos: int
    options: dict[str, Any]


STAGES = {
    "keyframes": Stage("", "", "frames", lambda rows: int(rows["frames"]), 16, {}),
    "pose": Stage("pose", "vitpose", "frames", lambda rows: rows["joints"][..., 0, 0].size, 4, {"clip_length": 4}),
    "embeddings": Stage("image_text", "open_clip", "frames", lambda rows: len(rows["frame"]), 4, {}),
    "backbone": Stage("backbone", "videomae", "clips", lambda rows: 1, 6, {}),
    "clip_features": Stage(
        "backbone", "torchvision:swin3d_b", "clips", lambda rows: len(rows["start"]), 4, {"batch": 1, "clips": 2}
    ),
}
ALL = [("keyframes", None), ("pose", None), ("embeddings", None), ("clip_features", None), ("clip_features", "i3d")]


@dataclass(frozen=True)
class Result:
    """Medians over the rounds; rates in units a second.

    Attributes:
        peak_share: arithmetic of the whole stage over that of a matrix product on the same device; None for a network
            whose operations cannot be counted.
    """

    stage: str
    encoder: str
    unit: str
    videos: int
    workers: int
    decoding: float
    model: float
    whole: float
    efficiency: float
    bottleneck: str
    peak_share: float | None
    machine: str
    load: float


def bench(
    stage: str,
    *,
    encoder: dict | str | None = None,
    workers: int = 2,
    videos: int = 0,
    rounds: int = 3,
    options: dict | None = None,
    manifest: Path | None = None,
    json: bool = False,
    out: Path | None = None,
) -> str:
    """Throughput of a slow stage (or of `all`): decoding alone, the model alone, the whole; and what holds it up.

    Args:
        stage: keyframes, pose, embeddings, backbone, clip_features, or all.
        encoder: name of an encoder, with its options; its weights are random where none are named.
        workers: processes that decode ahead.
        videos: how many; 0: few, as fits the stage.
        rounds: how often each is measured.
        options: of the stage.
        manifest: videos of one's own; none: some of 320 x 240 px and ten seconds are made.
        json: print JSON.
        out: a Markdown file whose section on stages is written anew.
    """
    if stage not in (*STAGES, "all"):
        raise ChoreoError(f"the stage '{stage}' cannot be measured", mend=f"one of {', '.join(STAGES)}, or all")
    if min(rounds, workers) < 1 or videos < 0:
        raise ChoreoError("rounds and workers must be at least 1", mend="give positive numbers")
    results = []
    for name, network in ALL if stage == "all" else [(stage, encoder)]:
        with TemporaryDirectory(prefix="choreo-bench-") as folder:
            results.append(measure(name, Path(folder), network, workers, videos, rounds, options or {}, manifest))
    if out is not None:
        out.write_text(with_section(out.read_text() if out.is_file() else "# Benchmarks\n", markdown(results)))
    return dumps([asdict(r) for r in results], indent=1) if json else "\n\n".join(map(text, results))


def measure(
    name: str,
    folder: Path,
    encoder: dict | str | None = None,
    workers: int = 2,
    videos: int = 0,
    rounds: int = 3,
    options: dict[str, Any] | None = None,
    manifest: Path | None = None,
) -> Result:
    """Measure one stage; the arguments are those of `bench`, `folder` is for what is made on the way."""
    stage = STAGES[name]
    count = videos or stage.videos
    if manifest is None:
        Manifest(film(folder / f"{i}.mp4", i, preset="veryfast") for i in range(count)).write(folder / "manifest.csv")
    else:
        Manifest(Manifest.read(manifest).usable[:count]).write(folder / "manifest.csv")
    given = stage.options | (options or {}) | {"workers": workers}
    if stage.kind:
        given["encoder"] = with_random_weights(encoder or stage.encoder, folder)
    if name == "pose":
        keyframes = import_module("pipeline.features.keyframes").keyframes
        keyframes(folder / "manifest.csv", folder / "keyframes.h5", count=1)
        given["keyframes"] = folder / "keyframes.h5"
    function = getattr(import_module(f"pipeline.features.{name}"), name)
    if odd := sorted(given.keys() - inspect.signature(function).parameters):
        known = ", ".join(inspect.signature(function).parameters)
        raise ChoreoError(f"'{odd[0]}' is no option of the stage {name}", mend=f"known options: {known}")
    watch, load = Stopwatch(stage.count, rounds), os.getloadavg()[0]
    with watch.in_the_place_of_the_engine(), suppress(Measured):
        function(folder / "manifest.csv", out=folder / "a.h5", **given)
    decoding, model, whole = (statistics.median(column) for column in zip(*watch.rates, strict=True))
    return Result(
        stage=name,
        encoder=described(encoder or stage.encoder),
        unit=stage.unit,
        videos=count,
        workers=workers,
        decoding=decoding,
        model=model,
        whole=whole,
        efficiency=statistics.median(w / min(d, m) for d, m, w in watch.rates),
        bottleneck="decoding" if decoding < model else "model",
        peak_share=watch.operations * whole / peak(given.get("encoder", {})) if watch.operations else None,
        machine=machine(),
        load=load,
    )


class Measured(Exception):  # noqa: N818
    """Ends a stage when all is measured; nothing went wrong."""


class Stopwatch:
    """Measures what the engine is asked to do.

    Args:
        count: units that the arrays of a part hold.
        rounds: how often.

    Attributes:
        rates: (decoding, model, whole) of every round, units a second.
        operations: floating point operations of a unit; 0 where they cannot be counted.
    """

    def __init__(self, count: Callable[[Arrays], int], rounds: int) -> None:
        self.count, self.rounds = count, rounds
        self.rates: list[tuple[float, float, float]] = []
        self.operations = 0.0

    @contextmanager
    def in_the_place_of_the_engine(self) -> Iterator[None]:
        """While this lasts stages are measured; each ends with `Measured`."""
        self.engine, engine.run = engine.run, self.run
        try:
            yield
        finally:
            engine.run = self.engine

    def run(
        self,
        artifact: Writer,
        videos: Sequence[Video],
        decode: Callable,
        encode: Callable,
        together: int,
        workers: int,
        time_limit: float,
    ) -> None:
        """`engine.run`, measured; what is written is thrown away."""
        for number in range(self.rounds):
            answers, arrived = [], []
            for answer in engine.decoded(videos, decode, workers, time_limit):
                arrived.append(time.perf_counter())
                answers.append(answer)
            if broken := [part for _, part, _ in answers if isinstance(part, Exception)]:
                raise broken[0]
            batches = list(engine.batches(answers, together))
            if not number:  # the first call of a network takes longer than those that follow
                units, done = operations(partial(self._units, encode, batches[0]))
                self.operations = done / units
            start = time.perf_counter()
            units = sum(self._units(encode, batch) for batch in batches)
            model = units / (time.perf_counter() - start)

            encoded: list[tuple[float, int]] = []  # when, how many units
            with create(artifact.spool / f"{number}.h5", artifact.kind.name, ids=artifact.ids) as target:
                noted = partial(self._noted, encode, encoded)
                self.engine(target, videos, decode, noted, together, workers, time_limit)
            each = units / len(arrived)  # a decoded part is not yet counted, and all are alike
            decoding = rate([(at, each) for at in arrived], workers)
            self.rates.append((decoding, model, rate(encoded, workers)))
        raise Measured

    def _units(self, encode: Callable, batch: list[engine.Answer]) -> int:
        """Encode a batch; its units."""
        return sum(self.count(arrays) for arrays in encode([v for v, _, _ in batch], [part for _, part, _ in batch]))

    def _noted(self, encode: Callable, encoded: list[tuple[float, int]], videos: list[Video], parts: list) -> Iterator:
        """Encode a batch, and note when."""
        for arrays in encode(videos, parts):
            encoded.append((time.perf_counter(), self.count(arrays)))
            yield arrays


def rate(moments: list[tuple[float, float]], first: int) -> float:
    """Units a second of (when, units), the first few left out: they say when the clock starts."""
    first = min(first, len(moments) - 1)
    if first < 1:
        raise ChoreoError("a single video cannot be measured", "the clock starts with the first", "take more videos")
    seconds = moments[-1][0] - moments[first - 1][0]
    return sum(units for _, units in moments[first:]) / max(seconds, 1e-9)


def operations(call: Callable[[], int]) -> tuple[int, int]:
    """What a call answers, and how many floating point operations PyTorch needed for it."""
    if "torch" not in sys.modules:  # the stage has no network, or one of another framework
        return call(), 0
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        return call(), counter.get_total_flops()


def peak(spec: dict[str, Any]) -> float:
    """Floating point operations a second of a large matrix product, where and as precisely as an encoder computes."""
    import torch

    from pipeline.encoders.weights import arithmetic, pick_device

    device = pick_device(spec.get("device", "auto"))
    size, repeats = (8192, 20) if device.type == "cuda" else (2048, 5)
    matrix = torch.randn(size, size, device=device)
    times = []
    with torch.inference_mode(), arithmetic(device, spec.get("precision", "fp32")):
        for _ in range(repeats):
            start = time.perf_counter()
            float((matrix @ matrix)[0, 0])  # waits for the GPU
            times.append(time.perf_counter() - start)
    return 2 * size**3 / min(times)


# ------------------------------------------------------------------------------------------------ videos and networks


def film(path: Path, seed: int, codec: str = "libx264", **options: str) -> Video:
    """Make a video: a textured scene seen by a moving camera, in it a disc that moves, and some grain.

    Args:
        path: the file; its suffix chooses the container.
        seed: which scene.
        codec, options: the encoder.
    """
    import av
    import cv2

    (height, width), rng = SIZE, np.random.default_rng(seed)
    tiles = rng.integers(0, 256, (height // 8 + 20, width // 8 + 20, 3), np.uint8)
    scene = cv2.resize(tiles, None, fx=8, fy=8, interpolation=cv2.INTER_CUBIC)
    with av.open(str(path), "w") as file:
        track = file.add_stream(codec, rate=RATE, options=options)
        track.width, track.height, track.pix_fmt = width, height, "yuv420p"
        for t in range(SECONDS * RATE):
            x, y = round(40 + 30 * np.sin(t / 20 + seed)), round(40 + 30 * np.cos(t / 31))
            image = scene[y : y + height, x : x + width].copy()
            centre = round(width * (0.5 + 0.3 * np.sin(t / 7))), round(height * (0.5 + 0.2 * np.cos(t / 11)))
            cv2.circle(image, centre, height // 8, (255, 40, 30), -1)
            image = cv2.add(image, rng.integers(0, 8, image.shape, np.uint8))
            file.mux(track.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        file.mux(track.encode())
    info = probe(path)
    return Video(path.stem, path, duration=info.duration, frames=info.frames, fps=info.fps)


def with_random_weights(spec: dict | str, folder: Path) -> dict[str, Any]:
    """An encoder as it is asked for; where no weights are named, a network of its real size with random ones."""
    name, options = encoders.parse(spec)
    make = RANDOM.get(name)
    return {"name": name} | (make(options, folder) if make else options)


def _open_clip(options: dict[str, Any], folder: Path) -> dict[str, Any]:
    if "pretrained" in options:
        return options
    import open_clip

    name = options.get("model", "ViT-B-16")
    file = folder / "open_clip.safetensors"
    save(open_clip.create_model(name), file)
    return options | {"model": name, "pretrained": str(file)}


def _torchvision(options: dict[str, Any], folder: Path) -> dict[str, Any]:
    return {"weights": None} | options


def _timm(options: dict[str, Any], folder: Path) -> dict[str, Any]:
    return {"pretrained": "checkpoint" in options} | options


def _i3d(options: dict[str, Any], folder: Path) -> dict[str, Any]:
    if "model" in options:
        return options
    from pipeline.encoders.backbone.i3d import Network

    file = folder / "i3d.safetensors"
    save(Network(options.get("classes", 400)), file)
    return options | {"model": str(file)}


def _videomae(options: dict[str, Any], folder: Path) -> dict[str, Any]:
    if "model" in options:
        return options
    from transformers import VideoMAEConfig, VideoMAEForVideoClassification, VideoMAEImageProcessor

    model = folder / "videomae"
    VideoMAEForVideoClassification(VideoMAEConfig()).save_pretrained(model)  # the base size
    VideoMAEImageProcessor().save_pretrained(model)
    return options | {"model": str(model)}


def _vitpose(options: dict[str, Any], folder: Path) -> dict[str, Any]:
    """ViTPose-B and RT-DETR with ResNet-50. The detector knows people alone and is sure of all of them, so that there
    is always somebody."""
    if "model" in options or "detector" in options:
        return options
    import transformers

    backbone = transformers.VitPoseBackboneConfig(out_indices=[12])  # the base size
    pose = transformers.VitPoseForPoseEstimation(transformers.VitPoseConfig(backbone_config=backbone, num_labels=17))
    pose.save_pretrained(folder / "vitpose")
    transformers.VitPoseImageProcessor().save_pretrained(folder / "vitpose")
    detector = transformers.RTDetrConfig(id2label={0: "person"}, label2id={"person": 0})  # ResNet-50
    transformers.RTDetrForObjectDetection(detector).save_pretrained(folder / "rtdetr")
    transformers.RTDetrImageProcessor().save_pretrained(folder / "rtdetr")
    return {"score": 0.0} | options | {"model": str(folder / "vitpose"), "detector": str(folder / "rtdetr")}


RANDOM = {
    "open_clip": _open_clip,
    "torchvision": _torchvision,
    "timm": _timm,
    "i3d": _i3d,
    "videomae": _videomae,
    "vitpose": _vitpose,
}


def save(model: Any, path: Path) -> None:
    """The weights of a network as a checkpoint."""
    from safetensors.torch import save_file

    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, str(path))


# -------------------------------------------------------------------------------------------------------- what is told


def described(spec: dict | str) -> str:
    """Name and model of an encoder, as one would ask for it."""
    if not spec:
        return ""
    name, options = encoders.parse(spec)
    return f"{name}:{Path(str(options['model'])).name}" if "model" in options else name


def machine() -> str:
    """Where a measurement was made."""
    gpu = ""
    if "torch" in sys.modules and sys.modules["torch"].cuda.is_available():
        gpu = f", {sys.modules['torch'].cuda.get_device_name()}"
    return f"{len(os.sched_getaffinity(0))} cores ({platform.machine()}){gpu}"


def text(result: Result) -> str:
    """A result for people."""
    r = result
    share = "" if r.peak_share is None else f", {r.peak_share:.0%} of a matrix product's arithmetic"
    what = f"{r.stage} with {r.encoder}" if r.encoder else r.stage
    return "\n".join(
        [
            f"{what}: {r.videos} videos, {r.workers} workers, {r.machine}, load {r.load:.1f}",
            f"  decoding  {r.decoding:10,.2f} {r.unit}/s",
            f"  model     {r.model:10,.2f} {r.unit}/s",
            f"  whole     {r.whole:10,.2f} {r.unit}/s{share}",
            f"  efficiency {r.efficiency:.2f}; held up by {ADVICE[r.bottleneck]}",
        ]
    )


ADVICE = {
    "decoding": "decoding: give more `workers`, where there are cores",
    "model": "the model: a GPU, `precision: bf16` on one, or a smaller model",
}


def markdown(results: Sequence[Result]) -> str:
    """Results as a section of docs/benchmarks.md."""
    lines = [
        "## Stages: decoding, model, whole",
        "",
        f"`python -m pipeline bench all`, on {results[0].machine}, load {results[0].load:.1f} when it began. Random"
        " weights; efficiency is whole / min(decoding, model), a median over rounds that measure all three.",
        "",
        "| stage | encoder | unit | decoding /s | model /s | whole /s | efficiency | held up by |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for r in results:
        rates = " | ".join(f"{value:,.1f}" for value in (r.decoding, r.model, r.whole))
        lines.append(f"| {r.stage} | {r.encoder} | {r.unit} | {rates} | {r.efficiency:.2f} | {r.bottleneck} |")
    return "\n".join(lines) + "\n"


def with_section(document: str, section: str) -> str:
    """A Markdown document with a section in the place of the one with its heading, or at the end."""
    heading = section.split("\n", 1)[0]
    old = re.compile(rf"^{re.escape(heading)}\n.*?(?=^## |\Z)", re.DOTALL | re.MULTILINE)
    if old.search(document):
        return old.sub(lambda found: section + ("\n" if found.end() < len(document) else ""), document)
    return f"{document.rstrip()}\n\n{section}"
