"""The product's search body against other ways to ask the same: where the time of a query goes.

Sent without the product's adapter, by one client, in turn; answers are read as JSON, nothing more.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from opensearchpy import OpenSearch

from benchmarks.report import Cell, Report, percentiles
from benchmarks.search.clients import Job, open_search, timed
from neardup.settings import Settings
from neardup.types import Probe
from opensearch_templates.names import IndexNames
from query.overlap import overlap_body

__all__ = ["query_forms"]

Body = dict[str, Any]

_LIMIT: Final = 200
_ROUNDS: Final = 3
_FETCHED: Final = ("_source", "docvalue_fields", "stored_fields", "fields")


def query_forms(
    report: Report, client: OpenSearch, settings: Settings, names: IndexNames, probes: Sequence[Probe], *, size: str
) -> None:
    """One row a form, and one for the product's adapter."""
    search = open_search(settings, names)
    job = Job(names=names, limit=_LIMIT, minimum_overlap=settings.search.minimum_overlap)
    spent: dict[str, list[float]] = {"the product's adapter": [], **{form: [] for form in _FORMS}}
    took: dict[str, list[float]] = {form: [] for form in spent}
    read: dict[str, float] = dict.fromkeys(spent, 0.0)
    for turn in range(_ROUNDS + 1):
        some = probes[turn * len(probes) // (_ROUNDS + 1) : (turn + 1) * len(probes) // (_ROUNDS + 1)]
        milliseconds, engine = [], []
        for probe in some:
            one, (answer,) = timed(search, [probe], job)
            milliseconds.append(one)
            engine.append(answer.took_ms)
        if turn:
            spent["the product's adapter"] += milliseconds
            took["the product's adapter"] += engine
        for form, change in _FORMS.items():
            bodies = [change(_body(settings, probe), probe.terms) for probe in some]
            for body in bodies:
                one, engines_own, characters = _ask(client, names, body)
                if turn:
                    spent[form].append(one)
                    took[form].append(engines_own)
                    read[form] = characters / 1e3
    for form, milliseconds in spent.items():
        cells: dict[str, Cell] = {"took_mean_ms": float(np.mean(took[form])), "answer_kb": read[form] or ""}
        report.row(
            f"forms of the query, {size} images, N = {_LIMIT}, one client",
            form=form,
            **percentiles(milliseconds),
            **cells,
        )


def _body(settings: Settings, probe: Probe) -> Body:
    return overlap_body(probe, limit=_LIMIT, minimum_overlap=settings.search.minimum_overlap)


def _ask(client: OpenSearch, names: IndexNames, body: Body) -> tuple[float, float, int]:
    """Milliseconds with encoding and decoding, the engine's own milliseconds, and the answer's length in characters."""
    begun = time.perf_counter()
    lines = f"{json.dumps({'index': names.read})}\n{json.dumps(body)}\n"
    answer = client.msearch(body=lines)
    spent = (time.perf_counter() - begun) * 1e3
    response: Mapping[str, Any] = answer["responses"][0]
    assert "error" not in response, response
    return spent, float(response["took"]), len(json.dumps(response))


def _with_query(query: Callable[[Sequence[str]], Body]) -> Callable[[Body, Sequence[str]], Body]:
    return lambda body, terms: {**body, "query": query(terms)}


def _should(terms: Sequence[str]) -> Body:
    return {"bool": {"should": [{"constant_score": {"filter": {"term": {"terms": term}}}} for term in terms]}}


def _match(terms: Sequence[str]) -> Body:
    return {"match": {"terms": {"query": " ".join(terms)}}}


def _terms_set(terms: Sequence[str]) -> Body:
    script = {"source": "1"}
    return {"terms_set": {"terms": {"terms": list(terms), "minimum_should_match_script": script}}}


def _at_least_two(terms: Sequence[str]) -> Body:
    query = _should(terms)
    query["bool"]["minimum_should_match"] = 2
    return query


def _bare(body: Body, **others: Any) -> Body:
    return {**{key: value for key, value in body.items() if key not in _FETCHED}, **others}


_FORMS: Final[Mapping[str, Callable[[Body, Sequence[str]], Body]]] = {
    "the product's body, read as JSON": lambda body, _: body,
    "bool.should of constant_score": _with_query(_should),
    "match, without bool": _with_query(_match),
    "terms_set": _with_query(_terms_set),
    "bool.should, minimum_should_match 2": lambda body, terms: {
        **{key: value for key, value in body.items() if key != "min_score"},
        "query": _at_least_two(terms),
    },
    "ids only, from stored fields": lambda body, _: _bare(body, _source=False),
    "id and embedding, the id from stored fields": lambda body, _: _bare(
        body, _source=False, docvalue_fields=["score"]
    ),
    "id and embedding, from doc values": lambda body, _: {**body, "docvalue_fields": ["id", "score"]},
    "no stored fields, no order among ties": lambda body, _: {
        **{key: value for key, value in _bare(body, stored_fields="_none_").items() if key != "sort"}
    },
    "one document": lambda body, _: {**body, "size": 1},
    "hits counted": lambda body, _: {**body, "track_total_hits": True},
    "nothing to find": lambda body, _: {**body, "query": {"match_none": {}}},
}
