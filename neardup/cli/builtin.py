"""The plug-ins that come with the project; each is what an entry point of another wheel would be."""

from neardup.ports import CandidateSearch, Embedder, PairScorer
from neardup.settings import Settings

__all__ = ["default_embedder", "opensearch_search", "tensorflow_serving_scorer"]


def default_embedder(settings: Settings) -> Embedder:
    """EfficientNet-Lite0 with a supervised whitening, decoding behind a fence; group `neardup.embedders`."""
    from neardup.embedder.default import DefaultEmbedder
    from neardup.embedder.fence import Fence

    return DefaultEmbedder(settings.local.cache, decode=Fence(settings.decode).decode)


def opensearch_search(settings: Settings, lsh_version: str) -> CandidateSearch:
    """Exact term overlap on OpenSearch; group `neardup.searches`."""
    from opensearch_templates.connection import connect
    from opensearch_templates.names import IndexNames
    from query.opensearch import OpenSearchCandidateSearch

    assert settings.opensearch.url is not None
    client = connect(settings.opensearch, settings.opensearch.url)
    names = IndexNames(settings.namespace, lsh_version)
    return OpenSearchCandidateSearch(client, names, memory_bytes=settings.search.score_memory_mb << 20)


def tensorflow_serving_scorer(settings: Settings) -> PairScorer:
    """A client of the PredictionService, by gRPC; group `neardup.scorers`."""
    from scorer.client import TensorFlowServingScorer
    from scorer.endpoints import Tls

    scorer = settings.scorer
    assert scorer.endpoint is not None
    files = {"ca_file": scorer.tls_ca_file, "cert_file": scorer.tls_cert_file, "key_file": scorer.tls_key_file}
    return TensorFlowServingScorer(
        endpoint=scorer.endpoint,
        tls=Tls(**files) if scorer.tls else None,
        model_name=scorer.model_name,
        model_dir=scorer.model_dir,
        timeout_seconds=scorer.timeout_seconds,
        batch_rows=scorer.batch_rows,
    )
