# Interactions of persons (SportsHHI): ProDA's dynamic prompt and its losses on features of pairs.

PAIR_ENCODER = "backbone" if config.get("pairs", {}).get("clip") else "image_text"


# Features of all persons and ordered pairs in the keyframes.
rule pairs:
    input:
        manifest=videos,
        lists=datasets.lists(config["dataset"]),
        weights=weights(PAIR_ENCODER),
    output:
        ensure(artifact("pairs"), non_empty=True),
    log:
        path("logs/pairs/{shard}.log"),
    benchmark:
        path("benchmarks/pairs/{shard}.tsv")
    conda:
        "../../envs/encoders.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=720,
    params:
        source=dataset,
        encoder=encoder(PAIR_ENCODER),
        options=options("pairs", "decoder", "workers"),
        digest=digest("pairs", PAIR_ENCODER),
    shell:
        "python -m pipeline pairs --manifest {input.manifest} --out {output} --source '{params.source}'"
        " --encoder {params.encoder} {params.options} > {log} 2>&1"


# ProDA, its baselines and its prompt-only control, in one checkpoint a seed.
rule pairs_train:
    input:
        manifest=videos,
        features=shards("pairs"),
        failures=path("failures.tsv"),
    output:
        path("pairs/models-{seed}.pt"),
    log:
        path("logs/pairs_train/{seed}.log"),
    benchmark:
        path("benchmarks/pairs_train/{seed}.tsv")
    conda:
        "../../envs/models.yaml"
    resources:
        mem_mb=8000,
        runtime=720,
    params:
        options=options("pairs_train", "protocol"),
        digest=digest("pairs_train"),
    shell:
        "python -m pipeline pairs_train --features {input.features} --manifest {input.manifest} --out {output}"
        " --seed {wildcards.seed} {params.options} > {log} 2>&1"


# Figures over all seeds, every prompted one beside its prompt-only control.
rule pairs_evaluate:
    input:
        manifest=videos,
        features=shards("pairs"),
        models=below("manifest", *expand(path("pairs/models-{seed}.pt"), seed=SEEDS)),
    output:
        path("pairs/metrics.json"),
    log:
        path("logs/pairs_evaluate.log"),
    benchmark:
        path("benchmarks/pairs_evaluate.tsv")
    conda:
        "../../envs/models.yaml"
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        run=config["run"],
        options=options("pairs_evaluate", "protocol"),
        digest=digest("pairs_evaluate"),
    shell:
        "python -m pipeline pairs_evaluate --models {input.models} --features {input.features}"
        " --manifest {input.manifest} --out {output} --run {params.run} {params.options} > {log} 2>&1"
