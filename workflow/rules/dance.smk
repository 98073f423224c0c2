# DANCE: concept layers and a sparse classifier on frozen features.


# One trained model a seed.
rule dance:
    input:
        manifest=videos,
        features=shards("backbone"),
        motion=path("concepts/motion_labels.h5"),
        pseudo=path("concepts/pseudo_labels.h5"),
    output:
        path("dance/model-{seed}.h5"),
    params:
        options=options("dance", "protocol"),
        digest=digest("dance"),
    log:
        path("logs/dance/{seed}.log"),
    benchmark:
        path("benchmarks/dance/{seed}.tsv")
    conda:
        "../../envs/models.yaml"
    resources:
        mem_mb=4000,
        runtime=120,
    shell:
        "python -m pipeline dance --features {input.features} --motion {input.motion} --pseudo {input.pseudo}"
        " --manifest {input.manifest} --out {output} --seed {wildcards.seed} {params.options} > {log} 2>&1"


# What each model says of every video.
rule predict:
    input:
        model=path("dance/model-{seed}.h5"),
        features=shards("backbone"),
    output:
        path("dance/predictions-{seed}.h5"),
    params:
        digest=digest("predict"),
    log:
        path("logs/predict/{seed}.log"),
    benchmark:
        path("benchmarks/predict/{seed}.tsv")
    conda:
        "../../envs/models.yaml"
    resources:
        mem_mb=4000,
        runtime=30,
    shell:
        "python -m pipeline predict --model {input.model} --features {input.features} --out {output} > {log} 2>&1"
