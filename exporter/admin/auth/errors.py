"""What can go wrong between us and whoever issues our tokens."""


class CredentialsError(Exception):
    """
    There is no token that Admin would accept.

    Attributes:
        code: gRPC status in upper case that this amounts to.
        lasting: Whether it stays so until a person does something.
    """

    def __init__(self, problem: str, *, code: str = "UNAUTHENTICATED", lasting: bool) -> None:
        self.code = code
        self.lasting = lasting
        super().__init__(problem)
