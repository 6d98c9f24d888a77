"""
What can go wrong between us and Admin, as a poll needs to tell it apart.

AdminError
├── NotFound         Admin answered: there is no such row
├── MessageTooLarge  the answer is over our receive limit: ask for fewer rows
├── RowTooLarge      a single row is: nobody can receive it
├── Throttled        Admin, or a proxy before it, wants fewer calls
├── TokenRefused     Admin refused our token, and there is no better one
├── Nonsense         an answer came that cannot be the answer to what was asked
└── NotSent          we did not even ask
    ├── CircuitOpen  because Admin could not be reached the last times
    ├── HeldBack     because our own limits had no room within the call's time
    ├── NoConnection because files that the configuration names cannot be used
    └── NoToken      because there is no token to ask with
"""

from exporter.model.text import one_line


class AdminError(Exception):
    """
    A call to Admin failed.

    Attributes:
        method: Name of the RPC, such as `ListExecutions`.
        code: gRPC status in upper case, such as `UNAVAILABLE`.
        details: What Admin said; not for labels, and not for display: that is `said`.
        said: The same, on one printable line.
        subject: What was asked about, such as `flytesnacks/production`; empty when nothing was.
    """

    _most = 300
    """Characters of the details that are shown: Admin sends up to 32,000, a line has fewer."""

    def __init__(self, *, method: str, code: str, details: str, subject: str = "") -> None:
        self.method = method
        self.code = code
        self.details = details
        self.subject = subject
        self.said = one_line(details, most=self._most)
        about = f" for {subject}" if subject else ""
        said = f": {self.said}" if details else ""
        super().__init__(f"{method}{about} {self._verb(code)}{said}{self._advice(code)}")

    def _verb(self, code: str) -> str:
        return f"failed with {code}"

    def _advice(self, code: str) -> str:
        return _ADVICE.get(code, "")


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


class Throttled(AdminError):
    """Somebody between us and Admin's database counts our calls, and has had enough of them."""

    def _advice(self, code: str) -> str:
        del code
        return "; lower admin.rate_limit, or have the limit of the proxy before Admin raised"


class TokenRefused(AdminError):
    """Admin, or a proxy before it, refused what we carried, and there is nothing better."""

    _most = 1000  # these are words of our own, and the advice stands at their end

    def _advice(self, code: str) -> str:
        del code
        return ""


class Nonsense(AdminError):
    """An answer arrived that cannot be what was asked for; asking again would bring it again."""


class NotSent(AdminError):
    """The call was not made."""

    _most = 1000  # these are words of our own, and the advice stands at their end

    def _verb(self, code: str) -> str:
        del code
        return "was not sent"

    def _advice(self, code: str) -> str:
        del code
        return ""


class CircuitOpen(NotSent):
    """
    Admin could not be reached the last times; one call at a time finds out whether it is back.

    Attributes:
        wait: Seconds after which this call may have more luck; None when it should give up.
    """

    def __init__(
        self, *, method: str, why: str, subject: str = "", wait: float | None = None
    ) -> None:
        self.wait = wait
        details = (
            f"Admin cannot be reached ({why}); one call at a time finds out whether it is back"
        )
        super().__init__(method=method, code="UNAVAILABLE", details=details, subject=subject)


class HeldBack(NotSent):
    """The limits on our own calls left no room within the call's time."""


class NoConnection(NotSent):
    """A file of certificates that the configuration names cannot be used."""


class NoToken(NotSent):
    """
    There is no access token to call with.

    Attributes:
        lasting: Whether there will be none until a person does something.
    """

    def __init__(
        self, *, method: str, code: str, details: str, subject: str = "", lasting: bool
    ) -> None:
        self.lasting = lasting
        super().__init__(method=method, code=code, details=details, subject=subject)


def nonsense(method: str, subject: str, finding: str) -> Nonsense:
    """Return the error for an answer that arrived, but cannot be what was asked for."""
    return Nonsense(
        method=method,
        code="INTERNAL",
        details=f"Admin, or a proxy before it, answered with {finding}",
        subject=subject,
    )


def refusal(method: str, code: str, details: str, subject: str = "") -> AdminError:
    """
    Return the error for a call that ended with the gRPC status *code*.

    RESOURCE_EXHAUSTED stands for three things. An answer over our receive limit is told by words
    that all versions of grpc share; trailers over the metadata limit are an error like any other;
    what is left is a quota, which flyteadmin has none of, but proxies and meshes do.
    """
    kind = AdminError
    if code == "NOT_FOUND":
        kind = NotFound
    elif code == "RESOURCE_EXHAUSTED":
        if "larger than max" in details:
            kind = MessageTooLarge
        elif not any(word in details.lower() for word in _SIZES):
            kind = Throttled
    return kind(method=method, code=code, details=details, subject=subject)


_SIZES = ("metadata", "too large", "size exceeds")
"""Words of texts about a size; everything else that is exhausted is a number of calls."""

_ADVICE = {
    "PERMISSION_DENIED": "; allow this client to make this call there, or add the target to"
    " discovery.exclude",
    "UNAUTHENTICATED": "; set admin.auth to a client that Admin accepts",
    "UNAVAILABLE": "; check admin.endpoint and that Admin is running, or have `flyte-exporter"
    " doctor` find out why",
}
