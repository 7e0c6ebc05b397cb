"""The files for TensorFlow Serving in docker/ against its own messages and the compose file that names them."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from neardup.settings import ScorerSettings
from scorer.groups import GROUP
from tests.peers.environments import ROOT, pythie_python

pytestmark = pytest.mark.integration

CONFIGS = ROOT / "docker" / "tensorflow-serving"
COMPOSE = (ROOT / "docker" / "compose.yaml").read_text()


@pytest.fixture(scope="module")
def parsed() -> dict[str, Any]:
    command = [str(pythie_python()), str(ROOT / "tests" / "peers" / "parse_configs.py"), str(CONFIGS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_model_is_where_the_export_puts_it(parsed: dict[str, Any]) -> None:
    (config,) = parsed["models.config"]["model_config_list"]["config"]
    assert config["name"] == ScorerSettings().model_name
    assert config["base_path"] == f"/models/{config['name']}"
    assert config["model_platform"] == "tensorflow"
    assert "${NEARDUP_SAVED_MODELS:-./models}:/models:ro" in COMPOSE


def test_monitoring_is_on(parsed: dict[str, Any]) -> None:
    assert parsed["monitoring.config"]["prometheus_config"]["enable"] is True


@pytest.mark.parametrize("name", ["batching_parameters.txt", "batching_parameters_gpu.txt"])
def test_a_batch_holds_the_largest_request(parsed: dict[str, Any], name: str) -> None:
    found = parsed[name]
    assert found.keys() == {"max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads"}
    assert int(found["max_batch_size"]) * GROUP >= ScorerSettings().batch_rows
    assert 0 < int(found["batch_timeout_micros"]) <= 2000


def test_the_compose_file_names_the_files_that_are_there() -> None:
    named = set(re.findall(r"=/config/(\S+)", COMPOSE))
    assert named == {path.name for path in Path(CONFIGS).iterdir()}
