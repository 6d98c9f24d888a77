"""What a person sees in a browser."""

from collections.abc import Callable
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.model.reload import TurnedDown
from exporter.model.status import TargetStatus
from exporter.model.targets import Target
from exporter.model.time import SECOND, Micros
from exporter.web import landing

NOW = Micros(1_795_419_665_123_456)


def status(
    name: str,
    *,
    up: bool | None = True,
    ago: timedelta | None = timedelta(seconds=12),
    took: timedelta | None = timedelta(milliseconds=8),
    live: int = 3,
    problem: str = "",
    plans: int | None = 7,
    inventory_problem: str = "",
) -> TargetStatus:
    """Return a target of which only what matters to a test need be said."""
    last = None if ago is None else Micros(NOW - int(ago.total_seconds()) * SECOND)
    target = Target(name, "production")
    return TargetStatus(target, up, last, took, live, problem, plans, inventory_problem)


def page(
    *targets: TargetStatus,
    unhealthy: str = "",
    unready: str = "",
    endpoint: str = "a",
    turned_down: TurnedDown | None = None,
) -> str:
    """Return the page for *targets*."""
    return landing.render(
        version="1.2.3",
        endpoint=endpoint,
        unhealthy=unhealthy,
        unready=unready,
        turned_down=turned_down,
        targets=targets,
        now=NOW,
    )


class _Reader(HTMLParser):
    """Collects the tags, attributes and text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_whole_page(golden: Callable[[str, str], None]) -> None:
    """The page with a target in each state is as reviewed."""
    refused = "Admin refused ListExecutions (PERMISSION_DENIED). Let it, or exclude the target."
    html = page(
        status("calm", live=0),
        status("busy", live=12_345, took=timedelta(seconds=2.34)),
        status("late", up=False, ago=timedelta(hours=3, minutes=20), problem=refused),
        status("lost", up=False, ago=None, problem='<script>alert("hello")</script>'),
        status("new", up=None, ago=None, took=None, live=0, plans=None),
        unready="1 of 5 targets is still to be polled for the first time",
        endpoint="dns:///flyteadmin.flyte.svc:81",
    )
    golden("landing.html", html)


def test_failing_targets_come_first() -> None:
    """However many targets are well, the failing ones stand at the top, then the waiting ones."""
    many = [status(f"well-{number:03}") for number in range(600)]
    html = page(
        *many, status("waits", up=None), status("z-fails", up=False), status("fails", up=False)
    )
    order = [html.index(name) for name in (">fails/", ">z-fails/", ">waits/", ">well-000/")]
    assert order == sorted(order)


def test_summary_counts_each_state_and_the_live_executions() -> None:
    """The top of the list says how many targets are in each state."""
    text = _Reader(page(status("a"), status("b"), status("c", up=False), status("d", up=None))).text
    assert "1 down" in text
    assert "1 waiting" in text
    assert "2 up" in text
    assert "12 live executions" in text


def test_a_listing_of_launch_plans_that_fails_is_told_where_nothing_worse_is() -> None:
    """A target that is up may still have something to say; one that is down has its own reason."""
    text = _Reader(page(status("a", inventory_problem="plans unknown"))).text
    assert "plans unknown" in text
    both = status("a", up=False, problem="all unknown", inventory_problem="plans unknown")
    text = _Reader(page(both)).text
    assert "all unknown" in text
    assert "plans unknown" not in text


def test_no_targets_says_why() -> None:
    """Before discovery the page says when targets will appear instead of an empty table."""
    assert "None are known yet" in page()


def test_objections_are_told() -> None:
    """What makes the health checks fail stands on the page."""
    text = _Reader(page(unhealthy="the ledger is gone", unready="6 targets to go")).text
    assert "no: the ledger is gone" in text
    assert "no: 6 targets to go" in text


@pytest.mark.parametrize(
    ("ago", "expected"),
    [
        (timedelta(seconds=-5), "(0 s ago)"),
        (timedelta(seconds=59), "(59 s ago)"),
        (timedelta(minutes=5), "(5 min ago)"),
        (timedelta(minutes=5, seconds=1), "(5 min 1 s ago)"),
        (timedelta(hours=3, minutes=20, seconds=9), "(3 h 20 min ago)"),
        (timedelta(days=2, minutes=59), "(2 d ago)"),
    ],
)
def test_how_long_ago(ago: timedelta, expected: str) -> None:
    """The age of the last success is told in its largest units, and never as negative."""
    assert expected in _Reader(page(status("a", ago=ago))).text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "c.yaml:1:9: log: wrong.\nc.yaml:2:9: web: wrong.\n2 problems; nothing was changed.",
            "c.yaml:1:9: log: wrong. … 2 problems; nothing was changed.",
        ),
        (
            "c.yaml:1:9: log: wrong.\n1 problem; nothing was changed.",
            "c.yaml:1:9: log: wrong. 1 problem; nothing was changed.",
        ),
        (f"{'x' * 900}\nNothing was changed.", f"{'x' * 399}… Nothing was changed."),
    ],
)
def test_a_configuration_that_was_turned_down_is_told(text: str, expected: str) -> None:
    """When it was read, what is wrong with it first, and how much is, in one line."""
    shown = _Reader(page(turned_down=TurnedDown(Micros(NOW - 90 * SECOND), text))).text
    assert f"what was read last is not in effect: {expected}" in shown
    assert "(1 min 30 s ago)" in shown
    assert "read last" not in _Reader(page()).text


CLEAN = _Reader(
    page(status("a", problem="x"), unhealthy="x", unready="x", turned_down=TurnedDown(NOW, "x\nx"))
)


@given(hostile=st.text(alphabet=st.sampled_from("<>&\"'/!-=scriptonxy \n\x00\u202e")) | st.text())
def test_nothing_hostile_becomes_markup(hostile: str) -> None:
    """Whatever a problem, a name or an endpoint says, the page has the same tags and attributes."""
    sick = status(hostile, problem=hostile)._replace(target=Target(hostile, hostile))
    html = page(
        sick,
        unhealthy=hostile or "x",
        unready=hostile or "x",
        endpoint=hostile,
        turned_down=TurnedDown(NOW, hostile),
    )
    read = _Reader(html)
    assert read.tags == CLEAN.tags
    assert read.attributes == CLEAN.attributes
    html.encode("utf-8")
    assert "\u202e" not in html
    assert "\x00" not in html


def test_a_long_problem_is_cut() -> None:
    """An error as long as a stack trace does not push the other targets off the screen."""
    assert len(page(status("a", up=False, problem="x" * 100_000))) < len(page(status("a"))) + 1_000


def test_the_page_needs_nothing_from_elsewhere() -> None:
    """The page is self-contained: it runs no script and loads no file."""
    read = _Reader(page(status("a")))
    assert not {"script", "link", "img", "iframe"} & set(read.tags)
    links = {value for name, value in read.attributes if name in {"href", "src"}}
    assert links == {"/metrics", "/config", "/-/healthy", "/-/ready"}
