# The slow stages: from videos to arrays, one artifact a shard.


# Frames at which each video changes most.
rule keyframes:
    input:
        manifest=videos,
    output:
        ensure(artifact("keyframes"), non_empty=True),
    log:
        path("logs/keyframes/{shard}.log"),
    benchmark:
        path("benchmarks/keyframes/{shard}.tsv")
    conda:
        "../../envs/base.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=240,
    params:
        options=options("keyframes", "decoder", "workers"),
        digest=digest("keyframes"),
    shell:
        "python -m pipeline keyframes --manifest {input.manifest} --out {output} {params.options} > {log} 2>&1"


# Two pose encoders need packages of their own: from conda, or from the environment that `make test-mmpose` makes.
OPENMMLAB = encoders.parse(config["encoders"].get("pose", ""))[0] in ("mmpose", "rtmlib")


# Poses of the person in every key clip (COCO-17).
rule pose:
    input:
        manifest=videos,
        keyframes=artifact("keyframes"),
        weights=weights("pose"),
    output:
        ensure(artifact("pose"), non_empty=True),
    log:
        path("logs/pose/{shard}.log"),
    benchmark:
        path("benchmarks/pose/{shard}.tsv")
    conda:
        "../../envs/mmpose.yaml" if OPENMMLAB else "../../envs/encoders.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=720,
    params:
        encoder=encoder("pose"),
        options=options("pose", "decoder", "workers"),
        python=".venv-mmpose/bin/python" if OPENMMLAB and Path(".venv-mmpose/.ready").exists() else "python",
        digest=digest("pose", "pose"),
    shell:
        "{params.python} -m pipeline pose --manifest {input.manifest} --keyframes {input.keyframes} --out {output}"
        " --encoder {params.encoder} {params.options} > {log} 2>&1"


# Embeddings of sampled frames, in the space that images and texts share.
rule embeddings:
    input:
        manifest=videos,
        weights=weights("image_text"),
    output:
        ensure(artifact("embeddings"), non_empty=True),
    log:
        path("logs/embeddings/{shard}.log"),
    benchmark:
        path("benchmarks/embeddings/{shard}.tsv")
    conda:
        "../../envs/encoders.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=720,
    params:
        encoder=encoder("image_text"),
        options=options("embeddings", "decoder", "workers"),
        digest=digest("embeddings", "image_text"),
    shell:
        "python -m pipeline embeddings --manifest {input.manifest} --out {output} --encoder {params.encoder}"
        " {params.options} > {log} 2>&1"


# One feature vector a video.
rule backbone:
    input:
        manifest=videos,
        weights=weights("backbone"),
    output:
        ensure(artifact("backbone"), non_empty=True),
    log:
        path("logs/backbone/{shard}.log"),
    benchmark:
        path("benchmarks/backbone/{shard}.tsv")
    conda:
        "../../envs/encoders.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=720,
    params:
        encoder=encoder("backbone"),
        options=options("backbone", "decoder", "workers"),
        digest=digest("backbone", "backbone"),
    shell:
        "python -m pipeline backbone --manifest {input.manifest} --out {output} --encoder {params.encoder}"
        " {params.options} > {log} 2>&1"


# Features of the consecutive clips of long videos.
rule clip_features:
    input:
        manifest=videos,
        weights=weights("backbone"),
    output:
        ensure(artifact("clip_features"), non_empty=True),
    log:
        path("logs/clip_features/{shard}.log"),
    benchmark:
        path("benchmarks/clip_features/{shard}.tsv")
    conda:
        "../../envs/encoders.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=720,
    params:
        encoder=encoder("backbone"),
        options=options("clip_features", "decoder", "workers"),
        digest=digest("clip_features", "backbone"),
    shell:
        "python -m pipeline clip_features --manifest {input.manifest} --out {output} --encoder {params.encoder}"
        " {params.options} > {log} 2>&1"


# Scene graphs with features: who and what is where, from annotations (`oracle`) or a detector (`predicted`).
rule scene_graphs:
    input:
        manifest=videos,
        source=lambda wildcards: graph_files(wildcards.graphs),
        weights=weights("image_text"),
    output:
        ensure(artifact("scene_graphs/{graphs}"), non_empty=True),
    log:
        path("logs/scene_graphs/{graphs}/{shard}.log"),
    benchmark:
        path("benchmarks/scene_graphs/{graphs}/{shard}.tsv")
    conda:
        "../../envs/encoders.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=720,
    params:
        source=lambda wildcards: json.dumps(config["graphs"][wildcards.graphs]),
        encoder=encoder("image_text"),
        options=options("scene_graphs", "decoder", "workers"),
        digest=lambda wildcards: graph_digest(wildcards.graphs),
    shell:
        "python -m pipeline scene_graphs --manifest {input.manifest} --out {output} --source '{params.source}'"
        " --encoder {params.encoder} {params.options} > {log} 2>&1"


# The videos that failed, where and why; too many of them end the run here.
rule failures:
    input:
        manifest=videos,
        artifacts=[shards(stage) for stage in SLOW],
    output:
        path("failures.tsv"),
    log:
        path("logs/failures.log"),
    benchmark:
        path("benchmarks/failures.tsv")
    conda:
        "../../envs/base.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        options=options("failures", "max_failed_fraction"),
        digest=digest("failures"),
    shell:
        "python -m pipeline failures --manifest {input.manifest} --artifacts {input.artifacts} --out {output}"
        " {params.options} > {log} 2>&1"
