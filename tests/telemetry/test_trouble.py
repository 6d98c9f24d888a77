"""What fails again and again is told of once, and once more when it works."""

from exporter.telemetry.trouble import Trouble


def test_repetitions_are_no_news() -> None:
    """The first failure is, and the first success after it; what went well before is not."""
    trouble = Trouble()
    assert not trouble.worked()
    assert [trouble.failed("down"), trouble.failed("still down")] == [True, False]
    assert trouble.problem == "still down"
    assert [trouble.worked(), trouble.worked()] == [True, False]
    assert trouble.problem == ""
    assert trouble.failed("down again")


def test_another_kind_of_failure_is_news() -> None:
    """Who looks for a slow Admin would not find that it refuses us by now."""
    trouble = Trouble()
    kinds = ("timeout", "timeout", "refused", "timeout")
    assert [trouble.failed("down", kind=kind) for kind in kinds] == [True, False, True, True]


def test_what_failed_before_us_works_again_once() -> None:
    """A reload does not hide that something recovered; and it tells no failure twice."""
    assert not Trouble("down").failed("down")
    trouble = Trouble("down")
    assert trouble.worked()
    assert not trouble.worked()


def test_it_works_again_once_nothing_failed_for_a_while() -> None:
    """A success among failures does not count, whoever it was that failed."""
    trouble = Trouble(calm=60)
    assert trouble.failed("down", at=1000)
    assert not trouble.worked(at=1059)
    assert not trouble.failed("down", at=1059)
    assert not trouble.worked(at=1118)
    assert trouble.worked(at=1119)
    assert not trouble.worked(at=2000)
    assert trouble.failed("down", at=2000)


def test_what_fails_without_a_word_fails() -> None:
    """An error may have no text: it is told once like any other, and so is that it is over."""
    trouble = Trouble()
    assert [trouble.failed(""), trouble.failed("")] == [True, False]
    assert trouble.problem
    assert [trouble.worked(), trouble.worked()] == [True, False]
