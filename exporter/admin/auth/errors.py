"""
Why a call cannot carry what Admin, or a proxy before it, wants to see.

CredentialsError
├── TokenUnavailable  whoever gives tokens did not answer: a later call may have more luck
├── SourceRejected    whoever gives tokens said no, or cannot be asked with what is configured
└── TokenRejected     a token was had, and Admin refused it
"""


class CredentialsError(Exception):
    """
    A call has no credentials that could work. Its text speaks to a person, and holds no secret.

    Attributes:
        code: gRPC status in upper case that a call without credentials counts as.
        lasting: Whether trying again cannot help before somebody has changed something.
    """

    def __init__(self, sentence: str, *, code: str, lasting: bool) -> None:
        super().__init__(sentence)
        self.code = code
        self.lasting = lasting


class TokenUnavailable(CredentialsError):
    """
    No token came this time.

    Attributes:
        wait: Seconds that whoever gives tokens asked us to stay away; None when it did not say.
    """

    def __init__(
        self, sentence: str, *, code: str = "UNAVAILABLE", wait: float | None = None
    ) -> None:
        super().__init__(sentence, code=code, lasting=False)
        self.wait = wait


class SourceRejected(CredentialsError):
    """No token can come: what is configured is refused, or is not there."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, code="UNAUTHENTICATED", lasting=True)


class TokenRejected(CredentialsError):
    """Admin refused a token that we had."""

    def __init__(self, sentence: str, *, lasting: bool) -> None:
        super().__init__(sentence, code="UNAUTHENTICATED", lasting=lasting)
