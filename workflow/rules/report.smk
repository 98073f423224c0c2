# What people read.


# One page that opens from disk: figures, concepts, classes, explained videos, failures, provenance.
rule report:
    input:
        metrics=expand(path("{model}/metrics.json"), model=config["models"]),
        explanations=path("dance/explanations.json"),
        motion=path("concepts/motion.h5"),
        pseudo=path("concepts/pseudo_labels.h5"),
        vocabulary=vocabulary,
        dropped=lambda wildcards: checkpoints.vocabulary.get().output.dropped,
        failures=path("failures.tsv"),
        manifest=videos,
        artifacts=[
            *[shards(stage) for stage in SLOW],
            *expand(path("dance/model-{seed}.h5"), seed=SEEDS),
        ],
        page=multiext(f"{workflow.basedir}/pipeline/report/page", ".html", ".css", ".js"),
    output:
        report(path("report.html"), caption="../report/report.rst", category="Report"),
    log:
        path("logs/report.log"),
    benchmark:
        path("benchmarks/report.tsv")
    conda:
        "../../envs/base.yaml"
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        title=config["run"],
        options=options("report"),
        digest=digest("report"),
    shell:
        "python -m pipeline report --metrics {input.metrics} --explanations {input.explanations} --motion {input.motion}"
        " --pseudo {input.pseudo} --vocabulary {input.vocabulary} --dropped {input.dropped} --failures {input.failures}"
        " --manifest {input.manifest} --artifacts {input.artifacts} --out {output} --title '{params.title}'"
        " {params.options} > {log} 2>&1"
