"""Draws the comparison with RabbitMQ as an SVG chart, for readers who want its shape before its numbers.

Where a workload runs as fast as it can, the question is how many times as fast: a bar from 1, which is RabbitMQ, on a
logarithmic axis, so that half as fast reaches as far to the left as twice as fast to the right. Where the rate is
given, rates say nothing and delays are the result: a bar from the median to the 99th percentile for each broker.

The chart brings its own background. A page shows it as an image, which knows whether the reader's system is dark but
not whether the page is, so that text on a transparent background could meet one of its own colour.
"""

import math
from typing import NamedTuple
from xml.sax.saxutils import escape

WIDTH, MARGIN = 860, 24
# Heights: title and remark of a panel, a workload over its bar, a line with its bar, the bar alone, the axis' numbers.
HEAD, GROUP, LINE, BAR, FOOT = 60, 44, 22, 12, 36
# Widths of the text right of the bars, and left of those of delays.
RATES_TEXT, DELAYS_TEXT, DELAYS_NAMES = 240, 130, 170
STEPS = [step * 10.0**power for power in range(-3, 7) for step in (1, 2, 5)]
NAMES = {"leveret": "Leveret", "rabbitmq": "RabbitMQ"}

STYLE = """
text { font: 12px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2328;
       stroke: #ffffff; stroke-width: 4px; stroke-linejoin: round; paint-order: stroke }
.title { font-size: 14px; font-weight: 600 }
.ratio { font-weight: 600 }
.muted { fill: #59636e; font-weight: 400 }
.step { text-anchor: middle }
.paper { fill: #ffffff; stroke: #d1d9e0 }
.grid { stroke: #d1d9e0 }
.leveret { fill: #0969da }
.rabbitmq { fill: #bc4c00 }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc; stroke: #0d1117 }
  .muted { fill: #9198a1 }
  .paper { fill: #0d1117; stroke: #3d444d }
  .grid { stroke: #3d444d }
  .leveret { fill: #4493f8 }
  .rabbitmq { fill: #f0883e }
}
"""


class Figures(NamedTuple):
    """One broker at one workload; a delay is the median and the 99th percentile in milliseconds."""

    rate: float
    confirm: tuple[float, float] | None
    end_to_end: tuple[float, float] | None


class Workload(NamedTuple):
    """What was done, and how each broker did by name; one without a run that succeeded is not among them."""

    what: str
    rate_is_given: bool
    figures: dict[str, Figures]

    def ratio(self):
        return self.figures["leveret"].rate / self.figures["rabbitmq"].rate if len(self.figures) == 2 else None

    def delays(self):
        """Of each line in the order drawn: the broker, what the line is called, the delay or None."""
        for kind, key in (("confirm", "confirm"), ("end to end", "end_to_end")):
            for broker, name in NAMES.items():
                yield broker, f"{kind}, {name}", getattr(self.figures.get(broker), key, None)


class Axis:
    """A logarithmic axis between two of the steps 1, 2, 5, 10, ... with room for 1, 10 and all values."""

    def __init__(self, values, left, right):
        self.low = max(step for step in STEPS if step <= min([1, *values]))
        self.high = min(step for step in STEPS if step >= max([10, *values]))
        self.left, self.right = left, right

    def x(self, value):
        return self.left + (self.right - self.left) * math.log(value / self.low) / math.log(self.high / self.low)

    def grid(self, bottom):
        steps = [step for step in STEPS if self.low <= step <= self.high]
        for step in steps:
            x = round(self.x(step))
            yield f'<line class="grid" x1="{x}.5" x2="{x}.5" y1="{HEAD}" y2="{bottom}"/>'
            # There is room for a dozen numbers; of more, the powers of ten are enough.
            if len(steps) <= 12 or math.log10(step).is_integer():
                yield text(x, bottom + 16, f"{step:g}", "muted step")

    def bar(self, begin, end, y, broker):
        left, right = sorted((self.x(begin), self.x(end)))
        width = max(right - left, 2)
        return f'<rect class="{broker}" x="{left:.1f}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2"/>'


def draw(workloads):
    """The text of an SVG file, or None where no workload has figures of both and there is nothing to compare."""
    if all(len(workload.figures) < 2 for workload in workloads):
        return None
    free = [workload for workload in workloads if not workload.rate_is_given]
    panels = [rates(free)] if free else []
    panels += [delays(workload) for workload in workloads if workload.rate_is_given]
    body, height = [], 0
    for panel, panel_height in panels:
        body += [f'<g transform="translate(0 {height})">', *panel, "</g>"]
        height += panel_height
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        'role="img" aria-labelledby="title description">',
        '<title id="title">Leveret beside RabbitMQ: rates and delays</title>',
        f'<desc id="description">{escape(" ".join(describe(workload) for workload in workloads))}</desc>',
        f"<style>{STYLE}</style>",
        f'<rect class="paper" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="6"/>',
        *body,
        "</svg>\n",
    ])


def rates(workloads):
    """A panel of how Leveret's rates compare with RabbitMQ's, and its height."""
    axis = Axis([workload.ratio() for workload in workloads if workload.ratio()], MARGIN, WIDTH - MARGIN - RATES_TEXT)
    bottom = HEAD + GROUP * len(workloads)
    remark = "More is better; the axis is logarithmic. Beside each bar the rates of both."
    panel = [*heading("Messages a second, times RabbitMQ's", remark), *axis.grid(bottom)]
    for y, workload in zip(range(HEAD, bottom, GROUP), workloads):
        panel.append(text(MARGIN + 6, y + 18, workload.what))
        ratio = workload.ratio()
        if ratio is None:
            panel.append(text(axis.x(1) + 8, y + 36, "no comparison: runs failed", "muted"))
            continue
        panel.append(axis.bar(1, ratio, y + 26, "leveret"))
        both = " against ".join(f"{workload.figures[broker].rate:,.0f}" for broker in NAMES)
        panel.append(text(axis.x(max(ratio, 1)) + 8, y + 36, f"{ratio:.3g} ×", "ratio", both))
    return panel, bottom + FOOT


def delays(workload):
    """A panel of the delays of both brokers at one workload, and its height."""
    lines = list(workload.delays())
    axis = Axis([value for *_, delay in lines if delay for value in delay], MARGIN + DELAYS_NAMES,
                WIDTH - MARGIN - DELAYS_TEXT)
    bottom = HEAD + LINE * len(lines)
    remark = "Milliseconds from the median to the 99th percentile. Less is better; the axis is logarithmic."
    panel = [*heading(workload.what, remark), *axis.grid(bottom)]
    for y, (broker, name, delay) in zip(range(HEAD, bottom, LINE), lines):
        panel.append(text(MARGIN, y + 15, name))
        if delay:
            panel.append(axis.bar(*delay, y + 5, broker))
            panel.append(text(axis.x(delay[1]) + 8, y + 15, "{:,.2f} / {:,.2f}".format(*delay)))
        else:
            panel.append(text(axis.left + 8, y + 15, "no figures", "muted"))
    return panel, bottom + FOOT


def describe(workload):
    if not workload.rate_is_given:
        ratio = workload.ratio()
        return f"{workload.what}: " + (f"{ratio:.3g} times RabbitMQ's rate." if ratio else "no comparison.")
    medians = [f"{name} {delay[0]:,.2f} ms" for _, name, delay in workload.delays() if delay]
    return f"{workload.what}: medians of {', '.join(medians)}."


def heading(title, remark):
    return [text(MARGIN, 30, title, "title"), text(MARGIN, 48, remark, "muted")]


def text(x, y, content, style="", remark=""):
    """One line; the remark follows what it is about in a quieter colour."""
    style = f' class="{style}"' if style else ""
    remark = f'<tspan class="muted" dx="10">{escape(remark)}</tspan>' if remark else ""
    return f'<text{style} x="{x:.1f}" y="{y}">{escape(content)}{remark}</text>'
