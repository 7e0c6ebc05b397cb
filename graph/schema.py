"""Create the graph schema of a namespace, and drop what a namespace holds."""

from graph.gremlin import Gremlin
from graph.janusgraph import GraphNames, JanusGraphClusterStore
from neardup.errors import ConfigError

__all__ = ["drop_namespace", "setup_schema"]

_IDS_A_REQUEST = 500


def setup_schema(gremlin: Gremlin, names: GraphNames, *, dry_run: bool = False) -> list[str]:
    """Create what is missing of property keys, indices and labels; returns the changes, one line each.

    Raises ConfigError when an older version made the namespace, ClusterStoreUnavailableError.
    """
    outcome, *changes = gremlin.run("schema", {"labels": names.labels, "dryRun": dry_run})
    if outcome == "outdated":
        raise ConfigError(
            f"JanusGraph: edge label {changes[0]} lacks an index that pages need: an older version made it; wipe "
            "the graph (neardup engines wipe --engine janusgraph) or use another namespace"
        )
    return [str(change) for change in changes]


def drop_namespace(gremlin: Gremlin, names: GraphNames) -> None:
    """Remove all images, clusters and the position of a namespace; its labels stay.

    Raises ClusterStoreUnavailableError.
    """
    last = JanusGraphClusterStore(gremlin, names).position().seq
    for start in range(1, last + 1, _IDS_A_REQUEST):
        uids = [names.walk_uid(seq) for seq in range(start, min(start + _IDS_A_REQUEST, last + 1))]
        gremlin.run("drop", {"uids": uids, "member": names.member})
    gremlin.run("drop_position", {"projection": names.projection_uid})
