# The puppet theatre: the embedded demo, and the training of its small encoders.


# Videos of the act, with the list of their labels and the truth about them.
rule theatre:
    output:
        index="results/theatre/stage/{act}/index.csv",
        truth="results/theatre/stage/{act}/annotations.h5",
    log:
        "results/theatre/logs/theatre_{act}.log",
    benchmark:
        "results/theatre/benchmarks/theatre_{act}.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 2
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        options=options("theatre"),
        digest=digest("theatre"),
        folder=subpath(output.index, parent=True),
    shell:
        "python -m pipeline theatre --out {params.folder} --act {wildcards.act} --workers {threads} {params.options}"
        " > {log} 2>&1"


# The theatre's encoders, trained anew; the demo uses those that ship in pipeline/theatre/weights.
rule theatre_encoder:
    output:
        directory("results/theatre/encoders/{encoder}"),
    log:
        "results/theatre/logs/train_{encoder}.log",
    benchmark:
        "results/theatre/benchmarks/train_{encoder}.tsv"
    conda:
        "../../envs/encoders.yaml"
    threads: 2
    resources:
        mem_mb=12000,
        runtime=240,
    params:
        digest=lambda wildcards: digest(f"train_{wildcards.encoder}"),
    shell:
        "python -m pipeline train_{wildcards.encoder} --out {output} > {log} 2>&1"


# All of them.
rule theatre_encoders:
    input:
        expand(
            "results/theatre/encoders/{encoder}",
            encoder=["pose", "image_text", "backbone"],
        ),
