"""Choreo: interpretable video understanding from one DAG.

Slow stages write artifacts once, a shard of videos a job; fast ones only read them. config/README.md explains every key.
"""

import os

from snakemake.utils import min_version

min_version("9.1")

if not workflow.config_settings.configfiles:  # a run of one's own: snakemake --configfile my.yaml

    configfile: "config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/theatre.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/features.smk"


for model in config["models"]:

    include: f"workflow/rules/{model}.smk"


# Everything that the config asks for.
rule all:
    default_target: True
    input:
        [path(f"{model}/{file}") for model in config["models"] for file in PAGES[model]],
        [shards(stage) for stage in config["stages"]],
        path("failures.tsv"),


# Only the slow stages: what a cluster is for.
rule features:
    input:
        [shards(stage) for stage in SLOW],
        path("failures.tsv"),
