"""A report is read by a tired person, or by a program; neither gets more than it can use."""

import json

import pytest

from exporter.doctor.finding import Finding, Result, Status
from exporter.doctor.report import document, failed, fit_to_show, lines


def result(finding: Finding, name: str = "token", seconds: float = 0.25) -> Result:
    """Return the result of a check."""
    return Result(name=name, finding=finding, seconds=seconds)


def test_each_status_begins_its_line() -> None:
    """Names and summaries stand in columns, whatever the status."""
    findings = [
        Finding.ok("all is well"),
        Finding.warn("expires soon", fix="renew it"),
        Finding.fail("refused", fix="set admin.auth"),
        Finding.skip("not configured"),
    ]
    assert [next(lines(result(finding))) for finding in findings] == [
        "ok    token          all is well",
        "warn  token          expires soon",
        "FAIL  token          refused",
        "skip  token          not configured",
    ]
    assert next(lines(result(findings[0], "configuration"))) == "ok    configuration  all is well"


def test_the_fix_stands_under_the_failure() -> None:
    """Every thing to do has a line of its own."""
    finding = Finding.fail("two problems", fix="mend this\nmend that")
    assert list(lines(result(finding))) == [
        "FAIL  token          two problems",
        "      fix: mend this",
        "           mend that",
    ]


def test_an_error_is_split_into_what_failed_and_what_to_do() -> None:
    """Errors of ours are sentences; the dot within a path or a number is not the end of one."""
    error = OSError("Ledger /data/l.db is 1.5 s old. Run one replica, or set ledger.path.")
    assert Finding.of_error(error) == Finding.fail(
        "Ledger /data/l.db is 1.5 s old", fix="run one replica, or set ledger.path"
    )
    error = OSError("The file a; b.txt is empty; write a token there.")
    assert Finding.of_error(error) == Finding.fail(
        "The file a; b.txt is empty", fix="write a token there"
    )
    assert Finding.of_error(OSError("Nobody knows.")) == Finding.fail("Nobody knows", fix="")


def test_only_a_failure_fails() -> None:
    """A warning and a skipped check let a script go on."""
    harmless = [
        result(Finding.ok("")),
        result(Finding.warn("", fix="")),
        result(Finding.skip("")),
    ]
    assert not failed(harmless)
    assert failed([*harmless, result(Finding.fail("", fix=""))])


def test_the_document_has_every_field_of_every_check() -> None:
    """What is not there is null, so that no program has to tell it from an empty text."""
    found = document(
        [
            result(Finding.ok("well"), seconds=0.12345),
            result(Finding.fail("bad\n", fix="do this\ndo that"), name="dns"),
        ]
    )
    assert json.loads(json.dumps(found)) == [
        {"name": "token", "status": "ok", "summary": "well", "fix": None, "seconds": 0.123},
        {
            "name": "dns",
            "status": "fail",
            "summary": "bad",
            "fix": "do this\ndo that",
            "seconds": 0.25,
        },
    ]
    assert {status.value for status in Status} == {"ok", "warn", "fail", "skip"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("proxy http://user:pass@proxy:3128 refused", "proxy http://***@proxy:3128 refused"),
        ("got authorization: Bearer abcdef012345=", "got authorization: Bearer ***"),
        ("got basic dXNlcjpwYXNz", "got basic ***"),
        ("token eyJhbGciOi.eyJzdWIi.c2lnbmF0 is bad", "token *** is bad"),
        ("the basic rule", "the basic rule"),
        ("a\x1b[31m red\r\n light", "a [31m red light"),
    ],
)
def test_what_must_not_be_shown_is_not(text: str, shown: str) -> None:
    """Secrets that somebody's error repeats, and characters that would steer a terminal."""
    assert fit_to_show(text) == shown
