"""The fence: whatever a file does, its picture or one reason comes back in time, and the next file is not affected."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from neardup.embedder.decode import decode
from neardup.embedder.fence import Fence
from neardup.errors import InvalidImageError
from neardup.settings import DecodeSettings
from tests.malformed import encoded, malformed, many_scans, odd_but_fine, picture, samples

MALFORMED = list(malformed())
LIMIT_SECONDS = 8.0
GOOD = encoded(picture(), "PNG")
SLOW = many_scans(4096, 2000)


_OTHERS: set[int] = set()


@pytest.fixture(autouse=True)
def _before() -> None:
    """Tests that ran before in this process may have left a fence alive, with its decoders."""
    _OTHERS.update(child.pid for child in _all_decoders())


@pytest.fixture
def fence() -> Iterator[Fence]:
    fence = Fence(DecodeSettings(timeout_seconds=LIMIT_SECONDS))
    yield fence
    fence.close()
    assert not decoders()


def limited(**limits: float) -> Fence:
    return Fence(DecodeSettings.model_validate(limits))


def outcome(fence: Fence, data: bytes) -> Image.Image | str:
    """The picture, or the reason why there is none."""
    try:
        return fence.decode(data)
    except InvalidImageError as exc:
        return exc.reason


def decoders() -> list[psutil.Process]:
    """The decoders of this process that a test of this file started."""
    return [child for child in _all_decoders() if child.pid not in _OTHERS]


def _all_decoders() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "neardup.embedder.decoder" in child.cmdline()]


def test_no_malformed_file_crashes_or_stalls_and_each_has_a_reason(fence: Fence) -> None:
    assert len(MALFORMED) >= 200
    assert len({name for name, _ in MALFORMED}) == len(MALFORMED)
    refused = 0
    for name, data in MALFORMED:
        started = time.monotonic()
        found = outcome(fence, data)
        if isinstance(found, str):
            refused += 1
            assert found, name
            assert "\n" not in found, name
            assert "crashed" not in found, name
        else:
            assert found.mode == "RGB", name
            assert max(found.size) <= 512, name
        assert time.monotonic() - started < LIMIT_SECONDS + 2, name
        assert fence.decode(GOOD).tobytes() == picture().tobytes(), f"after {name}"
    assert refused >= 150


@pytest.mark.parametrize(("name", "data"), list(odd_but_fine()), ids=[name for name, _ in odd_but_fine()])
def test_polyglots_and_damaged_metadata_are_pictures(fence: Fence, name: str, data: bytes) -> None:
    found = np.asarray(fence.decode(data), dtype=int)
    assert np.abs(found - np.asarray(picture(), dtype=int)).mean() < 16


def test_the_same_pixels_as_without_it(fence: Fence) -> None:
    for data in samples().values():
        fenced, plain = fence.decode(data), decode(data)
        assert (fenced.size, fenced.tobytes()) == (plain.size, plain.tobytes())
    assert fence.decode(GOOD, side=32).size == (32, 32)


def test_what_takes_too_long_is_stopped() -> None:
    fence = limited(timeout_seconds=0.5)
    for _ in range(2):
        started = time.monotonic()
        with pytest.raises(InvalidImageError, match=r"^takes longer than 0\.5 s to decode$"):
            fence.decode(SLOW)
        assert time.monotonic() - started < 3
        assert fence.decode(GOOD).size == (96, 96)
    fence.close()
    assert not decoders()


def test_what_needs_too_much_memory_is_refused() -> None:
    fence = limited(memory_mb=64)
    large = encoded(picture().resize((6_000, 6_000)), "PNG", compress_level=1)
    for _ in range(3):
        with pytest.raises(InvalidImageError, match=r"^needs more than 64 MB to decode$"):
            fence.decode(large)
        assert fence.decode(GOOD).size == (96, 96)
    fence.close()


def test_a_decoder_that_dies_is_replaced_and_its_file_has_the_reason() -> None:
    fence = limited(timeout_seconds=20)
    fence.decode(GOOD)
    (victim,) = decoders()
    killer = threading.Timer(0.3, victim.send_signal, [signal.SIGSEGV])
    killer.start()
    with pytest.raises(InvalidImageError, match=r"^the decoder crashed on it \(signal 11\)$"):
        fence.decode(SLOW)
    killer.join()
    assert fence.decode(GOOD).size == (96, 96)
    (idle,) = decoders()
    idle.kill()
    idle.wait()
    assert fence.decode(GOOD).size == (96, 96), "one that died between two files is nobody's fault"
    fence.close()


def test_a_slow_file_holds_up_no_other() -> None:
    fence = limited(timeout_seconds=3, processes=2)
    fence.decode(GOOD)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(fence.decode, SLOW)
        time.sleep(0.2)
        for _ in range(5):
            assert fence.decode(GOOD).size == (96, 96)
        assert not slow.done()
        with pytest.raises(InvalidImageError, match="longer"):
            slow.result()
    fence.close()


def test_threads_get_their_own_pictures() -> None:
    fence = limited(processes=2)
    files = [encoded(picture(20 + number, 30), "PNG") for number in range(12)]
    with ThreadPoolExecutor(6) as pool:
        sizes = [image.size for image in pool.map(fence.decode, files * 4)]
    assert sizes == [(20 + number, 30) for number in range(12)] * 4
    assert 1 <= len(decoders()) <= 2
    fence.close()
    assert not decoders()


def test_limits_of_the_file_are_kept() -> None:
    fence = limited(file_mb=1, max_pixels=5_000)
    with pytest.raises(InvalidImageError, match=r"^the file is larger than 1 MB$"):
        fence.decode(GOOD + b"\0" * 2**20)
    with pytest.raises(InvalidImageError, match="96 x 96 pixels are more than the 5000 accepted"):
        fence.decode(GOOD)
    fence.close()


def test_a_decoder_knows_no_passwords_and_ends_with_its_owner() -> None:
    program = (
        "import os, sys, psutil\nfrom neardup.embedder.fence import Fence\n"
        "from neardup.settings import DecodeSettings\n"
        "fence = Fence(DecodeSettings())\nfence.decode(open(sys.argv[1], 'rb').read())\n"
        "(child,) = psutil.Process().children()\n"
        "print(child.pid, 'NEARDUP_REDIS__URL' in child.environ(), flush=True)\nos._exit(0)"
    )
    photo = next(path for path in Path(__file__).parents[3].glob("neardup/demo/photos/*.jpg"))
    environment = os.environ | {"NEARDUP_REDIS__URL": "redis://:secret@host"}
    done = subprocess.run(
        [sys.executable, "-c", program, str(photo)], env=environment, capture_output=True, text=True, check=True
    )
    pid, knows = done.stdout.split()
    assert knows == "False"
    deadline = time.monotonic() + 10
    while psutil.pid_exists(int(pid)) and psutil.Process(int(pid)).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_after_a_fork_each_process_has_its_own_decoder() -> None:
    fence = limited()
    fence.decode(GOOD)
    child = os.fork()
    if child == 0:
        # Whatever happens here must not go on as a second run of the tests.
        try:
            os._exit(0 if fence.decode(encoded(picture(40, 50), "PNG")).size == (40, 50) else 1)
        finally:
            os._exit(2)
    assert fence.decode(GOOD).size == (96, 96)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    fence.close()
