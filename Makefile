# Everything from a clean clone, with nothing but Python (3.11 or newer) and pip:
#   make demo   train a VAE and a GAN on real digits and see their pictures
#   make quick  lint, types of src, and the tests that train nothing
#   make test   all checks: formatting, lint, types, tests
#   make bench  étude beside plain PyTorch loops, on a machine that does nothing else; 20 minutes, and an hour for texts

PYTHON ?= python3
BIN = .venv/bin

.PHONY: demo quick lint types tests test bench clean

demo: .venv/installed
	$(BIN)/etude train vae --data digits --epochs 20
	$(BIN)/etude train gan --data digits --batch-size 64 --epochs 50
	@echo; $(BIN)/etude runs

quick:
	$(MAKE) --jobs 2 lint types tests

lint: .venv/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: .venv/installed-dev
	$(BIN)/pyright src

tests: .venv/installed-dev
	$(BIN)/pytest -n auto -m "not slow"

test: lint
	$(BIN)/pyright
	$(BIN)/pytest -n auto --dist worksteal

bench: .venv/installed-dev
	$(BIN)/python benchmarks/training_speed.py $(BENCH)

# The constraints hold every version; PIP_CONSTRAINT reaches the build's own environment too.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	PIP_CONSTRAINT=constraints.txt $(BIN)/pip install --quiet --editable .
	touch $@

# torch-fidelity declares torchvision, which has no CPU build to install; its arithmetic needs none. TypeScript and axe
# check the studio's page: without npm those tests are skipped.
.venv/installed-dev: .venv/installed
	PIP_CONSTRAINT=constraints.txt $(BIN)/pip install --quiet --editable '.[dev]'
	PIP_CONSTRAINT=constraints.txt $(BIN)/pip install --quiet --no-deps torch-fidelity
	-npm install --silent --no-save --prefix .venv/node typescript@5.9.3 axe-core@4.14.1
	touch $@

clean:
	rm -rf .venv
