from pathlib import Path

from neardup.engines.logs import explanation, rotate, tail

JAVA = """\
[10:00:00][INFO ] starting
[10:00:01][ERROR] fatal error in thread [main]
java.lang.IllegalStateException: failed to load metadata
\tat org.x.Y.z(Y.java:1)
\t... 3 more
Caused by: java.io.IOException: checksum
[10:00:02][INFO ] closing
"""


def test_explanation_takes_the_telling_lines(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(JAVA)
    assert explanation(tmp_path / "log", since=0).splitlines() == [
        "    [10:00:01][ERROR] fatal error in thread [main]",
        "    java.lang.IllegalStateException: failed to load metadata",
        "    Caused by: java.io.IOException: checksum",
    ]


def test_explanation_leaves_out_earlier_runs(tmp_path: Path) -> None:
    (tmp_path / "log").write_text(f"{JAVA}all well\n")
    assert explanation(tmp_path / "log", since=len(JAVA)) == "    all well"


def test_explanation_of_nothing(tmp_path: Path) -> None:
    assert "no log" in explanation(tmp_path / "log", since=0)
    (tmp_path / "log").write_text("")
    assert "nothing" in explanation(tmp_path / "log", since=0)


def test_tail(tmp_path: Path) -> None:
    assert tail(tmp_path / "log", 2) == []
    (tmp_path / "log").write_bytes(b"a\nb\n\xff\n")
    assert tail(tmp_path / "log", 2) == ["b", "\ufffd"]


def test_large_log_is_put_aside(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    assert rotate(log) == 0
    log.write_text("short")
    assert rotate(log) == 5
    log.write_bytes(b"x" * (11 << 20))
    assert rotate(log) == 0
    assert not log.exists()
    assert (tmp_path / "engine.log.1").stat().st_size == 11 << 20
