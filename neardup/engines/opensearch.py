"""OpenSearch: the minimal distribution from Maven Central, without the modules that this project never uses."""

import os
import shutil
import zipfile
from pathlib import Path
from typing import Final

from neardup.engines.artifacts import Artifact, load_lock
from neardup.engines.classes import archive_flags, record_folder
from neardup.engines.engine import Engine, Site
from neardup.engines.java import JVM_FLAGS, SERIAL, Account, java_for, may_enter, unprivileged
from neardup.engines.processes import Launch
from neardup.engines.state import exclusive
from neardup.errors import ConfigError, SearchUnavailableError

__all__ = ["OPENSEARCH"]

_VERSION: Final = "3.8.0"
_ROOT: Final = f"opensearch-{_VERSION}/"
_MODULES: Final = ("lang-mustache", "lang-painless", "reindex", "transport-netty4")
_NEEDED: Final = tuple(f"{_ROOT}{part}/" for part in ("lib", "agent", *(f"modules/{name}" for name in _MODULES)))

_LOGGING: Final = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%c{1.}] %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
logger.deprecation.name = org.opensearch.deprecation
logger.deprecation.level = error
"""


def _prepare(site: Site) -> Launch:
    account = unprivileged()
    if not may_enter(site.folder, account):
        raise ConfigError(
            "NEARDUP_LOCAL__HOME: OpenSearch refuses to run as root, and the user 'nobody' cannot enter "
            f"{site.folder}; choose a folder that others may enter, such as /var/lib/neardup"
        )
    (archive,) = load_lock("opensearch")
    shelf = site.cache if may_enter(site.cache, account) else site.folder
    distribution = _unpacked(archive, cache=site.cache, shelf=shelf)
    java = java_for(account, java_home=site.settings.local.java_home, copies=shelf)
    config, scratch = site.folder / "config", site.folder / "tmp"
    for folder in (config, scratch, site.data):
        folder.mkdir(exist_ok=True)
    (config / "opensearch.yml").write_text(_configuration(site))
    (config / "log4j2.properties").write_text(_LOGGING)
    for folder in (config, scratch, site.data, record_folder(site)):
        _give(folder, account)
    classpath = f"{distribution}/lib/*:{distribution}/agent/opensearch-agent-bootstrap-{_VERSION}.jar"
    return Launch(
        argv=(
            str(java),
            *JVM_FLAGS,
            SERIAL,
            *archive_flags(site, java, classpath),
            "-Xms256m",
            "-Xmx1g",
            "--add-opens=java.base/java.nio=ALL-UNNAMED",
            "--enable-native-access=ALL-UNNAMED",
            "-Dorg.apache.lucene.store.MMapDirectory.sharedArenaMaxPermits=1",
            f"-Djava.io.tmpdir={scratch}",
            f"-XX:ErrorFile={scratch}/java_error_%p.log",
            "-Dlog4j2.disable.jmx=true",
            "-Dlog4j.shutdownHookEnabled=false",
            "-Dio.netty.noUnsafe=true",
            "-Dio.netty.noKeySetOptimization=true",
            "-Dio.netty.recycler.maxCapacityPerThread=0",
            "-Dio.netty.allocator.numDirectArenas=0",
            f"-Dopensearch.path.home={distribution}",
            f"-Dopensearch.path.conf={config}",
            "-Dopensearch.distribution.type=tar",
            "-Dopensearch.bundled_jdk=false",
            "-cp",
            classpath,
            "org.opensearch.bootstrap.OpenSearch",
        ),
        cwd=scratch,
        account=account,
    )


def _configuration(site: Site) -> str:
    return f"""\
cluster.name: neardup
node.name: local
network.host: 127.0.0.1
discovery.type: single-node
http.port: {site.port}
transport.port: {site.ports["transport"]}
path.data: {site.data}
path.logs: {site.folder / "tmp"}
cluster.routing.allocation.disk.threshold_enabled: false
# The breaker on the real heap refuses requests until a collection, which the serial collector does not do by itself.
indices.breaker.total.use_real_memory: false
"""


def _unpacked(archive: Artifact, *, cache: Path, shelf: Path) -> Path:
    """The unpacked distribution, readable by everybody; made once."""
    target = shelf / f"opensearch-{_VERSION}"
    with exclusive(shelf / ".lock"):
        if not target.exists():
            draft = shelf / "opensearch.draft"
            shutil.rmtree(draft, ignore_errors=True)
            with zipfile.ZipFile(archive.cached(cache)) as bundle:
                for name in bundle.namelist():
                    if name.startswith(_NEEDED) and not name.startswith(f"{_ROOT}lib/tools/"):
                        bundle.extract(name, draft)
            for empty in ("bin", "plugins"):
                (draft / _ROOT / empty).mkdir()
            for path in (draft, *draft.rglob("*")):
                path.chmod(0o755 if path.is_dir() else 0o644)
            (draft / _ROOT).rename(target)
            draft.rmdir()
    return target


def _give(folder: Path, account: Account | None) -> None:
    """Make a folder and all in it the account's own."""
    if account and folder.stat().st_uid != account.uid:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, account.uid, account.gid)
    elif account:
        for path in folder.iterdir():
            os.chown(path, account.uid, account.gid)


def _probe(site: Site) -> str:
    """Search all indexes; wants every shard to answer."""
    import urllib3  # noqa: PLC0415 - only when used

    with urllib3.PoolManager(retries=False, timeout=5.0) as http:
        try:
            about = http.request("GET", f"http://127.0.0.1:{site.port}/")
            found = http.request(
                "GET", f"http://127.0.0.1:{site.port}/_search?size=1&allow_partial_search_results=false"
            )
            if found.status != 200:
                raise SearchUnavailableError(f"a search answered HTTP {found.status}: {found.data[:300]!r}")
            return str(about.json()["version"]["number"])
        except (urllib3.exceptions.HTTPError, KeyError, ValueError) as exc:
            raise SearchUnavailableError(f"OpenSearch does not answer: {exc}") from exc


OPENSEARCH: Final = Engine(
    name="opensearch", version=_VERSION, lock=True, purposes=("transport",), prepare=_prepare, probe=_probe
)
