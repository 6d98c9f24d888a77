"""Where an endpoint leads, as gRPC reads it: a host and a port, or a socket in the file system."""

import re
from dataclasses import dataclass

_INET = re.compile(
    r"(?:dns:(?://(?P<resolver>[^/]*)/)?|ipv[46]:)?"
    r"(?:\[(?P<bracketed>[^\]]+)\]|(?P<host>[^:]+)):(?P<port>[0-9]+)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inet:
    """A host that is reached over TCP."""

    host: str
    """A name, or an address without brackets."""
    port: int
    resolver: str = ""
    """The DNS server that the endpoint itself names, as `HOST[:PORT]`; empty for the system's."""

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unix:
    """A socket in the file system."""

    path: str

    @property
    def host(self) -> str:
        """The name that gRPC looks for in a certificate that is shown over such a socket."""
        return "localhost"

    def __str__(self) -> str:
        return self.path


Address = Inet | Unix


def address_of(endpoint: str) -> Address:
    """
    Say where *endpoint* leads.

    Args:
        endpoint: As `admin.endpoint` accepts it: `HOST:PORT`, also behind `dns:///`, `ipv4:` or
            `ipv6:`, or `unix:PATH`.

    Raises:
        ValueError: It has none of these forms.

    Source: gRPC `doc/naming.md`.
    """
    if endpoint.startswith("unix:"):
        path = endpoint.removeprefix("unix:")
        return Unix(path=path.removeprefix("//") if path.startswith("///") else path)
    match = _INET.fullmatch(endpoint)
    if match is None:
        raise ValueError(f'"{endpoint}" is no HOST:PORT')
    return Inet(
        host=match["bracketed"] or match["host"],
        port=int(match["port"]),
        resolver=match["resolver"] or "",
    )
