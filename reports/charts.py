"""Bars drawn as inline SVG: no script, no font, no picture from elsewhere, readable in light and dark."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

ROW_HEIGHT = 26
BAR_HEIGHT = 14
LABEL_WIDTH = 170
BAR_WIDTH = 210
VALUE_WIDTH = 90
LABEL_CHARACTERS = 25
COLUMN_WIDTH = 56
COLUMN_HEIGHT = 130


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar. `shown` is the value as people read it; `hint` appears when the pointer rests on the bar."""

    label: str
    value: float
    shown: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a stacked bar; `style` names a class of the report's style sheet."""

    label: str
    value: int
    style: str


def horizontal_bars(bars: Sequence[Bar]) -> Markup:
    """Labelled bars below each other, longest = full width. An empty sequence gives a sentence instead."""
    if not bars:
        return Markup('<p class="none">Nothing to show.</p>')
    largest = max(bar.value for bar in bars) or 1
    width, height = LABEL_WIDTH + BAR_WIDTH + VALUE_WIDTH, ROW_HEIGHT * len(bars)
    rows = [_row(bar, index * ROW_HEIGHT, bar.value / largest) for index, bar in enumerate(bars)]
    return _svg(width, height, rows, "; ".join(f"{bar.label}: {bar.shown}" for bar in bars))


def columns(bars: Sequence[Bar]) -> Markup:
    """Columns side by side in the order given, for ordered classes such as sizes or years."""
    if not bars:
        return Markup('<p class="none">Nothing to show.</p>')
    largest = max(bar.value for bar in bars) or 1
    marks = [_column(bar, index * COLUMN_WIDTH, bar.value / largest) for index, bar in enumerate(bars)]
    width = COLUMN_WIDTH * len(bars)
    return _svg(width, COLUMN_HEIGHT + 44, marks, "; ".join(f"{bar.label}: {bar.shown}" for bar in bars))


def stacked_bar(parts: Sequence[Part]) -> Markup:
    """One bar split by the parts' shares; parts of zero are left out."""
    total = sum(part.value for part in parts)
    if not total:
        return Markup('<p class="none">Nothing to show.</p>')
    x, marks = 0.0, []
    for part in parts:
        width = 1000 * part.value / total
        if part.value:
            marks.append(
                Markup(
                    '<rect x="{:.2f}" y="0" width="{:.2f}" height="28" class="{}"><title>{}: {:,}</title></rect>'
                ).format(x, max(width - 2, 1), part.style, part.label, part.value)
            )
        x += width
    return Markup(
        '<svg class="stacked" viewBox="0 0 1000 28" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>'
    ).format("; ".join(f"{part.label}: {part.value:,}" for part in parts), Markup("").join(marks))


def _row(bar: Bar, y: int, share: float) -> Markup:
    middle = y + ROW_HEIGHT / 2
    return Markup(
        "<g><title>{hint}</title>"
        '<text x="{label_x}" y="{middle}" class="label" text-anchor="end">{label}</text>'
        '<rect x="{left}" y="{top}" width="{width:.1f}" height="{bar_height}" rx="3" class="bar"/>'
        '<text x="{value_x:.1f}" y="{middle}" class="value">{shown}</text></g>'
    ).format(
        hint=bar.hint or f"{bar.label}: {bar.shown}",
        label_x=LABEL_WIDTH - 10,
        middle=middle + 4,
        label=_shortened(bar.label),
        left=LABEL_WIDTH,
        top=middle - BAR_HEIGHT / 2,
        width=max(share * BAR_WIDTH, 2 if bar.value else 0),
        bar_height=BAR_HEIGHT,
        value_x=LABEL_WIDTH + max(share * BAR_WIDTH, 2) + 8,
        shown=bar.shown,
    )


def _column(bar: Bar, x: int, share: float) -> Markup:
    height = max(share * COLUMN_HEIGHT, 2 if bar.value else 0)
    center = x + COLUMN_WIDTH / 2
    return Markup(
        "<g><title>{hint}</title>"
        '<text x="{center}" y="{above:.1f}" class="value small" text-anchor="middle">{shown}</text>'
        '<rect x="{left}" y="{top:.1f}" width="{width}" height="{height:.1f}" rx="3" class="bar"/>'
        '<text x="{center}" y="{below}" class="label small" text-anchor="middle">{label}</text></g>'
    ).format(
        hint=bar.hint or f"{bar.label}: {bar.shown}",
        center=center,
        above=18 + COLUMN_HEIGHT - height - 5,
        shown=bar.shown if bar.value else "",
        left=x + 5,
        top=18 + COLUMN_HEIGHT - height,
        width=COLUMN_WIDTH - 10,
        height=height,
        below=18 + COLUMN_HEIGHT + 16,
        label=bar.label,
    )


def _svg(width: int, height: int, marks: Sequence[Markup], description: str) -> Markup:
    return Markup(
        '<svg class="chart" viewBox="0 0 {w} {h}" style="max-width:{w}px" role="img" aria-label="{d}">{marks}</svg>'
    ).format(w=width, h=height, d=escape(description), marks=Markup("").join(marks))


def _shortened(text: str) -> str:
    return text if len(text) <= LABEL_CHARACTERS else f"{text[: LABEL_CHARACTERS - 1]}…"
