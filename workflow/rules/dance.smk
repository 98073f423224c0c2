# DANCE: concept layers and a sparse classifier on frozen features.


include: "concepts.smk"


# One trained model a seed.
rule dance:
    input:
        manifest=videos,
        features=shards("backbone"),
        motion=path("concepts/motion_labels.h5"),
        pseudo=below("vocabulary", path("concepts/pseudo_labels.h5")),
    output:
        path("dance/model-{seed}.h5"),
    log:
        path("logs/dance/{seed}.log"),
    benchmark:
        path("benchmarks/dance/{seed}.tsv")
    conda:
        "../../envs/models.yaml"
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        options=options("dance", "protocol"),
        digest=digest("dance"),
    shell:
        "python -m pipeline dance --features {input.features} --motion {input.motion} --pseudo {input.pseudo}"
        " --manifest {input.manifest} --out {output} --seed {wildcards.seed} {params.options} > {log} 2>&1"


# What each model says of every video.
rule predict:
    input:
        model=below("vocabulary", path("dance/model-{seed}.h5")),
        features=shards("backbone"),
    output:
        path("dance/predictions-{seed}.h5"),
    log:
        path("logs/predict/{seed}.log"),
    benchmark:
        path("benchmarks/predict/{seed}.tsv")
    conda:
        "../../envs/models.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        digest=digest("predict"),
    shell:
        "python -m pipeline predict --model {input.model} --features {input.features} --out {output} > {log} 2>&1"


# Figures over all seeds, beside the baselines and with each kind of concept left out.
rule dance_evaluate:
    input:
        manifest=videos,
        models=below("vocabulary", *expand(path("dance/model-{seed}.h5"), seed=SEEDS)),
        features=shards("backbone"),
        poses=shards("pose"),
        motion=path("concepts/motion_labels.h5"),
        pseudo=below("vocabulary", path("concepts/pseudo_labels.h5")),
        annotations=config.get("annotations", []),
    output:
        path("dance/metrics.json"),
    log:
        path("logs/dance_evaluate.log"),
    benchmark:
        path("benchmarks/dance_evaluate.tsv")
    conda:
        "../../envs/models.yaml"
    resources:
        mem_mb=8000,
        runtime=120,
    params:
        run=config["run"],
        annotations=lambda wildcards, input: (f"--annotations {input.annotations}" if input.annotations else ""),
        options=options("dance_evaluate", "protocol"),
        digest=digest("dance_evaluate"),
    shell:
        "python -m pipeline dance_evaluate --models {input.models} --features {input.features} --poses {input.poses}"
        " --motion {input.motion} --pseudo {input.pseudo} --manifest {input.manifest} --out {output} --run {params.run}"
        " {params.annotations} {params.options} > {log} 2>&1"


# What the report draws of the model of the first seed: contributions, weights, interventions.
rule dance_explain:
    input:
        manifest=videos,
        model=below("vocabulary", path(f"dance/model-{SEEDS[0]}.h5")),
        predictions=below("vocabulary", path(f"dance/predictions-{SEEDS[0]}.h5")),
        motion=path("concepts/motion_labels.h5"),
        concepts=path("concepts/motion.h5"),
    output:
        path("dance/explanations.json"),
    log:
        path("logs/dance_explain.log"),
    benchmark:
        path("benchmarks/dance_explain.tsv")
    conda:
        "../../envs/models.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        options=options("dance_explain", "protocol"),
        digest=digest("dance_explain"),
    shell:
        "python -m pipeline dance_explain --model {input.model} --predictions {input.predictions} --motion {input.motion}"
        " --concepts {input.concepts} --manifest {input.manifest} --out {output} {params.options} > {log} 2>&1"


# The page that people read, and that opens from disk: figures, concepts, classes, explained videos, failures, provenance.
rule dance_report:
    input:
        metrics=path("dance/metrics.json"),
        explanations=path("dance/explanations.json"),
        motion=path("concepts/motion.h5"),
        pseudo=path("concepts/pseudo_labels.h5"),
        vocabulary=vocabulary,
        dropped=lambda wildcards: checkpoints.vocabulary.get().output.dropped,
        failures=path("failures.tsv"),
        manifest=videos,
        artifacts=[
            *[shards(stage) for stage in NEEDS["dance"]],
            *expand(path("dance/model-{seed}.h5"), seed=SEEDS),
        ],
        page=page("dance"),
    output:
        report(path("dance/report.html"), caption="../report/report.rst", category="Report"),
    log:
        path("logs/dance_report.log"),
    benchmark:
        path("benchmarks/dance_report.tsv")
    conda:
        "../../envs/base.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        title=config["run"],
        options=options("dance_report"),
        digest=digest("dance_report"),
    shell:
        "python -m pipeline dance_report --metrics {input.metrics} --explanations {input.explanations} --motion {input.motion}"
        " --pseudo {input.pseudo} --vocabulary {input.vocabulary} --dropped {input.dropped} --failures {input.failures}"
        " --manifest {input.manifest} --artifacts {input.artifacts} --out {output} --title '{params.title}'"
        " {params.options} > {log} 2>&1"
