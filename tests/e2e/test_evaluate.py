"""`neardup edits` and `neardup evaluate` on real engines."""

import csv
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from neardup.cli.wiring import Wiring
from neardup.demo.corpus import sample_photos
from neardup.edits.named import EDITS, HARD_EDITS
from tests.e2e.conftest import as_json
from tests.engines_fixture import EngineSettings

pytestmark = pytest.mark.e2e

Neardup = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def manifest(neardup: Neardup, tmp_path: Path) -> Path:
    """12 photos with 9 of all edits each, others for what needs others; and a file that is no image."""
    photos, others = tmp_path / "photos", tmp_path / "others"
    for folder, chosen in ((photos, sample_photos()[:12]), (others, sample_photos()[-5:])):
        folder.mkdir()
        for photo in chosen:
            (folder / photo.name).write_bytes(photo.read_bytes())
    out = tmp_path / "copies"
    made = as_json(
        neardup("edits", str(photos), "--out", str(out), "--hard", "--each", "9", "--others", str(others), "--json")
    )
    assert isinstance(made, dict)
    assert (made["pictures"], made["images"], made["failed"]) == (12, 120, [])
    again = neardup("edits", str(photos), "--out", str(out))
    assert again.returncode == 2
    assert "not empty" in again.stderr
    (out / "broken.jpg").write_bytes(b"no image")
    with (out / "manifest.csv").open("a") as stream:
        stream.write("broken.jpg,broken,original,,\n")
    return out / "manifest.csv"


def test_a_manifest_is_judged_and_nothing_stays(
    neardup: Neardup, manifest: Path, tmp_path: Path, engine_settings: EngineSettings
) -> None:
    html, clusters = tmp_path / "report.html", tmp_path / "clusters.csv"
    result = as_json(neardup("evaluate", str(manifest), "--json", "--html", str(html), "--clusters", str(clusters)))
    assert isinstance(result, dict)
    assert (result["images"], result["sources"], result["unreadable"]) == (121, 13, ["broken.jpg"])
    assert result["precision"] == 1.0
    assert result["false_merges"] == []
    assert result["wrong_share"] == 0.0
    assert result["by_difficulty"]["easy"]["recall"] >= 0.9
    assert set(result["by_edit"]) <= {edit.name for edit in (*EDITS, *HARD_EDITS)}
    assert sum(tally["copies"] for tally in result["by_edit"].values()) == result["lost"]["copies"] == 108
    assert result["by_source"]["photos"]["copies"] == 108
    assert 0.5 < result["recall"] <= 1.0
    assert 0.5 < result["candidate_recall"] <= 1.0
    assert 0.5 < result["score_recall"] <= 1.0

    with clusters.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 121
    assert len({row["head"] for row in rows}) == result["clusters"]
    assert {row["head"] for row in rows} <= {row["path"] for row in rows}
    assert "http" not in html.read_text(encoding="utf-8")

    wiring = Wiring(engine_settings("evaluate"))
    admin = wiring.kafka.admin()
    assert not [topic for topic in admin.list_topics() if topic.startswith("evaluate.")]
    admin.close()
    assert not wiring.opensearch.indices.get(index="evaluate-*")
    assert list(wiring.store.placements_all()) == []
    wiring.close()


def test_a_bad_manifest_is_refused_before_anything_starts(neardup: Neardup, tmp_path: Path) -> None:
    manifest = tmp_path / "m.csv"
    manifest.write_text("path,source_id,edit\nnone.jpg,x,flip\n")
    done = neardup("evaluate", str(manifest), "--json")
    assert done.returncode == 2
    assert done.stdout == ""
    assert f"{manifest}, line 2, column path: no such file" in done.stderr
    (tmp_path / "none.jpg").write_bytes(b"")
    done = neardup("evaluate", str(manifest), "--html", str(tmp_path / "none.jpg" / "report.html"))
    assert done.returncode == 2
    assert "report.html: " in done.stderr
