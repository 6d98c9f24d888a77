"""JSON, in which whole columns of rows travel to SQLite; see `ledger.store`."""

from typing import Any

import orjson


def document(value: Any) -> str:
    """
    Return *value* as JSON; named tuples are lists there.

    Raises:
        TypeError: It has something in it that JSON has no word for.
    """
    return orjson.dumps(value, default=_plain).decode()


def _plain(value: object) -> tuple[object, ...]:
    """Return a named tuple as a plain one, the only kind that orjson takes for a list."""
    if isinstance(value, tuple):
        return tuple(value)
    raise TypeError(f"{type(value).__name__} cannot stand in a document")
