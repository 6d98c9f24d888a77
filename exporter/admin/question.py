"""What is asked of Admin, before anybody has begun to ask it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from exporter.model.targets import Target

ADMIN_SERVICE = "flyteidl.service.AdminService"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """
    One call to Admin, however many attempts it takes.

    Attributes:
        method: Name of the RPC.
        request: Its message.
        timeout: Seconds that the answer may take, all attempts and pauses included.
        service: The full name of the service that the RPC belongs to.
        target: Whose rows are asked for, if anybody's.
        execution: Name of the execution that is asked for, if one is.
        page: Number of the page, from 1, of a list that is read page by page.
        rows: Counts the rows of an answer, where it has any.
    """

    method: str
    request: Any = field(repr=False)
    timeout: float
    service: str = ADMIN_SERVICE
    target: Target | None = None
    execution: str = ""
    page: int | None = None
    rows: Callable[[Any], int] | None = field(default=None, repr=False)

    @property
    def subject(self) -> str:
        """What it is about, for errors; empty when it is about Admin itself."""
        if self.target is None:
            return ""
        return f"{self.target}/{self.execution}" if self.execution else str(self.target)

    def told(self) -> Mapping[str, str]:
        """Return what a line of the log tells about it."""
        about = {} if self.target is None else self.target._asdict()
        return {**about, "method": self.method}

    def attributes(self) -> Mapping[str, str | int]:
        """Return what a span tells about it, apart from the RPC."""
        told: dict[str, str | int] = {}
        if self.target is not None:
            told["flyte.project"], told["flyte.domain"] = self.target
        if self.execution:
            told["flyte.execution"] = self.execution
        if self.page is not None:
            told["flyte.page"] = self.page
        return told
