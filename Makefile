# The verbs that people and CI share. Each sets up what it needs in .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test lint bench reference reference-diff soak overload fleet-scaling faults fuzz audit \
	jetson-test native sanitize weights clean
demo: $(VENV)/runtime.stamp
	$(BIN)/octoview replay deploy/samples/hw2.mcap --out out/demo

test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

bench: $(VENV)/runtime.stamp
	$(BIN)/octoview bench --json out/bench.json

# What tests/deploy/loop/test_reference.py compares a run with. Make it anew when the shipped
# weights change, and look at what changed before: make reference-diff.
REFERENCE := tests/refs/hw2.mcap
REFERENCE_RUN := $(BIN)/octoview replay deploy/samples/hw2.mcap --end 0.35 --no-mosaic \
	--no-images --engine onnxruntime --out out/reference

reference: $(VENV)/runtime.stamp
	$(REFERENCE_RUN)
	cp out/reference/perception.mcap $(REFERENCE)

reference-diff: $(VENV)/runtime.stamp
	$(REFERENCE_RUN)
	$(BIN)/octoview replay diff $(REFERENCE) out/reference/perception.mcap

# Replay of 100,000 ticks with random faults: memory and time stay flat; hours, and 40 GB of disk.
soak: $(VENV)/dev.stamp
	PYTHONPATH=. $(BIN)/python tests/soak/run.py

# Cameras that deliver more than the machine can serve; two minutes.
overload: $(VENV)/runtime.stamp
	PYTHONPATH=. $(BIN)/python tests/soak/overload.py

# What a log costs with one worker and with as many as there are cores; minutes.
fleet-scaling: $(VENV)/dev.stamp
	PYTHONPATH=. $(BIN)/python tests/soak/fleet_scaling.py

# Every fault of deploy/faults at random times, judged against a run without; an hour and a half.
faults: $(VENV)/runtime.stamp
	$(BIN)/python -m deploy.faults --seeds 25

# Coverage-guided fuzzing of every parser of tests/fuzz/table.py, MINUTES for each; what breaks one
# stays in out/fuzz. `make test` runs the same table for seconds.
MINUTES ?= 1
fuzz: $(VENV)/dev.stamp
	$(PIP) atheris==3.0.0
	$(BIN)/python -m tests.fuzz.campaign --seconds $$(( $(MINUTES) * 60 )) --out out/fuzz

# Known vulnerabilities of what the packages ship and of what is installed here, from PyPI's service.
# Without a network: ADVISORIES=FOLDER, a checkout of pypa/advisory-database.
audit: $(VENV)/dev.stamp
ifdef ADVISORIES
	PYTHONPATH=. $(BIN)/python tests/audit/offline.py $(ADVISORIES)
else
	$(PIP) pip-audit==2.10.1
	set -e; for lock in deploy/package/locks/*.txt; do \
		$(BIN)/pip-audit --strict --disable-pip --require-hashes --requirement $$lock; done
	$(BIN)/pip-audit --strict --local --skip-editable
endif

# The package in an arm64 Debian under emulation: root, debootstrap, qemu-user-static, dpkg-dev, and
# the wheels at WHEELS=FOLDER, see docs/jetson.md.
jetson-test: $(VENV)/runtime.stamp
	test -d "$(WHEELS)" || { echo "set WHEELS to the folder of the emulated-arm64 wheels"; exit 2; }
	PYTHONPATH=. $(BIN)/python tests/jetson/emulated.py --wheels $(WHEELS)

# The kernels' own C++ tests, fast and under the sanitizers.
native:
	cmake --preset release && cmake --build --preset release && ctest --preset release

sanitize:
	cmake --preset sanitize && cmake --build --preset sanitize && ctest --preset sanitize

# Data and a training run of the kind behind the shipped weights, from nothing: hours on a GPU. Wants
# CamVid at CAMVID=FOLDER and IDD-Lite at IDD=FOLDER.
weights: $(VENV)/dev.stamp
	test -d "$(CAMVID)" || { echo "set CAMVID to the folder that holds train/ and val/"; exit 2; }
	test -d "$(IDD)" || { echo "set IDD to the folder that holds images/ and labels/"; exit 2; }
	test -f out/views/val/index.json || $(BIN)/octoview sim views out/views/val --views 240 --seed 900001
	$(BIN)/octoview train --data sim:4000/2@5 --data camvid:$(CAMVID)/train@2.2 \
		--data idd-lite:$(IDD)/train@2.8 --val camvid:$(CAMVID)/val --val idd-lite:$(IDD)/val \
		--val sim:out/views/val --steps 20000 --out out/runs/nano
	$(BIN)/octoview export out/runs/nano/weights.safetensors --out out/runs/nano/nano.onnx

$(VENV)/runtime.stamp: pyproject.toml CMakeLists.txt $(wildcard deploy/native/*.h deploy/native/*.c*)
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable .
	touch $@

# torch first and alone: the pinned release has a CPU build, a range may pull gigabytes.
$(VENV)/dev.stamp: $(VENV)/runtime.stamp
	$(PIP) torch==2.13.0
	$(PIP) --editable '.[fleet,rosbag,sim,train,viewer,dev]'
	touch $@

clean:
	rm -rf $(VENV) out build *.egg-info
