"""The chart in README.md: what a request with a token costs, in nginx's plain proxying. Legible on light and dark."""

from xml.sax.saxutils import escape

import mixes
import peers
import report

GROUPS = ("RS256.one", "RS256.10k", "RS256.fresh")
WIDTH, LABELS, VALUES = 760, 170, 60
BAR, GAP, HEAD, TOP, BOTTOM = 16, 6, 30, 56, 14

STYLE = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #24292f }
  .title { font-size: 16px; font-weight: 600 }
  .group { font-weight: 600 }
  .faint { fill: #57606a }
  .peer { fill: #afb8c1 }
  .ours { fill: #0969da }
  .one { stroke: #cf222e; stroke-dasharray: 4 3 }
  .one-label { fill: #cf222e }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .faint { fill: #9198a1 }
    .peer { fill: #57606a }
    .ours { fill: #4493f8 }
    .one { stroke: #ff7b72 }
    .one-label { fill: #ff7b72 }
  }
"""


def bars(results: dict) -> list[tuple[str, list[tuple[peers.Peer, float]]]]:
    """Each group's title, and what each of its peers needs, the least first."""
    yardstick = report.figure(results, "mixes", "plain", "nginx")
    groups = []
    for name in GROUPS:
        found = [(peer, report.ratio(report.figure(results, "mixes", name, peer.name), yardstick)) for peer in peers.ALL]
        found = sorted(((peer, value) for peer, value in found if value is not None), key=lambda pair: pair[1])
        if found:
            groups.append((mixes.NAMED[name].title, found))
    return groups


def drawn(results: dict) -> str:
    groups = bars(results)
    scale = (WIDTH - LABELS - VALUES) / max([value for _, found in groups for _, value in found], default=1.0)
    lines, y = [], TOP
    for title, found in groups:
        y += HEAD
        lines.append(text(0, y - 10, title, "group"))
        for peer, value in found:
            kind = "ours" if peer.name == "portcullis" else "peer"
            lines.append(text(LABELS - 8, y + BAR - 3, peer.title, anchor="end"))
            lines.append(f'<rect class="{kind}" x="{LABELS}" y="{y}" width="{value * scale:.1f}" height="{BAR}" rx="2"/>')
            lines.append(text(LABELS + value * scale + 6, y + BAR - 3, report.shown(value)))
            y += BAR + GAP
    one, height = LABELS + scale, y + BOTTOM
    lines.append(f'<line class="one" x1="{one:.1f}" y1="{TOP - 2}" x2="{one:.1f}" y2="{y}"/>')
    lines.append(text(one + 6, TOP + 10, "nginx, forwarding only, checks nothing", "one-label"))
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">',
        "<title>CPU time of a request with a token, by gateway</title>",
        f"<style>{STYLE}</style>",
        text(0, 18, "CPU time of a request with a token", "title"),
        text(0, 38, f"nginx's plain proxying is 1. Less is better. Measured {results['date']}.", "faint"),
        *lines,
        "</svg>",
        "",
    ])


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    name = f'class="{kind}" ' if kind else ""
    return f'<text {name}x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'
