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
include: "workflow/rules/concepts.smk"
include: "workflow/rules/dance.smk"
include: "workflow/rules/report.smk"


# Everything that the config asks for.
rule all:
    default_target: True
    input:
        path("report.html"),
        expand(path("{model}/metrics.json"), model=config["models"]),


# Only the slow stages: what a cluster is for.
rule features:
    input:
        [shards(stage) for stage in SLOW],
        path("failures.tsv"),


# Only the concepts, to look at and edit before anything is trained.
rule concepts:
    input:
        path("concepts/vocabulary.csv"),
        path("concepts/motion.h5"),
