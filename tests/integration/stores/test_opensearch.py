"""OpenSearch when things go wrong, and its index: setup, check, drop."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from opensearchpy import OpenSearch

from indexer.opensearch_index import OpenSearchImageIndex
from neardup.errors import IncompatibleIndexError, SearchUnavailableError
from neardup.lsh import terms
from neardup.settings import LshSettings, OpenSearchSettings, SearchSettings, Settings
from neardup.types import ImageId, IndexedImage, Position, Probe
from opensearch_templates.bulk import bulk_loading
from opensearch_templates.connection import connect
from opensearch_templates.names import IndexNames
from opensearch_templates.setup import check_index, drop_namespace, setup_index
from opensearch_templates.status import index_status
from query.opensearch import OpenSearchCandidateSearch

pytestmark = pytest.mark.integration

NAMESPACE = "storessearch"
LSH_VERSION = "0123456789ab"
NAMES = IndexNames(NAMESPACE, LSH_VERSION)
SETTINGS = Settings(namespace=NAMESPACE, opensearch=OpenSearchSettings(shards=3, timeout_seconds=60))
ASKED = Probe(terms=terms(np.array([1, 2], dtype=np.uint16)))


@pytest.fixture
def client(engines: Any) -> Iterator[OpenSearch]:
    client = connect(SETTINGS.opensearch, engines.opensearch_url)
    drop_namespace(client, NAMESPACE)
    yield client
    drop_namespace(client, NAMESPACE)
    client.close()


def images(count: int) -> list[IndexedImage]:
    return [
        IndexedImage(
            image_id=ImageId(f"image {seq}"),
            version=1,
            seq=seq,
            code=np.array([1, seq % 5], dtype=np.uint16),
            score=np.ones(4, dtype=np.float16),
        )
        for seq in range(1, count + 1)
    ]


def assert_unavailable(client: OpenSearch, error: type[Exception] = SearchUnavailableError) -> None:
    search, index = OpenSearchCandidateSearch(client, NAMES), OpenSearchImageIndex(client, NAMES)
    for call in (
        lambda: search.search([ASKED], limit=10),
        lambda: search.images([ImageId("image 1")]),
        lambda: index.apply(images(1), [], upto=Position(seq=1)),
    ):
        with pytest.raises(error, match="OpenSearch"):
            call()


def test_no_server(closed_port: int) -> None:
    client = connect(OpenSearchSettings(), f"http://127.0.0.1:{closed_port}")
    assert_unavailable(client)
    with pytest.raises(SearchUnavailableError, match="position"):
        OpenSearchCandidateSearch(client, NAMES).position()
    client.close()


def test_no_index(client: OpenSearch) -> None:
    assert OpenSearchCandidateSearch(client, NAMES).position() == Position()
    assert_unavailable(client, IncompatibleIndexError)
    assert not client.indices.exists(index=NAMES.write), "a write must not make an index without its mapping"


def test_a_slow_server_is_given_up(engines: Any, client: OpenSearch, relay_to: Callable[[int], Any]) -> None:
    setup_index(client, SETTINGS, LSH_VERSION)
    relay = relay_to(urlsplit(engines.opensearch_url).port or 0)
    slow = connect(OpenSearchSettings(timeout_seconds=0.5), f"http://127.0.0.1:{relay.port}")
    search = OpenSearchCandidateSearch(slow, NAMES)
    relay.hold()
    with pytest.raises(SearchUnavailableError, match="time"):
        search.search([ASKED], limit=10)
    relay.cut()
    assert search.position() == Position()
    slow.close()


def test_a_lost_shard_is_an_error_and_never_a_shorter_list(client: OpenSearch) -> None:
    setup_index(client, SETTINGS, LSH_VERSION)
    index, search = OpenSearchImageIndex(client, NAMES), OpenSearchCandidateSearch(client, NAMES)
    index.apply(images(50), [], upto=Position(seq=50))
    assert len(search.search([ASKED], limit=100)[0].candidates) == 50
    node = client.cat.nodes(params={"h": "name", "format": "json"})[0]["name"]
    client.indices.put_settings(index=NAMES.index, body={"index.routing.allocation.enable": "none"})
    cancel = {"cancel": {"index": NAMES.index, "shard": 1, "node": node, "allow_primary": True}}
    client.cluster.reroute(body={"commands": [cancel]})
    with pytest.raises(SearchUnavailableError):
        search.search([ASKED], limit=100)
    client.indices.put_settings(index=NAMES.index, body={"index.routing.allocation.enable": "all"})
    client.cluster.health(index=NAMES.index, params={"wait_for_status": "green"})
    assert len(search.search([ASKED], limit=100)[0].candidates) == 50


def test_setup_plans_then_does_then_has_nothing_to_do(client: OpenSearch) -> None:
    planned = setup_index(client, SETTINGS, LSH_VERSION, dry_run=True)
    assert not client.indices.exists(index=f"{NAMESPACE}-*", params={"allow_no_indices": "false"})
    assert setup_index(client, SETTINGS, LSH_VERSION) == planned
    assert planned == [
        f"index template {NAMES.stem}: version 3",
        f"index {NAMESPACE}-projections",
        f"index {NAMESPACE}-ledger",
        f"index {NAMES.index} with aliases {NAMES.read}, {NAMES.write}",
    ]
    assert setup_index(client, SETTINGS, LSH_VERSION) == []
    check_index(client, SETTINGS, LSH_VERSION)
    found = client.indices.get_settings(index=NAMES.index)[NAMES.index]["settings"]["index"]
    assert (found["number_of_shards"], found["number_of_replicas"], found["refresh_interval"]) == ("3", "0", "-1")


def test_bulk_loading_ends_in_one_segment_with_the_usual_settings(client: OpenSearch) -> None:
    setup_index(client, SETTINGS, LSH_VERSION)
    index = OpenSearchImageIndex(client, NAMES)
    with bulk_loading(client, NAMES):
        assert setup_index(client, SETTINGS, LSH_VERSION, dry_run=True), "loading has settings of its own"
        for batch in range(12):
            some = [replace(image, image_id=ImageId(f"{batch}/{image.image_id}")) for image in images(30)]
            index.apply(some, [], upto=Position(seq=batch + 1))
    assert setup_index(client, SETTINGS, LSH_VERSION, dry_run=True) == []
    found = index_status(client, NAMES)
    assert (found.images, found.searchable, found.seq) == (360, 360, 12)
    assert found.segments == SETTINGS.opensearch.shards


def test_drift_is_named_and_put_right(client: OpenSearch) -> None:
    setup_index(client, SETTINGS, LSH_VERSION)
    client.indices.put_settings(index=NAMES.index, body={"index.refresh_interval": "1s"})
    template = client.indices.get_index_template(name=NAMES.stem)["index_templates"][0]["index_template"]
    template["template"]["settings"]["index"]["max_result_window"] = "10000"
    client.indices.put_index_template(name=NAMES.stem, body=template)
    drifted = setup_index(client, SETTINGS, LSH_VERSION, dry_run=True)
    assert drifted == [
        f"index template {NAMES.stem}: version 3",
        f"setting index.refresh_interval of {NAMES.index}: -1 instead of 1s",
    ]
    assert setup_index(client, SETTINGS, LSH_VERSION) == drifted
    assert setup_index(client, SETTINGS, LSH_VERSION) == []


def test_many_query_terms_raise_the_clause_limit(client: OpenSearch) -> None:
    wide = SETTINGS.model_copy(update={"lsh": LshSettings(tables=512), "search": SearchSettings(probes=2)})
    try:
        assert "cluster setting indices.query.bool.max_clause_count: 1552" in setup_index(client, wide, LSH_VERSION)
        code = np.arange(1500, dtype=np.uint16)
        OpenSearchCandidateSearch(client, NAMES).search([Probe(terms=terms(code))], limit=10)
    finally:
        client.cluster.put_settings(body={"persistent": {"indices.query.bool.max_clause_count": None}})


def test_each_lsh_version_has_its_own_index_and_position(client: OpenSearch) -> None:
    setup_index(client, SETTINGS, LSH_VERSION)
    OpenSearchImageIndex(client, NAMES).apply(images(3), [], upto=Position(seq=3))
    setup_index(client, SETTINGS, "ba9876543210")
    other = OpenSearchCandidateSearch(client, IndexNames(NAMESPACE, "ba9876543210"))
    assert other.position() == Position()
    assert other.search([ASKED], limit=10)[0].searched_documents == 0


def test_a_new_index_does_not_inherit_the_position_of_a_lost_one(client: OpenSearch) -> None:
    setup_index(client, SETTINGS, LSH_VERSION)
    index = OpenSearchImageIndex(client, NAMES)
    index.apply(images(3), [], upto=Position(seq=3))
    client.indices.delete(index=NAMES.index)
    setup_index(client, SETTINGS, LSH_VERSION)
    assert index.position() == Position()
    index.apply(images(2), [], upto=Position(seq=2))
    assert index.position().seq == 2


def test_another_mapping_is_refused(client: OpenSearch) -> None:
    body = {"aliases": {NAMES.read: {}}, "mappings": {"properties": {"terms": {"type": "text"}}}}
    client.indices.create(index=NAMES.index, body=body)
    with pytest.raises(IncompatibleIndexError, match=f"{NAMES.index}: _meta"):
        setup_index(client, SETTINGS, LSH_VERSION)
    with pytest.raises(IncompatibleIndexError, match="neardup setup"):
        check_index(client, SETTINGS, "ffffffffffff")


def test_drop_takes_only_its_own_namespace(client: OpenSearch) -> None:
    longer = Settings(namespace=NAMESPACE + "2")
    setup_index(client, SETTINGS, LSH_VERSION)
    setup_index(client, longer, LSH_VERSION)
    assert drop_namespace(client, NAMESPACE) == [
        NAMES.index,
        f"{NAMESPACE}-ledger",
        f"{NAMESPACE}-projections",
        NAMES.stem,
    ]
    assert setup_index(client, longer, LSH_VERSION) == []
    drop_namespace(client, NAMESPACE + "2")
    assert drop_namespace(client, NAMESPACE) == []
