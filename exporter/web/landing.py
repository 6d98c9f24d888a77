"""
A person who opens the port in a browser sees at once what is wrong, and then everything else.

The failing targets come first, because there may be hundreds that are well. All that comes from
outside, above all the text of a problem, is hostile until it is escaped.
"""

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta
from enum import Enum
from html import escape
from importlib.resources import files

from exporter.model.reload import TurnedDown
from exporter.model.status import TargetStatus
from exporter.model.time import SECOND, Micros, to_datetime

_STYLE = files("exporter.web").joinpath("landing.css").read_text(encoding="utf-8")
STYLE_HASH = "sha256-" + base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
"""What a Content-Security-Policy must name for the page to have its style, and no other."""

_IN_EFFECT = '<a href="/config">as it is in effect</a>'

# Enough for a sentence with its cause; Admin has been seen to answer with a whole stack trace.
_LONGEST_TEXT = 400


class _State(Enum):
    """How a target is, in the order of how much a person must know it."""

    DOWN = "down"
    WAITING = "waiting"
    UP = "up"


def render(
    *,
    version: str,
    endpoint: str,
    unhealthy: str,
    unready: str,
    turned_down: TurnedDown | None,
    targets: Sequence[TargetStatus],
    now: Micros,
) -> str:
    """
    Return the landing page as a complete HTML document.

    Args:
        version: Of this program.
        endpoint: The address of Flyte Admin.
        unhealthy: Why this process should be restarted; empty when it is healthy.
        unready: Why the metrics are not complete yet; empty when they are.
        turned_down: The configuration that was read last, if it is not in effect.
        targets: How each target is doing, in any order.
        now: What "ago" counts from.
    """
    return f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>flyte-exporter: {_text(endpoint)}</title>
<style>{_STYLE}</style>
</head>
<body>
<header>
<h1>flyte-exporter</h1>
<p>Watches the executions of a Flyte Admin and tells Prometheus about them at
<a href="/metrics">/metrics</a>.</p>
</header>
<dl>
<dt>Flyte Admin</dt><dd>{_text(endpoint)}</dd>
<dt>Version</dt><dd>{_text(version)}</dd>
<dt>Configuration</dt><dd>{_IN_EFFECT}{_objection(turned_down, now)}</dd>
<dt><a href="/-/healthy">Healthy</a></dt><dd>{_verdict(unhealthy, "down")}</dd>
<dt><a href="/-/ready">Ready</a></dt><dd>{_verdict(unready, "waiting")}</dd>
</dl>
<main>
<h2>Targets</h2>
{_summary(targets)}
{_table(targets, now)}
</main>
</body>
</html>
"""


def _text(hostile: str) -> str:
    """Return *hostile* fit to stand in HTML: one line, no control or bidi characters, bounded."""
    cut = hostile if len(hostile) <= _LONGEST_TEXT else hostile[: _LONGEST_TEXT - 1] + "…"
    return escape("".join(c if c.isprintable() else " " for c in cut))


def _verdict(objection: str, state: str) -> str:
    if objection:
        return f'<span class="{state}">no: {_text(objection)}</span>'
    return '<span class="up">yes</span>'


def _objection(turned_down: TurnedDown | None, now: Micros) -> str:
    """Say what is wrong with a configuration: its first line, and the last, which sums it up."""
    if turned_down is None:
        return ""
    first, *others = turned_down.text.splitlines() or [""]
    last = f"{' …' * (len(others) > 1)} {_text(others[-1])}" if others else ""
    return (
        '<br><span class="down">what was read last is not in effect:</span>'
        f" {_text(first)}{last} Read {_moment(turned_down.at, now)}"
    )


def _state(status: TargetStatus) -> _State:
    if status.up is None:
        return _State.WAITING
    return _State.UP if status.up else _State.DOWN


def _summary(targets: Iterable[TargetStatus]) -> str:
    counts: Counter[_State] = Counter()
    live = 0
    for status in targets:
        counts[_state(status)] += 1
        live += status.live
    items = [
        f'<li class="{state.value}"><b>{counts[state]:,}</b> {state.value}</li>'
        for state in _State
        if counts[state]
    ]
    items.append(f'<li class="faint"><b>{live:,}</b> live executions</li>')
    return f'<ul class="summary">{"".join(items)}</ul>'


def _table(targets: Sequence[TargetStatus], now: Micros) -> str:
    if not targets:
        return (
            "<p>None are known yet. They appear once Flyte Admin has listed its projects; "
            "if this stays so, the log says why.</p>"
        )
    order = list(_State)
    ranked = sorted(targets, key=lambda status: (order.index(_state(status)), status.target))
    rows = "\n".join(_row(status, now) for status in ranked)
    return f"""\
<table>
<thead><tr>
<th scope="col">Target</th><th scope="col">State</th><th scope="col">Last success</th>
<th scope="col" class="number">Poll took</th><th scope="col" class="number">Live</th>
<th scope="col" class="number">Active plans</th>
<th scope="col">Problem</th>
</tr></thead>
<tbody>
{rows}
</tbody>
</table>"""


def _row(status: TargetStatus, now: Micros) -> str:
    project, domain = (_text(part) for part in status.target)
    state = _state(status).value
    return (
        f'<tr><th scope="row">{project}/<wbr>{domain}</th>'
        f'<td class="state {state}">{state}</td>'
        f'<td class="wide" data-label="Last success">{_moment(status.last_success_at, now)}</td>'
        f'<td class="number" data-label="Poll took">{_length(status.poll_duration)}</td>'
        f'<td class="number" data-label="Live">{status.live:,}</td>'
        f'<td class="number" data-label="Active plans">{_count(status.active_plans)}</td>'
        f'<td class="wide problem">{_text(status.problem or status.inventory_problem)}</td></tr>'
    )


def _moment(instant: Micros | None, now: Micros) -> str:
    if instant is None:
        return '<span class="faint">never</span>'
    moment = to_datetime(instant)
    return (
        f'<time datetime="{moment:%Y-%m-%dT%H:%M:%SZ}">{moment:%Y-%m-%d %H:%M:%S} UTC</time> '
        f'<span class="faint">({_ago(instant, now)})</span>'
    )


def _ago(instant: Micros, now: Micros) -> str:
    """Say how long ago *instant* was in its one or two largest units: `3 h 20 min ago`."""
    # Our clock may have been set back since.
    length = max(0, now - instant) // SECOND
    days, rest = divmod(length, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, rest = divmod(rest, 60)
    parts = ((days, "d"), (hours, "h"), (minutes, "min"), (rest, "s"))
    first = next((index for index, (count, _) in enumerate(parts) if count), len(parts) - 1)
    said = [f"{count} {unit}" for count, unit in parts[first : first + 2] if count]
    return f"{' '.join(said) or '0 s'} ago"


def _count(plans: int | None) -> str:
    return '<span class="faint">not yet</span>' if plans is None else f"{plans:,}"


def _length(length: timedelta | None) -> str:
    if length is None:
        return '<span class="faint">not yet</span>'
    if length < timedelta(seconds=1):
        return f"{length / timedelta(milliseconds=1):,.0f} ms"
    return f"{length / timedelta(seconds=1):,.1f} s"
