"""A small run of ProDA to report on: three actions, two seeds, real video files, one of them missing."""

import json
from dataclasses import dataclass
from pathlib import Path

from dance_run import NASTY, table
from films import film

from pipeline.artifacts import create
from pipeline.manifest import Manifest, Video
from pipeline.metrics import figure, write_metrics
from pipeline.report.proda.page import proda_report

ACTIONS = [NASTY, "opening a box", "waving"]
OBJECTS = ["person", "<i>box</i>", "cup"]
FRAMES = 4
SHARES = {
    "map/prompt_free": [0.8, 0.82], "map/encoder_alone": [0.7, 0.74], "map/queried": [0.78, 0.8],
    "map/oracle_prompt": [0.9, 0.92], "map/oracle_prompt/specified": [0.95, 0.95],
    "map/prompt_only_control": [0.6, 0.62], "map/prompt_only_control/queried": [0.3, 0.3],
    "map/prompt_only_control/zeroed": [0.5, 0.5], "map/chance": 0.25,
    "predicted_graphs/map/prompt_free": [0.7, 0.72], "predicted_graphs/map/oracle_prompt": [0.85, 0.85],
    "localisation/recall@0.5": [0.7, 0.72], "localisation/by_occlusion/recall@0.5": [0.75, 0.75],
    "localisation/left_out/recall@0.5": [0.7, 0.72], "localisation/by_weight/recall@0.5": [0.6, 0.62],
    "localisation/middle_half/recall@0.5": 0.5, "localisation/all_frames/recall@0.5": 0.3,
    "localisation/frame_map": [0.8, 0.8], "localisation/frame_map/chance": 0.4, "localisation/paper_map": [0.4, 0.4],
    "odd/one": 0.125,
}  # fmt: skip
LENGTHS = {"distance/intra": 2.0, "distance/inter": 50.0, "distance/feature/intra": 0.1, "distance/feature/inter": 1.2}


@dataclass
class ProdaRun:
    """The inputs of a report of ProDA, and how to write one."""

    folder: Path
    inputs: dict[str, object]

    def page(self, **changed: object) -> str:
        """The page, with some inputs changed."""
        out = self.folder / "report.html"
        proda_report(**(self.inputs | {"out": out} | changed))
        return out.read_text()

    def rewrite(self, name: str, **changed: object) -> None:
        """Change fields of a JSON input."""
        path = self.inputs[name]
        path.write_text(json.dumps(json.loads(path.read_text()) | changed))


def metrics() -> dict[str, dict[str, object]]:
    """Figures, as `proda_evaluate` names them."""
    figures = {name: figure(values) for name, values in SHARES.items()}
    return figures | {name: figure(value, "plane") for name, value in LENGTHS.items()}


def analysis() -> dict[str, object]:
    """What `proda_evaluate` would write: see its docstring."""

    def row(variant: str, *prompted: float) -> dict[str, object]:
        return {"variant": variant, "doc": "", "figures": {"map/oracle_prompt": figure(prompted)}}

    grid = [[0.9, 0.8, 0.7], [0.6, 0.5, 0.4], [0.3, 0.2, 0.1]]
    tables = {
        "actions": ACTIONS, "videos": {"train": 1, "val": 0, "test": 3}, "prompts": 9,
        "comparisons": {
            "prompt (Table 3)": [row("simple_prompt", 0.6, 0.62), row("full", 0.9, 0.92)],
            "normalisation (Tables 4 and 12)": [
                row("layernorm", 0.895, 0.905), row("batchnorm", 0.95, 0.95), row("full", 0.9, 0.92)
            ],
        },
        "average_precision": {
            "prompt_free": [0.5, 1.0, None], "queried": [0.5, 1.0, None], "oracle_prompt": [0.75, 1.0, None]
        },
        "robustness": [
            {"kind": "clean", "labels": 2, "samples": 4, "mean": 0.99, "std": 0.01, "present": [[1, 2, 0.98]]},
            {"kind": "distractor", "labels": 2, "samples": 3, "mean": 0.8, "std": 0.05, "present": [[1, 3, 0.8]]},
        ],
        "paper_map": {"thetas": [0.2, 0.5, 0.7], "ious": [0.2, 0.5, 0.7], "clean": grid, "distractor": grid},
        "localisation": {"theta": {"weight": [0.3, 0.3], "occlusion": [0.2, 0.2]}, "length": [2, 2],
                         "chosen": ["left_out", "left_out"], "between_frames": 0.0},
        "separation": [[-3.0, 1.0, 0], [2.5, -1.0, 1], [2.0, -1.5, 1]],
    }  # fmt: skip
    return {"annotated": tables}


def explanations() -> dict[str, object]:
    """What `proda_explain` would write: see its docstring."""

    def branch(rise: float) -> dict[str, object]:
        weight = [round(0.2 + rise * t, 3) for t in range(FRAMES)]
        edges = [[[0.1 * (e + 1) + 0.05 * layer for e in range(4)] for _ in range(FRAMES)] for layer in range(2)]
        return {"frame_weight": weight, "node_weight": [[0.9, w, 0.0] for w in weight], "edge_weight": edges}

    def question(action: int, probability: float, shown: bool) -> dict[str, object]:
        both = {"weight": [0.2, 1.0, 0.8, 0.1], "occlusion": [0.0, 1.0, 0.0, 0.0], "left_out": [0.0, 1.0, 0.5, 0.0]}
        return {
            "action": action, "shown": shown, "probability": probability, "no_action": 0.1,
            "intervals": [[0.1, 0.25]] if shown else [], "true": [0, int(shown), int(shown), 0], "curves": both,
            "frames": {"weight": [0, 1, 1, 0], "occlusion": [0, 1, 0, 0], "left_out": [0, 1, 1, 0]},
            "iou": dict.fromkeys(both) | ({"weight": 1.0, "occlusion": 0.5, "left_out": 1.0} if shown else {}),
            "occlusion": [0.0, 2.0, -1.0, 0.0], "specified": branch(0.2), "unspecified": branch(0.0),
        }  # fmt: skip

    def video(name: str, labels: list[int]) -> dict[str, object]:
        return {
            "id": name, "labels": labels, "time": [0.0, 0.12, 0.24, 0.36], "frame": [0, 3, 6, 9], "nodes": [0, 1, -1],
            "mask": [[1, int(t < 3), 0] for t in range(FRAMES)],
            "box": [[[0.1, 0.1, 0.5, 0.9], [0.5, 0.4, 0.8, 0.6], [0, 0, 0, 0]]] * FRAMES,
            "relation": [[0, 1, 0], [3, 1, 0]], "prompt_free": [[0, 0.875], [1, 0.25]], "queried": [[0, 0.75]],
            "found": {"weight": 1.0, "occlusion": 0.5, "left_out": 1.0},
            "questions": [question(0, 0.93, 0 in labels), question(1, 0.04, 1 in labels)],
        }  # fmt: skip

    return {
        "graphs": "annotated", "actions": ACTIONS, "objects": OBJECTS, "relations": ["holding"],
        "theta": {"weight": 0.3, "occlusion": 0.2}, "length": 2, "chosen": True,
        "edges": [[0, 1], [1, 0], [0, 2], [2, 0]], "videos": [video("v0", [0]), video("v1", [0, 1]), video("v2", [])],
    }  # fmt: skip


def build(folder: Path) -> ProdaRun:
    """Write the inputs of a report into a folder."""
    path = {n: folder / n for n in ("graphs.h5", "predicted.h5", "manifest.csv", "explanations.json", "analysis.json")}
    path |= {n: folder / n for n in ("failures.tsv", "metrics.json")}
    for i in ("v0", "v1"):
        film(folder / f"{i}.mp4", 12)
    labels = {"v0": ACTIONS[:1], "v1": ACTIONS[:2], "v2": []}
    videos = [Video(i, folder / f"{i}.mp4", "test", tuple(shown), frames=12) for i, shown in labels.items()]
    Manifest(videos).write(path["manifest.csv"])
    for name, origin in (("graphs.h5", "annotated"), ("predicted.h5", "predicted")):
        with create(path[name], "scene_graphs", ids=[], model=f"{origin}+open_clip:small@0123456789ab") as writer:
            writer.share(class_name=OBJECTS, relation_name=["holding"], origin=[origin])
    path["explanations.json"].write_text(json.dumps(explanations()))
    path["analysis.json"].write_text(json.dumps(analysis()))
    table(path["failures.tsv"], ("id", "stage", "reason"), [("bad<1>", "scene_graphs", "it breaks off")], "\t")
    told = {"run": "small", "model": "proda", "protocol": "strict", "seeds": [0, 1]}
    write_metrics(path["metrics.json"], figures=metrics(), paper={"map/oracle_prompt": 0.711}, **told)
    names = ("metrics", "analysis", "explanations")
    inputs = {name: path[f"{name}.json"] for name in names}
    models = [folder / str(seed) / "model.pt" for seed in (0, 1)]
    for seed, model in enumerate(models):
        model.parent.mkdir(exist_ok=True)
        model.write_bytes(bytes([seed]))
    inputs |= {"failures": path["failures.tsv"], "manifest": path["manifest.csv"]}
    inputs |= {"artifacts": [path["graphs.h5"], path["predicted.h5"], *models]}
    return ProdaRun(folder, inputs)
