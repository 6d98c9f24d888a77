"""Patterns PROJECT/DOMAIN/LAUNCH_PLAN, by which settings name launch plans."""

from fnmatch import fnmatchcase

from exporter.model.targets import Target


def names(pattern: str, target: Target, launch_plan: str) -> bool:
    """Whether *pattern* names *launch_plan* of *target*; `*` and `?` stand for any characters."""
    project, domain, name = pattern.split("/", 2)
    return (
        fnmatchcase(target.project, project)
        and fnmatchcase(target.domain, domain)
        and fnmatchcase(launch_plan, name)
    )
