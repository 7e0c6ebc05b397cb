"""The pages say what the code does: generated pages are in step, names exist, links lead somewhere."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import BaseModel

from neardup.docgen import commands_page, settings_page
from neardup.settings import Settings

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "docker").glob("*.md")])
TEXTS = [*PAGES, ROOT / "docker" / "compose.yaml"]
NOT_SETTINGS = {"NEARDUP_CRASH_POINT", "NEARDUP_SAVED_MODELS", "NEARDUP_TEST_HOME"}


def _variables() -> set[str]:
    names = set()
    for name, field in Settings.model_fields.items():
        group = field.annotation
        if isinstance(group, type) and issubclass(group, BaseModel):
            names |= {f"NEARDUP_{name}__{inner}".upper() for inner in group.model_fields}
        else:
            names.add(f"NEARDUP_{name}".upper())
    return names


@pytest.mark.parametrize(("page", "write"), [("settings.md", settings_page), ("cli.md", commands_page)])
def test_generated_page_is_in_step(page: str, write: Callable[[], str]) -> None:
    assert (ROOT / "docs" / page).read_text(encoding="utf-8") == write(), "run: python -m neardup.docgen"


def test_the_pages_do_not_depend_on_the_machine(tmp_path: Path) -> None:
    environment = os.environ | {
        "HOME": str(tmp_path),
        "COLUMNS": "40",
        "NEARDUP_LOCAL__HOME": "/elsewhere",
        "NEARDUP_LSH__TABLES": "7",
    }
    command = [sys.executable, "-m", "neardup.docgen", "--check", "--docs", str(ROOT / "docs")]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=ROOT)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_the_check_finds_a_page_that_is_out_of_step(tmp_path: Path) -> None:
    (tmp_path / "settings.md").write_text(settings_page(), encoding="utf-8")
    (tmp_path / "cli.md").write_text("old", encoding="utf-8")
    command = [sys.executable, "-m", "neardup.docgen", "--check", "--docs", str(tmp_path)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert answer.returncode == 1
    assert "cli.md: out of step" in answer.stdout
    assert "settings.md" not in answer.stdout
    assert (tmp_path / "cli.md").read_text() == "old"


def test_every_setting_is_on_the_page() -> None:
    page = settings_page()
    assert [name for name in sorted(_variables()) if f"`{name}`" not in page] == []


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_only_settings_that_exist_are_named(page: Path) -> None:
    named = set(re.findall(r"NEARDUP_[A-Z0-9_]*[A-Z0-9]", page.read_text(encoding="utf-8")))
    assert named - _variables() - NOT_SETTINGS == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    missing = [t for t in targets if not t.startswith("http") and not (page.parent / t).exists()]
    assert missing == []


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "ARCHITECTURE.md"], ids=lambda page: page.name)
def test_named_files_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    named = re.findall(r"`((?:neardup|indexer|query|scorer|graph|opensearch_templates)/[\w/.]*)`", text)
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_architecture_has_a_heading_for_every_package_directory() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    directories = {path.parent.name for path in ROOT.glob("*/__init__.py")} | {"docs", "docker", "benchmarks"}
    assert [name for name in sorted(directories) if f"\n## {name}/\n" not in text] == []
