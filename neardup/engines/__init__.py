"""The engines of a laptop or of CI: OpenSearch, Kafka, JanusGraph, Redis and the embedded PredictionService.

They run as child processes on loopback, from files whose sha256 is in `locks/`. `supervisor` starts, stops and checks
them; `endpoints` says where they are. Importing this package costs nothing: drivers are imported when they are used.
"""
