"""The OpenSearch client, and its errors in this project's words."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opensearchpy import OpenSearch, OpenSearchException

from neardup.errors import SearchUnavailableError
from neardup.settings import OpenSearchSettings

__all__ = ["connect", "search_errors"]

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
    return OpenSearch(url, **options)


@contextmanager
def search_errors(action: str) -> Iterator[None]:
    """Turns every error of the client into SearchUnavailableError; `action` says what was tried."""
    try:
        yield
    except OpenSearchException as exc:
        raise SearchUnavailableError(f"OpenSearch: {action} failed: {exc}") from exc
