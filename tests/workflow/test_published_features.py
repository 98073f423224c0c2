"""Published features and lists, no video: the whole table of RG is one command."""

import json

import numpy as np

SMALL = "seeds: [0]\naqa_train: {dim: 16, feedforward: 16, hidden: 16, epochs: 2}\n"
PER = {"train": 10, "test": 4}  # routines of each apparatus


def written(root) -> None:
    """Lists in the publisher's form, and features (T,1024) from which the total can be read."""
    rng = np.random.default_rng(0)
    folder = root / "swintx_avg_fps25_clip32"
    folder.mkdir(parents=True)
    for split, count in PER.items():
        lines = ["name\tdifficulty\texecution\ttotal"]
        for apparatus in ("Ball", "Clubs", "Hoop", "Ribbon"):
            for n in range(count):
                name, total = f"{apparatus}_{n + (100 if split == 'test' else 0):03d}", rng.uniform(5, 20)
                lines.append(f"{name}\t{total / 2:.3f}\t{total / 2:.3f}\t{total:.3f}")
                clips = rng.normal(size=(rng.integers(66, 75), 1024)) + total / 10
                np.save(folder / f"{name}.npy", clips.astype(np.float32))
        (root / f"{split}.txt").write_text("\n".join(lines) + "\n")


def test_the_table_of_rg_is_one_command(project):
    written(project.folder / "data/rg")
    (project.folder / "rg_small.yaml").write_text(SMALL)
    project.snakemake(config="config/rg.yaml rg_small.yaml")
    folder = project.folder / "results/rg/aqa"
    metrics = json.loads((folder / "metrics.json").read_text())
    tasks = ("ball", "clubs", "hoop", "ribbon")
    assert {"srcc", "srcc/ridge", "srcc/svr", "srcc/lstm", *(f"srcc/{t}" for t in tasks)} <= set(metrics["figures"])
    assert metrics["paper"]["srcc"] == 0.842 and metrics["figures"]["srcc/ridge"]["mean"] > 0.8
    assert (folder / "report.html").stat().st_size > 10_000
