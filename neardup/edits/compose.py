"""Pictures among other things: on another picture, beside some, on a screen, under text. Pure.

Amounts are fractions of the picture's sides unless a name says otherwise.
"""

import math
from random import Random
from typing import Literal

from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

from neardup.edits.alter import Colour, sticker
from neardup.edits.backdrops import Backdrops

__all__ = [
    "blend",
    "blurred_padding",
    "caption_bar",
    "collage",
    "inset",
    "meme",
    "ornament",
    "phone",
    "social_post",
    "stickers",
    "stripes",
]

_LONGEST = 1600
_NAMES = ("anna.k", "street_view", "the.wanderer", "m.ortega", "Nature Daily", "lee")
_WORDS = ("what", "a", "day", "look", "at", "this", "so", "good", "morning", "from", "here", "never", "again", "wow")
_INK: Colour = (40, 40, 40)


def inset(image: Image.Image, amount: float, rng: Random, backdrops: Backdrops) -> Image.Image:
    """Picture in picture: on another one, taking `amount` of its sides."""
    shape = [side / amount * rng.uniform(1.0, 1.15) for side in image.size]
    scale = min(1.0, _LONGEST / max(shape))
    ground = backdrops.picture(rng, (max(16, round(shape[0] * scale)), max(16, round(shape[1] * scale))))
    small = _resized(image, scale)
    place = rng.randint(0, ground.width - small.width), rng.randint(0, ground.height - small.height)
    ground.paste(small, place)
    return ground


def collage(
    image: Image.Image, form: Literal["pair", "stack", "grid"], rng: Random, backdrops: Backdrops
) -> Image.Image:
    """With other pictures of the same size: side by side, one above the other, or two by two."""
    columns, rows = {"pair": (2, 1), "stack": (1, 2), "grid": (2, 2)}[form]
    tile = _resized(image, min(1.0, _LONGEST / 2 / max(image.size)))
    gap = max(1, tile.width // 60) * rng.randint(0, 1)
    board = Image.new("RGB", (columns * (tile.width + gap) - gap, rows * (tile.height + gap) - gap), (255, 255, 255))
    own = rng.randrange(columns * rows)
    for number in range(columns * rows):
        placed = tile if number == own else backdrops.picture(rng, tile.size)
        board.paste(placed, (number % columns * (tile.width + gap), number // columns * (tile.height + gap)))
    return board


def blend(image: Image.Image, amount: float, rng: Random, backdrops: Backdrops) -> Image.Image:
    """Another picture shines through with `amount` of the light."""
    return Image.blend(image, backdrops.picture(rng, image.size), amount)


def blurred_padding(image: Image.Image, shape: float) -> Image.Image:
    """In the middle of a canvas of width/height `shape`, before a blurred copy of itself, as in videos."""
    width, height = image.size
    canvas = (round(height * shape), height) if width < height * shape else (width, round(width / shape))
    ground = ImageOps.fit(image, canvas).filter(ImageFilter.GaussianBlur(0.03 * max(canvas)))
    ground.paste(image, ((canvas[0] - width) // 2, (canvas[1] - height) // 2))
    return ground


def social_post(image: Image.Image, *, dark: bool, rng: Random) -> Image.Image:
    """The picture in a post: who, above; buttons, likes and some lines of text below."""
    paper, ink, pale = (
        ((20, 22, 26), (230, 230, 230), (60, 64, 72)) if dark else ((255, 255, 255), _INK, (225, 228, 232))
    )
    unit = max(6, image.width // 18)
    margin = rng.choice((0, 0, unit))
    lines = rng.randint(1, 3)
    post = Image.new("RGB", (image.width + 2 * margin, image.height + round((5.6 + 1.6 * lines) * unit)), paper)
    post.paste(image, (margin, 3 * unit))
    draw = ImageDraw.Draw(post)
    font = ImageFont.load_default(unit)
    left, below = margin + unit // 2, image.height + round(3.6 * unit)
    draw.ellipse((left, unit // 2, left + 2 * unit, unit // 2 + 2 * unit), _colour(rng), pale)
    draw.text((left + 2.6 * unit, 0.6 * unit), rng.choice(_NAMES), ink, font)
    draw.text((left + 2.6 * unit, 1.7 * unit), f"{rng.randint(2, 59)} min", pale, ImageFont.load_default(0.7 * unit))
    draw.text((post.width - 2 * unit, 0.4 * unit), "...", ink, font)
    _heart(draw, left, below, unit, (230, 60, 80))
    draw.ellipse(
        (left + 1.8 * unit, below, left + 2.8 * unit, below + 0.9 * unit), outline=ink, width=max(1, unit // 8)
    )
    draw.polygon(
        [(left + 3.6 * unit, below), (left + 4.6 * unit, below + 0.4 * unit), (left + 3.8 * unit, below + unit)], ink
    )
    draw.text((left + 6 * unit, below), f"{rng.randint(2, 990)} likes", ink, font)
    for line in range(lines):
        draw.text((left, below + (1.6 + 1.5 * line) * unit), _sentence(rng, 5), ink, font)
    return post


def phone(image: Image.Image, *, dark: bool, rng: Random) -> Image.Image:
    """A whole telephone screen: the picture across its width, the rest empty but for the bars of a gallery."""
    paper, ink = ((0, 0, 0), (235, 235, 235)) if dark else ((255, 255, 255), _INK)
    shown = _resized(image, min(1.0, 1080 / image.width))
    unit = max(6, shown.width // 18)
    height = max(round(shown.width * rng.uniform(1.8, 2.2)), shown.height + 8 * unit)
    screen = Image.new("RGB", (shown.width, height), paper)
    screen.paste(shown, (0, (height - shown.height) // 2))
    draw = ImageDraw.Draw(screen)
    font = ImageFont.load_default(0.8 * unit)
    draw.text((unit, unit // 3), f"{rng.randint(0, 23):02d}:{rng.randint(10, 59)}", ink, font)
    draw.rectangle((screen.width - 3 * unit, unit // 2, screen.width - unit, 1.3 * unit), outline=ink)
    draw.text((unit, 1.8 * unit), f"<   {rng.randint(1, 28)} {rng.choice(('May', 'June', 'July'))}", ink, font)
    for number in range(4):
        x = (number + 0.7) * screen.width / 4.4
        draw.rounded_rectangle((x, height - 2.2 * unit, x + unit, height - 1.2 * unit), unit // 4, outline=ink)
    draw.rounded_rectangle(
        (0.35 * screen.width, height - 0.6 * unit, 0.65 * screen.width, height - 0.4 * unit), unit // 8, ink
    )
    return screen


def meme(image: Image.Image, rng: Random) -> Image.Image:
    """Two lines in large white letters with black outlines, above and below, on the picture."""
    changed = image.copy()
    draw = ImageDraw.Draw(changed)
    for low in (False, True):
        text = _sentence(rng, 3).upper()
        font, box = _fitted(draw, text, 0.92 * image.width, 0.15 * image.height)
        x = (image.width - box[0]) / 2
        y = image.height - 1.35 * box[1] if low else 0.15 * box[1]
        stroke = max(1, round(box[1] / 14))
        draw.text((x, y), text, (255, 255, 255), font, stroke_width=stroke, stroke_fill=(0, 0, 0))
    return changed


def caption_bar(image: Image.Image, rng: Random, *, dark: bool) -> Image.Image:
    """A bar with one line of text above the picture."""
    paper, ink = ((15, 15, 15), (240, 240, 240)) if dark else ((255, 255, 255), (10, 10, 10))
    bar = max(10, round(0.16 * image.height))
    framed = Image.new("RGB", (image.width, image.height + bar), paper)
    framed.paste(image, (0, bar))
    draw = ImageDraw.Draw(framed)
    text = _sentence(rng, 5)
    font, box = _fitted(draw, text, 0.94 * image.width, 0.6 * bar)
    draw.text(((image.width - box[0]) / 2, (bar - 1.2 * box[1]) / 2), text, ink, font)
    return framed


def stickers(image: Image.Image, amount: float, count: int, rng: Random) -> Image.Image:
    """`count` faces, hearts and stars, each `amount` of the short side."""
    changed = image.copy()
    draw = ImageDraw.Draw(changed)
    size = amount * min(image.size)
    for _ in range(count):
        x, y = rng.uniform(0, image.width - size), rng.uniform(0, image.height - size)
        kind = rng.choice(("face", "heart", "star"))
        if kind == "face":
            changed = sticker(changed, amount, (255, 214, 60), rng)
            draw = ImageDraw.Draw(changed)
        elif kind == "heart":
            _heart(draw, x, y, size, (225, 40, 70))
        else:
            points = [(number, (0.5, 0.21)[number % 2]) for number in range(10)]
            draw.polygon(
                [
                    (x + size * (0.5 + r * math.sin(math.pi * k / 5)), y + size * (0.5 - r * math.cos(math.pi * k / 5)))
                    for k, r in points
                ],
                _colour(rng),
                _INK,
            )
    return changed


def stripes(image: Image.Image, count: int, opacity: float, rng: Random) -> Image.Image:
    """`count` straight bars right across the picture; `opacity` 0 to 1."""
    layer = image.copy()
    draw = ImageDraw.Draw(layer)
    for _ in range(count):
        start, end = (rng.uniform(0, image.height) for _ in range(2))
        points = [(0.0, start), (float(image.width), end)]
        if rng.random() < 0.5:
            points = [(rng.uniform(0, image.width), 0.0), (rng.uniform(0, image.width), float(image.height))]
        draw.line(points, _colour(rng), max(1, round(rng.uniform(0.02, 0.06) * max(image.size))))
    return Image.blend(image, layer, opacity)


def ornament(image: Image.Image, amount: float, rng: Random) -> Image.Image:
    """A frame of beads laid over the picture's edges, `amount` of the short side wide."""
    width = max(2, round(amount * min(image.size)))
    ground, bead = _colour(rng), _colour(rng)
    changed = image.copy()
    draw = ImageDraw.Draw(changed)
    draw.rectangle((0, 0, image.width - 1, image.height - 1), outline=ground, width=width)
    places = [(x, y) for x in range(0, image.width, width) for y in (0, image.height - width)]
    places += [(x, y) for y in range(width, image.height - width, width) for x in (0, image.width - width)]
    for x, y in places:
        draw.ellipse((x + 0.15 * width, y + 0.15 * width, x + 0.85 * width, y + 0.85 * width), bead)
    inner = (width, width, image.width - width - 1, image.height - width - 1)
    if inner[0] < inner[2] and inner[1] < inner[3]:
        draw.rectangle(inner, outline=bead, width=max(1, width // 8))
    return changed


def _resized(image: Image.Image, scale: float) -> Image.Image:
    if scale == 1.0:
        return image
    return image.resize((max(8, round(image.width * scale)), max(8, round(image.height * scale))))


def _fitted(
    draw: ImageDraw.ImageDraw, text: str, width: float, height: float
) -> tuple[ImageFont.FreeTypeFont | ImageFont.ImageFont, tuple[float, float]]:
    """The largest font in which `text` is at most that wide and high, and the text's size in it."""
    size = max(6.0, height)
    wide = draw.textlength(text, ImageFont.load_default(size))
    font = ImageFont.load_default(max(6.0, size * min(1.0, width / wide)))
    _, _, right, lower = draw.textbbox((0, 0), text, font)
    return font, (right, lower)


def _heart(draw: ImageDraw.ImageDraw, x: float, y: float, size: float, colour: Colour) -> None:
    draw.ellipse((x, y, x + 0.55 * size, y + 0.55 * size), colour)
    draw.ellipse((x + 0.45 * size, y, x + size, y + 0.55 * size), colour)
    draw.polygon(
        [(x + 0.05 * size, y + 0.4 * size), (x + 0.95 * size, y + 0.4 * size), (x + 0.5 * size, y + size)], colour
    )


def _sentence(rng: Random, words: int) -> str:
    return " ".join(rng.choice(_WORDS) for _ in range(words))


def _colour(rng: Random) -> Colour:
    return (rng.randint(40, 255), rng.randint(40, 255), rng.randint(40, 255))
