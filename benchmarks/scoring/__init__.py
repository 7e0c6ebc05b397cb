"""Scoring, in process and over gRPC."""
