"""
Every list is checked in the same order, and the first fault wins: id, limit, filters, sort, token.

Source: flyteadmin `validation.go`, `sorting.go`, `execution_manager.go`.
"""

import re
from typing import Any, NamedTuple

from flyteidl.admin import common_pb2

from exporter.sim.entities import Entity
from exporter.sim.filters import Condition, Value, conjunction, parsed
from exporter.sim.refusal import invalid, missing, printed_message
from exporter.sim.store import Store

_WHOLE = re.compile(r"[+-]?[0-9]+")
_INT64 = 2**63
_FEW = frozenset({"execution_name", "phase"})
"""Columns by which a client asks for a handful of rows out of all history."""


class Sort(NamedTuple):
    """The one key a list may be sorted by."""

    column: str
    ascending: bool


class ListRequest(NamedTuple):
    """A list request that passed."""

    conditions: list[Condition]
    sort: Sort | None
    offset: int
    limit: int

    def next_token(self, answered: int) -> str:
        """Return the token of a page of *answered* rows: set when full, even if nothing follows."""
        return str(self.offset + answered) if answered == self.limit else ""


def require(message: Any, *fields: str) -> None:
    """
    Check that none of *fields* is empty, in that order.

    Raises:
        Refusal: INVALID_ARGUMENT, naming the first that is.
    """
    for field in fields:
        if not getattr(message, field):
            raise missing(field)


def require_id(request: Any, *fields: str) -> None:
    """
    Check that the request has an id and that none of its *fields* is empty.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    if not request.HasField("id"):
        raise missing("id")
    require(request.id, *fields)


def require_limit(limit: int) -> None:
    """
    Check that there is a limit. Admin has no default and no upper bound.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    if limit == 0:
        raise invalid("invalid value for limit")


def sort_of(request: Any, entity: Entity) -> Sort | None:
    """
    Return how the request wants *entity* sorted, None where it does not say.

    Raises:
        Refusal: INVALID_ARGUMENT, for a key that is no raw column, the empty one included, and
            for a direction that there is not.
    """
    if not request.HasField("sort_by"):
        return None
    key = request.sort_by.key
    if key not in entity.columns:
        raise invalid(f"invalid sort key '{key}'")
    if request.sort_by.direction not in common_pb2.Sort.Direction.values():
        raise invalid(f"invalid sort order specified: {printed_message(request.sort_by)}")
    return Sort(key, request.sort_by.direction == common_pb2.Sort.ASCENDING)


def offset_of(token: str, rpc: str) -> int:
    """
    Return the row offset that *token* stands for.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    if not token:
        return 0
    if not _WHOLE.fullmatch(token) or not 0 <= int(token) < _INT64:
        raise invalid(f"invalid pagination token {token} for {rpc}")
    return int(token)


def checked(request: Any, entity: Entity, rpc: str) -> ListRequest:
    """
    Check a `ResourceListRequest` for *entity*.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    require_id(request, "project", "domain")
    require_limit(request.limit)
    return rest_checked(request, entity, rpc)


def rest_checked(request: Any, entity: Entity, rpc: str) -> ListRequest:
    """
    Check what lists of every kind have, once it is known what they are of and have a limit.

    Raises:
        Refusal: INVALID_ARGUMENT.
    """
    conditions = parsed(request.filters, entity)
    sort = sort_of(request, entity)
    return ListRequest(conditions, sort, offset_of(request.token, rpc), request.limit)


def selected(
    store: Store,
    columns: str,
    entity: Entity,
    request: ListRequest,
    *,
    where: str,
    parameters: list[Value],
    joins: str = "",
) -> list[Any]:
    """
    Run a checked list.

    Args:
        store: The tables.
        columns: What to select.
        entity: The listed entity.
        request: The checked request.
        where: What holds besides its filters.
        parameters: For the question marks of *where*.
        joins: Tables that the filters need.

    Raises:
        Refusal: UNKNOWN, for what the database does not accept.
    """
    filters = conjunction(request.conditions)
    order = _ordered(store, entity, request)
    return store.rows(
        f"SELECT {columns} FROM {entity.table} {joins}"  # noqa: S608 - our own names only
        f" WHERE {where} AND {filters.sql} ORDER BY {order} LIMIT ? OFFSET ?",
        [*parameters, *filters.parameters, request.limit or -1, request.offset],
    )


def _ordered(store: Store, entity: Entity, request: ListRequest) -> str:
    """Return the ORDER BY of a list; whatever its sort leaves open is shuffled."""
    sort = request.sort
    unique = f"{entity.table}.id"
    # Unquoted, as Admin sends it, `user` is PostgreSQL's name for who is asking: no order at all.
    if sort is None or sort.column == "user":
        return store.order((), unique=unique)
    key = f'{entity.table}."{sort.column}" {"ASC" if sort.ascending else "DESC"}'
    if sort.column == "id":
        return key
    # SQLite would walk all of history in the order asked for rather than look up the few rows
    # that are named; the plus keeps that index from it.
    few = any(
        condition.field in _FEW and condition.function in {"eq", "value_in"}
        for condition in request.conditions
    )
    return store.order((f"+{key}" if few else key,), unique=unique)
