"""
What can go wrong between us and Admin, as a poll needs to tell it apart.

AdminError
├── NotFound         Admin answered: there is no such row
├── MessageTooLarge  the answer is over our receive limit: ask for fewer rows
└── RowTooLarge      a single row is: nobody can receive it
"""


class AdminError(Exception):
    """
    A call to Admin failed.

    Attributes:
        method: Name of the RPC, such as `ListExecutions`.
        code: gRPC status in upper case, such as `UNAVAILABLE`.
        subject: What was asked about, such as `flytesnacks/production`; empty when nothing was.
    """

    def __init__(self, *, method: str, code: str, details: str, subject: str = "") -> None:
        self.method = method
        self.code = code
        self.subject = subject
        about = f" for {subject}" if subject else ""
        said = f": {_one_line(details)}" if details else ""
        super().__init__(f"{method}{about} failed with {code}{said}{_ADVICE.get(code, '')}")


class NotFound(AdminError):
    """Admin has no such row."""


class MessageTooLarge(AdminError):
    """The answer is larger than we accept; the same question with a smaller page may fit."""


class RowTooLarge(AdminError):
    """A single row is larger than we accept, so asking for fewer cannot help."""

    def __init__(self, *, method: str, subject: str, which: str) -> None:
        """Say *which* row it is, as far as that is known of a row that nobody has seen."""
        super().__init__(
            method=method,
            code="RESOURCE_EXHAUSTED",
            details=f"{which} is larger than we can receive; it stays uncounted, and in a list"
            " whatever follows it, until it is deleted from Admin's database",
            subject=subject,
        )


def nonsense(method: str, subject: str, finding: str) -> AdminError:
    """Return the error for an answer that arrived, but cannot be what was asked for."""
    return AdminError(
        method=method,
        code="INTERNAL",
        details=f"Admin, or a proxy before it, answered with {finding}",
        subject=subject,
    )


_ADVICE = {
    "PERMISSION_DENIED": "; allow this client to list executions there, or add the target to"
    " discovery.exclude",
    "UNAUTHENTICATED": "; this Admin wants a token",
    "UNAVAILABLE": "; check admin.endpoint and that Admin is running",
}
_LONGEST_DETAIL = 300  # Admin's texts reach 32,000 bytes; a log line should not.


def _one_line(text: str) -> str:
    """Cut hostile or endless *text* to one printable line."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return flat if len(flat) <= _LONGEST_DETAIL else flat[:_LONGEST_DETAIL] + "…"
