"""The page on cardinality can be copied from, and its arithmetic is right."""

import re
from collections import Counter
from datetime import timedelta
from itertools import product
from pathlib import Path

import pytest

from exporter.config.load import decode
from exporter.config.settings import MetricsSettings
from exporter.metrics import catalog
from exporter.metrics.book import Book
from exporter.metrics.budget import OVERFLOW
from exporter.metrics.catalog import FAMILIES, Family
from exporter.metrics.exposition import Exposition
from exporter.metrics.gauges import ACTIVATION, NEEDED, SCHEDULE, STANDING, PlanGauges
from exporter.metrics.labelling import labelled
from exporter.metrics.measure import measure
from exporter.metrics.opening import bounds_of, varieties_of
from exporter.metrics.owners import OTHER, Variety, spills
from exporter.metrics.places import RETENTION
from exporter.metrics.selection import family_limits_of, labelling_of
from exporter.model.events import Events
from exporter.model.executions import Mode, Phase
from exporter.model.failures import NO_CODE, ErrorKind
from exporter.model.platform_codes import PLATFORM_CODES
from exporter.model.targets import Target
from tests.metrics.conftest import Diverted, Silence
from tests.rows import NOON, execution

_PAGE = (Path(__file__).parents[1] / "docs" / "cardinality.md").read_text(encoding="utf-8")
_EXAMPLES = re.findall(r"```yaml\n(.*?)```", _PAGE, re.DOTALL)
_LIVE_PHASES = (Phase.QUEUED, Phase.RUNNING, Phase.FAILING, Phase.ABORTING)


def settings_of(example: str) -> MetricsSettings:
    """Return what an example of the page sets."""
    content = f"admin: {{endpoint: flyteadmin:81}}\n{example}".encode()
    return decode(content, file=Path("page"), environ={}).metrics


class World:
    """What is counted of launch plans, each of which runs in some modes and has live executions."""

    def __init__(self, settings: MetricsSettings | None = None) -> None:
        settings = settings or MetricsSettings()
        self.observer = Diverted()
        self.book = Book(
            bounds=bounds_of(settings),
            limit=settings.series_limit,
            family_limits=family_limits_of(settings),
            varieties=varieties_of(settings),
            hold=timedelta(0),
            exposition=Exposition(Silence()),
            observer=self.observer,
            labelling=labelling_of(settings),
        )
        self.gauges = PlanGauges(
            budget=self.book.budget,
            exposition=self.book.exposition,
            observer=self.observer,
            is_admitted=self.book.is_admitted,
        )

    def launch(self, target: Target, launch_plan: str, *modes: Mode) -> None:
        """Count one launch in each mode, and show a live execution in several phases."""
        rows = [execution(mode.name, launch_plan=launch_plan, mode=mode) for mode in modes]
        increments = labelled(measure(target, Events(launched=rows)), self.book.labelling)
        self.book.post(target, increments, NOON)
        label = self.book.labelling.label(launch_plan)
        self.book.levels.show(target, label, dict.fromkeys(_LIVE_PHASES, (1, NOON)))

    def show(self, target: Target, launch_plan: str) -> None:
        """Show all gauges of an active launch plan that has a schedule, and runs."""
        label = self.book.labelling.label(launch_plan)
        for family, count in Counter(NEEDED).items():
            places = len(family.labels) - len(catalog.LAUNCH_PLAN)
            rows = [((str(number),) * places, 1.0) for number in range(count)]
            self.gauges.show(target, label, family, rows)

    @property
    def used(self) -> Counter[Family]:
        """How many series each family has."""
        return Counter({family: self.book.budget.used_by(family) for family in FAMILIES})


@pytest.mark.parametrize("example", _EXAMPLES)
def test_each_example_is_valid(example: str) -> None:
    """It can be copied into a file, and has an effect."""
    settings = settings_of(example)
    assert settings != MetricsSettings()
    assert not labelling_of(settings).is_plain or family_limits_of(settings)


def test_the_rules_do_what_the_table_says() -> None:
    """Each name of the table becomes the one beside it."""
    labelling = labelling_of(settings_of(_EXAMPLES[0]))
    rows = re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|$", _PAGE, re.MULTILINE)
    assert len(rows) == 5
    assert {name: labelling.label(name) for name, _ in rows} == dict(rows)


def test_what_a_launch_plan_costs() -> None:
    """So many series, so many more for another mode, and so many of them the histogram."""
    told = re.search(
        r"costs (\d+) series \((\d+) of them are its duration histogram\), and (\d+) more", _PAGE
    )
    assert told is not None
    costs = []
    for modes in ((), (Mode.MANUAL,), (Mode.MANUAL, Mode.SCHEDULED)):
        world = World()
        target = Target("a", "production")
        rows = [execution(mode.name, mode=mode) for mode in modes]
        world.book.post(target, measure(target, Events(launched=rows)), NOON)
        costs.append(world.used.total())
        histogram = world.used[catalog.EXECUTION_DURATION]
    assert [costs[1] - costs[0], histogram, costs[2] - costs[1]] == list(map(int, told.groups()))
    assert f"saves {histogram} series for each launch plan" in _PAGE


def test_what_the_gauges_of_a_launch_plan_cost() -> None:
    """So many say how it fared, that it is active, and, with two counters, how it keeps time."""
    told = re.search(
        r"up to (\d+) say how it fared, (\d+) that it is active, and (\d+) how it keeps", _PAGE
    )
    assert told is not None
    needed = Counter(NEEDED)
    sets = (STANDING, ACTIVATION, SCHEDULE)
    fared, active, kept = (sum(needed[family] for family in families) for families in sets)
    assert [fared, active, kept + 2] == list(map(int, told.groups()))
    assert f"its {len(NEEDED)} gauges, too" in _PAGE
    assert f"by at most {len(NEEDED)} for each launch" in _PAGE


def test_gauges_exceed_the_limit_by_no_more_than_is_told() -> None:
    """Where all launch plans come in before any of them shows one."""
    world = World(MetricsSettings(series_limit=1_000))
    target = Target("a", "production")
    for n in range(100):
        world.launch(target, f"plan-{n}", Mode.SCHEDULED)
    admitted = world.book.places.launch_plans(target)
    before = world.used.total()
    for launch_plan in admitted:
        world.show(target, launch_plan)
    assert before <= 1_000 < world.used.total() <= 1_000 + len(NEEDED) * len(admitted)


def test_a_large_world_stays_inside_the_default_limit() -> None:
    """200 projects in 3 domains, 5,000 launch plans, all live and shown: none is left out."""
    world = World()
    targets = [Target(f"project-{n}", domain) for n, domain in product(range(200), "abc")]
    for n in range(5_000):
        world.launch(targets[n % len(targets)], f"plan-{n}", Mode.SCHEDULED, Mode.MANUAL)
        world.show(targets[n % len(targets)], f"plan-{n}")
    assert not world.observer.increments_of
    assert 150_000 < world.used.total() < MetricsSettings().series_limit * 0.9


def test_how_many_series_of_codes_a_target_can_have() -> None:
    """The page says the most that hostile programs can bring about, and what it is made of."""
    settings = MetricsSettings()
    family = catalog.EXECUTION_ERROR_CODES
    variety, found = Variety(varieties_of(settings)), set()
    made_up = [f"MadeUp{number}" for number in range(2 * settings.error_codes_limit)]
    for code in (*made_up, *PLATFORM_CODES, NO_CODE, OTHER, OVERFLOW):
        for kind in ErrorKind:
            wanted = ("a", "production", kind.name, code)
            labels = variety.admitted(family, wanted)
            variety.take(family, labels)
            # Once there is no room, the nearest place that still has some.
            found |= {labels, spills(family, labels)[0]}
    kinds, most = len(ErrorKind), len(found)
    beside = most // kinds - settings.error_codes_limit
    assert re.search(rf"{kinds} . \(`metrics.error_codes_limit` \+ {beside}\)", _PAGE)
    assert f"by default {most}:" in _PAGE
    assert f"the {len(PLATFORM_CODES)} that are Flyte's own" in _PAGE


def test_how_long_series_live_is_told() -> None:
    """The page says the number that the program goes by."""
    assert f"until {RETENTION.days} days after" in _PAGE
    assert f"when nothing was counted there for {RETENTION.days} days" in _PAGE
