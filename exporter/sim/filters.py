"""
A filter is text in Admin's own grammar; out comes SQL, or the refusal that Admin gives.

The rules, in the order in which they are tried for each expression:

1. `+` parts expressions and cannot be escaped. Each must match `func(field,value)` somewhere;
   the match is greedy, so a comma in the value ends up in the field.
2. A prefix such as `launch_plan.` names another entity, which must be joinable; the rest must be
   one of its raw columns.
3. `;` parts values. Durations are read here; everything else is the database's to judge.
4. The function must be known.

What the database refuses (a bad timestamp, a number that is none, LIKE on a number) is found only
when SQL is made: by then sort and token have had their turn.

Source: flyteadmin `pkg/manager/impl/util/filters.go`, `pkg/common/filters.go`.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import isinf, isnan
from typing import NamedTuple, TypeAlias

from exporter.model.time import from_datetime
from exporter.sim.entities import ADMIN_TAG, BY_PREFIX, JOINABLE, TASK_EXECUTION, Entity, Kind
from exporter.sim.refusal import database_fault, invalid

Value: TypeAlias = str | int | bytes

BYTES_LIKE = "bytes_like"
"""The SQL function by which columns of bytes are matched: SQLite's LIKE reads them as text."""

_EXPRESSION = re.compile(r"(.+)\((.+),[\t\n\f\r ]?(.+)\)")
_COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "eq": "=", "ne": "<>"}
_PATTERNS = {"contains": ("LIKE", "~~"), "not_like": ("NOT LIKE", "!~~")}
_MEMBERSHIPS = {"value_in": "IN", "value_not_in": "NOT IN"}
_FUNCTIONS = {*_COMPARISONS, *_PATTERNS, *_MEMBERSHIPS}
_GO_DURATION = re.compile(r"[+-]?((\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h))+", re.ASCII)
_GO_DURATION_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_PLAIN_EXPONENTS = range(-4, 6)
"""Powers of ten at which Go prints a number without an exponent."""
_NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_INTEGER = re.compile(r"\s*[+-]?\d+\s*", re.ASCII)
_INTEGER_LIMITS = {Kind.INTEGER: 2**31, Kind.BIGINT: 2**63}
_TIMESTAMP = re.compile(
    r"\s*(\d{4})-(\d{1,2})-(\d{1,2})"
    r"(?:[T ](\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d*))?)?)?"
    r"\s*(?:(Z|UTC|GMT)|([+-])(\d{2}):?(\d{2})?)?\s*",
    re.ASCII | re.IGNORECASE,
)
_LAST_HOUR = 24
_LAST_SECOND = 60
"""PostgreSQL takes the end of a day and of a minute for the beginning of the next."""
_ZONE_LIMIT = timedelta(hours=16)
_BYTEA_ESCAPE = re.compile(r"\\(\\|[0-3][0-7]{2})")


class Condition(NamedTuple):
    """One expression, understood but not yet put to the database."""

    entity: Entity
    field: str
    function: str
    values: tuple[Value, ...]


class Where(NamedTuple):
    """A condition in SQL, with what its question marks stand for."""

    sql: str
    parameters: list[Value]


def parsed(text: str, primary: Entity) -> list[Condition]:
    """
    Read the filters of a list of *primary* entities.

    Args:
        text: As the request has it; empty for none.
        primary: The entity whose columns need no prefix.

    Raises:
        Refusal: INVALID_ARGUMENT, for the first expression at fault.
    """
    return [_condition(expression, primary) for expression in text.split("+")] if text else []


def _condition(expression: str, primary: Entity) -> Condition:
    match = _EXPRESSION.search(expression)
    if match is None:
        raise invalid("invalid value for filters")
    function, reference, text = match.groups()
    entity, field = _referenced(reference, primary)
    if entity.code not in JOINABLE[primary.code]:
        raise invalid(f"'{entity.code}' entity is not allowed in filters")
    if field not in entity.columns:
        raise invalid(f"'{entity.code}.{field}' is invalid filter")
    values: tuple[Value, ...] = tuple(text.split(";"))
    if field == "duration":
        values = tuple(_nanoseconds(value) for value in text.split(";"))
    if function not in _FUNCTIONS:
        raise invalid(f"unrecognized filter function: {function}")
    return Condition(entity, field, function, values)


def _referenced(reference: str, primary: Entity) -> tuple[Entity, str]:
    prefix, dot, field = reference.partition(".")
    if dot and prefix in BY_PREFIX:
        return BY_PREFIX[prefix], field
    return primary, reference


def _nanoseconds(text: str) -> int:
    """Read a number of seconds or Go's own notation, as nanoseconds."""
    text = _with_unit(text)
    nanoseconds = sum(
        int(Decimal(number) * _NANOSECONDS[unit])
        for number, unit in _GO_DURATION_PART.findall(text)
    )
    if text.startswith("-"):
        nanoseconds = -nanoseconds
    limit = _INTEGER_LIMITS[Kind.BIGINT]
    if not _GO_DURATION.fullmatch(text) or not -limit <= nanoseconds < limit:
        raise invalid(f"Failed to parse duration [{text}]")
    return nanoseconds


def _with_unit(text: str) -> str:
    """
    Return a plain number as Go prints it, with the unit that Admin appends; other text as it is.

    From a million on, and below a ten-thousandth, Go prints an exponent, which its own parser of
    durations refuses: such numbers of seconds cannot be asked for without a unit.
    """
    try:
        # Python takes the same numbers as Go, and blanks and the digits of other scripts too.
        value = float(text) if text.isascii() and text == text.strip() else None
    except ValueError:
        return text
    if value is None or (isinf(value) and "inf" not in text.lower()):
        return text
    if isinf(value) or isnan(value):
        return "NaNs" if isnan(value) else f"{'-' if value < 0 else '+'}Infs"
    number = Decimal(repr(value)).normalize()
    if number.adjusted() in _PLAIN_EXPONENTS or not value:
        return f"{number:f}s"
    return f"{value:.{len(number.as_tuple().digits) - 1}e}s"


def where(condition: Condition) -> Where:
    """
    Put one condition into SQL.

    Raises:
        Refusal: UNKNOWN, where PostgreSQL would not have it.
    """
    kind = condition.entity.columns[condition.field]
    column = _column(condition)
    values = condition.values
    if condition.function in _PATTERNS:
        return _pattern(condition, column, kind)
    if operator := _MEMBERSHIPS.get(condition.function):
        marks = ", ".join("?" * len(values))
        return Where(f"{column} {operator} ({marks})", [_stored(value, kind) for value in values])
    operator = _COMPARISONS[condition.function]
    if len(values) > 1:
        raise database_fault(f"operator does not exist: {kind.value} {operator} record")
    return Where(f"{column} {operator} ?", [_stored(values[0], kind)])


def _column(condition: Condition) -> str:
    # Admin moved these tags into another table and kept the old name for filters.
    entity, field = condition.entity, condition.field
    if entity is ADMIN_TAG and field == "name":
        field = "key"
    # Of a task execution these are the task's, and yet Admin takes them for the execution's.
    if entity is TASK_EXECUTION and field in {"project", "domain", "name"}:
        field = f"execution_{field}"
    return f'{entity.table}."{field}"'


def _pattern(condition: Condition, column: str, kind: Kind) -> Where:
    operator, symbol = _PATTERNS[condition.function]
    values = [str(value) for value in condition.values]
    if condition.function == "contains":
        # A list is printed by Go before it becomes a pattern.
        values = [f"%{values[0]}%" if len(values) == 1 else f"%[{' '.join(values)}]%"]
    if len(values) > 1:
        raise database_fault(f"operator does not exist: {kind.value} {symbol} record")
    if kind is Kind.BYTES:
        negation = "NOT " if operator == "NOT LIKE" else ""
        return Where(f"{negation}{BYTES_LIKE}({column}, ?)", [_bytes(values[0])])
    if kind is not Kind.TEXT:
        raise database_fault(f"operator does not exist: {kind.value} {symbol} unknown")
    return Where(f"{column} {operator} ? ESCAPE '\\'", [values[0]])


def _stored(value: Value, kind: Kind) -> Value:
    """Return *value* as the column holds it."""
    if not isinstance(value, str):
        return value
    match kind:
        case Kind.TEXT:
            return value
        case Kind.BYTES:
            return _bytes(value)
        case Kind.TIME:
            return _instant(value)
        case Kind.INTEGER | Kind.BIGINT:
            return _whole_number(value, kind)


def _whole_number(text: str, kind: Kind) -> int:
    if not _INTEGER.fullmatch(text):
        raise database_fault(f'invalid input syntax for type {kind.value}: "{text}"')
    number = int(text)
    limit = _INTEGER_LIMITS[kind]
    if not -limit <= number < limit:
        raise database_fault(f'value "{text}" is out of range for type {kind.value}')
    return number


def _bytes(text: str) -> bytes:
    """Read a bytea in PostgreSQL's escape format."""
    if "\\" in _BYTEA_ESCAPE.sub("", text):
        raise database_fault(f"invalid input syntax for type {Kind.BYTES.value}")
    return b"".join(
        # Every second part is what an escape stands for.
        part.encode() if index % 2 == 0 else b"\\" if part == "\\" else bytes([int(part, 8)])
        for index, part in enumerate(_BYTEA_ESCAPE.split(text))
    )


def _instant(text: str) -> int:
    """Read a timestamp as PostgreSQL does: UTC where no zone is given, microseconds rounded."""
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        raise database_fault(f'invalid input syntax for type {Kind.TIME.value}: "{text}"')
    year, month, day, hour, minute, second, fraction, _, sign, hours, minutes = match.groups()
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    if offset >= _ZONE_LIMIT:
        raise database_fault(f'time zone displacement out of range: "{text}"')
    time = timedelta(hours=int(hour or 0), minutes=int(minute or 0), seconds=int(second or 0))
    in_range = int(minute or 0) < _LAST_SECOND and int(second or 0) <= _LAST_SECOND
    try:
        moment = datetime(int(year), int(month), int(day), tzinfo=UTC) + time
    except ValueError:
        in_range = False
    if not in_range or time > timedelta(hours=_LAST_HOUR):
        raise database_fault(f'date/time field value out of range: "{text}"')
    moment -= -offset if sign == "-" else offset
    return from_datetime(moment) + round(Decimal(f"0.{fraction or 0}") * 1_000_000)


def conjunction(conditions: Iterable[Condition]) -> Where:
    """Return all *conditions* joined by AND; SQL that is always true for none."""
    wheres = [where(condition) for condition in conditions]
    sql = " AND ".join(part.sql for part in wheres) or "TRUE"
    return Where(sql, [value for part in wheres for value in part.parameters])


def names_state(conditions: Sequence[Condition]) -> bool:
    """Whether some filter is on a field called state, of whatever entity."""
    return any(condition.field == "state" for condition in conditions)
