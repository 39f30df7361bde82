"""A bar chart as SVG or PNG, from the same shapes."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any, NamedTuple

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 900, 410, 90, 120, 40
_LABEL = 28
_MOST_LABELS = 15
_BLUE, _GREY = "#2f6db5", "#bbbbbb"
_ANGLE = 35
"""Of the labels below the bars, in degrees."""

_FONTS = ("DejaVuSans.ttf", "Arial.ttf", "Helvetica.ttc", "LiberationSans-Regular.ttf")
"""Fonts of the system, tried in order. Pillow's own font has no letters with accents."""

_SCALE = 2
"""Pixels of a PNG for one unit of the chart."""


class Bar(NamedTuple):
    """A rectangle; `text` is shown under the mouse."""

    x: float
    y: float
    width: float
    height: float
    text: str


class Line(NamedTuple):
    """A horizontal line over the whole width."""

    y: float


class Text(NamedTuple):
    """A text.

    Attributes:
        x: Where it starts or ends.
        y: Its base line.
        end: Whether it ends at `x`.
        size: The height of its letters.
        rising: Whether it rises to the right, by `_ANGLE`.
    """

    x: float
    y: float
    text: str
    end: bool = True
    size: int = 11
    rising: bool = False


Shape = Bar | Line | Text


def shapes(bars: Sequence[tuple[str, float]], title: str) -> Iterator[Shape]:
    """Yield what a chart of labels and values consists of; a line comes before the bars that cover it."""
    most = max([value for _, value in bars] + [0.0]) or 1.0
    least = min([value for _, value in bars] + [0.0])
    step, floor = (_WIDTH - _LEFT - 10) / max(len(bars), 1), _HEIGHT - _BOTTOM

    def height(value: float) -> float:
        return floor - (value - least) / (most - least) * (floor - _TOP)

    yield Text(_LEFT, 22, title, end=False, size=15)
    for value in dict.fromkeys((least, 0.0, (least + most) / 2, most)):
        yield Line(height(value))
        yield Text(_LEFT - 8, height(value) + 4, f"{value:,.10g}")
    every = max(1, -(-len(bars) // _MOST_LABELS))
    for number, (label, value) in enumerate(bars):
        x, y = _LEFT + number * step, min(height(value), height(0))
        yield Bar(x + step * 0.1, y, step * 0.8, abs(height(value) - height(0)), f"{label}: {value:,.10g}")
        if number % every == 0:
            shown = label if len(label) <= _LABEL else f"{label[: _LABEL - 1]}…"
            yield Text(x + step / 2, floor + 14, shown, rising=True)
    if not bars:
        yield Text(_WIDTH / 2, _HEIGHT / 2, "no rows", end=False)


def svg(drawn: Iterator[Shape]) -> bytes:
    """Return a chart as SVG."""
    lines = [_svg_of(shape) for shape in drawn]
    text = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif">'
        '<rect width="100%" height="100%" fill="#fff"/>\n' + "\n".join(lines) + "\n</svg>\n"
    )
    return text.encode()


def _svg_of(shape: Shape) -> str:
    if isinstance(shape, Line):
        return f'<line x1="{_LEFT}" x2="{_WIDTH - 10}" y1="{shape.y:.1f}" y2="{shape.y:.1f}" stroke="{_GREY}"/>'
    if isinstance(shape, Bar):
        return (
            f'<rect x="{shape.x:.1f}" y="{shape.y:.1f}" width="{shape.width:.1f}" height="{shape.height:.1f}" '
            f'fill="{_BLUE}"><title>{escape(shape.text)}</title></rect>'
        )
    anchor = ' text-anchor="end"' if shape.end else ""
    turned = f' transform="rotate({-_ANGLE} {shape.x:.1f} {shape.y:.1f})"' if shape.rising else ""
    place = f'x="{shape.x:.1f}" y="{shape.y:.1f}" font-size="{shape.size}"'
    return f"<text {place}{anchor}{turned}>{escape(shape.text)}</text>"


def png(drawn: Iterator[Shape]) -> bytes:
    """Return a chart as PNG, twice as large as the SVG."""
    from PIL import Image, ImageDraw  # noqa: PLC0415 - only who asks for a PNG waits for it

    image = Image.new("RGB", (_WIDTH * _SCALE, _HEIGHT * _SCALE), "white")
    pen = ImageDraw.Draw(image)
    for shape in drawn:
        if isinstance(shape, Line):
            pen.line([(_LEFT * _SCALE, shape.y * _SCALE), ((_WIDTH - 10) * _SCALE, shape.y * _SCALE)], _GREY, _SCALE)
            continue
        x, y = shape.x * _SCALE, shape.y * _SCALE
        if isinstance(shape, Bar):
            pen.rectangle([x, y, x + shape.width * _SCALE, y + shape.height * _SCALE], _BLUE)
            continue
        font = _font(shape.size * _SCALE)
        if not shape.rising:
            pen.text((x, y), shape.text, "black", font, anchor="rs" if shape.end else "ls")
            continue
        left, top, right, bottom = (round(edge) for edge in font.getbbox(shape.text, anchor="ls"))
        label = Image.new("L", (max(right - left, 1), max(bottom - top, 1)))
        ImageDraw.Draw(label).text((-left, -top), shape.text, 255, font, anchor="ls")
        label = label.rotate(_ANGLE, Image.Resampling.BICUBIC, expand=True)
        image.paste("black", (round(x) - label.width, round(y) - shape.size), label)
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


def _font(size: int) -> Any:
    """Return a font of the system in this size in pixels, or else Pillow's own."""
    from PIL import ImageFont  # noqa: PLC0415 - as in `png`

    for name in _FONTS:
        with contextlib.suppress(OSError):
            return ImageFont.truetype(name, size)
    return ImageFont.load_default(size)
