"""The whole path from two embeddings to a readable head, measured. `python -m benchmarks.ingest`."""
