# ProDA: any asked-for action disentangled from scene graphs.


# When each action happens, from the data set's own files.
rule intervals:
    input:
        [value for key, value in config["dataset"].items() if key == "intervals"],
    output:
        path("proda/intervals.csv"),
    log:
        path("logs/intervals.log"),
    benchmark:
        path("benchmarks/intervals.tsv")
    conda:
        "../../envs/base.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        dataset=dataset,
        digest=source_digest("datasets.intervals", datasets.module(config["dataset"])),
    shell:
        "python -m pipeline intervals --dataset '{params.dataset}' --out {output} > {log} 2>&1"


# Stage 1: the whole network, end to end; one a seed and variant.
rule proda_pretrain:
    input:
        manifest=videos,
        graphs=shards("scene_graphs/{graphs}"),
        failures=path("failures.tsv"),
        encoder=trained_encoder,
    output:
        path("proda/{graphs}/{variant}/pretrained-{seed}.pt"),
    log:
        path("logs/proda_pretrain/{graphs}/{variant}-{seed}.log"),
    benchmark:
        path("benchmarks/proda_pretrain/{graphs}/{variant}-{seed}.tsv")
    conda:
        "../../envs/models.yaml"
    resources:
        mem_mb=8000,
        runtime=720,
    params:
        encoder=lambda wildcards, input: f"--encoder {input.encoder}" if input.encoder else "",
        options=options("proda_pretrain", "protocol"),
        digest=digest("proda_pretrain"),
    shell:
        "python -m pipeline proda_pretrain --graphs {input.graphs} --manifest {input.manifest} --out {output}"
        " --seed {wildcards.seed} --variant {wildcards.variant} {params.encoder} {params.options} > {log} 2>&1"


# Stage 2: the classifiers.
rule proda_posttrain:
    input:
        manifest=videos,
        graphs=shards("scene_graphs/{graphs}"),
        pretrained=path("proda/{graphs}/{variant}/pretrained-{seed}.pt"),
    output:
        path("proda/{graphs}/{variant}/model-{seed}.pt"),
    log:
        path("logs/proda_posttrain/{graphs}/{variant}-{seed}.log"),
    benchmark:
        path("benchmarks/proda_posttrain/{graphs}/{variant}-{seed}.tsv")
    conda:
        "../../envs/models.yaml"
    resources:
        mem_mb=8000,
        runtime=720,
    params:
        options=options("proda_posttrain", "protocol"),
        digest=digest("proda_posttrain"),
    shell:
        "python -m pipeline proda_posttrain --graphs {input.graphs} --manifest {input.manifest}"
        " --pretrained {input.pretrained} --out {output} --seed {wildcards.seed} {params.options} > {log} 2>&1"


# What each network does on the test videos, on one kind of scene graphs.
rule proda_measure:
    input:
        manifest=videos,
        graphs=shards("scene_graphs/{graphs}"),
        models=networks("model"),
        pretrained=networks("pretrained"),
        intervals=path("proda/intervals.csv"),
    output:
        path("proda/{graphs}/measured.json"),
    log:
        path("logs/proda_measure/{graphs}.log"),
    benchmark:
        path("benchmarks/proda_measure/{graphs}.tsv")
    conda:
        "../../envs/models.yaml"
    resources:
        mem_mb=8000,
        runtime=720,
    params:
        options=options("proda_measure", "protocol"),
        digest=digest("proda_measure"),
    shell:
        "python -m pipeline proda_measure --models {input.models} --pretrained {input.pretrained}"
        " --graphs {input.graphs} --manifest {input.manifest} --intervals {input.intervals} --out {output}"
        " {params.options} > {log} 2>&1"


# Figures over all seeds and kinds of graphs, every prompted one beside its prompt-only control.
rule proda_evaluate:
    input:
        expand(path("proda/{graphs}/measured.json"), graphs=GRAPHS),
    output:
        metrics=path("proda/metrics.json"),
        analysis=path("proda/analysis.json"),
    log:
        path("logs/proda_evaluate.log"),
    benchmark:
        path("benchmarks/proda_evaluate.tsv")
    conda:
        "../../envs/models.yaml"
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        run=config["run"],
        options=options("proda_evaluate", "protocol"),
        digest=digest("proda_evaluate"),
    shell:
        "python -m pipeline proda_evaluate --measured {input} --out {output.metrics} --analysis {output.analysis}"
        " --run {params.run} {params.options} > {log} 2>&1"


# What the report draws of the model of the first seed: frames, nodes and edges that an asked-for action keeps.
rule proda_explain:
    input:
        manifest=videos,
        model=below("manifest", path(f"proda/{GRAPHS[0]}/full/model-{SEEDS[0]}.pt")),
        graphs=shards(f"scene_graphs/{GRAPHS[0]}"),
        intervals=path("proda/intervals.csv"),
    output:
        path("proda/explanations.json"),
    log:
        path("logs/proda_explain.log"),
    benchmark:
        path("benchmarks/proda_explain.tsv")
    conda:
        "../../envs/models.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        options=options("proda_explain", "protocol"),
        digest=digest("proda_explain"),
    shell:
        "python -m pipeline proda_explain --model {input.model} --graphs {input.graphs} --manifest {input.manifest}"
        " --intervals {input.intervals} --out {output} {params.options} > {log} 2>&1"


# The page that people read, and that opens from disk: figures with their controls, ablations, videos asked about.
rule proda_report:
    input:
        metrics=path("proda/metrics.json"),
        analysis=path("proda/analysis.json"),
        explanations=path("proda/explanations.json"),
        failures=path("failures.tsv"),
        manifest=videos,
        artifacts=[shards(stage) for stage in NEEDS["proda"]],
        page=page("proda"),
    output:
        report(path("proda/report.html"), caption="../report/report.rst", category="Report"),
    log:
        path("logs/proda_report.log"),
    benchmark:
        path("benchmarks/proda_report.tsv")
    conda:
        "../../envs/base.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        title=config["run"],
        options=options("proda_report"),
        digest=digest("proda_report"),
    shell:
        "python -m pipeline proda_report --metrics {input.metrics} --analysis {input.analysis}"
        " --explanations {input.explanations} --failures {input.failures} --manifest {input.manifest}"
        " --artifacts {input.artifacts} --out {output} --title '{params.title}' {params.options} > {log} 2>&1"
