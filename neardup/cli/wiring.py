"""Where concrete adapters meet: settings in, ports out. Everything is made when it is first asked for."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from neardup.cli.plugins import load_embedder, load_plugin
from neardup.engines.endpoints import local_endpoints
from neardup.errors import ConfigError
from neardup.fitting.model import FittedModel
from neardup.lsh import LshModel
from neardup.settings import Settings, load_settings
from neardup.topics import Topics
from neardup.types import Embeddings

if TYPE_CHECKING:
    from opensearchpy import OpenSearch
    from redis import Redis

    from graph.gremlin import Gremlin
    from graph.janusgraph import GraphNames
    from neardup.kafka import Kafka
    from neardup.lanes import Lane
    from neardup.ports import (
        CandidateSearch,
        ClusterStore,
        Embedder,
        HeadCache,
        History,
        ImageIndex,
        PairScorer,
        SearchLimiter,
    )
    from opensearch_templates.names import IndexNames
    from query.heads import Heads
    from query.similar_images import SimilarImages
    from query.suspicion import SuspiciousClusters

__all__ = ["Wiring", "check_embedder", "load_fitted", "opened", "resolve"]

_SHAPE = frozenset({"tables", "bits_per_table", "seed"})


@contextmanager
def opened() -> Iterator["Wiring"]:
    """The ports for one command, closed when it ends."""
    from neardup.telemetry import configure_logging

    wiring = Wiring(load_settings())
    # Standard output is for what the command prints.
    configure_logging(verbose=False)
    try:
        yield wiring
    finally:
        wiring.close()


def resolve(settings: Settings) -> Settings:
    """The settings with every empty address filled in from the local engines. Raises ConfigError when they are needed
    and not running."""
    given = (
        settings.opensearch.url,
        settings.kafka.bootstrap_servers,
        settings.janusgraph.url,
        settings.redis.url,
        settings.scorer.endpoint,
    )
    if all(given):
        return settings
    local = local_endpoints(settings.local)
    values = settings.model_dump()
    values["opensearch"]["url"] = settings.opensearch.url or local.opensearch_url
    values["kafka"]["bootstrap_servers"] = settings.kafka.bootstrap_servers or local.kafka_bootstrap
    values["janusgraph"]["url"] = settings.janusgraph.url or local.janusgraph_url
    values["redis"]["url"] = settings.redis.url or local.redis_url
    values["scorer"]["endpoint"] = settings.scorer.endpoint or local.scorer_endpoint
    return Settings.model_validate(values)


def load_fitted(settings: Settings) -> FittedModel | None:
    """The fitted LSH model that the settings name. Raises ConfigError when it cannot be used, or when the settings ask
    for another shape than it has."""
    path = settings.lsh.model
    if path is None:
        return None
    fitted = FittedModel.load(path)
    for name in sorted(_SHAPE & settings.lsh.model_fields_set):
        wanted, has = getattr(settings.lsh, name), getattr(fitted, name)
        if wanted != has:
            raise ConfigError(f"NEARDUP_LSH__{name.upper()}: {wanted}, but the LSH model {path} has {has}; unset it")
    return fitted


def _shaped_by(fitted: FittedModel, settings: Settings) -> Settings:
    shape = {name: getattr(fitted, name) for name in _SHAPE}
    return settings.model_copy(update={"lsh": settings.lsh.model_copy(update=shape)})


def check_embedder(embedder: "Embedder", fitted: FittedModel, *, name: str) -> None:
    """Raises ConfigError unless the embedder makes the embeddings that the model was fitted to."""
    made = (embedder.version, embedder.lsh_dimension, embedder.words, embedder.score_dimension)
    wanted = (fitted.embeddings, fitted.lsh_dimension, fitted.words, fitted.score_dimension)
    if made != wanted:
        raise ConfigError(
            f"NEARDUP_EMBEDDER: {name!r} makes embeddings {_described(*made)}, the LSH model is for "
            f"{_described(*wanted)}; image files cannot be embedded without its plug-in"
        )


def _described(version: str, lsh: int, words: int, score: int) -> str:
    ending = f" ({words} words)" if words else ""
    return f"{version} of {lsh}{ending} and {score} numbers"


class _LateEmbedder:
    """The embedder, loaded when the first file is to be embedded: who publishes embeddings may have no plug-in."""

    def __init__(self, fitted: FittedModel, load: Callable[[], "Embedder"]) -> None:
        self.version = fitted.embeddings
        self.lsh_dimension = fitted.lsh_dimension
        self.words = fitted.words
        self.score_dimension = fitted.score_dimension
        self._load = load

    def embed(self, data: bytes) -> Embeddings:
        return self._load().embed(data)


class Wiring:
    """The ports of one process. Adapters live as long as the process."""

    def __init__(self, settings: Settings) -> None:
        self.fitted = load_fitted(settings)
        resolved = resolve(settings)
        self.local = resolved is not settings
        self.settings = resolved if self.fitted is None else _shaped_by(self.fitted, resolved)
        self.topics = Topics(settings.namespace)

    @cached_property
    def kafka(self) -> "Kafka":
        """Kafka."""
        from neardup.kafka import Kafka

        servers = self.settings.kafka.bootstrap_servers
        assert servers is not None
        return Kafka(self.settings.kafka, servers)

    @cached_property
    def embedder(self) -> "Embedder":
        """The embedder. Raises ConfigError when it does not make the embeddings that the fitted LSH model is for."""
        embedder = load_embedder(self.settings.embedder)
        if self.fitted is not None:
            check_embedder(embedder, self.fitted, name=self.settings.embedder)
        return embedder

    @cached_property
    def dimensions(self) -> tuple[int, int]:
        """Of the embeddings that producers publish: for the terms, for the scorer."""
        if self.fitted is not None:
            return self.fitted.lsh_dimension, self.fitted.score_dimension
        return self.embedder.lsh_dimension, self.embedder.score_dimension

    @cached_property
    def lsh(self) -> LshModel:
        """The LSH model: the fitted one, or one for this embedder."""
        if self.fitted is not None:
            return self.fitted.lsh
        lsh = self.settings.lsh
        return LshModel(
            dimension=self.embedder.lsh_dimension,
            embedding_version=self.embedder.version,
            tables=lsh.tables,
            bits_per_table=lsh.bits_per_table,
            seed=lsh.seed,
            words=self.embedder.words,
        )

    @cached_property
    def opensearch(self) -> "OpenSearch":
        """A client of OpenSearch."""
        from opensearch_templates.connection import connect

        assert self.settings.opensearch.url is not None
        return connect(self.settings.opensearch, self.settings.opensearch.url)

    @cached_property
    def unlimited_search(self) -> "CandidateSearch":
        """The candidate search, for what keeps the search limit around it."""
        search: CandidateSearch = load_plugin("neardup.searches", self.settings.candidate_search)(
            self.settings, self.lsh.version
        )
        return search

    @cached_property
    def search_limiter(self) -> "SearchLimiter":
        """The search limit that all processes share."""
        from query.limiter import SharedSearchLimiter
        from query.redis_lanes import RedisLanes

        settings = self.settings
        lanes = RedisLanes(self.redis, settings.namespace)
        return SharedSearchLimiter(lanes, settings.search.lanes, timeout_seconds=settings.redis.timeout_seconds)

    def search_in(self, lane: "Lane") -> "CandidateSearch":
        """The candidate search, within the limit of a lane."""
        from neardup.clock import SystemClock
        from query.limited import LimitedSearch

        return LimitedSearch(self.unlimited_search, self.search_limiter, lane, clock=SystemClock())

    @cached_property
    def search(self) -> "CandidateSearch":
        """The candidate search for queries."""
        return self.search_in("interactive")

    @cached_property
    def index(self) -> "ImageIndex":
        """The writing side of the index."""
        from indexer.opensearch_index import OpenSearchImageIndex

        return OpenSearchImageIndex(self.opensearch, self.index_names)

    @cached_property
    def index_names(self) -> "IndexNames":
        """Names of the index of this namespace and lsh_version."""
        from opensearch_templates.names import IndexNames

        return IndexNames(self.settings.namespace, self.lsh.version)

    @cached_property
    def scorer(self) -> "PairScorer":
        """The scorer."""
        scorer: PairScorer = load_plugin("neardup.scorers", self.settings.pair_scorer)(self.settings)
        return scorer

    @cached_property
    def gremlin(self) -> "Gremlin":
        """Connections to JanusGraph."""
        from graph.gremlin import Gremlin

        assert self.settings.janusgraph.url is not None
        return Gremlin(self.settings.janusgraph, self.settings.janusgraph.url)

    @cached_property
    def graph_names(self) -> "GraphNames":
        """Labels and keys of the namespace in the graph."""
        from graph.janusgraph import GraphNames

        return GraphNames(self.settings.namespace)

    @cached_property
    def store(self) -> "ClusterStore":
        """The graph."""
        from graph.janusgraph import JanusGraphClusterStore

        return JanusGraphClusterStore(self.gremlin, self.graph_names)

    @cached_property
    def redis(self) -> "Redis":
        """A client of Redis."""
        from neardup.redis import connect

        assert self.settings.redis.url is not None
        return connect(self.settings.redis, self.settings.redis.url.get_secret_value())

    @cached_property
    def cache(self) -> "HeadCache":
        """The head cache."""
        from graph.redis_cache import RedisHeadCache

        settings = self.settings.redis
        return RedisHeadCache(
            self.redis,
            self.settings.namespace,
            ttl_seconds=settings.ttl_seconds,
            absent_seconds=settings.absent_seconds,
            stale_seconds=settings.stale_seconds,
        )

    @cached_property
    def heads(self) -> "Heads":
        """Image -> head, through the cache."""
        from query.heads import Heads

        return Heads(self.store, self.cache)

    @cached_property
    def history(self) -> "History":
        """The entries of the ledger, to be looked up."""
        from graph.opensearch_history import OpenSearchHistory
        from opensearch_templates.names import LedgerIndexNames

        return OpenSearchHistory(self.opensearch, LedgerIndexNames(self.settings.namespace))

    @cached_property
    def suspicious_clusters(self) -> "SuspiciousClusters":
        """Who looks for clusters that grow fast or do not hold together."""
        from neardup.clock import SystemClock
        from query.suspicion import SuspiciousClusters

        return SuspiciousClusters(
            history=self.history,
            store=self.store,
            search=self.unlimited_search,
            scorer=self.scorer,
            settings=self.settings.alarm,
            clock=SystemClock(),
        )

    @cached_property
    def similar_images(self) -> "SimilarImages":
        """The query module."""
        from query.similar_images import SimilarImages

        search = self.settings.search
        return SimilarImages(
            embedder=self.embedder if self.fitted is None else _LateEmbedder(self.fitted, lambda: self.embedder),
            lsh=self.lsh,
            search=self.search,
            scorer=self.scorer,
            store=self.store,
            heads=self.heads,
            history=self.history,
            probes=search.probes,
            candidate_limit=search.candidate_limit,
            minimum_overlap=search.minimum_overlap,
        )

    def setup(self, *, dry_run: bool = False) -> list[str]:
        """Create what is missing on every engine; returns the changes, one line each. Idempotent. Raises
        IncompatibleIndexError, before anything is changed, when the namespace belongs to another lsh_version."""
        from graph.redis_cache import setup_functions as setup_cache
        from graph.schema import setup_schema
        from neardup.topic_setup import setup_topics
        from opensearch_templates.setup import check_versions, setup_index
        from query.redis_lanes import setup_functions as setup_limit

        settings = self.settings
        check_versions(self.opensearch, settings.namespace, self.lsh.version)
        return [
            *setup_topics(self.kafka, self.topics, settings.kafka, dry_run=dry_run),
            *setup_index(self.opensearch, settings, self.lsh.version, words=self.lsh.words, dry_run=dry_run),
            *setup_schema(self.gremlin, self.graph_names, dry_run=dry_run),
            *setup_cache(self.redis, dry_run=dry_run),
            *setup_limit(self.redis, dry_run=dry_run),
        ]

    def ensure_setup(self) -> None:
        """On the local engines, create what is missing; on engines given by settings that is `neardup setup`'s work."""
        if self.local:
            self.setup()

    def drop(self) -> None:
        """Remove everything of this namespace from every engine."""
        from graph.schema import drop_namespace as drop_graph
        from graph.schema import setup_schema
        from neardup.topic_setup import drop_topics
        from opensearch_templates.setup import drop_namespace as drop_indices

        drop_topics(self.kafka, self.topics, self.settings.kafka)
        drop_indices(self.opensearch, self.settings.namespace)
        # Without its schema the graph cannot even say that the namespace is empty.
        setup_schema(self.gremlin, self.graph_names)
        drop_graph(self.gremlin, self.graph_names)
        self.cache.clear()

    def close(self) -> None:
        """Close the connections that were opened."""
        for name in ("opensearch", "gremlin", "redis", "scorer", "unlimited_search"):
            close = getattr(self.__dict__.get(name), "close", None)
            if close is not None:
                close()
