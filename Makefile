# make demo: everything from an empty machine to the report. make test: the tests. Nothing but Python >= 3.11 is needed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORES ?= all

.PHONY: demo more test test-mmpose bench real check format setup setup-dev clean

demo: setup
	$(BIN)/snakemake --cores $(CORES)
	$(BIN)/snakemake --cores $(CORES) --configfile config/home.yaml
	$(BIN)/snakemake --cores $(CORES) --configfile config/court.yaml
	$(BIN)/snakemake --cores $(CORES) --configfile config/routines.yaml
	@echo
	@echo "Reports:  results/theatre/dance/report.html, results/home/proda/report.html, results/routines/aqa/report.html"
	@echo "Figures:  results/{theatre,home,court,routines}/*/metrics.json"
	@echo "Videos:   results/theatre/stage"
	@echo
	@for run in theatre home court routines; do $(BIN)/python -m pipeline table results/$$run && echo; done

# ProDA with more time and three seeds, AQA with more routines, and the papers' ablations: two hours on two cores.
more: setup
	$(BIN)/snakemake --cores $(CORES) --configfile config/home.yaml config/home_large.yaml
	$(BIN)/snakemake --cores $(CORES) --configfile config/home.yaml config/home_ablations.yaml
	$(BIN)/snakemake --cores $(CORES) --configfile config/routines.yaml config/routines_large.yaml
	$(BIN)/snakemake --cores $(CORES) --configfile config/routines.yaml config/routines_ablations.yaml
	@for run in home_large home_ablations routines_large routines; do $(BIN)/python -m pipeline table results/$$run && echo; done

test: setup-dev
	OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -n 2 --dist loadfile

# The pose encoders of OpenMMLab, which need packages and versions of their own.
test-mmpose: .venv-mmpose/.ready
	OMP_NUM_THREADS=1 .venv-mmpose/bin/python -m pytest tests/encoders/pose/test_mmpose.py \
	    tests/encoders/pose/test_rtmlib.py tests/encoders/test_contracts.py

# How fast the slow stages are here; writes a section of docs/benchmarks.md. Wants an idle machine.
bench: setup-dev
	$(BIN)/python -m pipeline bench all --out docs/benchmarks.md
	PYTHONPATH=. $(BIN)/python benchmarks/keyframes_loop.py

# Seven tennis strokes on real clips: the block split, then five folds. Needs the data that tests/real/README.md names.
real: setup-dev
	$(BIN)/snakemake --cores $(CORES) --configfile tests/real/tennis.yaml
	for fold in 0 1 2 3 4; do \
	    $(BIN)/snakemake --cores $(CORES) --configfile tests/real/tennis.yaml tests/real/folds/$$fold.yaml || exit 1; \
	done
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/real
	$(BIN)/python -m pipeline table results/tennis
	$(BIN)/python -m pipeline table --mean true results/tennis_fold*

check: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint
	$(BIN)/snakemake --lint --configfile config/home.yaml
	$(BIN)/snakemake --lint --configfile config/court.yaml
	$(BIN)/snakemake --lint --configfile config/routines.yaml

format: setup-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

setup: $(VENV)/.ready
setup-dev: $(VENV)/.ready-dev

$(VENV)/.ready: requirements.txt | $(BIN)/uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements.txt
	@touch $@

$(VENV)/.ready-dev: requirements.txt requirements-dev.txt | $(BIN)/uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements-dev.txt
	@touch $@ $(VENV)/.ready

.venv-mmpose/.ready: requirements-mmpose.txt requirements-mmpose-packages.txt | $(BIN)/uv
	$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python .venv-mmpose
	$(BIN)/uv pip install --quiet --python .venv-mmpose/bin/python -r requirements-mmpose.txt
	$(BIN)/uv pip install --quiet --python .venv-mmpose/bin/python --no-deps -r requirements-mmpose-packages.txt
	@touch $@

$(BIN)/uv:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python >= 3.11 is needed, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv==0.13.8

clean:
	rm -rf results .snakemake
