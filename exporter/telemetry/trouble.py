"""What is told of what fails again and again: once that it does, and once that it works again."""

_UNSAID = "it failed without saying why"


class Trouble:
    """
    Whether something fails, and whether that is news.

    Args:
        problem: What it failed with before we came to know it; empty where it worked.
        calm: Seconds without a failure after which it works again. Where several try at a time,
            that one of them succeeds says nothing of the others.

    Attributes:
        problem: What it failed with the last time; empty while it works.
    """

    def __init__(self, problem: str = "", *, calm: float = 0.0) -> None:
        self.problem = problem
        self._kind = ""
        self._calm = calm
        self._failed_at = 0.0

    def failed(self, problem: str, *, kind: str = "", at: float = 0.0) -> bool:
        """
        Take note of a failure; return whether to tell of it.

        Args:
            problem: What failed, in a sentence. Where that is empty, it failed all the same.
            kind: The next failure is told of, too, if it is of another kind.
            at: By the monotonic clock, where *calm* counts.
        """
        news = not self.problem or kind != self._kind
        self.problem, self._kind, self._failed_at = problem or _UNSAID, kind, at
        return news

    def calm_in(self, at: float) -> float:
        """Return the seconds until a success says that it works again."""
        return max(0.0, self._failed_at + self._calm - at)

    def worked(self, *, at: float = 0.0) -> bool:
        """Take note of a success; return whether to tell that it works again."""
        if not self.problem or at - self._failed_at < self._calm:
            return False
        self.problem = ""
        return True
