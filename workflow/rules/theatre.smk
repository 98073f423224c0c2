# The puppet theatre: the embedded demo, and the training of its small encoders.


# Beside the videos and their list, what is known to be true of each act.
TRUTHS = {
    "actions": ["annotations.h5"],
    "home": ["graphs.h5", "intervals.csv"],
    "routines": ["elements.h5", "scores.csv"],
}
ACTS = config["acts"]


# Videos of an act, with the list of their labels and the truth about them.
for act, truths in TRUTHS.items():

    rule:
        name:
            f"theatre_{act}"
        output:
            index=f"{ACTS}/{act}/index.csv",
            truth=[f"{ACTS}/{act}/{file}" for file in truths],
        log:
            f"{ACTS}/{act}.log",
        benchmark:
            f"{ACTS}/{act}.tsv"
        conda:
            "../../envs/base.yaml"
        threads: 2
        resources:
            mem_mb=2000,
            runtime=30,
        params:
            act=act,
            options=options("theatre"),
            digest=digest("theatre"),
            folder=subpath(output.index, parent=True),
        shell:
            "python -m pipeline theatre --out {params.folder} --act {params.act} --workers {threads} {params.options}"
            " > {log} 2>&1"


# Videos of the act "court", with the files that SportsHHI has of its own.
rule court:
    output:
        expand(f"{ACTS}/court/annotations/sports_{{split}}_v1.csv", split=["train", "val"]),
        expand(f"{ACTS}/court/annotations/gt_dense_proposals_{{split}}.pkl", split=["train", "val"]),
        actions=f"{ACTS}/court/annotations/sports_action_list.pbtxt",
    log:
        f"{ACTS}/court.log",
    benchmark:
        f"{ACTS}/court.tsv"
    conda:
        "../../envs/base.yaml"
    threads: 2
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        options=options("court"),
        digest=digest("court"),
        folder=subpath(output.actions, ancestor=2),
    shell:
        "python -m pipeline court --out {params.folder} --workers {threads} {params.options} > {log} 2>&1"


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
            encoder=["pose", "image_text", "backbone", "detector", "clip"],
        ),
