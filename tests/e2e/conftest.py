"""The whole path as processes: the worker's roles, killed and started as an operator or a failing machine would."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

import pytest

from indexer.publisher import EmbeddingPublisher
from neardup.cli.add import embed_files
from neardup.cli.drain import Drain
from neardup.cli.wiring import Wiring
from neardup.cli.worker import ROLES, role_command
from neardup.demo.corpus import Copy, make_copies, plan_copies, sample_photos
from neardup.settings import IngestSettings, LocalSettings, LshSettings, Settings
from neardup.supervisor import Supervisor
from neardup.types import Embeddings, ImageId
from tests.engines_fixture import EngineSettings

DRAIN_SECONDS = 240


@dataclass(frozen=True)
class Sample:
    """Embedded images of known sources."""

    embeddings: dict[ImageId, Embeddings]
    source: dict[ImageId, str]


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """16 photos with 5 edits each, embedded."""
    folder = tmp_path_factory.mktemp("sample")
    copies = plan_copies(sample_photos()[::4][:16], folder, edits_a_photo=5)
    made: dict[Path, Copy] = {}
    for copy, file in make_copies(copies):
        assert isinstance(file, Path)
        made[file] = copy
    embeddings = {}
    for file, result in embed_files(list(made), "default"):
        assert isinstance(result, Embeddings)
        embeddings[ImageId(f"{made[file].source}/{file.name}")] = result
    return Sample(
        embeddings=embeddings,
        source={ImageId(f"{copy.source}/{file.name}"): copy.source for file, copy in made.items()},
    )


@dataclass
class Pipeline:
    """One namespace with its worker processes."""

    settings: Settings
    wiring: Wiring
    supervisor: Supervisor
    log: Path

    def publish(self, embeddings: dict[ImageId, Embeddings], *, version: int = 1) -> None:
        publisher = EmbeddingPublisher(self.wiring.kafka, self.wiring.topics)
        for image_id, both in embeddings.items():
            publisher.publish(image_id, both, version=version)
        publisher.flush()
        publisher.close()

    def drain(self, *, between: Callable[[], None] = lambda: None) -> dict[str, object]:
        """Wait until everything published is decided and applied."""
        drain = Drain(self.settings)
        deadline = time.monotonic() + DRAIN_SECONDS
        try:
            while not drain.done():
                code = self.supervisor.check()
                assert code is None, f"a role ended with {code}:\n{self.log.read_text()[-3000:]}"
                assert time.monotonic() < deadline, (
                    f"not drained: {drain.backlog()} {drain.progress()}\n{self.log.read_text()[-3000:]}"
                )
                between()
                time.sleep(0.1)
            return drain.state()
        finally:
            drain.close()


class PipelineFactory(Protocol):
    """namespace, and the settings that are not the usual ones -> a pipeline that runs until the test ends."""

    def __call__(
        self, namespace: str, *, lsh: LshSettings | None = None, ingest: IngestSettings | None = None
    ) -> Pipeline: ...


@pytest.fixture
def pipeline(engine_settings: EngineSettings, tmp_path: Path) -> Iterator[PipelineFactory]:
    """See PipelineFactory."""
    running: list[Pipeline] = []
    logs: list[IO[bytes]] = []

    def start(namespace: str, *, lsh: LshSettings | None = None, ingest: IngestSettings | None = None) -> Pipeline:
        settings = engine_settings(namespace)
        if lsh is not None:
            settings = settings.model_copy(update={"lsh": lsh})
        if ingest is not None:
            settings = settings.model_copy(update={"ingest": ingest})
        wiring = Wiring(settings)
        wiring.drop()
        wiring.setup()
        log = tmp_path / f"{namespace}.log"
        logs.append(log.open("wb"))
        supervisor = Supervisor(
            {role: role_command(role, namespace) for role in ROLES},
            stderr=logs[-1],
            environment=environment(settings),
        )
        supervisor.check()
        running.append(Pipeline(settings=settings, wiring=wiring, supervisor=supervisor, log=log))
        return running[-1]

    yield start
    for one in running:
        one.supervisor.stop()
        one.wiring.drop()
        one.wiring.close()
    for log in logs:
        log.close()


def environment(settings: Settings) -> dict[str, str]:
    """The environment that gives a process these settings."""
    assert settings.redis.url is not None
    model = {} if settings.lsh.model is None else {"NEARDUP_LSH__MODEL": str(settings.lsh.model)}
    ingest = settings.ingest
    return (
        os.environ
        | model
        | {f"NEARDUP_INGEST__{name.upper()}": str(getattr(ingest, name)) for name in ingest.model_fields_set}
        | {
            "NEARDUP_NAMESPACE": settings.namespace,
            "NEARDUP_KAFKA__BOOTSTRAP_SERVERS": str(settings.kafka.bootstrap_servers),
            "NEARDUP_OPENSEARCH__URL": str(settings.opensearch.url),
            "NEARDUP_JANUSGRAPH__URL": str(settings.janusgraph.url),
            "NEARDUP_REDIS__URL": settings.redis.url.get_secret_value(),
            "NEARDUP_SCORER__ENDPOINT": str(settings.scorer.endpoint),
            "NEARDUP_LOCAL__HOME": str(settings.local.home),
        }
    )


@pytest.fixture
def neardup(engines_local: LocalSettings, engines: object) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command line as a user would, on the session's engines."""

    def run(*arguments: str, namespace: str = "demo", cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "neardup", *arguments],
            env=os.environ | {"NEARDUP_LOCAL__HOME": str(engines_local.home), "NEARDUP_NAMESPACE": namespace},
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    return run


@contextmanager
def stopped_worker(pipeline: Pipeline) -> Iterator[None]:
    """The worker is down for the time of the block."""
    pipeline.supervisor.stop()
    yield
    pipeline.supervisor.check()


@contextmanager
def flowing(pipeline: Pipeline, both: Embeddings) -> Iterator[None]:
    """New copies of one image come in, several a second, for the time of the block."""
    done = threading.Event()

    def publish() -> None:
        count = 0
        while not done.wait(0.2):
            count += 1
            pipeline.publish({ImageId(f"flowing {count}"): both})
            pipeline.supervisor.check()

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def as_json(completed: subprocess.CompletedProcess[str]) -> object:
    """What a command printed with --json."""
    assert completed.returncode == 0, completed.stderr
    return json.loads(completed.stdout)
