"""Artifacts from a Maven repository into the cache: in parallel, resumed, checked, never twice."""

import errno
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3.exceptions import HTTPError

from neardup.engines.artifacts import Artifact, sha256_of
from neardup.engines.reporter import Reporter
from neardup.engines.state import exclusive
from neardup.errors import ConfigError

__all__ = ["Downloader", "download", "missing"]

_PARALLEL = 4
_ATTEMPTS = 5
_CHUNK = 1 << 18
_SPARE_BYTES = 200 << 20


def missing(artifacts: Sequence[Artifact], cache: Path) -> list[Artifact]:
    """The artifacts that are not whole in the cache."""
    return [a for a in artifacts if not (a.cached(cache).is_file() and a.cached(cache).stat().st_size == a.size)]


def download(groups: Mapping[str, Sequence[Artifact]], *, cache: Path, base_url: str, reporter: Reporter) -> None:
    """Bring every artifact of every group into the cache.

    Raises ConfigError: repository unreachable, file absent there, wrong checksum, disk full. What has arrived stays:
    the next call goes on from there.
    """
    if not any(missing(artifacts, cache) for artifacts in groups.values()):
        return
    with exclusive(cache / ".lock"):
        wanted = {a.path: (a, name) for name, artifacts in groups.items() for a in missing(artifacts, cache)}
        _check_space(sum(artifact.size for artifact, _ in wanted.values()), cache)
        progress = _Progress(list(wanted.values()), reporter)
        downloader = Downloader(base_url=base_url, cache=cache)
        with ThreadPoolExecutor(_PARALLEL, thread_name_prefix="download") as pool:
            largest_first = sorted(wanted.values(), key=lambda pair: -pair[0].size)
            futures = [
                pool.submit(downloader.fetch, artifact, partial(progress.add, group))
                for artifact, group in largest_first
            ]
            try:
                done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            finally:
                downloader.cancel()
                pool.shutdown(cancel_futures=True)
        for future in done:
            future.result()


class Downloader:
    """Fetches single artifacts over HTTP, through the proxies that the environment names (HTTPS_PROXY, NO_PROXY …)."""

    def __init__(self, *, base_url: str, cache: Path, pause: Callable[[float], None] = time.sleep) -> None:
        self._base_url = base_url.rstrip("/")
        self._cache = cache
        self._pause = pause
        self._http = _pool(self._base_url)
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """End every fetch in progress; what has arrived stays in its .part file."""
        self._cancelled.set()

    def fetch(self, artifact: Artifact, arrived: Callable[[int], None]) -> None:
        """Download one artifact, or the rest of it; `arrived` gets byte counts, negative when bytes were thrown away.

        Raises ConfigError as `download` does.
        """
        target = artifact.cached(self._cache)
        part = target.with_name(target.name + ".part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            resumed = part.exists()
            if resumed:
                arrived(part.stat().st_size)
            self._complete(artifact, part, arrived)
            if resumed and sha256_of(part) != artifact.sha256:
                arrived(-part.stat().st_size)
                part.unlink()
                self._complete(artifact, part, arrived)
            if (found := sha256_of(part)) != artifact.sha256:
                part.unlink()
                raise ConfigError(
                    f"{self._shown(artifact)}: its sha256 is {found}, the lock file says {artifact.sha256}. The file "
                    "was deleted. Try again; if it happens again, NEARDUP_LOCAL__MAVEN_URL or a proxy alters files"
                )
            part.chmod(0o644)
            part.replace(target)
        except OSError as exc:
            if exc.errno == errno.ENOSPC:
                raise _disk_full(self._cache) from exc
            raise ConfigError(f"{target}: {exc.strerror}; is NEARDUP_LOCAL__CACHE yours to write?") from exc

    def _complete(self, artifact: Artifact, part: Path, arrived: Callable[[int], None]) -> None:
        problem = ""
        for attempt in range(_ATTEMPTS):
            if self._cancelled.is_set():
                raise ConfigError("download cancelled; start again to go on")
            try:
                self._append(artifact, part, arrived)
            except HTTPError as exc:
                problem = str(exc)
            if part.exists() and part.stat().st_size >= artifact.size:
                return
            self._pause(0.5 * 2**attempt)
        raise ConfigError(
            f"{self._shown(artifact)}: not complete after {_ATTEMPTS} attempts ({problem or 'connection cut'}). What "
            "has arrived is kept: start again to go on. Behind a firewall set HTTPS_PROXY or NEARDUP_LOCAL__MAVEN_URL"
        )

    def _append(self, artifact: Artifact, part: Path, arrived: Callable[[int], None]) -> None:
        have = part.stat().st_size if part.exists() else 0
        if have >= artifact.size:
            return
        headers = dict(self._http.headers) | ({"Range": f"bytes={have}-"} if have else {})
        response = self._http.request(
            "GET", f"{self._base_url}/{artifact.path}", headers=headers, preload_content=False, retries=False
        )
        try:
            if have and response.status == 200:
                arrived(-have)
                have = 0
            elif response.status not in {200, 206}:
                self._refuse(artifact, response.status)
                return
            with part.open("ab" if have else "wb") as file:
                while chunk := response.read1(_CHUNK):
                    have += file.write(chunk)
                    arrived(len(chunk))
                    if self._cancelled.is_set() or have > artifact.size:
                        return
        finally:
            response.close()

    def _refuse(self, artifact: Artifact, status: int) -> None:
        """Raise for a status that another attempt cannot change."""
        if status == 407:
            raise ConfigError("the proxy wants a user name and password: HTTPS_PROXY=http://user:password@host:port")
        if 400 <= status < 500 and status not in {408, 416, 425, 429}:
            raise ConfigError(
                f"{self._shown(artifact)}: HTTP {status}; check NEARDUP_LOCAL__MAVEN_URL (a Maven repository)"
            )

    def _shown(self, artifact: Artifact) -> str:
        """The address without any password in it."""
        address = urlsplit(self._base_url)
        host = address.netloc.rpartition("@")[2]
        return f"{address.scheme}://{host}{address.path}/{artifact.path}"


class _Progress:
    """Adds up bytes by group and reports every half MB and the end."""

    def __init__(self, wanted: Sequence[tuple[Artifact, str]], reporter: Reporter) -> None:
        self._reporter = reporter
        self._lock = threading.Lock()
        self._total: dict[str, int] = {}
        for artifact, group in wanted:
            self._total[group] = self._total.get(group, 0) + artifact.size
        self._done = dict.fromkeys(self._total, 0)
        self._told = dict.fromkeys(self._total, 0)

    def add(self, group: str, count: int) -> None:
        with self._lock:
            self._done[group] += count
            if abs(self._done[group] - self._told[group]) > 1 << 19 or self._done[group] == self._total[group]:
                self._told[group] = self._done[group]
                self._reporter.download(group, self._done[group], self._total[group])


def _pool(url: str) -> urllib3.PoolManager:
    address = urlsplit(url)
    if address.scheme not in {"http", "https"} or not address.hostname:
        raise ConfigError("NEARDUP_LOCAL__MAVEN_URL: must be http(s)://host/…")
    timeout = urllib3.Timeout(connect=10, read=30)
    login = f"{address.username}:{address.password}" if address.username else None
    headers = urllib3.make_headers(basic_auth=login, accept_encoding="identity")
    proxy = None if proxy_bypass(address.hostname) else getproxies().get(address.scheme)
    if proxy is None:
        return urllib3.PoolManager(maxsize=_PARALLEL, timeout=timeout, headers=headers)
    gate = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    credentials = urllib3.make_headers(proxy_basic_auth=f"{gate.username}:{gate.password}") if gate.username else None
    return urllib3.ProxyManager(
        gate.geturl(), maxsize=_PARALLEL, timeout=timeout, headers=headers, proxy_headers=credentials
    )


def _check_space(needed: int, cache: Path) -> None:
    free = shutil.disk_usage(cache).free
    if free < needed + _SPARE_BYTES:
        raise ConfigError(
            f"disk full: {needed >> 20} MB are to be downloaded to {cache}, {free >> 20} MB are free; make room or set "
            "NEARDUP_LOCAL__CACHE to another disk"
        )


def _disk_full(folder: Path) -> ConfigError:
    return ConfigError(f"disk full: {folder}; make room or set NEARDUP_LOCAL__CACHE to another disk, then start again")
