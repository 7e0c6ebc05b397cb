"""Image files as they should not be, made by code: damaged, lying, hostile, or two things at once.

Equal in every run. `malformed()` gives those that must be refused or decoded, whichever, without harm; `odd_but_fine()`
those that every viewer shows and that must be decoded.
"""

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from random import Random
from typing import Any
from zipfile import ZipFile

import numpy as np
from PIL import Image

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
SIDE = 96

Named = Iterator[tuple[str, bytes]]


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The picture as a file."""
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def picture(width: int = SIDE, height: int = SIDE) -> Image.Image:
    """Smooth with a little noise, so that no format stores it in a few bytes."""
    rows, columns = np.mgrid[0:height, 0:width]
    smooth = np.stack([columns * 255 / width, rows * 255 / height, (columns + rows) * 255 / (width + height)], axis=2)
    noise = np.random.default_rng(0).integers(0, 24, smooth.shape)
    return Image.fromarray(np.clip(smooth + noise, 0, 255).astype(np.uint8))


def samples() -> dict[str, bytes]:
    """One good file a variant of a format."""
    image = picture()
    return {kind.lower(): encoded(image, kind) for kind in FORMATS} | {
        "progressive": encoded(image, "JPEG", progressive=True),
        "interlaced": encoded(image.convert("P"), "PNG"),
        "lossless": encoded(image, "WEBP", lossless=True),
        "lzw": encoded(image, "TIFF", compression="tiff_lzw"),
        "deflate": encoded(image, "TIFF", compression="tiff_adobe_deflate"),
        "jpeg-in-tiff": encoded(image, "TIFF", compression="jpeg"),
        "animated": encoded(image, "GIF", save_all=True, append_images=[picture().rotate(90)]),
        "animated-webp": encoded(image, "WEBP", save_all=True, append_images=[picture().rotate(90)]),
    }


def malformed() -> Named:
    """Name and bytes of each; more than 200."""
    yield from _no_images()
    yield from _truncated()
    yield from _fuzzed()
    yield from _wrong_sizes()
    yield from _bombs()
    yield from _png_chunks()
    yield from _tiff_directories()
    yield from _wrong_headers()


def odd_but_fine() -> Named:
    """Polyglots and files with damage that does not concern the picture."""
    good = samples()
    archive = BytesIO()
    with ZipFile(archive, "w") as bundle:
        bundle.writestr("evil.js", "alert(1)")
    for kind in ("gif", "jpeg", "png", "webp", "bmp", "tiff"):
        yield f"{kind} + zip", good[kind] + archive.getvalue()
    yield "jpeg + html", good["jpeg"] + b"<script>alert(1)</script>"
    yield "png + pdf", good["png"] + b"%PDF-1.7\n%%EOF"
    comment = b"<?php system($_GET['c']); ?>"
    yield "jpeg with php in a comment", _jpeg_segment(good["jpeg"], 0xFE, comment)
    yield "jpeg with absurd exif", _jpeg_segment(good["jpeg"], 0xE1, b"Exif\0\0II*\0\xff\xff\xff\xff" + b"\x7f" * 60)
    yield "jpeg with looping exif", _jpeg_segment(good["jpeg"], 0xE1, b"Exif\0\0" + _tiff_loop())
    yield "jpeg with orientation 9", encoded(picture(), "JPEG", exif=_exif(9))
    yield "jpeg with a damaged profile", encoded(picture(), "JPEG", icc_profile=b"\0" * 200)
    yield "png with a damaged profile", encoded(picture(), "PNG", icc_profile=b"acsp" * 50)
    yield "gif that names no second frame", good["animated"][:-40]


def _no_images() -> Named:
    yield "nothing", b""
    yield "one byte", b"\xff"
    yield "zeros", b"\0" * 5000
    yield "text", b"this is no picture\n" * 40
    yield "html", b"<!doctype html><html><body><img src=x onerror=alert(1)></body></html>"
    yield "svg", b'<svg xmlns="http://www.w3.org/2000/svg" width="100" height="100"><rect width="9" height="9"/></svg>'
    yield "svg with entities", b'<!DOCTYPE s [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><svg>&b;</svg>'
    yield "pdf", b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\n%%EOF"
    yield "pdf, then jpeg", b"%PDF-1.7\n" + encoded(picture(), "JPEG")
    yield "postscript", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n(/etc/passwd) (r) file\n"
    yield "json", b'{"image": null}'
    yield "elf", b"\x7fELF\x02\x01\x01" + b"\0" * 200
    yield "gzip of a jpeg", zlib.compress(encoded(picture(), "JPEG"))
    for kind in ("PPM", "TGA", "ICO", "SGI", "PCX"):
        yield f"a format that is not accepted: {kind}", encoded(picture(), kind)


def _truncated() -> Named:
    for name, data in samples().items():
        for share in (0.02, 0.1, 0.3, 0.5, 0.8, 0.97):
            yield f"{name} cut at {share:.0%}", data[: int(len(data) * share)]


def _fuzzed() -> Named:
    rng = Random(20)
    for name, data in samples().items():
        for number in range(5):
            damaged = bytearray(data)
            # The first bytes of a file hold what decoders trust most.
            reach = 300 if number < 3 else len(data)
            for _ in range(rng.choice((1, 4, 30))):
                damaged[rng.randrange(min(reach, len(data)))] = rng.randrange(256)
            yield f"{name} fuzzed {number}", bytes(damaged)


def _wrong_sizes() -> Named:
    good = samples()
    for width, height in ((0, 0), (0, 96), (96, 0), (1, 1), (65535, 65535), (60000, 1600)):
        yield f"jpeg says {width} x {height}", _jpeg_size(good["jpeg"], width, height)
        yield f"progressive says {width} x {height}", _jpeg_size(good["progressive"], width, height)
        yield f"gif says {width} x {height}", good["gif"][:6] + struct.pack("<HH", width, height) + good["gif"][10:]
        yield f"bmp says {width} x {height}", good["bmp"][:18] + struct.pack("<ii", width, height) + good["bmp"][26:]
    for width, height in ((0, 0), (2**31 - 1, 2**31 - 1), (2**31, 8), (200_000, 200_000), (8, 12_000_000)):
        tags = {256: width, 257: height, 259: 1, 273: 8, 279: 5000}
        yield f"png says {width} x {height}", _png(width, height, zlib.compress(b"\0" * 5000))
        yield (
            f"tiff says {width} x {height}",
            _tiff(tags) + b"\0" * 5000,
        )
    for width, height in ((-96, 96), (96, -(2**31)), (2**31 - 1, 2**31 - 1)):
        yield f"bmp says {width} x {height}", good["bmp"][:18] + struct.pack("<ii", width, height) + good["bmp"][26:]
    yield "webp canvas of 16 M x 16 M", _webp_canvas(2**24, 2**24)
    yield "webp canvas of 16 k x 16 k", _webp_canvas(16383, 16383)
    yield "gif frame outside of its picture", good["gif"].replace(b"\x2c\0\0\0\0", b"\x2c\xff\xff\xff\xff", 1)


def _bombs() -> Named:
    rows = zlib.compress(b"\0" * (10_000 * 3 * 10_000 + 10_000), 1)
    yield "png bomb of 100 M pixels", _png(10_000, 10_000, rows)
    yield "png bomb of more rows than it says", _png(SIDE, SIDE, rows)
    text = zlib.compress(b"\0" * 100_000_000, 9)
    note = _chunk(b"zTXt", b"a\0\0" + text)
    yield "png with a text of 100 MB", _png(SIDE, SIDE, zlib.compress(b"\0" * 40_000), extra=note)
    profile = _chunk(b"iCCP", b"a\0\0" + text)
    yield "png with a profile of 100 MB", _png(SIDE, SIDE, zlib.compress(b"\0" * 40_000), extra=profile)
    strip = zlib.compress(b"\0" * 300_000_000, 1)
    tags = {256: 10_000, 257: 10_000, 258: 8, 259: 8, 262: 2, 273: 200, 277: 3, 278: 10_000, 279: len(strip)}
    yield "tiff bomb of 100 M pixels", _tiff(tags).ljust(200, b"\0") + strip
    flat = Image.new("L", (9_000, 9_000))
    yield "gif bomb of 81 M pixels", encoded(flat.convert("P"), "GIF")
    yield "webp bomb", encoded(Image.new("RGB", (9_000, 3_000)), "WEBP", lossless=True, method=0, quality=0)
    yield "jpeg of many scans", many_scans(4_096, 200)


def many_scans(side: int, repeats: int) -> bytes:
    """A flat progressive JPEG whose last scan comes again and again: small to send, long to decode."""
    data = encoded(Image.new("L", (side, side), 128), "JPEG", progressive=True)
    # From the last table of Huffman codes, which belongs to the last scan, to the end marker.
    last = data[data.rindex(b"\xff\xc4") : -2]
    return data[:-2] + last * repeats + data[-2:]


def _png_chunks() -> Named:
    good = samples()["png"]
    body = good.index(b"IDAT") + 10
    yield "png with a wrong checksum", good[:body] + bytes([good[body] ^ 1]) + good[body + 1 :]
    yield "png without a header", good[:8] + good[33:]
    yield "png with two headers", good[:33] + good[8:33] + good[33:]
    yield "png without data", good[:33] + _chunk(b"IEND", b"")
    yield "png with a chunk of 4 GB", good[:33] + b"\xff\xff\xff\xffIDAT" + good[41:]
    yield "png with a negative chunk", good[:33] + b"\x80\0\0\0tEXt" + good[33:]
    yield "png with 20 000 empty chunks", good[:33] + _chunk(b"IDAT", b"") * 20_000 + good[33:]
    yield "png with an unknown filter", _png(SIDE, SIDE, zlib.compress(b"\x09" * 40_000))
    yield "png of 3 bits", _png(SIDE, SIDE, zlib.compress(b"\0" * 40_000), depth=3)
    yield "png of colour type 7", _png(SIDE, SIDE, zlib.compress(b"\0" * 40_000), colour=7)
    yield (
        "png with a palette of 0 colours",
        _png(SIDE, SIDE, zlib.compress(b"\1" * 40_000), colour=3, extra=_chunk(b"PLTE", b"")),
    )
    yield "png with too little data", _png(SIDE, SIDE, zlib.compress(b"\0" * 200))
    yield "png with data that is not compressed", _png(SIDE, SIDE, b"\0" * 5_000)
    yield "apng with absurd frames", good[:33] + _chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0)) + good[33:]


def _tiff_directories() -> Named:
    yield "tiff whose directory is itself", _tiff_loop()
    yield "tiff with a directory beyond its end", b"II*\0\xff\xff\xff\x7f"
    yield "tiff with 65 535 entries", b"II*\0\x08\0\0\0\xff\xff" + b"\x01\x01\x04\0\x01\0\0\0\x01\0\0\0" * 65_535
    yield "big tiff with 2**60 entries", b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0" + struct.pack("<Q", 2**60) + b"\0" * 200
    chain = b"".join(struct.pack("<HHHIII", 1, 256, 4, 1, 96, 8 + 18 * (n + 1)) for n in range(20_000))
    yield "tiff with 20 000 directories", b"II*\0\x08\0\0\0" + chain
    base = {256: SIDE, 257: SIDE, 258: 8, 262: 1, 273: 200, 277: 1, 278: SIDE, 279: SIDE * SIDE}
    wrong: tuple[tuple[str, dict[int, int]], ...] = (
        ("an unknown compression", {259: 9_999}),
        ("fax data of zeros", {259: 4, 258: 1}),
        ("jpeg data of zeros", {259: 7}),
        ("old jpeg data of zeros", {259: 6}),
        ("rows by the billion in a strip", {278: 2**32 - 1}),
        ("a strip beyond its end", {273: 2**31}),
        ("a strip of 4 GB", {279: 2**32 - 1}),
        ("64 bits a sample", {258: 64}),
        ("65 535 samples a pixel", {277: 65_535}),
        ("an unknown colour space", {262: 60_000}),
        ("lab colours", {262: 8, 277: 3}),
    )
    for name, tags in wrong:
        yield f"tiff with {name}", _tiff({259: 1} | base | tags).ljust(200, b"\0") + b"\0" * SIDE * SIDE


def _wrong_headers() -> Named:
    good = samples()
    heads = {"jpeg": b"\xff\xd8\xff\xe0", "png": b"\x89PNG\r\n\x1a\n", "gif": b"GIF89a", "bmp": b"BM", "tiff": b"II*\0"}
    for name, head in heads.items():
        yield f"{name} header, then nothing", head
        yield f"{name} header, then text", head + b"and then nothing of the kind" * 40
        for other in ("webp", "progressive", "lzw"):
            yield f"{name} header on {other}", head + good[other][len(head) :]
    yield "webp header on jpeg", b"RIFF\xff\xff\xff\xffWEBPVP8 " + good["jpeg"]
    yield "jpeg without tables", good["jpeg"][:20] + good["jpeg"][good["jpeg"].index(b"\xff\xc0") :]
    yield "jpeg with a segment of length 0", _jpeg_segment(good["jpeg"], 0xE5, b"").replace(b"\xe5\0\2", b"\xe5\0\0")
    yield "jpeg with 12 bits a sample", good["jpeg"].replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c")
    yield "jpeg with 200 components", good["jpeg"].replace(b"\xff\xc0\0\x11", b"\xff\xc0\x02\x60")
    yield "arithmetic jpeg that is none", good["jpeg"].replace(b"\xff\xc0", b"\xff\xc9")
    yield "lossless jpeg that is none", good["jpeg"].replace(b"\xff\xc0", b"\xff\xc3")
    yield "gif with a code size of 200", good["gif"].replace(b"\x00\x08", b"\x00\xc8", 1)


def _jpeg_segment(data: bytes, marker: int, body: bytes) -> bytes:
    return data[:2] + struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body + data[2:]


def _jpeg_size(data: bytes, width: int, height: int) -> bytes:
    at = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2")) + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _png(width: int, height: int, data: bytes, *, depth: int = 8, colour: int = 2, extra: bytes = b"") -> bytes:
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + extra + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _tiff(tags: dict[int, int]) -> bytes:
    """One directory of LONG values."""
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags.items()))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + b"\0\0\0\0"


def _tiff_loop() -> bytes:
    """A directory whose EXIF directory and next directory are itself."""
    return _tiff({256: SIDE, 257: SIDE, 34665: 8})[:-4] + struct.pack("<I", 8)


def _webp_canvas(width: int, height: int) -> bytes:
    small = encoded(picture(), "WEBP", save_all=True, append_images=[picture().rotate(90)])
    at = small.index(b"VP8X") + 12
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return small[:at] + size + small[at + 6 :]


def _exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif
