"""A configuration of flytectl or flytekit in a directory, and ours that names it."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from exporter.config.load import decode
from exporter.config.problems import ConfigError
from exporter.config.settings import AdminSettings

OURS = "admin:\n  config_file: {path}\n"


@dataclass(frozen=True, slots=True)
class Theirs:
    """A directory with a configuration of theirs in it."""

    directory: Path

    def admin(
        self, theirs: str, ours: str = "", *, name: str = "config.yaml", **environ: str
    ) -> AdminSettings:
        """Return what comes of *theirs*, below further lines of *ours*."""
        path = self.directory / name
        path.write_text(theirs, encoding="utf-8")
        content = OURS.format(path=path) + ours
        admin = decode(content.encode(), file=Path("ours.yaml"), environ=environ).admin
        assert admin.config_file == path
        return admin.model_copy(update={"config_file": None})

    def problems(
        self, theirs: str, ours: str = "", *, name: str = "config.yaml", **environ: str
    ) -> list[str]:
        """Return what is wrong with *theirs*, told without the name of the directory."""
        with pytest.raises(ConfigError) as caught:
            self.admin(theirs, ours, name=name, **environ)
        return [str(problem).replace(f"{self.directory}/", "") for problem in caught.value.problems]
