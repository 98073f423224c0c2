# Vocabularies and labels: motion concepts from poses, object and scene concepts from a language model.


# Motion concepts: clusters of the training videos' pose sequences.
rule motion_concepts:
    input:
        manifest=videos,
        poses=shards("pose"),
        failures=path("failures.tsv"),
    output:
        path("concepts/motion.h5"),
    log:
        path("logs/motion_concepts.log"),
    benchmark:
        path("benchmarks/motion_concepts.tsv")
    conda:
        "../../envs/models.yaml"
    resources:
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=120,
    params:
        options=options("motion_concepts", "protocol"),
        digest=digest("motion_concepts"),
    shell:
        "python -m pipeline motion_concepts --poses {input.poses} --manifest {input.manifest} --out {output}"
        " {params.options} > {log} 2>&1"


# Which motion concepts each video shows.
rule motion_labels:
    input:
        poses=shards("pose"),
        concepts=below("manifest", path("concepts/motion.h5")),
    output:
        path("concepts/motion_labels.h5"),
    log:
        path("logs/motion_labels.log"),
    benchmark:
        path("benchmarks/motion_labels.tsv")
    conda:
        "../../envs/models.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        digest=digest("motion_labels"),
    shell:
        "python -m pipeline motion_labels --poses {input.poses} --concepts {input.concepts} --out {output} > {log} 2>&1"


# Objects and scenes that a language model names for each class; every answer is kept and replayed.
rule ask:
    input:
        manifest=videos,
        lists=[] if config["answers"].endswith(".jsonl") else config["answers"],
    output:
        path("concepts/answers.jsonl"),
    log:
        path("logs/ask.log"),
    benchmark:
        path("benchmarks/ask.tsv")
    conda:
        "../../envs/base.yaml"
    resources:
        mem_mb=1000,
        runtime=120,
    params:
        answers=config["answers"],
        options=options("ask"),
        digest=digest("ask"),
    shell:
        "python -m pipeline ask --manifest {input.manifest} --answers {params.answers} --out {output} {params.options}"
        " > {log} 2>&1"


# Answers, filters and people's edits make the vocabulary. A checkpoint, so that an edit that changes nothing ends here.
checkpoint vocabulary:
    input:
        answers=path("concepts/answers.jsonl"),
        edits=[config["edits"]] if Path(config["edits"]).is_file() else [],
        weights=weights("sentence", "image_text"),
    output:
        vocabulary=path("concepts/vocabulary.csv"),
        dropped=path("concepts/dropped.csv"),
    log:
        path("logs/vocabulary.log"),
    benchmark:
        path("benchmarks/vocabulary.tsv")
    conda:
        "../../envs/encoders.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        edits=lambda wildcards, input: f"--edits {input.edits}" if input.edits else "",
        sentence=encoder("sentence"),
        image_text=encoder("image_text"),
        options=options("vocabulary"),
        cache="cache/texts",
        digest=digest("vocabulary", "sentence", "image_text"),
    shell:
        "python -m pipeline vocabulary --raw {input.answers} {params.edits}"
        " --out {output.vocabulary} --dropped {output.dropped} --sentence {params.sentence}"
        " --image-text {params.image_text} --cache {params.cache} {params.options} > {log} 2>&1"


# Text embeddings of the vocabulary; those of known concepts come from the cache.
rule texts:
    input:
        vocabulary=vocabulary,
        weights=weights("image_text"),
    output:
        path("concepts/texts.h5"),
    log:
        path("logs/texts.log"),
    benchmark:
        path("benchmarks/texts.tsv")
    conda:
        "../../envs/encoders.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        encoder=encoder("image_text"),
        options=options("texts"),
        cache="cache/texts",
        digest=digest("texts", "image_text"),
    shell:
        "python -m pipeline texts --vocabulary {input.vocabulary} --out {output} --image-text {params.encoder}"
        " --cache {params.cache} {params.options} > {log} 2>&1"


# How much each video shows each object and scene: one matrix product.
rule pseudo_labels:
    input:
        manifest=videos,
        embeddings=shards("embeddings"),
        texts=below("vocabulary", path("concepts/texts.h5")),
        failures=path("failures.tsv"),
    output:
        path("concepts/pseudo_labels.h5"),
    log:
        path("logs/pseudo_labels.log"),
    benchmark:
        path("benchmarks/pseudo_labels.tsv")
    conda:
        "../../envs/base.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        options=options("pseudo_labels", "protocol"),
        digest=digest("pseudo_labels"),
    shell:
        "python -m pipeline pseudo_labels --embeddings {input.embeddings} --texts {input.texts}"
        " --manifest {input.manifest} --out {output} {params.options} > {log} 2>&1"


# Only the concepts, to look at and edit before anything is trained.
rule concepts:
    input:
        path("concepts/vocabulary.csv"),
        path("concepts/motion.h5"),
