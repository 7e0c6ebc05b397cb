"""What a broken answer of OpenSearch becomes."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from neardup.errors import SearchUnavailableError
from neardup.settings import OpenSearchSettings
from opensearch_templates.connection import connect, search_errors

HEAD = b"HTTP/1.1 200 OK\r\n"


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """The URL of a server that sends these bytes on every connection, and closes it."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65_536)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"garbage \xff\x00",
        HEAD + b"content-typ",
        HEAD + b"content-type: application/json\r\ncontent-length: 100\r\n\r\n{",
        HEAD + b"content-type: application/json\r\ncontent-length: 1\r\n\r\n{",
        HEAD + b"content-type: text/plain\r\ncontent-length: 4\r\n\r\ntext",
    ],
    ids=["nothing", "garbage", "cut in the headers", "cut in the body", "not JSON", "a text"],
)
def test_a_broken_answer_is_an_engine_that_is_away(answer: bytes) -> None:
    with answering(answer) as url:
        client = connect(OpenSearchSettings(timeout_seconds=5), url)
        with pytest.raises(SearchUnavailableError, match="OpenSearch: trying failed"), search_errors("trying"):
            client.get(index="some", id="one")
        client.close()
