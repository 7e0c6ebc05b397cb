import os
from pathlib import Path

import pytest

from neardup.engines.java import Account, find_java, java_for, make_folder, may_enter
from neardup.errors import ConfigError

NOBODY = Account(uid=os.getuid() + 65_000, gid=65_534)


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """A Java home below a folder that is closed to others; everything above it is made passable."""
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        folder.chmod(0o755)
    home = tmp_path / "closed" / "jdk"
    (home / "bin").mkdir(parents=True)
    (home / "bin" / "java").write_text("#!/bin/sh\n")
    (home / "bin" / "java").chmod(0o755)
    (tmp_path / "closed").chmod(0o700)
    return home


def test_closed_folder(runtime: Path, tmp_path: Path) -> None:
    assert may_enter(tmp_path, NOBODY)
    assert not may_enter(runtime, NOBODY)
    assert may_enter(runtime, None)
    assert may_enter(runtime, Account(uid=os.getuid(), gid=0))


def test_runtime_in_reach_is_used_where_it_is(runtime: Path, tmp_path: Path) -> None:
    assert java_for(None, java_home=runtime, copies=tmp_path) == runtime / "bin/java"


def test_runtime_out_of_reach_is_copied_once(runtime: Path, tmp_path: Path) -> None:
    java = java_for(NOBODY, java_home=runtime, copies=tmp_path)
    assert java.read_text() == "#!/bin/sh\n"
    assert os.access(java, os.X_OK)
    assert may_enter(java.parent, NOBODY)
    assert java_for(NOBODY, java_home=runtime, copies=tmp_path) == java


def test_setting_that_is_no_java_home(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"NEARDUP_LOCAL__JAVA_HOME: .*/bin/java is not an executable file"):
        find_java(tmp_path)


def test_runtime_of_the_wheel() -> None:
    assert os.access(find_java(None) / "bin/java", os.X_OK)


def test_folder_of_root_is_open_to_others(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        folder = make_folder(tmp_path / "a")
    finally:
        os.umask(old)
    assert folder.stat().st_mode & 0o777 == (0o755 if os.geteuid() == 0 else 0o700)
