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
from typing import NamedTuple, TypeAlias

from exporter.model.time import from_datetime
from exporter.sim.entities import ADMIN_TAG, BY_PREFIX, JOINABLE, Entity, Kind
from exporter.sim.refusal import Refusal, database_fault, invalid

Value: TypeAlias = str | int | bytes

_EXPRESSION = re.compile(r"(.+)\((.+),[\t\n\f\r ]?(.+)\)")
_COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "eq": "=", "ne": "<>"}
_PATTERNS = {"contains": ("LIKE", "~~"), "not_like": ("NOT LIKE", "!~~")}
_MEMBERSHIPS = {"value_in": "IN", "value_not_in": "NOT IN"}
_FUNCTIONS = {*_COMPARISONS, *_PATTERNS, *_MEMBERSHIPS}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_GO_DURATION = re.compile(r"[+-]?((\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h))+")
_GO_DURATION_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
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
_INTEGER = re.compile(r"\s*[+-]?\d+\s*")
_INTEGER_LIMITS = {Kind.INTEGER: 2**31, Kind.BIGINT: 2**63}
_TIMESTAMP = re.compile(
    r"\s*(\d{4})-(\d{1,2})-(\d{1,2})"
    r"(?:[T ](\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d*))?)?)?"
    r"\s*(?:(Z|UTC)|([+-])(\d{2}):?(\d{2})?)?\s*",
    re.IGNORECASE,
)


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
    if _NUMBER.fullmatch(text):
        return int(Decimal(text) * _NANOSECONDS["s"])
    if not _GO_DURATION.fullmatch(text):
        raise invalid(f"Failed to parse duration [{text}]")
    sign = -1 if text.startswith("-") else 1
    return sign * sum(
        int(Decimal(number) * _NANOSECONDS[unit])
        for number, unit in _GO_DURATION_PART.findall(text)
    )


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
    renamed = condition.entity is ADMIN_TAG and condition.field == "name"
    return f'{condition.entity.table}."{"key" if renamed else condition.field}"'


def _pattern(condition: Condition, column: str, kind: Kind) -> Where:
    operator, symbol = _PATTERNS[condition.function]
    if kind is not Kind.TEXT:
        raise database_fault(f"operator does not exist: {kind.value} {symbol} unknown")
    values = [str(value) for value in condition.values]
    if condition.function == "contains":
        # A list is printed by Go before it becomes a pattern.
        pattern = values[0] if len(values) == 1 else f"[{' '.join(values)}]"
        return Where(f"{column} {operator} ? ESCAPE '\\'", [f"%{pattern}%"])
    if len(values) > 1:
        raise database_fault(f"operator does not exist: {kind.value} {symbol} record")
    return Where(f"{column} {operator} ? ESCAPE '\\'", [values[0]])


def _stored(value: Value, kind: Kind) -> Value:
    """Return *value* as the column holds it."""
    if not isinstance(value, str):
        return value
    match kind:
        case Kind.TEXT:
            return value
        case Kind.BYTES:
            return value.encode()
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


def _instant(text: str) -> int:
    """Read a timestamp as PostgreSQL does: UTC where no zone is given, microseconds rounded."""
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        raise _no_timestamp(text)
    year, month, day, hour, minute, second, fraction, _, sign, hours, minutes = match.groups()
    try:
        moment = datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0),
            tzinfo=UTC,
        )  # fmt: skip
    except ValueError as error:
        raise _no_timestamp(text) from error
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    moment -= -offset if sign == "-" else offset
    return from_datetime(moment) + round(Decimal(f"0.{fraction or 0}") * 1_000_000)


def _no_timestamp(text: str) -> Refusal:
    return database_fault(f'invalid input syntax for type {Kind.TIME.value}: "{text}"')


def conjunction(conditions: Iterable[Condition]) -> Where:
    """Return all *conditions* joined by AND; SQL that is always true for none."""
    wheres = [where(condition) for condition in conditions]
    sql = " AND ".join(part.sql for part in wheres) or "TRUE"
    return Where(sql, [value for part in wheres for value in part.parameters])


def names_state(conditions: Sequence[Condition]) -> bool:
    """Whether some filter is on a field called state, of whatever entity."""
    return any(condition.field == "state" for condition in conditions)
