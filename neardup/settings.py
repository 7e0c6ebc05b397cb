"""Every setting, with its unit in its name. Read from the environment: NEARDUP_NAMESPACE, NEARDUP_LSH__TABLES, …

Addresses left empty mean the local engines that `neardup engines up` started. docs/settings.md is generated from here.
"""

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from neardup.errors import ConfigError
from neardup.lanes import LaneLimits, lane_limits

__all__ = [
    "AlarmSettings",
    "AssignSettings",
    "DecodeSettings",
    "IngestSettings",
    "JanusGraphSettings",
    "KafkaSettings",
    "LocalSettings",
    "LshSettings",
    "OpenSearchSettings",
    "RedisSettings",
    "ScorerSettings",
    "SearchSettings",
    "Settings",
    "load_settings",
]

Port = Annotated[int, Field(ge=1, le=65535)]


def _default_home() -> Path:
    if os.geteuid() == 0:
        return Path("/var/lib/neardup")
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "neardup"


def _default_cache() -> Path:
    if os.geteuid() == 0:
        return Path("/var/cache/neardup")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "neardup"


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class KafkaSettings(_Group):
    """Kafka: the log of embeddings, images, proposals, decisions and the change feed."""

    bootstrap_servers: str | None = Field(None, description="host:port, comma-separated; empty: the local engine")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="how to talk to the brokers"
    )
    sasl_mechanism: str | None = Field(None, description="for example SCRAM-SHA-512")
    sasl_username: str | None = Field(None, description="user name for SASL")
    sasl_password: SecretStr | None = Field(None, description="password for SASL")
    ssl_cafile: Path | None = Field(None, description="certificate authority of the brokers")
    partitions: int = Field(4, ge=1, le=1024, description="partitions of the embedding and image topics")
    replication_factor: int = Field(1, ge=1, le=7, description="copies of every topic")
    proposal_retention_hours: int = Field(168, ge=1, description="how long proposals stay readable")
    move_retention_hours: int = Field(168, ge=1, description="how long the log of moves stays readable")


class OpenSearchSettings(_Group):
    """OpenSearch: the index of LSH terms."""

    url: str | None = Field(None, description="http(s)://host:port; empty: the local engine")
    username: str | None = Field(None, description="user name for basic authentication")
    password: SecretStr | None = Field(None, description="password for basic authentication")
    ca_certs: Path | None = Field(None, description="certificate authority of the cluster")
    shards: int = Field(1, ge=1, le=256, description="primary shards of a new index")
    replicas: int = Field(0, ge=0, le=5, description="copies of every shard of a new index")
    timeout_seconds: float = Field(10.0, gt=0, description="a request that takes longer has failed")


class ScorerSettings(_Group):
    """The PredictionService: TensorFlow Serving, or the embedded one."""

    endpoint: str | None = Field(
        None, description="host:port of gRPC, several with commas, asked in turn; empty: the local engine"
    )
    tls: bool = Field(False, description="speak TLS with the endpoints")
    tls_ca_file: Path | None = Field(None, description="authority of their certificates; empty: the usual ones")
    tls_cert_file: Path | None = Field(None, description="our certificate, where the server asks for one")
    tls_key_file: Path | None = Field(None, validate_default=True, description="the key of our certificate")
    model_name: str = Field("neardup", description="name of the served model")
    model_dir: Path | None = Field(None, description="folder of numbered versions; empty: the shipped model")
    timeout_seconds: float = Field(5.0, gt=0, description="deadline of one batch, its repetitions included")
    batch_rows: int = Field(2048, ge=1, le=65536, description="largest number of pairs in one Predict")
    poll_seconds: float = Field(2.0, gt=0, description="local engine: time between two looks for model versions")

    @field_validator("tls_key_file")
    @classmethod
    def _tls_files_fit(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if (value is None) != (info.data.get("tls_cert_file") is None):
            raise ValueError("a certificate and its key come together")
        if not info.data.get("tls", True) and (value or info.data.get("tls_ca_file")):
            raise ValueError("files for TLS are given, but NEARDUP_SCORER__TLS is false")
        return value


class JanusGraphSettings(_Group):
    """JanusGraph: clusters, heads and members."""

    url: str | None = Field(None, description="ws(s)://host:port/gremlin; empty: the local engine")
    traversal_source: str = Field("g", description="name of the traversal source on the server")
    timeout_seconds: float = Field(10.0, gt=0, description="a request that takes longer has failed")


class RedisSettings(_Group):
    """Redis: the head cache and the search limit."""

    url: SecretStr | None = Field(None, description="redis(s)://…; empty: the local engine")
    ttl_seconds: int = Field(604800, ge=1, description="an unused entry is forgotten after this time")
    timeout_seconds: float = Field(0.5, gt=0, description="a slower answer counts as a miss")
    absent_seconds: float = Field(1.0, ge=0.001, le=60, description="how long a look-up in vain is remembered")
    stale_seconds: float = Field(
        5.0, ge=2, description="the head cache is not read when it may lack decisions that are older"
    )


class DecodeSettings(_Group):
    """Decoding image files, in processes of its own. An image beyond a limit is refused with the reason."""

    timeout_seconds: float = Field(10.0, gt=0, description="longest time for an image")
    memory_mb: int = Field(2048, ge=64, description="most memory for an image, its file included")
    max_pixels: int = Field(100_000_000, ge=64, description="largest width times height, as the file states it")
    file_mb: int = Field(100, ge=1, le=1024, description="largest file")
    processes: int = Field(4, ge=1, le=64, description="decoders that a process runs at once at most; one is usual")


class LshSettings(_Group):
    """Locality-sensitive hashing. Any change gives another lsh_version, hence another index. A fitted model brings its
    own tables, bits and seed."""

    tables: int | None = Field(
        None,
        ge=1,
        le=512,
        description="terms an image has, beside words; empty: 48, or 64 without words",
    )
    bits_per_table: int = Field(12, ge=1, le=16, description="hyperplanes a term is made of")
    seed: int = Field(0, ge=0, description="seed of the hyperplanes")
    model: Path | None = Field(None, description="a file of `neardup fit`, for embeddings of your own; empty: none")


class SearchSettings(_Group):
    """Candidate search and its limit."""

    candidate_limit: int = Field(200, ge=1, le=10_000, description="candidates an image is scored against")
    minimum_overlap: int = Field(1, ge=1, le=512, description="shared terms a candidate must have")
    probes: int = Field(1, ge=0, le=4, description="extra terms a table: least confident bits flipped in the query")
    limit_per_second: int = Field(
        2000, ge=3, le=1_000_000, description="searches a second, over all processes of the namespace"
    )
    interactive_share: float = Field(0.2, ge=0, lt=1, description="part of the limit for queries")
    reprocess_share: float = Field(
        0.2,
        ge=0,
        lt=1,
        validate_default=True,
        description="part of the limit for re-processing; ingest has the rest",
    )
    score_memory_mb: int = Field(
        256,
        ge=0,
        le=1_000_000,
        description="memory of each process for score embeddings, which searches then need not read again; 0: none",
    )
    limit_processes: int = Field(
        4, ge=1, le=10_000, description="processes that share the limit equally while Redis is away"
    )

    @field_validator("reprocess_share")
    @classmethod
    def _leaves_some(cls, value: float, info: ValidationInfo) -> float:
        limit, interactive = info.data.get("limit_per_second"), info.data.get("interactive_share")
        if limit is not None and interactive is not None:
            lane_limits(limit, interactive_share=interactive, reprocess_share=value, processes=1)
        return value

    @property
    def deeper_limit(self) -> int:
        """Candidates that an image is searched for again when all that it matches is in clusters it may not join."""
        return min(10_000, 10 * self.candidate_limit)

    @property
    def lanes(self) -> LaneLimits:
        """The limit in lanes."""
        return lane_limits(
            self.limit_per_second,
            interactive_share=self.interactive_share,
            reprocess_share=self.reprocess_share,
            processes=self.limit_processes,
        )


class IngestSettings(_Group):
    """The ingest worker."""

    grace_seconds: float = Field(600.0, gt=0, description="time the join waits for the second embedding")
    batch_images: int = Field(64, ge=1, le=1000, description="images that share a search, a Predict and a commit")
    linger_ms: int = Field(
        100, ge=0, le=1000, description="longest wait for a batch to fill while images keep coming, in either step"
    )
    index_linger_ms: int = Field(
        1000, ge=0, le=10_000, description="time between two refreshes of index and history, unless much waits"
    )
    graph_linger_ms: int = Field(
        250, ge=0, le=10_000, description="time between two steps of graph and change feed, unless much waits"
    )
    join_limit: int = Field(
        100_000, ge=100, description="waiting embeddings a worker keeps, half of each side; a side with its half pauses"
    )
    incomplete_limit: int = Field(
        200_000, ge=100, description="incomplete images a worker remembers, for a late partner to complete"
    )
    backlog_limit: int = Field(5_000, ge=10, description="undecided or unindexed proposals at which workers pause")
    poison_limit: int = Field(100, ge=1, description="consecutive dead letters that stop a worker")
    dead_letter_share: float = Field(
        0.5, gt=0, le=1, description="part of the last 1,000 messages that may be dead letters; more stop a worker"
    )


class AssignSettings(_Group):
    """The assigner."""

    batch_proposals: int = Field(200, ge=1, le=5000, description="proposals decided in one transaction")
    linger_ms: int = Field(
        20, ge=0, le=1000, description="longest wait for a transaction to fill while proposals keep coming"
    )
    window: int = Field(20_000, ge=100, description="recent decisions kept in memory for overlap; > backlog limit")
    enough_members: int = Field(3, ge=1, description="matching members that satisfy the chain guard without the head")
    enough_exemplars: int = Field(
        32, ge=1, le=50, description="matching members from which on another copy is not indexed; >= enough_members"
    )
    session_timeout_ms: int = Field(3000, ge=1000, description="silence after which a standby takes over")


class AlarmSettings(_Group):
    """When a cluster is suspicious, and how often the project role looks."""

    every_seconds: float = Field(
        300.0, ge=0, description="time between two looks of the project role; 0: it never does"
    )
    growth_hours: float = Field(1.0, gt=0, le=720, description="the window in which new members are counted")
    growth_members: int = Field(1_000, ge=1, description="more new members than this in the window are suspicious")
    smallest_cluster: int = Field(4, ge=2, description="members from which on a cluster is sampled")
    sample: int = Field(16, ge=2, le=100, description="members of a cluster that are scored, each against each")
    score_bound: float | None = Field(
        None, gt=0, le=1, description="a lower mean score is suspicious; empty: the head bound of the model"
    )


class LocalSettings(_Group):
    """The local engines of `neardup engines`."""

    home: Path = Field(default_factory=_default_home, description="data, logs and ports of the local engines")
    cache: Path = Field(default_factory=_default_cache, description="downloads, kept between homes")
    maven_url: str = Field("https://repo1.maven.org/maven2", description="base URL of Maven Central or a mirror")
    java_home: Path | None = Field(None, description="a JDK >= 21 to use instead of the one in the wheel")
    opensearch_port: Port | None = Field(None, description="pinned port; empty: a free one, remembered")
    kafka_port: Port | None = Field(None, description="pinned port; empty: a free one, remembered")
    janusgraph_port: Port | None = Field(None, description="pinned port; empty: a free one, remembered")
    redis_port: Port | None = Field(None, description="pinned port; empty: a free one, remembered")
    scorer_port: Port | None = Field(None, description="pinned port; empty: a free one, remembered")


class Settings(BaseSettings):
    """All settings of one process."""

    model_config = SettingsConfigDict(
        env_prefix="NEARDUP_", env_nested_delimiter="__", frozen=True, extra="forbid", validate_default=True
    )

    namespace: str = Field(
        "neardup",
        pattern=r"^[a-z][a-z0-9]{0,39}$",
        description="prefix of topics, index, graph labels and cache keys; namespaces share nothing",
    )
    embedder: str = Field("default", description="entry point in the group neardup.embedders")
    candidate_search: str = Field("opensearch", description="entry point in the group neardup.searches")
    pair_scorer: str = Field("tensorflow-serving", description="entry point in the group neardup.scorers")
    kafka: KafkaSettings = KafkaSettings()
    opensearch: OpenSearchSettings = OpenSearchSettings()
    scorer: ScorerSettings = ScorerSettings()
    janusgraph: JanusGraphSettings = JanusGraphSettings()
    redis: RedisSettings = RedisSettings()
    decode: DecodeSettings = DecodeSettings()
    lsh: LshSettings = LshSettings()
    search: SearchSettings = SearchSettings()
    ingest: IngestSettings = IngestSettings()
    assign: AssignSettings = AssignSettings()
    alarm: AlarmSettings = AlarmSettings()
    local: LocalSettings = Field(default_factory=LocalSettings)


def load_settings() -> Settings:
    """The settings of this process. Raises ConfigError naming each variable that is wrong and why."""
    try:
        return Settings()
    except SettingsError as exc:
        raise ConfigError(f"NEARDUP_…: {exc}: one variable for a group of settings must be a JSON object") from exc
    except ValidationError as exc:
        raise ConfigError("; ".join(map(_line, exc.errors()))) from exc


def _line(error: ErrorDetails) -> str:
    variable = f"NEARDUP_{'__'.join(str(part).upper() for part in error['loc'])}"
    # The value of a variable nobody knows may be a secret under a misspelt name.
    given = "" if error["type"] == "extra_forbidden" else f" (given: {error['input']!r})"
    return f"{variable}: {error['msg']}{given}"
