"""What Admin's answers mean for an exporter. Pure: numbers and rows in, findings out."""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from exporter.admin.client import Version
from exporter.admin.errors import AdminError, NotSent, TokenRefused
from exporter.config.settings import DiscoverySettings
from exporter.doctor.finding import Finding, parted
from exporter.model.executions import Execution
from exporter.model.targets import Target
from exporter.model.time import SECOND, Micros
from exporter.scrape.discovery import wanted

_SKEW = timedelta(seconds=5)
"""By how much clocks may differ: more than NTP leaves, less than anybody notices in a graph."""

_SLOW = 1.0
"""Seconds. With an index on the phase a page takes milliseconds; without one, the table is read."""

_NAMED = 3
"""How many names a line repeats before it says how many there are."""


class Asked(NamedTuple):
    """How one question about a target went."""

    target: Target
    seconds: float
    error: AdminError | None = None
    """None when it was answered."""


def length(seconds: float) -> str:
    """Return a length of time as a person says it: `4 ms`, `0.2 s`, `58 min`, `3 h 5 min`."""
    if seconds < 0.1:  # noqa: PLR2004  # where a tenth says nothing
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:  # noqa: PLR2004  # where a tenth still matters
        return f"{seconds:.1f} s"
    if seconds < 100:  # noqa: PLR2004  # as people do
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:  # noqa: PLR2004  # minutes of an hour
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:  # noqa: PLR2004  # as people do
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    return f"{hours // 24} d"


def version(answer: Version) -> Finding:
    """Say which Admin this is."""
    build = f" (build {answer.build})" if answer.build else ""
    return Finding.ok(f"Flyte Admin {answer.version or 'of no version that it tells'}{build}")


def version_untold(code: str) -> Finding:
    """Say that Admin, or a proxy before it, did not tell the version, on which nothing depends."""
    why = "a proxy before Flyte Admin does not let GetVersion through"
    if code == "UNIMPLEMENTED":
        why = "Flyte Admin is too old to know GetVersion, or its ingress does not let it through"
    return Finding.skip(
        f"not told ({code}): {why}",
        fix="none is needed, nothing depends on it; where projects cannot be listed either, check"
        " that admin.endpoint is the gRPC port of Flyte Admin",
    )


def projects(found: Sequence[Target], settings: DiscoverySettings) -> Finding:
    """Say how many of the targets that were *found* will be scraped, and which pattern is idle."""
    included = sum(wanted(target, settings) for target in found)
    names = list(dict.fromkeys(target.project for target in found))
    summary = (
        f"{_count(len(names), 'project')}, {_count(len(found), 'target')},"
        f" {included} included by discovery"
    )
    if not found:
        fix = "register a project, or allow ListProjects for this client: it may see none of them"
        return Finding.warn(summary, fix=fix)
    idle = [
        f'{key} "{pattern}"'
        for key, patterns in (("include", settings.include), ("exclude", settings.exclude))
        for pattern in patterns
        if not any(wanted(target, _only(pattern)) for target in found)
    ]
    if idle:
        there = f"the projects are {_some(names)}"
        return Finding.warn(
            f"{summary}; {_some(idle)} {'matches' if len(idle) == 1 else 'match'} none",
            fix=f"check the spelling in discovery, {there}",
        )
    if not included:
        return Finding.warn(
            f"{summary}: nothing will be scraped",
            fix="let discovery.include name what discovery.exclude does not",
        )
    return Finding.ok(summary)


def executions(asked: Sequence[Asked]) -> Finding:
    """Say whether executions can be listed, in one target of each domain."""
    bad = [(one.target, one.seconds, one.error) for one in asked if one.error is not None]
    if not bad:
        slowest = max(asked, key=lambda one: one.seconds)
        names = _some([str(one.target) for one in asked])
        return Finding.ok(f"{names} listed, the slowest in {length(slowest.seconds)}")
    denied = [str(target) for target, _, error in bad if error.code == "PERMISSION_DENIED"]
    fixes = dict.fromkeys(
        fix_of(error, insecure=False) for _, _, error in bad if error.code != "PERMISSION_DENIED"
    )
    if denied:
        listed = ", ".join(f'"{name}"' for name in denied)
        fixes[f"allow ListExecutions for this client, or set discovery.exclude: [{listed}]"] = None
    return Finding.fail(
        "; ".join(_refusal(str(target), seconds, error) for target, seconds, error in bad),
        fix="\n".join(fixes),
    )


def clocks(newest: Execution | None, *, of: Target | None, now: Micros, reach: float) -> Finding:
    """
    Say what the *newest* execution tells about our clock, beside that of Admin, which dated it.

    Admin does not tell its time. But what it has dated is in its past: a date in our future proves
    that our clock is behind, and one in our past, that it is not further ahead than that.

    Args:
        newest: None when there was none.
        of: Its target.
        now: Our clock.
        reach: How far back it was looked for, in seconds.
    """
    if newest is None:
        return Finding.skip(f"nothing to compare with: no execution in the last {length(reach)}")
    age = (now - newest.id.created_at) / SECOND
    if age < -_SKEW.total_seconds():
        return Finding.warn(
            f"our clock is behind Flyte Admin's by at least {length(-age)}: that far in our future"
            f" {of}/{newest.id.name} was created",
            fix="synchronise the clocks of both machines (chrony, ntpd): ages, delays and the"
            " lifetime of tokens depend on them",
        )
    # What we could be ahead by, at most, is how old it seems to be.
    return Finding.ok(f"no sign of skew: the newest execution is {length(max(0.0, age))} old")


def phase_index(asked: Sequence[Asked]) -> Finding:
    """Say whether Admin finds the live executions quickly, which every reconcile asks for."""
    codes = {one.error.code for one in asked if one.error is not None}
    if codes:
        finding = executions(asked)
        # The same target was listed in time a moment ago, but not by phase.
        fix = _INDEX if codes == {"DEADLINE_EXCEEDED"} else finding.fix
        return Finding.fail(f"live executions of {finding.summary}", fix=fix)
    slowest = max(asked, key=lambda one: one.seconds)
    summary = f"live executions of {slowest.target} listed in {length(slowest.seconds)}"
    if slowest.seconds <= _SLOW:
        return Finding.ok(summary)
    return Finding.warn(f"{summary}: each reconcile reads the whole table", fix=_INDEX)


_INDEX = (
    "upgrade Flyte Admin to 1.16, which has an index on phase, or raise scrape.reconcile_interval"
)


def refused(method: str, seconds: float, error: AdminError, *, insecure: bool) -> Finding:
    """Say that Admin did not answer *method*."""
    subject = error.subject or method
    return Finding.fail(_refusal(subject, seconds, error), fix=fix_of(error, insecure=insecure))


def fix_of(error: AdminError, *, insecure: bool) -> str:
    """Return what to do about *error*; *insecure* when we do not speak TLS."""
    if isinstance(error, _OURS) and (fix := parted(error.said)[1]):
        return fix
    if error.code == "PERMISSION_DENIED":
        return f"allow {error.method} for this client"
    fix = _FIXES.get(error.code, _ANY_FIX)
    if error.code == "UNAVAILABLE" and insecure:
        return f"{fix}; where that speaks TLS, remove admin.insecure"
    return fix


_OURS = (NotSent, TokenRefused)
"""Errors in words of ours, which end in what to do."""

_FIXES = {
    "UNAVAILABLE": "check that Flyte Admin runs, and that admin.endpoint is its gRPC port",
    "DEADLINE_EXCEEDED": "look at Flyte Admin's load: while all of its database connections are in"
    " use, it waits instead of failing",
    "UNAUTHENTICATED": "set admin.auth to a client that Flyte Admin accepts",
    "UNIMPLEMENTED": "check that admin.endpoint leads to Flyte Admin, and not to another server",
    "RESOURCE_EXHAUSTED": "lower admin.rate_limit, or have the limit of the proxy before Flyte"
    " Admin raised",
}
_ANY_FIX = "look into the logs of Flyte Admin, and of its database, at this time"


def _refusal(subject: str, seconds: float, error: AdminError) -> str:
    words = parted(error.said)[0] if isinstance(error, _OURS) else error.said
    said = f": {words}" if words else ""
    return f"{subject}: {error.code} after {length(seconds)}{said}"


def _only(pattern: str) -> DiscoverySettings:
    return DiscoverySettings(include=(pattern,))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _some(names: Sequence[str]) -> str:
    """Return the first few of *names*, and how many others there are."""
    shown = ", ".join(names[:_NAMED])
    rest = len(names) - _NAMED
    return f"{shown} and {rest} more" if rest > 0 else shown
