import logging

from neardup.telemetry import Seldom


def record(line: int, *values: object) -> logging.LogRecord:
    return logging.LogRecord("kafka.net", logging.ERROR, "/lib/net.py", line, "%s: lost: %s", values, None)


def test_a_library_that_repeats_itself_is_heard_now_and_then() -> None:
    now = 0.0
    seldom = Seldom(10.0, now=lambda: now)
    assert seldom.filter(record(1, "a", "first"))
    assert not seldom.filter(record(1, "b", "another"))
    assert not seldom.filter(record(1, "a", "first"))
    assert seldom.filter(record(2, "a", "elsewhere"))
    now = 10.0
    again = record(1, "c", "last")
    assert seldom.filter(again)
    assert again.getMessage() == "c: lost: last (and 2 times more before)"
    now = 20.0
    quiet = record(1, "c", "last")
    assert seldom.filter(quiet)
    assert quiet.getMessage() == "c: lost: last"
