# AQA: scores of long videos that say which seconds earned them.

TASKS = config.get("tasks", {})
ELEMENTS = [config["elements"]] if "elements" in config else []  # the truth, where it is known


# What judges gave, from the data set's own files.
rule scores:
    input:
        datasets.lists(config["dataset"]),
        [value for key, value in config["dataset"].items() if key == "scores"],
    output:
        path("aqa/scores.csv"),
    log:
        path("logs/scores.log"),
    benchmark:
        path("benchmarks/scores.tsv")
    conda:
        "../../envs/base.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        dataset=dataset,
        digest=source_digest("datasets.scores", datasets.module(config["dataset"])),
    shell:
        "python -m pipeline scores --dataset '{params.dataset}' --out {output} > {log} 2>&1"


# A network that scores one task; one a seed and variant.
rule aqa_train:
    input:
        manifest=videos,
        features=shards("clip_features"),
        scores=path("aqa/scores.csv"),
        failures=path("failures.tsv"),
    output:
        path("aqa/{task}/{variant}/model-{seed}.pt"),
    log:
        path("logs/aqa_train/{task}/{variant}-{seed}.log"),
    benchmark:
        path("benchmarks/aqa_train/{task}/{variant}-{seed}.tsv")
    conda:
        "../../envs/models.yaml"
    resources:
        mem_mb=8000,
        runtime=720,
    params:
        task=lambda wildcards: json.dumps(TASKS[wildcards.task]),
        options=options("aqa_train", "protocol", "max_failed_fraction"),
        digest=digest("aqa_train"),
    shell:
        "python -m pipeline aqa_train --features {input.features} --scores {input.scores} --manifest {input.manifest}"
        " --out {output} --task '{params.task}' --seed {wildcards.seed} --variant {wildcards.variant} {params.options}"
        " > {log} 2>&1"


# Simple models on the same features.
rule aqa_baselines:
    input:
        manifest=videos,
        features=shards("clip_features"),
        scores=path("aqa/scores.csv"),
        failures=path("failures.tsv"),
    output:
        path("aqa/{task}/baselines.json"),
    log:
        path("logs/aqa_baselines/{task}.log"),
    benchmark:
        path("benchmarks/aqa_baselines/{task}.tsv")
    conda:
        "../../envs/models.yaml"
    resources:
        mem_mb=8000,
        runtime=120,
    params:
        task=lambda wildcards: json.dumps(TASKS[wildcards.task]),
        seeds=SEEDS,
        options=options("aqa_baselines", "protocol", "max_failed_fraction"),
        digest=digest("aqa_baselines"),
    shell:
        "python -m pipeline aqa_baselines --features {input.features} --scores {input.scores}"
        " --manifest {input.manifest} --out {output} --task '{params.task}' --seeds {params.seeds} {params.options}"
        " > {log} 2>&1"


# Figures over all tasks and seeds, beside baselines and ablations.
rule aqa_evaluate:
    input:
        manifest=videos,
        features=shards("clip_features"),
        scores=path("aqa/scores.csv"),
        models=judges,
        baselines=below("manifest", *[path(f"aqa/{task}/baselines.json") for task in TASKS]),
        elements=ELEMENTS,
    output:
        metrics=path("aqa/metrics.json"),
        analysis=path("aqa/analysis.json"),
    log:
        path("logs/aqa_evaluate.log"),
    benchmark:
        path("benchmarks/aqa_evaluate.tsv")
    conda:
        "../../envs/models.yaml"
    resources:
        mem_mb=8000,
        runtime=120,
    params:
        run=config["run"],
        elements=f"--elements {ELEMENTS[0]}" if ELEMENTS else "",
        options=options("aqa_evaluate", "tasks", "protocol", "max_failed_fraction"),
        digest=digest("aqa_evaluate"),
    shell:
        "python -m pipeline aqa_evaluate --models {input.models} --baselines {input.baselines}"
        " --features {input.features} --scores {input.scores} --manifest {input.manifest} --out {output.metrics}"
        " --analysis {output.analysis} --run {params.run} {params.elements} {params.options} > {log} 2>&1"


# What the report draws of the models of the first seed: curves on seconds, maps of attention, moments that count.
rule aqa_explain:
    input:
        manifest=videos,
        features=shards("clip_features"),
        scores=path("aqa/scores.csv"),
        models=below("manifest", *[path(f"aqa/{task}/full/model-{SEEDS[0]}.pt") for task in TASKS]),
        elements=ELEMENTS,
    output:
        path("aqa/explanations.json"),
    log:
        path("logs/aqa_explain.log"),
    benchmark:
        path("benchmarks/aqa_explain.tsv")
    conda:
        "../../envs/models.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        elements=f"--elements {ELEMENTS[0]}" if ELEMENTS else "",
        options=options("aqa_explain", "tasks", "protocol", "max_failed_fraction"),
        digest=digest("aqa_explain"),
    shell:
        "python -m pipeline aqa_explain --models {input.models} --features {input.features} --scores {input.scores}"
        " --manifest {input.manifest} --out {output} {params.elements} {params.options} > {log} 2>&1"


# The page that people read, and that opens from disk: scores beside baselines, curves, moments, maps of attention.
rule aqa_report:
    input:
        metrics=path("aqa/metrics.json"),
        analysis=path("aqa/analysis.json"),
        explanations=path("aqa/explanations.json"),
        failures=path("failures.tsv"),
        manifest=videos,
        artifacts=[shards(stage) for stage in NEEDS["aqa"]],
        page=page("aqa"),
    output:
        report(path("aqa/report.html"), caption="../report/report.rst", category="Report"),
    log:
        path("logs/aqa_report.log"),
    benchmark:
        path("benchmarks/aqa_report.tsv")
    conda:
        "../../envs/base.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        title=config["run"],
        options=options("aqa_report"),
        digest=digest("aqa_report"),
    shell:
        "python -m pipeline aqa_report --metrics {input.metrics} --analysis {input.analysis}"
        " --explanations {input.explanations} --failures {input.failures} --manifest {input.manifest}"
        " --artifacts {input.artifacts} --out {output} --title '{params.title}' {params.options} > {log} 2>&1"
