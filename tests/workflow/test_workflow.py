"""The workflow as a user runs it: from videos to the report, incremental, on a cluster, with bad input."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from pipeline.manifest import shard_of

ROOT = Path(__file__).parents[2]
BELOW_THE_VOCABULARY = {"texts", "pseudo_labels", "dance", "predict", "dance_evaluate", "dance_explain", "dance_report"}


def test_a_run_ends_with_a_report_and_figures(project):
    assert (project.folder / "results/small/dance/report.html").stat().st_size > 10_000
    metrics = json.loads((project.folder / "results/small/dance/metrics.json").read_text())
    assert metrics["run"] == "small" and metrics["figures"]["accuracy"]["n"] == 1


def test_a_finished_run_has_nothing_to_do(project):
    assert "Nothing to be done" in project.snakemake()


def test_a_comment_in_the_edits_runs_nothing_below_the_vocabulary(project):
    edits = project.folder / "concepts/theatre.edits.yaml"
    edits.write_text(edits.read_text() + "\n# a thought\n")
    text = project.snakemake()
    assert rules_run(text) == ["vocabulary"]
    assert "Nothing to be done" in project.snakemake()


def test_one_added_concept_runs_only_what_is_below_it(project):
    edits = project.folder / "concepts/theatre.edits.yaml"
    before = edits.read_text()
    edits.write_text("object:\n  add: [hat stand]\n")
    ran = rules_run(project.snakemake())
    assert set(ran) == {"vocabulary"} | BELOW_THE_VOCABULARY
    assert "hat stand" in (project.folder / "results/small/concepts/vocabulary.csv").read_text()
    edits.write_text(before)
    project.snakemake()


def test_a_new_video_costs_one_shard_and_a_broken_one_is_listed(project):
    stage = project.folder / "results/theatre/stage/actions"
    (stage / "videos/broken.mp4").write_text("no video")
    before = (stage / "index.csv").read_text()
    _, path, *rest = before.splitlines()[1].split(",")
    broken = next(f"broken{k}" for k in range(9) if shard_of(f"broken{k}", 2) == shard_of("one_more", 2))
    rows = [["one_more", path, *rest], [broken, "videos/broken.mp4", *rest]]
    (stage / "index.csv").write_text(before + "".join(",".join(row) + "\n" for row in rows))
    ran = rules_run(project.snakemake("--until", "failures"))
    assert {ran.count(slow) for slow in ("keyframes", "pose", "embeddings", "backbone")} == {1}
    listed = (project.folder / "results/small/failures.tsv").read_text().splitlines()
    assert len(listed) == 2 and listed[1].startswith(f"{broken}\tmanifest\t")
    (stage / "index.csv").write_text(before)
    project.snakemake()


def test_an_edit_to_the_source_of_a_stage_runs_that_stage_and_a_comment_does_not(project):
    source = project.folder / "pipeline/dance/baselines.py"
    before = source.read_text()
    source.write_text(before + "\n# a thought\n")
    assert project.jobs() == {}
    source.write_text(before + "\nSOMETHING = 1\n")
    assert set(project.jobs()) == {"dance_evaluate", "dance_report"}
    source.write_text(before)


def test_proda_goes_from_videos_to_its_report_and_a_change_of_its_training_runs_no_slow_stage(project):
    at_home = "config/home.yaml home.yaml"
    project.snakemake(config=at_home)
    folder = project.folder / "results/small_home/proda"
    metrics = json.loads((folder / "metrics.json").read_text())
    figures = metrics["figures"]
    for prefix in ("", "predicted_graphs/"):
        assert {f"{prefix}map/{name}" for name in ("prompt_free", "encoder_alone", "queried", "oracle_prompt")} <= set(
            figures
        )
    assert {"map/prompt_only_control", "localisation/recall@0.5", "localisation/paper_map"} <= set(figures)
    assert "ablation/simple_prompt/map/oracle_prompt" in figures
    assert (folder / "report.html").stat().st_size > 10_000
    assert "Nothing to be done" in project.snakemake(config=at_home)
    config = project.folder / "home.yaml"
    config.write_text(config.read_text().replace("layers: 1", "layers: 2"))
    assert set(project.jobs(config=at_home)) == {
        "proda_pretrain", "proda_posttrain", "proda_measure", "proda_evaluate", "proda_explain", "proda_report",
    }  # fmt: skip


def test_pairs_go_from_videos_to_figures(project):
    project.snakemake(config="config/court.yaml court.yaml")
    metrics = json.loads((project.folder / "results/small_court/pairs/metrics.json").read_text())
    assert {"map", "map/baseline", "map/oracle", "map/prompt_only", "recall@20"} <= set(metrics["figures"])


def test_scores_go_from_videos_to_the_report_and_an_ablation_trains_itself_alone(project):
    routines = "config/routines.yaml routines.yaml"
    project.snakemake(config=routines)
    folder = project.folder / "results/small_routines/aqa"
    figures = json.loads((folder / "metrics.json").read_text())["figures"]
    assert {"srcc", "srcc/ridge", "rl2", "skipping_index", "truth/weight_correlation"} <= set(figures)
    assert "skipping_index/without_attention_loss" in figures
    assert (folder / "report.html").stat().st_size > 10_000
    config = project.folder / "routines.yaml"
    config.write_text(config.read_text() + "ablations: [no_attention_loss, single_score]\n")
    assert project.jobs(config=routines) == {"aqa_train": 1, "aqa_evaluate": 1, "aqa_report": 1}


def test_stages_alone_run_on_a_folder_of_ones_own_and_what_cannot_be_read_is_listed(project):
    own = project.folder / "own"
    own.mkdir()
    for n, video in enumerate(sorted((project.folder / "results/theatre/stage/actions/videos").glob("*.mp4"))[:2]):
        (own / f"{n}.mp4").write_bytes(video.read_bytes())
    (own / "cut.mp4").write_bytes((own / "0.mp4").read_bytes()[:2000])
    (project.folder / "own.yaml").write_text(
        "run: own\nmodels: []\nstages: [keyframes]\ndataset: {name: folder, root: own}\nencoders: {}\n"
        "max_failed_fraction: 0.5\n"
    )
    project.snakemake(config="own.yaml")
    rows = (project.folder / "results/own/failures.tsv").read_text().splitlines()
    assert len(rows) == 2 and rows[1].startswith("cut\t")
    assert (project.folder / "results/own/features/keyframes/000.h5").is_file()
    shutil.rmtree(project.folder / "results/own/features")  # the tables of the shards as well
    assert project.jobs(config="own.yaml").items() >= {"manifest": 1, "keyframes": 1}.items()


def test_an_unknown_key_of_the_config_is_named_with_what_was_meant(project):
    text = project.snakemake("--config", "shard=3", check=False)
    assert "unknown key 'shard' (did you mean 'shards'?)" in text


def test_the_slurm_profile_plans_the_run(project):
    text = project.snakemake("--profile", "workflow/profiles/slurm", "--dry-run", "--forceall")
    assert "pose" in text and "gpu=1" in text


def test_the_workflow_passes_the_linter():
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--lint"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def rules_run(text: str) -> list[str]:
    """Rules whose jobs a run started, the target that only collects left out."""
    return re.findall(r"^(?:local)?(?:rule|checkpoint) (?!all:)(\w+):", text, re.MULTILINE)
