# What all rules share: where things lie, and which part of the config a stage reads.
import json
import sys
from pathlib import Path

# Jobs run this project with this Python; `--use-conda` puts an environment's before it.
os.environ.update(
    PYTHONPATH=os.pathsep.join([workflow.basedir, os.environ.get("PYTHONPATH", "")]),
    PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
)
sys.path.insert(0, workflow.basedir)

from pipeline import cli, datasets, encoders, scene_graphs
from pipeline.config import check
from pipeline.digest import source_digest

check(config, Path(workflow.basedir) / "workflow/schemas/config.schema.yaml")

# Slow stages that a model reads.
NEEDS = {
    "dance": ["keyframes", "pose", "embeddings", "backbone"],
    "proda": [f"scene_graphs/{graphs}" for graphs in config.get("graphs", {})],
    "pairs": ["pairs"],
    "aqa": ["clip_features"],
}
# What people read of each model.
PAGES = {
    "dance": ["metrics.json", "report.html"],
    "proda": ["metrics.json", "report.html"],
    "pairs": ["metrics.json"],
    "aqa": ["metrics.json", "report.html"],
}
if not config["models"]:  # nothing is trained, so that nothing need be kept for val and test
    config["manifest"] = {"val": 0, "test": 0} | config.get("manifest", {})
SLOW = list(dict.fromkeys([*(stage for model in config["models"] for stage in NEEDS[model]), *config["stages"]]))
GRAPHS = list(config.get("graphs", {}))  # kinds of scene graphs; the first is what ablations are trained on
SEEDS = config["seeds"]
PAGE = (".html", ".css", ".js")
SHARDS = [f"{index:03d}" for index in range(config["shards"])]


wildcard_constraints:
    shard=r"\d{3}",
    seed=r"\d+",
    graphs=r"oracle|predicted",
    variant=r"\w+",
    task=r"[\w-]+",


def path(name):
    """A file of this run."""
    return f"results/{config['run']}/{name}"


def artifact(stage, suffix="h5"):
    """The artifact of a slow stage for one shard; runs over the same videos may share them."""
    return f"{config.get('features', path('features'))}/{stage}/{{shard}}.{suffix}"


def shards(stage, suffix="h5"):
    """The artifacts of a slow stage, one a shard."""
    return expand(artifact(stage, suffix), shard=SHARDS, allow_missing=True)


def options(stage, *keys):
    """What the config says to a stage, as options of its command; `keys` are read from the config's top level."""
    given = {key: config[key] for key in keys if key in config} | config.get(stage, {})
    texts = {key.replace("_", "-"): v if isinstance(v, str) else json.dumps(v) for key, v in given.items()}
    return " ".join(f"--{key} '{value}'" for key, value in texts.items())


def dataset(wildcards):
    """Name and options of the data set, as YAML on the command line. A function, as all that may hold the `{video_id}` of
    a pattern, which Snakemake would take for a wildcard of its own."""
    return json.dumps(config["dataset"])


def encoder(kind):
    """Name and options of an encoder, as YAML on the command line; a run names those that its models need."""
    return lambda wildcards: f"'{json.dumps(config['encoders'].get(kind))}'"


def weights(*kinds):
    """Weights and other files that the config names for encoders, so that new weights run their stages again."""
    named = [value for kind in named_encoders(kinds) for value in encoders.parse(config["encoders"][kind])[1].values()]
    return [value for value in named if isinstance(value, str) and "{" not in value and Path(value).is_file()]


def digest(stage, *kinds):
    """Digest of a stage's source and of the encoders it uses: Snakemake does not see edits to imported modules."""
    modules = [encoders.module(kind, config["encoders"][kind]) for kind in named_encoders(kinds)]
    return source_digest(cli.STAGES[stage].partition(":")[0], *modules)


def graph_files(graphs):
    """Files that a source of scene graphs reads."""
    return list(map(str, scene_graphs.files(config["graphs"][graphs])))


def graph_digest(graphs):
    """Digest of the stage `scene_graphs` with its source and encoders."""
    modules = scene_graphs.modules(config["graphs"][graphs])
    image_text = encoders.module("image_text", config["encoders"]["image_text"])
    return source_digest("features.scene_graphs", image_text, *modules)


def named_encoders(kinds):
    """Those of the kinds that the config names an encoder for."""
    return [kind for kind in kinds if kind in config["encoders"]]


def page(model):
    """What the page of a model is made from, beside code."""
    folder = f"{workflow.basedir}/pipeline/report"
    named = multiext(f"{folder}/page", *PAGE) + multiext(f"{folder}/{model}/page", *PAGE) + [f"{folder}/macros.html"]
    return [file for file in named if Path(file).is_file()]


def videos(wildcards):
    """The manifest of a job's shard, or the whole one."""
    if "shard" not in wildcards.keys():
        return checkpoints.manifest.get().output.whole
    table = artifact("videos", "csv").format(**wildcards)
    # One that is missing is waited for like any file: of a checkpoint, Snakemake looks for the first output alone.
    if Path(table).exists():
        checkpoints.manifest.get()
    return table


def vocabulary(wildcards):
    """The vocabulary, once it is known."""
    return checkpoints.vocabulary.get().output.vocabulary


def below(checkpoint, *files):
    """Files below a checkpoint, given once it is done. Snakemake looks again only at jobs whose own input waited for a
    checkpoint, and would run all others below it although nothing has changed."""

    def known(wildcards):
        getattr(checkpoints, checkpoint).get()
        return [file.format(**wildcards) for file in files]

    return known


def networks(stage):
    """ProDA's checkpoints of a stage that are measured on a job's kind of graphs. Ablations are trained on the first kind
    alone, and so is the prompt-only control, which sees no graph."""

    def known(wildcards):
        checkpoints.manifest.get()
        more = ["blind", *config["ablations"]] if wildcards.graphs == GRAPHS[0] else []
        files = path(f"proda/{wildcards.graphs}/{{variant}}/{stage}-{{seed}}.pt")
        return expand(files, variant=["full", "encoder", *more], seed=SEEDS)

    return known


def trained_encoder(wildcards):
    """The encoder trained alone that a variant of ProDA starts from; none where the config does not ask for it, or the
    variant has nothing to take from it."""
    alone = wildcards.variant in ("encoder", "blind") or not config.get("proda_pretrain", {}).get("encoder_epochs")
    return [] if alone else path(f"proda/{wildcards.graphs}/encoder/pretrained-{wildcards.seed}.pt")


def judges(wildcards):
    """AQA's networks of all tasks and variants, once the manifest is there."""
    checkpoints.manifest.get()
    files = path("aqa/{task}/{variant}/model-{seed}.pt")
    return expand(files, task=config["tasks"], variant=["full", *config["ablations"]], seed=SEEDS)
