"""Configuration files for the programs that a measurement starts."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write(directory: Path, *, admin: str, port: int, **sections: Mapping[str, Any]) -> Path:
    """Write a configuration into *directory*, where the ledger will be, too; return its path."""
    path = directory / "config.yaml"
    document = {
        # What is measured is our speed, and not our manners.
        "admin": {"endpoint": admin, "insecure": True, "rate_limit": "10000/s", "burst": 10_000},
        "ledger": {"path": str(directory / "ledger.db")},
        "web": {"listen": f"127.0.0.1:{port}"},
        "log": {"level": "warning"},
        **sections,
    }
    # JSON is YAML.
    path.write_text(json.dumps(document), "utf-8")
    return path
