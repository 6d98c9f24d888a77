"""JSON, in which whole columns of rows travel to SQLite; see `ledger.store`."""

from typing import Any

import orjson


def document(value: Any) -> str:
    """Return *value* as JSON; named tuples are lists there."""
    return orjson.dumps(value, default=tuple).decode()
