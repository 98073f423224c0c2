"""A small run to report on: three classes, two motion concepts, real video files, one of them missing."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from films import film

from pipeline.artifacts import create
from pipeline.manifest import Manifest, Video
from pipeline.metrics import figure, write_metrics
from pipeline.report.dance.page import dance_report

NASTY = '<b>jump</b> & "run"'
CLASSES = [NASTY, "lifting", "waving"]
CONCEPTS = [("0", "motion"), ("1", "motion"), ("<i>rope</i>", "object"), ("gym", "scene")]
WEIGHT = np.array([[1.5, 0, 0.333, -0.25], [0, 2.0, 0.5, 0.117], [-0.7, 0.1, 0, 0]])
BIAS = np.array([0.125, -0.333, 0.208])
ACTIVATION = {"v0": [1.234, -0.567, 0.891, 0.432], "v1": [-0.4, 1.7, -0.05, 0.3], "v2": [1.1, 0.2, 0.6, -1.3]}
TRUE = {"v0": 0, "v1": 1, "v2": 2}  # v2 is taken for class 0
FRAMES = 6


@dataclass
class Run:
    """The inputs of a report, and how to write one."""

    folder: Path
    inputs: dict[str, object]

    def page(self, **changed: object) -> str:
        """The page, with some inputs changed."""
        out = self.folder / "report.html"
        dance_report(**(self.inputs | {"out": out} | changed))
        return out.read_text()


def poses(seed: int) -> np.ndarray:
    """A moving person: (FRAMES,17,2)."""
    rng = np.random.default_rng(seed)
    person = rng.uniform(0, 1, (17, 2)) + rng.normal(scale=0.1, size=(FRAMES, 17, 2))
    return person.round(4)


def explanations() -> dict:
    """What `dance_explain` would write: see its docstring."""
    score = {i: WEIGHT @ z + BIAS for i, z in ACTIVATION.items()}
    videos = []
    for i, z in ACTIVATION.items():
        told = int(score[i].argmax())
        contribution = WEIGHT[told] * z
        order = [m for m in np.argsort(-np.abs(contribution)) if contribution[m] != 0]
        videos.append(
            {
                "id": i, "true": TRUE[i], "predicted": told, "scores": score[i].tolist(),
                "bars": [[int(m), z[m], WEIGHT[told, m], contribution[m]] for m in order[:2]],
                "rest": float(sum(contribution[m] for m in order[2:])), "bias": BIAS[told],
                "clips": [[0, 0], [6, None]],
                "repair": {"concept": 0, "scores": [0, 0, 1]} if told != TRUE[i] else None,
            }
        )  # fmt: skip
    effect = {"fixed": 1, "broken": 0, "kept": 2, "wrong": 0}
    return {
        "protocol": "strict", "classes": CLASSES, "concepts": [{"name": n, "kind": k} for n, k in CONCEPTS],
        "accuracy": {"test": 2 / 3}, "confusion": [[1, 0, 0], [0, 1, 0], [1, 0, 0]],
        "weights": [sorted(([m, w[m]] for m in range(4) if w[m]), key=lambda x: -abs(x[1])) for w in WEIGHT.tolist()],
        "bias": BIAS.tolist(),
        "motion": [
            {"concept": m, "members": 5 - m, "video": f"v{m}", "start": 0, "poses": poses(m).tolist()} for m in (0, 1)
        ],
        "pairs": [{"classes": [0, 1], "weights": []}], "videos": videos,
        "edits": [{"class": 2, "concept": 3, "value": 1.0, "val": effect, "test": effect}],
    }  # fmt: skip


def table(path: Path, columns: tuple[str, ...], rows: list[tuple[str, ...]], delimiter: str = ",") -> None:
    """Write a table."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def build(folder: Path) -> Run:
    """Write the inputs of a report into a folder."""
    path = {n: folder / n for n in ("motion.h5", "pseudo.h5", "pose.h5", "manifest.csv", "explanations.json")}
    path |= {n: folder / n for n in ("vocabulary.csv", "dropped.csv", "failures.tsv", "metrics.json")}
    for i in ("v0", "v1"):
        film(folder / f"{i}.mp4", 12)
    videos = [Video(i, folder / f"{i}.mp4", "test", (CLASSES[c],), frames=12) for i, c in TRUE.items()]
    videos.append(Video("v3", folder / "v3.mp4", "train", ("waving",), frames=12))
    Manifest(videos).write(path["manifest.csv"])
    with create(path["motion.h5"], "motion_concepts") as writer:
        writer.share(
            mean=np.zeros((2, FRAMES * 34)), medoid=np.stack([poses(0), poses(1)]), members=[5, 4],
            example_video=["v0", "v1"], example_start=[0, 0], partition_sizes=[4, 2],
            member_video=["v0", "v1", "v0"], member_start=[0, 0, 6], member_concept=[0, 1, 0],
        )  # fmt: skip
    words = ["<i>rope</i>", "gym", "glitter", "unicorn"]
    with create(path["pseudo.h5"], "pseudo_labels", ids=["v0"]) as writer:
        writer.add("v0", similarity=np.zeros(4))
        writer.share(concept=words, kind=["object", "scene", "object", "object"], kept=[1, 1, 0, 1])
    with create(path["pose.h5"], "pose", ids=["v0"], model="onnx:pose@0123456789ab") as writer:
        nobody = np.full((1, FRAMES, 17, 2), np.nan)
        nobody[0, 1:] = 60 * poses(0)[1:]
        box = np.zeros((1, FRAMES, 4))
        writer.add("v0", joints=nobody, confidence=np.ones((1, FRAMES, 17)), box=box, start=[0], size=[48, 64])
    path["explanations.json"].write_text(json.dumps(explanations()))
    rows = [(k, w, "llm", NASTY) for w, k in zip(words, ("object", "scene", "object", "object"))]
    table(path["vocabulary.csv"], ("kind", "concept", "source", "classes"), rows)
    table(path["dropped.csv"], ("kind", "concept", "reason"), [("object", "ropes", "the same as 'rope'")])
    table(path["failures.tsv"], ("id", "stage", "reason"), [("bad<1>", "pose", "it breaks off")], "\t")
    figures = {"accuracy": figure([0.9, 0.94]), "accuracy/probe": figure(0.95), "sparsity": figure(0.2)}
    figures |= {"odd/one": figure(3, "apples")}
    told = {"run": "small", "model": "dance", "protocol": "published", "seeds": [0, 1], "paper": {"accuracy": 0.875}}
    write_metrics(path["metrics.json"], figures=figures, **told)
    return Run(
        folder,
        {
            "metrics": path["metrics.json"], "explanations": path["explanations.json"], "motion": path["motion.h5"],
            "pseudo": path["pseudo.h5"], "vocabulary": path["vocabulary.csv"], "dropped": path["dropped.csv"],
            "failures": path["failures.tsv"], "manifest": path["manifest.csv"], "artifacts": [path["pose.h5"]],
        },
    )  # fmt: skip
