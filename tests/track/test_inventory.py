"""Between two complete listings, what is news is told, once."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.model.launch_plans import Activation, ActivePlan
from exporter.model.schedules import Cron, Rate, parse_schedule
from exporter.model.time import Micros
from exporter.track.inventory import Changes, compare

_LATER = Micros(1_000)
_PLAN = st.builds(
    ActivePlan,
    st.sampled_from("abcd"),
    st.sampled_from(["v1", "v2"]),
    st.just("wf"),
    st.none() | st.just(Cron("@daily")) | st.just(Rate(timedelta(hours=1))),
)
_LISTING = st.dictionaries(st.sampled_from("abcd"), _PLAN).map(
    lambda found: [plan._replace(name=name) for name, plan in found.items()]
)


def applied(known: dict[str, Activation], changes: Changes) -> dict[str, Activation]:
    """Return what is known once *changes* are taken over."""
    news = {each.plan.name: each for each in (*changes.activated, *changes.changed)}
    rest = {name: each for name, each in known.items() if name not in changes.deactivated}
    return {**rest, **news}


@given(listings=st.lists(_LISTING, min_size=1, max_size=6), size=st.integers(1, 5))
@settings(deadline=None)
def test_what_is_known_is_the_last_listing_with_its_history(
    listings: list[list[ActivePlan]], size: int
) -> None:
    """Whatever came before: exactly what is listed is active, since it was last not listed."""
    known: dict[str, Activation] = {}
    since: dict[str, int] = {}
    for number, listing in enumerate(listings):
        for changes in compare(known, listing, Micros(number)).parts(size):
            assert max(map(len, (changes.activated, changes.changed, changes.deactivated))) <= size
            known = applied(known, changes)
        names = {plan.name for plan in listing}
        since = {name: since.get(name, number) for name in names}
        assert {name: each.plan for name, each in known.items()} == {
            plan.name: plan for plan in listing
        }
        assert {name: each.since for name, each in known.items()} == since
        assert list(compare(known, listing, _LATER).parts(size)) == []


def test_a_version_that_changes_is_no_activation() -> None:
    """It is told as a change, and keeps since when the launch plan is active."""
    plan = ActivePlan("etl", "v1", "wf", None)
    known = {"etl": Activation(plan, Micros(7))}
    newer = plan._replace(version="v2", schedule=Cron("0 3 * * *"))
    assert compare(known, [newer], _LATER) == Changes(
        activated=[], changed=[Activation(newer, Micros(7))], deactivated=()
    )


@given(
    schedule=st.none()
    | st.integers(1, 10_000).map(lambda minutes: Rate(timedelta(minutes=minutes)))
    | st.sampled_from(["@daily", "@every 1h", "CRON_TZ=UTC 0 3 * * *"]).map(Cron)
)
@settings(deadline=None)
def test_a_schedule_is_read_as_it_was_written(schedule: Cron | Rate | None) -> None:
    """The ledger keeps its text, which is that of the metric."""
    assert parse_schedule(str(schedule or "")) == schedule
