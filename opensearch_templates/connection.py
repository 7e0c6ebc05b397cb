"""The OpenSearch client, and its errors in this project's words."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from opensearchpy import NotFoundError, OpenSearch, OpenSearchException, SerializationError, Transport

from neardup.errors import IncompatibleIndexError, NearDupError, SearchUnavailableError
from neardup.settings import OpenSearchSettings

__all__ = ["connect", "part_failed", "search_errors"]

# The client logs what it also raises, and every 404 that is an answer.
logging.getLogger("opensearch").setLevel(logging.ERROR)


def connect(settings: OpenSearchSettings, url: str) -> OpenSearch:
    """A client for `url` (http(s)://host:port). Close it with `.close()`. Nothing is sent yet."""
    options: dict[str, Any] = {"timeout": settings.timeout_seconds, "max_retries": 1, "pool_maxsize": 4}
    if settings.username is not None:
        password = settings.password.get_secret_value() if settings.password else ""
        options["http_auth"] = (settings.username, password)
    if settings.ca_certs is not None:
        options["ca_certs"] = str(settings.ca_certs)
    return OpenSearch(url, transport_class=_Transport, **options)


class _Transport(Transport):
    """The client's transport, for which an answer is JSON: of headers that were cut off, urllib3 makes an answer of any
    length and kind, and the client a text."""

    def perform_request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        answer = super().perform_request(method, url, *args, **kwargs)
        if not isinstance(answer, dict | list | bool):
            raise SerializationError(f"{method} {url}: the answer is not JSON: {answer[:100]!r}")
        return answer


@contextmanager
def search_errors(action: str) -> Iterator[None]:
    """Turns every error of the client into SearchUnavailableError; `action` says what was tried.

    A missing index is IncompatibleIndexError: with other LSH settings or another embedder the index has another name.
    """
    try:
        yield
    except NotFoundError as exc:
        if exc.error == "index_not_found_exception":
            raise missing_index() from exc
        raise SearchUnavailableError(f"OpenSearch: {action} failed: {exc}") from exc
    except OpenSearchException as exc:
        raise SearchUnavailableError(f"OpenSearch: {action} failed: {exc}") from exc


def missing_index() -> IncompatibleIndexError:
    """What to raise when the index is not there."""
    return IncompatibleIndexError(
        "OpenSearch has no index for this namespace, embedder and these LSH settings (lsh_version): "
        "create it with: neardup setup, or use the settings that the corpus was indexed with"
    )


def part_failed(doing: str, error: Mapping[str, Any]) -> NearDupError:
    """The error that one part of a bulk or multi answer reports."""
    if error["type"] == "index_not_found_exception":
        return missing_index()
    return SearchUnavailableError(f"OpenSearch: {doing} failed: {error}")
