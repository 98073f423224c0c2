"""This machine: decoders, GPUs, disk, and the programs that some runs use."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.doctor.table import BAD, NOTE, OK, Row, failed, size
from pipeline.doctor.versions import HOME, PINS, installed
from pipeline.errors import ChoreoError
from pipeline.video import DECODERS, stream

FRAMES, STEP = 10, 20  # of the tiny video, and the grey levels from one frame to the next
FULL, TIGHT = 1e9, 10e9  # bytes on a disk that a run hardly fits on, and on one to keep an eye on
PROGRAMS = {
    ("conda", "mamba", "micromamba"): ("`snakemake --use-conda`", "install Miniforge"),
    ("sbatch",): ("`--profile workflow/profiles/slurm`", "run it on a machine that submits to Slurm"),
    ("ffmpeg",): ("packing frames to videos; its libraries are torchcodec's", "install ffmpeg"),
    ("chromium", "google-chrome"): ("the tests that open reports", "install chromium, or any browser to read reports"),
}


def rows(decoder: str = "pyav", devices: Sequence[str] = (), onnx: bool = False) -> Iterator[Row]:
    """Every check of the machine.

    Args:
        decoder: the one that the run decodes with.
        devices: what the config says of `device`.
        onnx: encoders of the run are ONNX files.
    """
    yield from decoders(decoder)
    yield from gpus(any(device.startswith("cuda") for device in devices), onnx)
    yield disk(Path("results"))
    yield profiles(Path("workflow/profiles"))
    yield from programs()


def decoders(chosen: str) -> Iterator[Row]:
    """Every decoder, on a tiny video made here; the chosen one is needed, and PyAV, which counts frames for all."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tiny.mp4"
        try:
            _film(path)
        except Exception as error:  # ImportError, or an error of FFmpeg's own
            found = f"no video can be made ({type(error).__name__}: {error})"
            yield Row("decoder pyav", found, BAD, f"pip install -r {PINS.name}")
            return
        for decoder in DECODERS:
            yield _decoder(decoder, path, decoder in (chosen, "pyav"))


def _decoder(decoder: str, path: Path, needed: bool) -> Row:
    check, state = f"decoder {decoder}", BAD if needed else NOTE
    try:
        grey = [frame.pixels.mean() for frame in stream(path, decoder)]
    except ChoreoError as error:
        return failed(check, error, state)
    if len(grey) != FRAMES or np.abs(np.subtract(grey, np.arange(FRAMES) * STEP)).max() > STEP / 2:
        found = f"decodes {len(grey)} frames of {FRAMES}, or other pictures than were drawn"
        return Row(check, found, state, "install it anew, or set another `decoder`")
    return Row(check, f"decodes H.264{', and is the one in use' if needed and decoder != 'pyav' else ''}")


def _film(path: Path) -> None:
    """A video of grey frames, each a step brighter than the last."""
    import av

    with av.open(str(path), "w") as file:
        track = file.add_stream("libx264", rate=25)
        track.width, track.height, track.pix_fmt = 64, 48, "yuv420p"
        for index in range(FRAMES):
            grey = np.full((48, 64, 3), index * STEP, np.uint8)
            file.mux(track.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        file.mux(track.encode())


def gpus(wanted: bool, onnx: bool) -> Iterator[Row]:
    """GPUs as torch and onnxruntime see them, each asked to compute something."""
    try:
        import torch
    except (ImportError, OSError) as error:
        yield Row("GPU", f"torch cannot be loaded ({error})", BAD, f"pip install -r {PINS.name}")
        return
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        driver = shutil.which("nvidia-smi")
        found = f"none that torch {torch.__version__} sees" + (", though nvidia-smi is here" if driver else "")
        mend = "install a torch built for the driver's CUDA, or say `device: cpu`" if driver or wanted else ""
        yield Row("GPU", f"{found}; the CPU computes", BAD if wanted else NOTE if driver else OK, mend)
    yield from (_gpu(torch, number) for number in range(count))
    if count or onnx:
        yield _onnxruntime(bool(count), onnx)


def _gpu(torch: Any, number: int) -> Row:
    of = torch.cuda.get_device_properties(number)
    found = f"{of.name}, {size(of.total_memory)}"
    try:
        torch.ones(8, 8, device=f"cuda:{number}").matmul(torch.ones(8, 8, device=f"cuda:{number}")).sum().item()
    except RuntimeError as error:
        mend = "install a torch built for this GPU, or hide it with CUDA_VISIBLE_DEVICES"
        return Row(f"GPU {number}", f"{found}, cannot compute ({str(error).splitlines()[0]})", BAD, mend)
    return Row(f"GPU {number}", found)


def _onnxruntime(gpu: bool, used: bool) -> Row:
    """What ONNX files run on, asked of one that comes with the project: a provider may be listed and not load."""
    from pipeline.encoders.onnx_graph import session

    try:
        providers = session(HOME / "pipeline/theatre/weights/backbone.onnx").get_providers()
    except (ImportError, ChoreoError) as error:
        found = f"cannot be used ({str(error).splitlines()[0]})"
        return Row("onnxruntime", found, BAD if used else NOTE, f"pip install -r {PINS.name}")
    if gpu and "CUDAExecutionProvider" not in providers:
        mend = "pip install onnxruntime-gpu in place of onnxruntime" if used else ""
        return Row("onnxruntime", "computes on the CPU beside a GPU", NOTE if used else OK, mend)
    return Row("onnxruntime", f"computes on the {'GPU' if gpu else 'CPU'}")


def disk(folder: Path) -> Row:
    """Room for results, and whether they can be written."""
    there = next(p for p in (folder.absolute(), *folder.absolute().parents) if p.exists())
    free = shutil.disk_usage(there).free
    found, check = f"{size(free)} free at {there}", f"disk {folder}/"
    if not os.access(there, os.W_OK):
        return Row(check, f"{there} cannot be written", BAD, "run elsewhere, or make the folder yours")
    mend = f"make room, or link {folder}/ to a larger disk"
    return Row(check, found, *((BAD, mend) if free < FULL else (NOTE, mend) if free < TIGHT else ()))


def profiles(folder: Path) -> Row:
    """Snakemake, and the profiles that it finds from the working folder."""
    found = sorted(path.parent.name for path in folder.glob("*/config.yaml"))
    version = installed("snakemake")
    if not version:
        mend = f"in the environment that is to run the DAG: pip install -r {PINS.name}"
        return Row("snakemake", "not installed in this environment", NOTE, mend)
    if "default" not in found:
        mend = "run it in the project's own folder, where the Snakefile is"
        return Row("snakemake", f"{version}; no profile {folder}/default from here", NOTE, mend)
    return Row("snakemake", f"{version}; profiles {', '.join(found)}")


def programs() -> Iterator[Row]:
    """Programs that only some runs use."""
    for names, (purpose, mend) in PROGRAMS.items():
        path = next(filter(None, map(shutil.which, names)), "")
        absent = Row(names[0], f"not here; only for {purpose}", NOTE, mend)
        yield Row(names[0], f"{path}; for {purpose}") if path else absent
