"""A failure's kind is the true one, and its code is fit to be a label."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.model.failures import NO_CODE, ErrorKind, Failure, failure, normal

_USER, _SYSTEM, _UNKNOWN = ErrorKind.USER, ErrorKind.SYSTEM, ErrorKind.UNKNOWN
_RETRIED = "[3/3] currentAttempt done. Last Error: {}::"


@pytest.mark.parametrize(
    ("kind", "code", "message", "expected"),
    [
        pytest.param(
            _USER, "USER:ValueError", "Traceback", Failure(_USER, "USER:ValueError"), id="first-try"
        ),
        pytest.param(_SYSTEM, "Internal", "etcd", Failure(_SYSTEM, "Internal"), id="not-launched"),
        pytest.param(_UNKNOWN, "", "", Failure(_UNKNOWN, NO_CODE), id="nothing-known"),
        pytest.param(
            _USER,
            "RetriesExhausted|USER:ValueError",
            _RETRIED.format("USER") + "Traceback",
            Failure(_USER, "USER:ValueError"),
            id="the-user-to-the-last",
        ),
        pytest.param(
            _USER,
            "RetriesExhausted|Interrupted",
            _RETRIED.format("SYSTEM") + "The node was low on resource",
            Failure(_SYSTEM, "Interrupted"),
            id="the-system-behind-retries",
        ),
        pytest.param(
            _USER,
            "RetriesExhausted|NodeAborted",
            _RETRIED.format("UNKNOWN"),
            Failure(_UNKNOWN, "NodeAborted"),
            id="nobody-behind-retries",
        ),
        pytest.param(
            _USER,
            "RetriesExhausted|RetriesExhausted|OOMKilled",
            _RETRIED.format("USER") + "[2/2] currentAttempt done. Last Error: SYSTEM::killed",
            Failure(_SYSTEM, "OOMKilled"),
            id="retries-of-retries",
        ),
        pytest.param(
            _USER,
            "RetriesExhausted|A",
            f"failed at Node[n0]. {_RETRIED.format('SYSTEM')}x",
            Failure(_SYSTEM, "A"),
            id="with-something-before",
        ),
        pytest.param(
            _USER,
            "RetriesExhausted|A",
            _RETRIED.format("USER") + " Last Error: SYSTEM::as the user prints it",
            Failure(_USER, "A"),
            id="what-a-user-prints-is-no-kind",
        ),
        pytest.param(
            _USER,
            "USER:ValueError",
            _RETRIED.format("SYSTEM"),
            Failure(_USER, "USER:ValueError"),
            id="no-retries-no-other-kind",
        ),
        pytest.param(
            _USER,
            "RetriesExhausted|A",
            "é" * 30 + _RETRIED.format("SYSTEM"),
            Failure(_USER, "A"),
            id="not-within-what-lists-show",
        ),
        pytest.param(
            _USER,
            "RetriesExhausted|A",
            _RETRIED.format("WHATEVER"),
            Failure(_USER, "A"),
            id="a-kind-of-tomorrow",
        ),
    ],
)
def test_what_is_behind_an_error(
    kind: ErrorKind, code: str, message: str, expected: Failure
) -> None:
    """The kind of the last attempt and the innermost code, from a whole message or a cut one."""
    assert failure(kind, code, message) == expected
    listed = message.encode()[:100].decode(errors="ignore")
    assert failure(kind, code, listed) == expected


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("OOMKilled", "OOMKilled"),
        ("RetriesExhausted|OOMKilled", "OOMKilled"),
        ("RetriesExhausted", "RetriesExhausted"),
        ("RetriesExhausted|", "RetriesExhausted"),
        ("Workflow abort failed", "Workflow abort failed"),
        (" | ", "none"),
        ("a\x00b\x1b[31m\r\n", "ab[31m"),
        ("evil\u202etxt\u2028", "eviltxt"),
        ("x" * 63 + " y", "x" * 63),
        ("é" * 70, "é" * 64),
    ],
)
def test_a_code_is_fit_to_be_a_label(code: str, expected: str) -> None:
    """Printable, short, and the cause alone."""
    assert normal(code) == expected


@given(st.text(), st.text(), st.sampled_from(ErrorKind))
def test_any_text_comes_to_something(code: str, message: str, kind: ErrorKind) -> None:
    """Whatever user code raises; and what is normal stays as it is."""
    found = failure(kind, code, message)
    assert 1 <= len(found.code) <= 64
    assert found.code.isprintable()
    assert normal(found.code) == found.code
