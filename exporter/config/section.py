"""Settings come in sections, and a section may hold another."""

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict

from exporter.config.expectations import noted
from exporter.config.values import Confidential


class Section(BaseModel):
    """A group of settings: read once, never changed, and closed to unknown names."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        validate_default=True,
        use_attribute_docstrings=True,
        # A value may be a secret that somebody put in the wrong place.
        hide_input_in_errors=True,
    )

    def __repr_args__(self) -> Iterator[tuple[str | None, object]]:
        for name, value in super().__repr_args__():
            field = type(self).model_fields.get(name or "")
            confidential = noted(field, Confidential) if field and value else None
            yield name, confidential.masked(value) if confidential else value
