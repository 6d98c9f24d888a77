"""
Results as a person reads them, and as a program does.

Whatever an error or a server said ends up here, so this is where nothing gets through that could
steer a terminal or that is a secret, even where somebody has forgotten to keep it out before.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from exporter.doctor.finding import Result, Status
from exporter.model.text import one_line

WORDS = {Status.OK: "ok", Status.WARN: "warn", Status.FAIL: "FAIL", Status.SKIP: "skip"}
"""Each status as a line begins with it; the one that matters is seen from afar."""

_STATUS_WIDTH, _NAME_WIDTH = 6, 15
_FIX = "fix: "
_HIDDEN = "***"
_SECRETS = (
    # The user and the password of a URL.
    (re.compile(r"(?<=://)[^/\s@]+(?=@)"), _HIDDEN),
    # What follows the name of a scheme in a header.
    (re.compile(r"\b(bearer|basic|idtoken)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE), r"\1 ***"),
    # A signed token, wherever it stands: its header is JSON, which begins with {" in base64.
    (re.compile(r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*)?"), _HIDDEN),
)


def lines(result: Result) -> Iterator[str]:
    """Yield the line of a check, and those of what to do under it."""
    finding = result.finding
    word = WORDS[finding.status]
    yield f"{word:{_STATUS_WIDTH}}{result.name:{_NAME_WIDTH}}{fit_to_show(finding.summary)}"
    for number, line in enumerate(finding.fix.splitlines()):
        label = " " * len(_FIX) if number else _FIX
        yield f"{'':{_STATUS_WIDTH}}{label}{fit_to_show(line)}"


def document(results: Iterable[Result]) -> list[Mapping[str, object]]:
    """Return what `--json` prints; `fix` is null where there is nothing to do."""
    return [
        {
            "name": result.name,
            "status": result.finding.status.value,
            "summary": fit_to_show(result.finding.summary),
            "fix": "\n".join(map(fit_to_show, result.finding.fix.splitlines())) or None,
            "seconds": round(result.seconds, 3),
        }
        for result in results
    ]


def failed(results: Iterable[Result]) -> bool:
    """Whether anything must be mended before a start."""
    return any(result.finding.status is Status.FAIL for result in results)


def fit_to_show(text: str) -> str:
    """Return *text* as one printable line without what looks like a secret."""
    flat = one_line(text)
    for pattern, instead in _SECRETS:
        flat = pattern.sub(instead, flat)
    return flat
