"""Reads of the graph and the head cache, measured: python -m benchmarks.graph."""
