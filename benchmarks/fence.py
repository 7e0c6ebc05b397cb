"""What the fence around image decoders costs: python -m benchmarks.fence [--json FILE].

Decodes the demo's photos and one photo of 12 megapixels in this process and behind the fence, in turns, and takes the
median of the turns. Then the whole way to both embeddings. FILE gets {"figures": {name: number}}.
"""

import argparse
import json
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from statistics import median

from PIL import Image

from neardup.cli.output import print_table
from neardup.demo.corpus import sample_photos
from neardup.embedder.decode import decode
from neardup.embedder.default import DefaultEmbedder
from neardup.embedder.fence import Fence
from neardup.settings import DecodeSettings

TURNS = 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    photos = [path.read_bytes() for path in sample_photos()]
    fence = Fence(DecodeSettings())
    started = time.perf_counter()
    fence.decode(photos[0])
    figures = {"start of a decoder, ms": (time.perf_counter() - started) * 1e3}
    plain, fenced = DefaultEmbedder(), DefaultEmbedder(decode=fence.decode)
    work: dict[str, tuple[Callable[[bytes], object], list[bytes]]] = {
        "decode a demo photo, ms": (decode, photos),
        "the same behind the fence, ms": (fence.decode, photos),
        "decode 12 megapixels, ms": (decode, [_large(photos[0])]),
        "the same behind the fence (12 MP), ms": (fence.decode, [_large(photos[0])]),
        "embed a demo photo, ms": (plain.embed, photos),
        "the same behind the fence (embed), ms": (fenced.embed, photos),
    }
    turns: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(TURNS):
        for name, (run, files) in work.items():
            turns[name].append(_each_ms(run, files))
    fence.close()
    figures |= {name: median(times) for name, times in turns.items()}
    print_table(("figure", "value"), list(figures.items()))
    if arguments.json:
        arguments.json.write_text(json.dumps({"figures": figures}, indent=2) + "\n")


def _each_ms(run: Callable[[bytes], object], files: list[bytes]) -> float:
    started = time.perf_counter()
    for data in files:
        run(data)
    return (time.perf_counter() - started) * 1e3 / len(files)


def _large(photo: bytes) -> bytes:
    stream = BytesIO()
    with Image.open(BytesIO(photo)) as image:
        image.resize((4000, 3000)).save(stream, "JPEG", quality=88)
    return stream.getvalue()


if __name__ == "__main__":
    main()
