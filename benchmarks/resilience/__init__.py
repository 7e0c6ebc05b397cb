"""Crashes, faults of engines and workers that come and go, on real engines, and what they must not change."""
