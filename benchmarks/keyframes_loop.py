"""The keyframe stage against a straightforward loop in Python over OpenCV's own reader, on the same files.

    python benchmarks/keyframes_loop.py                       # 16 videos of 320 x 240 and 10 s, H.264 and MPEG-4
    python benchmarks/keyframes_loop.py --workers 8 --videos 64
    python benchmarks/keyframes_loop.py --manifest my.csv     # videos of one's own

Both give every frame's difference to the one before by the one definition: grey, Gaussian blur of 9 x 9, absolute
difference, number of pixels that are not zero. That differences and keyframes are equal is checked before anything is
timed. The loop runs as OpenCV comes, with threads of its own for decoding and for filters, and with one thread. Every
round measures all of it, one after the other; of the rounds the median counts. CPU time is what other work on the
machine does not lengthen: by it one sees how much of the ratio is owed to the number of cores. Prints Markdown, for
docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from pipeline.artifacts import Artifact
from pipeline.bench import film, machine, measure
from pipeline.features.keyframes import differences, keyframes, peaks, spread
from pipeline.manifest import Manifest, Video

CODECS = {"H.264": (".mp4", "libx264", {"preset": "veryfast"}), "MPEG-4": (".avi", "mpeg4", {"b": "1000000"})}


def loop(path: Path, threads: int = 0) -> list[int]:
    """Differences of all frames of a video, the plain way; 0 threads: as many as OpenCV takes."""
    options = [cv2.CAP_PROP_N_THREADS, threads] if threads else []
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, options)
    counts, before = [], None
    while True:
        there, frame = capture.read()
        if not there:
            return counts
        grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)
        grey = cv2.GaussianBlur(grey, (9, 9), 0)
        counts.append(0 if before is None else np.count_nonzero(cv2.absdiff(grey, before)))
        before = grey


def check_equal(manifest: Path, folder: Path) -> None:
    """Differences and keyframes of the stage are those of the loop."""
    keyframes(manifest, folder / "keyframes.h5")
    with Artifact(folder / "keyframes.h5", "keyframes") as found:
        for video in Manifest.read(manifest).usable:
            counts = np.array(loop(video.path))
            stage = found.video(video.id)
            np.testing.assert_array_equal(stage["difference"], counts)
            chosen = spread(peaks(counts, 0.5 if len(counts) > 70 else 0.3), 10)
            np.testing.assert_array_equal(stage["keyframe"], chosen)


def frames_a_second(videos: list[Video], threads: int) -> float:
    """Of the loop."""
    cv2.setNumThreads(threads or -1)  # -1: as OpenCV comes
    start = time.perf_counter()
    frames = sum(len(loop(video.path, threads)) for video in videos)
    seconds = time.perf_counter() - start
    cv2.setNumThreads(-1)
    return frames / seconds


def cpu_microseconds(videos: list[Video]) -> tuple[float, float]:
    """CPU time a frame of the loop and of the stage's own function, both on one thread where they let one choose."""
    cv2.setNumThreads(1)
    times: list[list[float]] = [[], []]
    for video in videos:
        for which, work in enumerate((lambda v: loop(v.path, 1), lambda v: differences(v)[0])):
            start = time.process_time()
            frames = len(work(video))
            times[which].append(1e6 * (time.process_time() - start) / frames)
    cv2.setNumThreads(-1)
    return statistics.median(times[0]), statistics.median(times[1])


def row(name: str, manifest: Path, workers: int, rounds: int, folder: Path) -> str:
    """One row of the table."""
    check_equal(manifest, folder)
    videos = Manifest.read(manifest).usable
    rates = []
    for number in range(rounds):
        place = folder / str(number)
        place.mkdir()
        stage = measure("keyframes", place, None, workers, len(videos), 1, None, manifest).whole
        rates.append((frames_a_second(videos, 0), frames_a_second(videos, 1), stage))
    free, single, stage = (statistics.median(column) for column in zip(*rates, strict=True))
    gains = [statistics.median(r[2] / r[i] for r in rates) for i in (0, 1)]
    cpu_loop, cpu_stage = cpu_microseconds(videos)
    return (
        f"| {name} | {free:,.0f} | {single:,.0f} | {stage:,.0f} | {gains[0]:.2f} x | {gains[1]:.2f} x "
        f"| {cpu_loop:,.0f} | {cpu_stage:,.0f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=16)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--manifest", type=Path)
    options = parser.parse_args()
    print(f"{machine()}, {options.workers} workers, load {os.getloadavg()[0]:.1f}; frames a second\n")
    print(
        "| videos | loop | loop, 1 thread | stage | stage / loop | stage / loop, 1 thread "
        "| loop, CPU us a frame | stage, CPU us a frame |\n|---|---|---|---|---|---|---|---|"
    )
    for name, (suffix, codec, how) in CODECS.items() if options.manifest is None else [("own", ("", "", {}))]:
        with TemporaryDirectory(prefix="choreo-bench-") as scratch:
            folder, manifest = Path(scratch), options.manifest
            if manifest is None:
                manifest = folder / "videos.csv"
                films = [film(folder / f"{i}{suffix}", i, codec, **how) for i in range(options.videos)]
                Manifest(films).write(manifest)
            print(row(name, manifest, options.workers, options.rounds, folder), flush=True)


if __name__ == "__main__":
    main()
