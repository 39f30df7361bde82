"""Draws a bar chart with a pen for SVG or for PNG."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from html import escape
from typing import Any

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 900, 410, 90, 120, 40
_LABEL = 28
_MAX_LABELS = 15
_BLUE, _GREY = "#2f6db5", "#bbbbbb"
_ANGLE = 35
"""The angle of the labels below the bars, in degrees."""

_FONTS = ("DejaVuSans.ttf", "Arial.ttf", "Helvetica.ttc", "LiberationSans-Regular.ttf")
"""Fonts of the system, tried in order. Pillow's own font has no letters with accents."""

_SCALE = 2
"""Pixels of a PNG for one unit of the chart."""


class SvgPen:
    """Draws an SVG on a white sheet."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def line(self, y: float) -> None:
        """Draw a horizontal line over the whole width."""
        self._lines.append(f'<line x1="{_LEFT}" x2="{_WIDTH - 10}" y1="{y:.1f}" y2="{y:.1f}" stroke="{_GREY}"/>')

    def bar(self, x: float, y: float, width: float, height: float, text: str) -> None:
        """Draw a rectangle. A browser shows the text under the mouse."""
        self._lines.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'fill="{_BLUE}"><title>{escape(text)}</title></rect>'
        )

    def text(self, x: float, y: float, text: str, *, end: bool = True, size: int = 11, rising: bool = False) -> None:
        """Write a text.

        Args:
            x: The start or the end of the text.
            y: The base line of the text.
            text: The text.
            end: Whether the text ends at `x`.
            size: The height of the letters.
            rising: Whether the text rises to the right, by `_ANGLE`.
        """
        anchor = ' text-anchor="end"' if end else ""
        turned = f' transform="rotate({-_ANGLE} {x:.1f} {y:.1f})"' if rising else ""
        place = f'x="{x:.1f}" y="{y:.1f}" font-size="{size}"'
        self._lines.append(f"<text {place}{anchor}{turned}>{escape(text)}</text>")

    def finish(self) -> bytes:
        """Return the file."""
        view = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif"'
        sheet = f'<svg xmlns="http://www.w3.org/2000/svg" {view}><rect width="100%" height="100%" fill="#fff"/>'
        return "\n".join([sheet, *self._lines, "</svg>", ""]).encode()


class PngPen:
    """Draws a PNG, twice as large as the SVG. It has the methods of `SvgPen`. A bar shows no text."""

    def __init__(self) -> None:
        from PIL import Image, ImageDraw, ImageFont  # noqa: PLC0415 - only a PNG needs it

        self._pil, self._draw, self._fonts = Image, ImageDraw.Draw, ImageFont
        self._image = Image.new("RGB", (_WIDTH * _SCALE, _HEIGHT * _SCALE), "white")
        self._pen = self._draw(self._image)

    def line(self, y: float) -> None:
        """As in `SvgPen`."""
        self._pen.line([(_LEFT * _SCALE, y * _SCALE), ((_WIDTH - 10) * _SCALE, y * _SCALE)], _GREY, _SCALE)

    def bar(self, x: float, y: float, width: float, height: float, _text: str) -> None:
        """As in `SvgPen`."""
        self._pen.rectangle([edge * _SCALE for edge in (x, y, x + width, y + height)], _BLUE)

    def text(self, x: float, y: float, text: str, *, end: bool = True, size: int = 11, rising: bool = False) -> None:
        """As in `SvgPen`."""
        x, y, edge, layer = x * _SCALE, y * _SCALE, self._image.width, self._pil.new("L", self._image.size)
        start = edge if rising else x  # turned at the edge, where it has room, and then moved to x
        self._draw(layer).text((start, y), text, 255, self._font(size * _SCALE), anchor="rs" if end else "ls")
        if rising:
            layer = layer.rotate(_ANGLE, self._pil.Resampling.BICUBIC, center=(edge, y), translate=(round(x) - edge, 0))
        self._image.paste("black", mask=layer)

    def finish(self) -> bytes:
        """As in `SvgPen`."""
        file = io.BytesIO()
        self._image.save(file, "PNG", optimize=True)
        return file.getvalue()

    def _font(self, size: int) -> Any:
        """Return a font of the system in this size in pixels, or Pillow's own if the system has none."""
        for name in _FONTS:
            with contextlib.suppress(OSError):
                return self._fonts.truetype(name, size)
        return self._fonts.load_default(size)


def draw(pen: SvgPen | PngPen, bars: Sequence[tuple[str, float]], title: str) -> bytes:
    """Draw a chart of labels and values, and return the bytes of the file."""
    most = max([value for _, value in bars] + [0.0]) or 1.0
    least = min([value for _, value in bars] + [0.0])
    step, floor = (_WIDTH - _LEFT - 10) / max(len(bars), 1), _HEIGHT - _BOTTOM

    def height(value: float) -> float:
        return floor - (value - least) / (most - least) * (floor - _TOP)

    pen.text(_LEFT, 22, title, end=False, size=15)
    for value in dict.fromkeys((least, 0.0, (least + most) / 2, most)):  # the bars cover these lines
        pen.line(height(value))
        pen.text(_LEFT - 8, height(value) + 4, f"{value:,.10g}")
    every = max(1, -(-len(bars) // _MAX_LABELS))
    for number, (label, value) in enumerate(bars):
        x, y = _LEFT + number * step, min(height(value), height(0))
        pen.bar(x + step * 0.1, y, step * 0.8, abs(height(value) - height(0)), f"{label}: {value:,.10g}")
        if number % every == 0:
            shown = label if len(label) <= _LABEL else f"{label[: _LABEL - 1]}…"
            pen.text(x + step / 2, floor + 14, shown, rising=True)
    if not bars:
        pen.text(_WIDTH / 2, _HEIGHT / 2, "no rows", end=False)
    return pen.finish()
