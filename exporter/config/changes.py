"""What a changed configuration changes, and what of that must wait for a restart."""

from collections.abc import Mapping

from exporter.config.document import KeyPath
from exporter.config.problems import dotted
from exporter.config.section import Section
from exporter.config.settings import Settings
from exporter.config.tree import SETTINGS

FIXED: Mapping[KeyPath, str] = {
    ("admin", "endpoint"): (
        "the counts in the ledger are of the Admin that it names. Restart: with another "
        "ledger.path for another Admin, with --adopt-ledger for the same one under a new address"
    ),
    ("ledger", "path"): "the counts that go on are in the ledger that is open. Restart",
    ("web", "listen"): "Prometheus and the health checks ask where the port is now. Restart",
}
"""Settings, or whole sections, that hold for as long as the process lives: why; what to do."""


def why_fixed(path: KeyPath) -> str | None:
    """Return why the setting at *path* holds for as long as the process lives; None if not."""
    return next((why for fixed, why in FIXED.items() if path[: len(fixed)] == fixed), None)


def changed(before: Settings, after: Settings) -> list[KeyPath]:
    """
    Return the settings that differ, in the order in which they are documented.

    One that was left to its default and is now set to it differs, too: an environment variable of
    OpenTelemetry's may have had a say in it.
    """
    return [path for path in SETTINGS if _written(before, path) != _written(after, path)]


def refused(before: Settings, after: Settings) -> dict[KeyPath, str]:
    """Return the settings that differ and may not, with what is to be said about each."""
    return {
        path: f"cannot be changed while the exporter runs: {why}."
        for path in SETTINGS
        if (why := why_fixed(path)) and _value(before, path) != _value(after, path)
    }


def named(paths: list[KeyPath]) -> list[str]:
    """Return *paths* as a person writes them; without values, for one may be a secret."""
    return [dotted(path) for path in paths]


def _written(settings: Settings, path: KeyPath) -> tuple[object, bool]:
    section = _section(settings, path)
    return getattr(section, str(path[-1])), path[-1] in section.model_fields_set


def _value(settings: Settings, path: KeyPath) -> object:
    return getattr(_section(settings, path), str(path[-1]))


def _section(settings: Settings, path: KeyPath) -> Section:
    section: Section = settings
    for key in path[:-1]:
        section = getattr(section, str(key))
    return section
