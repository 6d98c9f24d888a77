"""An error of Admin's is one sentence that says what to do."""

import pytest

from exporter.admin.errors import AdminError, NoToken, RowTooLarge, nonsense


@pytest.mark.parametrize(
    ("code", "way_out"),
    [
        (
            "PERMISSION_DENIED",
            "; allow this client to make this call there, or add the target to discovery.exclude",
        ),
        ("UNAUTHENTICATED", "; set admin.auth to a client that Admin accepts"),
        (
            "UNAVAILABLE",
            (
                "; check admin.endpoint and that Admin is running, or have"
                " `flyte-exporter doctor` find out why"
            ),
        ),
        ("UNKNOWN", ""),
    ],
)
def test_what_a_person_reads(code: str, way_out: str) -> None:
    """What was asked, about what, how it ended, what Admin said, and the way out."""
    error = AdminError(method="ListExecutions", code=code, details="no", subject="p/d")
    assert str(error) == f"ListExecutions for p/d failed with {code}: no{way_out}"


def test_nothing_is_said_where_nothing_is_known() -> None:
    """Without subject and text the sentence is shorter, not full of holes."""
    error = AdminError(method="GetVersion", code="UNKNOWN", details="")
    assert str(error) == "GetVersion failed with UNKNOWN"


def test_nonsense_says_who_may_have_answered() -> None:
    """An answer that cannot be is laid at Admin's door, or at a proxy's."""
    assert str(nonsense("ListExecutions", "p/d", "rows that are not in order")) == (
        "ListExecutions for p/d failed with INTERNAL: Admin, or a proxy before it, answered with"
        " rows that are not in order"
    )


@pytest.mark.parametrize(
    ("details", "shown"),
    [
        ("a\r\nb\x00c", "a b c"),
        ("\x1b]0;title\x07", "]0;title"),
        ("\u202eevil\u2066", "evil"),
        ("  \n\t ", ""),
    ],
)
def test_control_characters_become_blanks(details: str, shown: str) -> None:
    """Neither a terminal nor a log line can be steered by what Admin passes on."""
    error = AdminError(method="M", code="C", details=details)
    assert str(error).removeprefix("M failed with C").removeprefix(":").strip() == shown


@pytest.mark.parametrize(("length", "cut"), [(300, False), (301, True)])
def test_where_a_text_is_cut(length: int, *, cut: bool) -> None:
    """300 characters are shown, and an ellipsis says that there was more."""
    text = str(AdminError(method="M", code="C", details="x" * length))
    assert text == "M failed with C: " + "x" * 300 + ("…" if cut else "")


def test_a_row_that_nobody_can_receive_says_which() -> None:
    """A person must find it without having seen it."""
    error = RowTooLarge(method="ListExecutions", subject="p/d", which="the execution 'a'")
    assert error.code == "RESOURCE_EXHAUSTED"
    assert str(error) == (
        "ListExecutions for p/d failed with RESOURCE_EXHAUSTED: the execution 'a' is larger than we"
        " can receive; it stays uncounted, and in a list whatever follows it, until it is deleted"
        " from Admin's database"
    )


def test_our_own_words_are_not_cut() -> None:
    """They are bounded anyway, and end in what to do."""
    details = f"{'x' * 300}; set admin.auth.type."
    error = NoToken(method="M", code="C", details=details, lasting=True)
    assert str(error) == f"M was not sent: {details}"
