.PHONY: check format test demo bench soak lock
RUN := python3 bootstrap.py

check: ## the static gate of CI: style, types, layers, unit tests, contracts of the fakes, docs in step
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) mypy
	$(RUN) lint-imports
	$(RUN) python -m neardup.docgen --check
	$(RUN) pytest -q -m "not integration and not e2e"

format: ## rewrite the source in the project's style
	$(RUN) ruff check --fix
	$(RUN) ruff format

test: ## everything, on real engines
	$(RUN) pytest

demo: ## see it work
	$(RUN) neardup demo

bench: ## how long things take on this machine
	$(RUN) python -m benchmarks.startup

soak: ## crashes, faults of engines, workers that come and go: an hour and a half
	$(RUN) python -m benchmarks.resilience

lock: ## the newest versions of all dependencies, with hashes
	$(RUN) uv pip compile --quiet --universal --generate-hashes --upgrade --python-version 3.11 --extra local \
		--group dev --no-header --no-annotate pyproject.toml -o requirements.lock
