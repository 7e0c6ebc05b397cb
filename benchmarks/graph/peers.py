"""The same questions without this project: bare gremlinpython (bytecode) and bare redis-py (plain keys)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from gremlin_python.driver.driver_remote_connection import DriverRemoteConnection
from gremlin_python.process.anonymous_traversal import traversal
from gremlin_python.process.graph_traversal import GraphTraversalSource, __
from gremlin_python.process.traversal import P
from gremlin_python.statics import long
from janusgraph_python.driver.serializer import JanusGraphBinarySerializersV1
from redis import Redis

from benchmarks.graph.corpus import Cluster
from graph.janusgraph import GraphNames
from neardup.settings import Settings
from neardup.types import ImageId, Member, Page

__all__ = ["RawGremlin", "RawRedis"]

_KEYS_A_WRITE = 10_000


class RawGremlin:
    """Traversals in bytecode on the graph that the product filled."""

    def __init__(self, source: GraphTraversalSource, names: GraphNames) -> None:
        self._g = source
        self._names = names

    @classmethod
    @contextmanager
    def opened(cls, settings: Settings) -> Iterator["RawGremlin"]:
        connection = DriverRemoteConnection(
            settings.janusgraph.url, "g", pool_size=1, message_serializer=JanusGraphBinarySerializersV1()
        )
        try:
            yield cls(traversal().with_remote(connection), GraphNames(settings.namespace))
        finally:
            connection.close()

    def page(self, cluster: Cluster, after: int, limit: int) -> Page:
        rows = (
            self._g.V()
            .has("uid", self._names.cluster_uid(cluster.cluster_id))
            .local(__.in_e(self._names.member).has("seq", P.gt(long(after))).order().by("seq").limit(limit))
            .value_map("member_id", "seq")
            .to_list()
        )
        return Page(members=tuple(Member(image_id=row["member_id"], seq=row["seq"]) for row in rows), after=None)

    def heads(self, image_ids: Sequence[ImageId]) -> list[str]:
        uids = [self._names.image_uid(image_id) for image_id in image_ids]
        heads: list[str] = self._g.V().has("uid", P.within(uids)).out(self._names.member).values("head").to_list()
        return heads


class RawRedis:
    """One plain key an image, whose value is the head; a new head would mean as many writes as there are members."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    def fill(self, heads: Sequence[tuple[ImageId, str]]) -> None:
        for start in range(0, len(heads), _KEYS_A_WRITE):
            self._client.mset({f"raw:{image_id}": head for image_id, head in heads[start : start + _KEYS_A_WRITE]})

    def heads(self, image_ids: Sequence[ImageId]) -> list[Any]:
        if len(image_ids) == 1:
            return [self._client.get(f"raw:{image_ids[0]}")]
        return list(self._client.mget([f"raw:{image_id}" for image_id in image_ids]))
