"""Pictures seen from elsewhere or through something: picture -> changed picture. Pure.

Amounts are fractions of the picture's sides unless a name says otherwise.
"""

import math
from random import Random

import numpy as np
from PIL import Image, ImageOps
from scipy.ndimage import uniform_filter

from neardup.edits.alter import Colour, noise, smooth
from neardup.homography import homography

__all__ = [
    "hue",
    "invert",
    "oil",
    "perspective",
    "posterise",
    "print_and_scan",
    "quarter_turn",
    "rotate_and_crop",
    "shear",
    "shuffle_channels",
    "solarise",
    "tilt",
    "upside_down",
    "vignette",
]


def upside_down(image: Image.Image) -> Image.Image:
    """Mirrored at the horizontal."""
    return ImageOps.flip(image)


def quarter_turn(image: Image.Image, quarters: int) -> Image.Image:
    """Turned counter-clockwise by 90 degrees `quarters` (1, 2 or 3) times."""
    turns = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)
    return image.transpose(turns[quarters - 1])


def tilt(image: Image.Image, degrees: float, fill: Colour) -> Image.Image:
    """Turned counter-clockwise in a frame that grows with it, so that nothing is cut off; the corners get `fill`."""
    return image.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=fill)


def rotate_and_crop(image: Image.Image, degrees: float) -> Image.Image:
    """Turned, and cut to the largest part of the same shape that shows no corner."""
    angle = math.radians(abs(degrees))
    width, height = image.size
    scale = min(
        width / (width * math.cos(angle) + height * math.sin(angle)),
        height / (width * math.sin(angle) + height * math.cos(angle)),
    )
    # A strip keeps so little of itself that corners may show rather than nothing be left.
    across, down = max(8, math.floor(width * scale / 2 - 0.5)), max(8, math.floor(height * scale / 2 - 0.5))
    turned = image.rotate(degrees, Image.Resampling.BICUBIC)
    return turned.crop((width // 2 - across, height // 2 - down, width // 2 + across, height // 2 + down))


def shear(image: Image.Image, amount: float, fill: Colour) -> Image.Image:
    """The lower edge moved sideways by `amount` of the height; the frame grows with it."""
    wider = round(abs(amount) * image.height)
    offset = -amount * image.height if amount > 0 else 0.0
    return image.transform(
        (image.width + wider, image.height),
        Image.Transform.AFFINE,
        (1, amount, offset, 0, 1, 0),
        Image.Resampling.BICUBIC,
        fillcolor=fill,
    )


def perspective(image: Image.Image, amount: float, rng: Random, *, fill: Colour = (255, 255, 255)) -> Image.Image:
    """As photographed from the side: every corner moves inwards by up to `amount`."""
    width, height = image.size
    corners = [(0, 0), (width, 0), (width, height), (0, height)]
    inwards = [(1, 1), (-1, 1), (-1, -1), (1, -1)]
    moved = [
        (x + across * rng.uniform(0, amount) * width, y + down * rng.uniform(0, amount) * height)
        for (x, y), (across, down) in zip(corners, inwards, strict=True)
    ]
    return image.transform(
        image.size, Image.Transform.PERSPECTIVE, homography(moved, corners), Image.Resampling.BICUBIC, fillcolor=fill
    )


def print_and_scan(image: Image.Image, rng: Random) -> Image.Image:
    """Printed in dots on rough paper, lit from one side and photographed not quite straight."""
    pixels = np.asarray(smooth(image, 0.0015), dtype=np.float64)
    height, width = pixels.shape[:2]
    y, x = np.mgrid[0:height, 0:width]
    pitch = max(3.0, max(image.size) / 160)
    screen = np.cos(2 * math.pi * (x + y) / (pitch * math.sqrt(2))) * np.cos(
        2 * math.pi * (x - y) / (pitch * math.sqrt(2))
    )
    # Dots are strongest in the mid-tones, as in print; inks are flatter than light.
    dots = 34 * screen[..., None] * (1 - np.abs(pixels / 127.5 - 1))
    slope = rng.uniform(-0.18, 0.18), rng.uniform(-0.18, 0.18)
    light = 0.95 + slope[0] * (x / width - 0.5) + slope[1] * (y / height - 0.5)
    printed = (28 + pixels * 0.84 + dots) * light[..., None] * np.array((1.0, 0.985, 0.94))
    paper = noise(Image.fromarray(np.clip(printed, 0, 255).astype(np.uint8)), 7, rng)
    framed = ImageOps.expand(paper, max(1, round(0.02 * max(image.size))), (236, 232, 222))
    return perspective(framed, 0.03, rng, fill=(120, 116, 110))


def oil(image: Image.Image, radius: float) -> Image.Image:
    """As if painted: each place gets the mean of the calmest of four squares around it (Kuwahara), edges stay sharp."""
    size = max(2, round(radius * max(image.size)))
    pixels = np.asarray(image, dtype=np.float32)
    grey = pixels.mean(axis=2)
    mean, square = uniform_filter(grey, size), uniform_filter(grey * grey, size)
    means = uniform_filter(pixels, (size, size, 0))
    spread = square - mean * mean
    shift = size // 2
    places = [(down, across) for down in (-shift, shift) for across in (-shift, shift)]
    calmest = np.argmin([np.roll(spread, place, (0, 1)) for place in places], axis=0)
    painted = np.choose(calmest[..., None], [np.roll(means, place, (0, 1)) for place in places])
    return Image.fromarray(np.clip(painted, 0, 255).astype(np.uint8))


def vignette(image: Image.Image, amount: float) -> Image.Image:
    """Darker towards the corners; at `amount` 1 they are black."""
    y, x = np.mgrid[-1 : 1 : image.height * 1j, -1 : 1 : image.width * 1j]
    light = 1 - amount * np.clip((x * x + y * y) / 2, 0, 1)
    return Image.fromarray((np.asarray(image) * light[..., None]).astype(np.uint8))


def hue(image: Image.Image, turn: float) -> Image.Image:
    """All hues moved around the colour circle by `turn` of it."""
    bands = list(image.convert("HSV").split())
    bands[0] = bands[0].point([round(value + turn * 256) % 256 for value in range(256)])
    return Image.merge("HSV", bands).convert("RGB")


def shuffle_channels(image: Image.Image, order: tuple[int, int, int]) -> Image.Image:
    """Red, green and blue taken from the channels of those numbers."""
    bands = image.split()
    return Image.merge("RGB", [bands[number] for number in order])


def posterise(image: Image.Image, bits: int) -> Image.Image:
    """`bits` bits a channel."""
    return ImageOps.posterize(image, bits)


def solarise(image: Image.Image, threshold: int) -> Image.Image:
    """What is lighter than `threshold` grey levels is inverted."""
    return ImageOps.solarize(image, threshold)


def invert(image: Image.Image) -> Image.Image:
    """The negative."""
    return ImageOps.invert(image)
