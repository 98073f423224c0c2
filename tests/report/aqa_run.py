"""A small run of AQA to report on: two tasks, two seeds, real video files, one of them missing."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from dance_run import NASTY, table
from films import film

from pipeline.artifacts import create
from pipeline.manifest import Manifest, Video
from pipeline.metrics import figure, write_metrics
from pipeline.report.aqa.page import aqa_report

TASKS = ("Ball", "Ribbon")
FIGURES = {  # value a seed, and unit
    "srcc": ([0.84, 0.86], "correlation"), "srcc/Ball": ([0.8, 0.82], "correlation"),
    "srcc/Ribbon": ([0.88, 0.9], "correlation"), "srcc/ridge": (0.8, "correlation"),
    "srcc/no_attention_loss": ([0.83, 0.85], "correlation"), "rl2": ([1.2, 1.3], "x100"), "rl2/ridge": (1.5, "x100"),
    "skipping_index": ([0.5, 0.52], "ratio"), "skipping_index/layer1": ([0.5, 0.52], "ratio"),
    "skipping_index/without_attention_loss": ([0.9, 0.92], "ratio"), "alignment": ([0.1, -0.1], "share"),
    "effective_rank/layer1": ([12.0, 13.0], "directions"), "truth/weight_correlation": ([0.6, 0.62], "correlation"),
    "truth/weight_correlation/chance": ([0.05, 0.07], "correlation"),
    "truth/score_correlation": ([0.55, 0.57], "correlation"), "odd/one": (3.0, "ratio"),
}  # fmt: skip
SECONDS, CLIPS, QUERIES = 4.0, 4, 3


@dataclass
class AqaRun:
    """The inputs of a report of AQA, and how to write one."""

    folder: Path
    inputs: dict[str, object]

    def page(self, **changed: object) -> str:
        """The page, with some inputs changed."""
        out = self.folder / "report.html"
        aqa_report(**(self.inputs | {"out": out} | changed))
        return out.read_text()

    def rewrite(self, name: str, **changed: object) -> None:
        """Change fields of a JSON input."""
        path = self.inputs[name]
        path.write_text(json.dumps(json.loads(path.read_text()) | changed))

    def figures(self, figures: dict[str, object], paper: dict[str, float], protocol: str = "strict") -> None:
        """Other figures."""
        told = {"run": "small", "model": "aqa", "protocol": protocol, "seeds": [0, 1]}
        write_metrics(self.inputs["metrics"], figures=figures, paper=paper, **told)


def metrics() -> dict[str, dict[str, object]]:
    """Figures, as `aqa_evaluate` names them."""
    return {name: figure(values, unit) for name, (values, unit) in FIGURES.items()}


def analysis() -> dict[str, object]:
    """What `aqa_evaluate` would write: see its docstring."""

    def compared(name: str, kind: str, value: float, *behind: float) -> dict[str, object]:
        srcc = {"srcc": figure([value - 0.01, value + 0.01], "correlation"), "interval": [value - 0.1, value + 0.05]}
        row = {"name": name, "kind": kind, "doc": f"what {name} is", "random": False} | srcc
        row |= {"rl2": figure(1.2, "x100"), "tasks": {task: srcc | {"rl2": None} for task in TASKS}}
        return row | ({"behind": behind[0], "behind_interval": list(behind[1:])} if behind else {})

    def variant(name: str, *values: float, random: bool = False) -> dict[str, object]:
        figures = {"srcc": figure(values, "correlation"), "skipping_index": figure(0.5, "ratio")}
        return {"variant": name, "doc": f"doc of {name}", "random": random, "figures": figures}

    tasks = [
        {
            "name": name, "score": "total", "label": name, "range": [0.0, 25.0], "left_out": {"v9": "it has no score"},
            "videos": {"train": 5, "val": 2, "test": 3}, "undefined": None, "ids": ["v0", "v1", "v2"],
            "true": [20.0, 15.0, 10.0], "predicted": {"full": [19.0, 16.0, 11.0], "ridge": [17.0, 17.0, 12.0]},
        }
        for name in TASKS
    ]  # fmt: skip
    return {
        "tasks": tasks,
        "compared": [
            compared("full", "model", 0.85), compared("no_attention_loss", "variant", 0.84, 0.01, -0.02, 0.05),
            compared("ridge", "baseline", 0.8, 0.05, 0.02, 0.09), compared("lstm", "baseline", 0.83, 0.02, -0.05, 0.08),
        ],
        "comparisons": {
            "modules (Table 3)": [
                variant("plain", 0.6, 0.62), variant("attention_only", 0.8, 0.8), variant("full", 0.84, 0.86)
            ],
            "query variance (Table 5)": [variant("variance_half", 0.9, 0.9), variant("full", 0.84, 0.86)],
            "published": [variant("published", 0.5, 0.5, random=True), variant("full", 0.84, 0.86)],
        },
        "level": 0.95,
        "samples": 2000,
    }  # fmt: skip


def explanations() -> dict[str, object]:
    """What `aqa_explain` would write: see its docstring."""
    time = np.arange(8) * 0.5 + 0.25
    weight, score = np.repeat([0.1, 0.4, 0.4, 0.1], 2), np.repeat([10.0, 20.0, 15.0, 5.0], 2)

    def video(name: str, true: float, known: bool) -> dict[str, object]:
        elements = [
            {"name": "<i>leap</i>", "start": 1.0, "end": 2.0, "difficulty": 4.0, "execution": 0.9, "weight": 0.4,
             "score": 20.0, "contribution": 8.0},
            {"name": "turn", "start": 2.5, "end": 3.0, "difficulty": 1.0, "execution": 0.5, "weight": None,
             "score": None, "contribution": None},
        ]  # fmt: skip
        difficulty = [0, 0, 4, 4, 0, 1, 0, 0]
        execution = [None, None, 0.9, 0.9, None, 0.5, None, None]
        return {
            "id": name, "true": true, "predicted": 15.5, "worst": name == "v2",
            "queries": {"weight": [0.2, 0.5, 0.3], "score": [15.0, 16.0, 15.0]},
            "clips": {"start": [0, 1, 2, 3], "end": [1, 2, 3, 4], "weight": [0.1, 0.4, 0.4, 0.1],
                      "score": [10.0, 20.0, 15.0, 5.0]},
            "time": time.tolist(), "weight": weight.tolist(), "score": score.tolist(),
            "difficulty": difficulty if known else None, "execution": execution if known else None,
            "moments": [
                {"start": 1.0, "end": 2.0, "weight": 0.4, "score": 20.0, "contribution": 8.004},
                {"start": 2.0, "end": 3.0, "weight": 0.4, "score": 15.0, "contribution": 6.004},
            ],
            "rest": {"weight": 0.2, "contribution": 1.5},
            "self_attention": [{"largest": 0.8, "percent": [[100, 0, 0], [0, 100, 50], [0, 50, 100]]}] * 2,
            "cross_attention": [{"largest": 0.5, "percent": [[100, 0, 0, 0], [0, 100, 50, 0], [0, 0, 50, 100]]}] * 2,
            "elements": elements if known else None,
            "correlation": {"weight": 0.61, "score": 0.5} if known else {"weight": None, "score": None},
        }  # fmt: skip

    tasks = [
        {"name": name, "score": "total", "label": name, "range": [0.0, 25.0], "variant": "full", "seed": 0}
        for name in TASKS
    ]
    shown = [[video("v0", 20.0, True), video("v2", 10.0, True)], [video("v1", 15.0, False)]]
    return {"step": 0.5, "tasks": [task | {"videos": some} for task, some in zip(tasks, shown, strict=True)]}


def build(folder: Path) -> AqaRun:
    """Write the inputs of a report into a folder."""
    path = {n: folder / n for n in ("clips.h5", "manifest.csv", "explanations.json", "analysis.json", "failures.tsv")}
    path["metrics.json"] = folder / "metrics.json"
    for i in ("v0", "v1"):
        film(folder / f"{i}.mp4", 100)
    videos = [Video(i, folder / f"{i}.mp4", "test", (NASTY,), frames=100, fps=25) for i in ("v0", "v1", "v2")]
    Manifest(videos).write(path["manifest.csv"])
    with create(path["clips.h5"], "clip_features", ids=["v0"], model="torchvision:swin3d_b@0123456789ab") as writer:
        writer.add("v0", feature=np.zeros((CLIPS, 2)), start=np.arange(CLIPS), end=np.arange(CLIPS) + 1)
    path["explanations.json"].write_text(json.dumps(explanations()))
    path["analysis.json"].write_text(json.dumps(analysis()))
    table(path["failures.tsv"], ("id", "stage", "reason"), [("bad<1>", "clip_features", "it breaks off")], "\t")
    model = folder / "model-0.pt"
    model.write_bytes(b"0")
    inputs = {name: path[f"{name}.json"] for name in ("metrics", "analysis", "explanations")}
    inputs |= {"failures": path["failures.tsv"], "manifest": path["manifest.csv"]}
    inputs |= {"artifacts": [path["clips.h5"], model]}
    run = AqaRun(folder, inputs)
    run.figures(metrics(), {"srcc": 0.842, "srcc/Ball": 0.823})
    return run
