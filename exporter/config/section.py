"""Settings come in sections, and a section may hold another."""

from pydantic import BaseModel, ConfigDict


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
