"""JanusGraph on BerkeleyJE, SERIALIZABLE: the default isolation does not keep unique indexes unique."""

from typing import Final

from neardup.engines.artifacts import load_lock
from neardup.engines.classes import archive_flags
from neardup.engines.engine import Engine, Site
from neardup.engines.java import JVM_FLAGS, java_for
from neardup.engines.processes import Launch
from neardup.errors import ClusterStoreUnavailableError

__all__ = ["JANUSGRAPH"]

_VERSION: Final = "1.1.0"

_GRAPH: Final = """\
gremlin.graph=org.janusgraph.core.JanusGraphFactory
graph.unique-instance-id=local
graph.replace-instance-if-exists=true
storage.backend=berkeleyje
storage.directory={data}
storage.transactions=true
storage.berkeleyje.cache-percentage=35
storage.berkeleyje.isolation-level=SERIALIZABLE
storage.berkeleyje.ext.je.lock.timeout=100 ms
schema.default=none
"""

_SOURCE: Final = """\
def globals = [:]
globals << [g : traversal().withEmbedded(graph)]
"""

_SERVER: Final = """\
host: 127.0.0.1
port: {port}
evaluationTimeout: 600000
channelizer: org.apache.tinkerpop.gremlin.server.channel.WsAndHttpChannelizer
graphManager: org.janusgraph.graphdb.management.JanusGraphManager
graphs: {{ graph: "{folder}/graph.properties" }}
threadPoolWorker: 1
gremlinPool: 4
scriptEngines:
  gremlin-groovy:
    plugins:
      org.janusgraph.graphdb.tinkerpop.plugin.JanusGraphGremlinPlugin: {{}}
      org.apache.tinkerpop.gremlin.server.jsr223.GremlinServerGremlinPlugin: {{}}
      org.apache.tinkerpop.gremlin.jsr223.ImportGremlinPlugin:
        {{ classImports: [java.lang.Math], methodImports: ["java.lang.Math#*"] }}
      org.apache.tinkerpop.gremlin.jsr223.ScriptFileGremlinPlugin: {{ files: ["{folder}/source.groovy"] }}
serializers:
  - className: org.apache.tinkerpop.gremlin.util.ser.GraphBinaryMessageSerializerV1
    config: {{ ioRegistries: [org.janusgraph.graphdb.tinkerpop.JanusGraphIoRegistry] }}
  - className: org.apache.tinkerpop.gremlin.util.ser.GraphSONMessageSerializerV3
    config: {{ ioRegistries: [org.janusgraph.graphdb.tinkerpop.JanusGraphIoRegistry] }}
maxInitialLineLength: 4096
maxHeaderSize: 8192
maxChunkSize: 8192
maxContentLength: 16777216
maxAccumulationBufferComponents: 1024
resultIterationBatchSize: 256
writeBufferLowWaterMark: 32768
writeBufferHighWaterMark: 65536
"""

# In a transaction that takes no lasting locks: a check must never make somebody's write fail.
_QUERY: Final = """\
def reading = graph.buildTransaction().customOption('storage.berkeleyje.isolation-level', 'READ_COMMITTED').start()
try { reading.traversal().V().limit(1).count().next() } finally { reading.rollback() }
org.janusgraph.core.JanusGraph.version()
"""


def _prepare(site: Site) -> Launch:
    java = java_for(None, java_home=site.settings.local.java_home, copies=site.cache)
    classpath = ":".join(str(artifact.cached(site.cache)) for artifact in load_lock("janusgraph"))
    (site.folder / "graph.properties").write_text(_GRAPH.format(data=site.data))
    (site.folder / "source.groovy").write_text(_SOURCE)
    server = site.folder / "server.yaml"
    server.write_text(_SERVER.format(port=site.port, folder=site.folder))
    return Launch(
        argv=(
            str(java),
            *JVM_FLAGS,
            # What BerkeleyJE caches comes and goes: the serial collector would stop for a second now and then.
            "-XX:+UseG1GC",
            "-XX:MaxGCPauseMillis=20",
            *archive_flags(site, java, classpath),
            "-Xms128m",
            "-Xmx1g",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS",
            "-Dorg.slf4j.simpleLogger.log.org.janusgraph.graphdb.transaction.StandardJanusGraphTx=error",
            "-cp",
            classpath,
            "org.janusgraph.graphdb.server.JanusGraphServer",
            str(server),
        ),
        cwd=site.folder,
    )


def _probe(site: Site) -> str:
    """Run a Gremlin query over HTTP: the port opens even when the traversal source could not be made."""
    import urllib3  # noqa: PLC0415 - only when used

    with urllib3.PoolManager(retries=False, timeout=15.0) as http:
        try:
            answer = http.request("POST", f"http://127.0.0.1:{site.port}/gremlin", json={"gremlin": _QUERY})
            if answer.status != 200:
                raise ClusterStoreUnavailableError(f"a query answered HTTP {answer.status}: {answer.data[:300]!r}")
            return str(answer.json()["result"]["data"]["@value"][0])
        except (urllib3.exceptions.HTTPError, LookupError, TypeError, ValueError) as exc:
            raise ClusterStoreUnavailableError(f"JanusGraph does not answer: {exc}") from exc


JANUSGRAPH: Final = Engine(name="janusgraph", version=_VERSION, lock=True, prepare=_prepare, probe=_probe)
