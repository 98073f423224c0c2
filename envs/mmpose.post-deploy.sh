#!/usr/bin/env bash
# The second step of requirements-mmpose.txt; Snakemake runs it in the environment that it made of mmpose.yaml.
set -euo pipefail
python -m pip install --no-deps \
    mmengine==0.10.7 \
    mmcv-lite==2.1.0 \
    mmdet==3.3.0 \
    mmpretrain==1.2.0 \
    mmpose==1.3.2 \
    rtmlib==0.0.16
