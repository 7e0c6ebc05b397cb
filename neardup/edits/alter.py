"""What people do to pictures: picture -> changed picture. Pure; randomness comes in as a `random.Random`.

Amounts are fractions of the picture's sides or factors unless a name says otherwise.
"""

from io import BytesIO
from random import Random

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

__all__ = [
    "border",
    "brightness",
    "contrast",
    "crop",
    "flip",
    "gamma",
    "grey",
    "letterbox",
    "noise",
    "pixelate",
    "recompress",
    "resize",
    "rotate",
    "saturation",
    "screenshot",
    "sharpen",
    "smooth",
    "sticker",
    "stretch",
    "tint",
    "watermark",
]

Colour = tuple[int, int, int]


def crop(image: Image.Image, amount: float, rng: Random) -> Image.Image:
    """Take away `amount` of each side's length, at a random place; 12 pixels a side are left."""
    width, height = (max(min(12, side), round(side * (1 - amount))) for side in image.size)
    left, upper = rng.randint(0, image.width - width), rng.randint(0, image.height - height)
    return image.crop((left, upper, left + width, upper + height))


def resize(image: Image.Image, factor: float) -> Image.Image:
    """Both sides by `factor`."""
    return image.resize((max(16, round(image.width * factor)), max(16, round(image.height * factor))))


def stretch(image: Image.Image, factor: float) -> Image.Image:
    """The width alone by `factor`."""
    return image.resize((max(16, round(image.width * factor)), image.height))


def flip(image: Image.Image) -> Image.Image:
    """The mirror image."""
    return ImageOps.mirror(image)


def rotate(image: Image.Image, degrees: float, *, fill: Colour = (255, 255, 255)) -> Image.Image:
    """Turned counter-clockwise in the same frame; the corners get `fill`."""
    return image.rotate(degrees, Image.Resampling.BICUBIC, fillcolor=fill)


def border(image: Image.Image, amount: float, colour: Colour) -> Image.Image:
    """A frame of `amount` of the long side all around."""
    return ImageOps.expand(image, max(1, round(amount * max(image.size))), colour)


def letterbox(image: Image.Image, amount: float, colour: Colour = (0, 0, 0)) -> Image.Image:
    """Bars along the longer sides, each `amount` of the height or width."""
    across, down = (0, amount) if image.width >= image.height else (amount, 0)
    bars = (round(image.width * across), round(image.height * down))
    framed = Image.new("RGB", (image.width + 2 * bars[0], image.height + 2 * bars[1]), colour)
    framed.paste(image, bars)
    return framed


def grey(image: Image.Image) -> Image.Image:
    """Without colour."""
    return ImageOps.grayscale(image).convert("RGB")


def brightness(image: Image.Image, factor: float) -> Image.Image:
    """1 changes nothing."""
    return ImageEnhance.Brightness(image).enhance(factor)


def contrast(image: Image.Image, factor: float) -> Image.Image:
    """1 changes nothing."""
    return ImageEnhance.Contrast(image).enhance(factor)


def saturation(image: Image.Image, factor: float) -> Image.Image:
    """1 changes nothing, 0 is grey."""
    return ImageEnhance.Color(image).enhance(factor)


def gamma(image: Image.Image, exponent: float) -> Image.Image:
    """Below 1 lighter, above 1 darker."""
    return image.point([round(255 * (value / 255) ** exponent) for value in range(256)] * 3)


def tint(image: Image.Image, colour: Colour, amount: float) -> Image.Image:
    """As through coloured glass; `amount` 0 to 1."""
    return Image.blend(image, ImageChops.multiply(image, Image.new("RGB", image.size, colour)), amount)


def smooth(image: Image.Image, amount: float) -> Image.Image:
    """Gaussian blur with a radius of `amount` of the long side."""
    return image.filter(ImageFilter.GaussianBlur(amount * max(image.size)))


def sharpen(image: Image.Image, percent: int) -> Image.Image:
    """Unsharp mask."""
    return image.filter(ImageFilter.UnsharpMask(radius=2, percent=percent, threshold=2))


def pixelate(image: Image.Image, factor: float) -> Image.Image:
    """Made small by `factor` and large again, in blocks."""
    return resize(image, factor).resize(image.size, Image.Resampling.NEAREST)


def recompress(image: Image.Image, quality: int) -> Image.Image:
    """Written as JPEG of that quality and read again."""
    stream = BytesIO()
    image.save(stream, "jpeg", quality=quality)
    return Image.open(stream).convert("RGB")


def noise(image: Image.Image, deviation: float, rng: Random) -> Image.Image:
    """Gaussian noise of `deviation` grey levels."""
    normal = np.random.default_rng(rng.getrandbits(32)).normal(0, deviation, (image.height, image.width, 3))
    return Image.fromarray(np.clip(np.asarray(image, dtype=np.float64) + normal, 0, 255).astype(np.uint8))


def watermark(image: Image.Image, text: str, size: float, opacity: float, rng: Random) -> Image.Image:
    """Text across the picture, `size` of its height."""
    font = ImageFont.load_default(max(8, size * image.height))
    layer = Image.new("RGBA", image.size)
    draw = ImageDraw.Draw(layer)
    left, upper, right, lower = draw.textbbox((0, 0), text, font)
    place = (rng.randint(0, max(0, round(image.width - right))), rng.randint(0, max(0, round(image.height - lower))))
    draw.text((place[0] - left, place[1] - upper), text, (255, 255, 255, round(255 * opacity)), font)
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")


def sticker(image: Image.Image, amount: float, colour: Colour, rng: Random) -> Image.Image:
    """A smiling disc whose diameter is `amount` of the short side."""
    size = round(amount * min(image.size))
    left, upper = rng.randint(0, image.width - size), rng.randint(0, image.height - size)
    changed = image.copy()
    draw = ImageDraw.Draw(changed)
    draw.ellipse((left, upper, left + size, upper + size), colour, (40, 40, 40), max(1, size // 20))
    for across in (0.3, 0.62):
        x, y = left + across * size, upper + 0.3 * size
        draw.ellipse((x, y, x + 0.1 * size, y + 0.14 * size), (40, 40, 40))
    inner = (left + 0.25 * size, upper + 0.3 * size, left + 0.75 * size, upper + 0.78 * size)
    draw.arc(inner, 20, 160, (40, 40, 40), max(1, size // 16))
    return changed


def screenshot(image: Image.Image, *, dark: bool, lines: int, rng: Random) -> Image.Image:
    """The picture on a telephone's screen: status bar above, `lines` lines of text and buttons below."""
    paper, ink = ((18, 18, 20), (225, 225, 225)) if dark else ((250, 250, 250), (30, 30, 30))
    unit = max(10, image.width // 16)
    screen = Image.new("RGB", (image.width, image.height + unit * (4 + 2 * lines)), paper)
    screen.paste(image, (0, 3 * unit))
    draw = ImageDraw.Draw(screen)
    small, large = ImageFont.load_default(0.7 * unit), ImageFont.load_default(unit)
    draw.text((unit // 2, unit // 4), f"{rng.randint(0, 23)}:{rng.randint(10, 59)}", ink, small)
    draw.rectangle((image.width - 2 * unit, unit // 3, image.width - unit, unit), outline=ink)
    draw.text((unit, 1.5 * unit), rng.choice(("Photos", "anna.k", "Camera roll", "Feed", "< Back")), ink, large)
    for line in range(lines):
        words = " ".join(rng.choice(("what", "a", "day", "look", "at", "this", "so", "good")) for _ in range(4))
        draw.text((unit, image.height + 3.4 * unit + 2 * line * unit), words, ink, large)
    return screen
