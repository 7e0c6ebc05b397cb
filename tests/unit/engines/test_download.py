"""Against a real HTTP server on loopback that can cut, refuse and lie."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from neardup.engines.artifacts import Artifact
from neardup.engines.download import Downloader, download, missing
from neardup.engines.reporter import SilentReporter
from neardup.errors import ConfigError

CONTENT = bytes(range(256)) * 4000


class Repository(ThreadingHTTPServer):
    """Serves CONTENT under every path below /maven. `cut`: bytes after which each of the next answers ends."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.ranges = True
        self.status = 200
        self.cut: list[int] = []
        self.asked: list[str | None] = []
        self.auth: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/maven"


class Handler(BaseHTTPRequestHandler):
    server: Repository

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.asked.append(wanted)
        self.server.auth.append(self.headers.get("Authorization"))
        if self.server.status != 200:
            self.send_error(self.server.status)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.server.ranges else 0
        body = self.server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.cut.pop(0)] if self.server.cut else body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def repository(monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Repository()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def artifact(name: str = "a", content: bytes = CONTENT) -> Artifact:
    return Artifact(path=f"org/{name}.jar", size=len(content), sha256=hashlib.sha256(content).hexdigest())


class Counter:
    def __init__(self) -> None:
        self.total = 0

    def __call__(self, count: int) -> None:
        self.total += count


def fetch(repository: Repository, cache: Path, wanted: Artifact | None = None) -> int:
    """Fetch one artifact without pauses; the sum of all bytes reported."""
    arrived = Counter()
    downloader = Downloader(base_url=repository.url, cache=cache, pause=lambda _: None)
    downloader.fetch(wanted or artifact(), arrived)
    return arrived.total


def part(cache: Path) -> Path:
    path = artifact().cached(cache)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(path.name + ".part")


def test_whole_file(repository: Repository, tmp_path: Path) -> None:
    assert fetch(repository, tmp_path) == len(CONTENT)
    assert artifact().cached(tmp_path).read_bytes() == CONTENT
    assert not part(tmp_path).exists()


def test_cut_connections_are_continued_where_they_ended(repository: Repository, tmp_path: Path) -> None:
    repository.cut = [1000, 500_000]
    assert fetch(repository, tmp_path) == len(CONTENT)
    assert artifact().cached(tmp_path).read_bytes() == CONTENT
    assert repository.asked == [None, "bytes=1000-", "bytes=501000-"]


def test_part_of_an_earlier_run_is_continued(repository: Repository, tmp_path: Path) -> None:
    part(tmp_path).write_bytes(CONTENT[:7])
    assert fetch(repository, tmp_path) == len(CONTENT)
    assert repository.asked == ["bytes=7-"]


def test_server_without_ranges_starts_over(repository: Repository, tmp_path: Path) -> None:
    repository.ranges = False
    part(tmp_path).write_bytes(CONTENT[:7])
    assert fetch(repository, tmp_path) == len(CONTENT)
    assert artifact().cached(tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("wrong", [b"rubbish", b"x" * len(CONTENT), b"x" * (len(CONTENT) + 9)])
def test_wrong_part_is_thrown_away_once(repository: Repository, tmp_path: Path, wrong: bytes) -> None:
    part(tmp_path).write_bytes(wrong)
    assert fetch(repository, tmp_path) == len(CONTENT)
    assert artifact().cached(tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("served", [CONTENT[:-1] + b"!", CONTENT + b"more"])
def test_wrong_content_is_an_error_and_leaves_nothing(repository: Repository, tmp_path: Path, served: bytes) -> None:
    repository.content = served
    with pytest.raises(ConfigError, match=r"its sha256 is .* the lock file says .* was deleted. Try again"):
        fetch(repository, tmp_path)
    assert not artifact().cached(tmp_path).exists()
    assert not part(tmp_path).exists()


def test_connection_that_is_always_cut_keeps_what_arrived(repository: Repository, tmp_path: Path) -> None:
    repository.cut = [10] * 5
    with pytest.raises(ConfigError, match=r"not complete after 5 attempts .* is kept: start again"):
        fetch(repository, tmp_path)
    assert part(tmp_path).read_bytes() == CONTENT[:50]


@pytest.mark.parametrize(("status", "problem"), [(404, "HTTP 404; check NEARDUP_LOCAL__MAVEN_URL"), (407, "proxy")])
def test_final_refusal_is_not_repeated(repository: Repository, tmp_path: Path, status: int, problem: str) -> None:
    repository.status = status
    with pytest.raises(ConfigError, match=problem):
        fetch(repository, tmp_path)
    assert len(repository.asked) == 1


def test_unreachable_repository(tmp_path: Path, repository: Repository) -> None:
    downloader = Downloader(base_url="http://127.0.0.1:1/m", cache=tmp_path, pause=lambda _: None)
    with pytest.raises(ConfigError, match=r"http://127.0.0.1:1/m/org/a.jar: not complete.*HTTPS_PROXY"):
        downloader.fetch(artifact(), Counter())


def test_password_of_a_mirror_is_sent_and_never_shown(repository: Repository, tmp_path: Path) -> None:
    repository.status = 404
    url = repository.url.replace("http://", "http://me:secret@")
    with pytest.raises(ConfigError) as caught:
        Downloader(base_url=url, cache=tmp_path).fetch(artifact(), Counter())
    assert "secret" not in str(caught.value)
    assert repository.auth == ["Basic bWU6c2VjcmV0"]


def test_proxy_of_the_environment_is_used(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("http_proxy", repository.url.removesuffix("/maven"))
    downloader = Downloader(base_url="http://maven.invalid/m", cache=tmp_path)
    downloader.fetch(artifact(), Counter())
    assert artifact().cached(tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("url", ["ftp://host/m", "repo1.maven.org", "http:///m"])
def test_address_that_is_none(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="NEARDUP_LOCAL__MAVEN_URL: must be http"):
        Downloader(base_url=url, cache=tmp_path)


class Heard(SilentReporter):
    def __init__(self) -> None:
        self.downloads: list[tuple[str, int, int]] = []

    def download(self, group: str, done: int, total: int) -> None:
        self.downloads.append((group, done, total))


def test_groups_share_files_and_nothing_is_downloaded_twice(repository: Repository, tmp_path: Path) -> None:
    groups = {"one": [artifact("a"), artifact("b")], "two": [artifact("b")]}
    heard = Heard()
    for _ in range(2):
        download(groups, cache=tmp_path, base_url=repository.url, reporter=heard)
    assert len(repository.asked) == 2
    assert sum(total for _, done, total in heard.downloads if done == total) == 2 * len(CONTENT)


def test_damaged_cache_is_noticed_by_size(repository: Repository, tmp_path: Path) -> None:
    fetch(repository, tmp_path)
    artifact().cached(tmp_path).write_bytes(CONTENT[:5])
    assert missing([artifact()], tmp_path) == [artifact()]


def test_full_disk_is_noticed_before_the_download(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    huge = Artifact(path="org/huge.jar", size=1 << 60, sha256="0" * 64)
    with pytest.raises(ConfigError, match=r"disk full: \d+ MB are to be downloaded .* NEARDUP_LOCAL__CACHE"):
        download({"one": [huge]}, cache=tmp_path, base_url=repository.url, reporter=SilentReporter())
    assert repository.asked == []
