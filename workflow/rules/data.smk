# From a data set's own files to a manifest.


# The videos with labels, splits and digests: one table for all, one a shard. A checkpoint, so that shards whose videos
# stay the same are not computed again when others are added.
checkpoint manifest:
    input:
        datasets.lists(config["dataset"]),
    output:
        whole=path("manifest/manifest.csv"),
        shards=shards("videos", "csv"),
    log:
        path("logs/manifest.log"),
    benchmark:
        path("benchmarks/manifest.tsv")
    conda:
        "../../envs/base.yaml"
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        dataset=dataset,
        options=options("manifest"),
        digest=source_digest("datasets", datasets.module(config["dataset"])),
    shell:
        "python -m pipeline manifest --out {output.whole} --shards {output.shards} --dataset '{params.dataset}'"
        " {params.options} > {log} 2>&1"
