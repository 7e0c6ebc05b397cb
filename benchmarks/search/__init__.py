"""Candidate search, measured: corpora up to 10 M images, the product and its peers. `python -m benchmarks.search`."""
