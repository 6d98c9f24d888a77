"""What tracing is to do: our own settings, over OpenTelemetry's variables, over defaults."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, cast
from urllib.parse import urlsplit

import exporter
from exporter.config.settings import TracingSettings
from exporter.telemetry.variables import Given, Variables

Destination = Literal["none", "otlp", "console"]
Protocol = Literal["grpc", "http/protobuf"]
Compression = Literal["none", "gzip", "deflate"]

_OTLP = "OTEL_EXPORTER_OTLP_"
_HTTP_PATH = "/v1/traces"
_PLACES: Mapping[Protocol, str] = {
    "grpc": "http://localhost:4317",
    "http/protobuf": "http://localhost:4318",
}
_COMPRESSIONS: Mapping[Protocol, tuple[Compression, ...]] = {
    "grpc": ("none", "gzip"),
    "http/protobuf": ("none", "gzip", "deflate"),
}
_TIMEOUT_SECONDS = 10.0
_SHORT_SECONDS = 0.1
"""A timeout below this was most likely meant in seconds, as some SDKs read it."""
_QUEUE_SIZE = 2048
_BATCH_SIZE = 512
_DELAY_SECONDS = 5.0
_SECRET_LENGTH = 4
"""Shorter words are none, and would be found everywhere."""
_SAMPLERS = ("always_on", "always_off", "traceidratio")


@dataclass(frozen=True, slots=True, kw_only=True)
class Collector:
    """
    How an OTLP collector is reached.

    Attributes:
        endpoint: URL, complete with its path for HTTP. May hold a password.
        insecure: Whether gRPC connects without TLS.
        headers: Sent with every export; their names in lower case.
        timeout_seconds: Bound of one export, its retries included.
        certificate: File with the authorities that may vouch for it; empty for the system's.
        client_key, client_certificate: Files that say who we are; empty for nobody.
    """

    protocol: Protocol
    endpoint: str = field(repr=False)
    insecure: bool
    headers: Mapping[str, str] = field(repr=False)
    timeout_seconds: float
    compression: Compression
    certificate: str
    client_key: str
    client_certificate: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    What tracing is to do.

    Attributes:
        collector: Where `otlp` sends to; None for the others.
        sample_ratio: Part of all traces that is kept.
        resource: What is said of this process, with every span.
        queue_size: Spans that may wait; past it they are dropped.
        batch_size: Spans that are sent at once, at most.
        delay_seconds: How long a span waits for others, at most.
        problems: What was ignored, each a sentence that names its variable or setting.
    """

    destination: Destination
    collector: Collector | None = None
    sample_ratio: float = 1.0
    resource: Mapping[str, str] = field(default_factory=dict)
    queue_size: int = _QUEUE_SIZE
    batch_size: int = _BATCH_SIZE
    delay_seconds: float = _DELAY_SECONDS
    problems: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """Return where spans go, as it may be shown."""
        return without_password(self.collector.endpoint) if self.collector else self.destination

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return every word that must not be shown."""
        if self.collector is None:
            return ()
        login = self.collector.endpoint.rpartition("@")[0].rpartition("//")[2]
        words = [word for value in self.collector.headers.values() for word in value.split()]
        return tuple(word for word in (login, *words) if len(word) >= _SECRET_LENGTH)


def plan_for(settings: TracingSettings, environ: Mapping[str, str]) -> Plan:
    """
    Work out what tracing is to do.

    A setting that was set wins over the variable that says the same, and `OTEL_SDK_DISABLED` over
    everything. Of variables that cannot be used the defaults are taken.
    """
    variables = Variables(environ)
    destination = _destination(settings, variables)
    if destination == "none":
        return Plan(destination=destination, problems=tuple(variables.problems))
    collector = _collector(settings, variables) if destination == "otlp" else None
    if destination == "otlp" and collector is None:
        # Better nowhere than to a place that nobody named.
        return Plan(destination="none", problems=tuple(variables.problems))
    queue_size = variables.whole("OTEL_BSP_MAX_QUEUE_SIZE", default=_QUEUE_SIZE)
    batch_size = variables.whole(
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", default=min(_BATCH_SIZE, queue_size)
    )
    if batch_size > queue_size:
        sentence = f"expected no more than the queue's {queue_size}, got {batch_size}"
        variables.note("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", sentence)
        batch_size = queue_size
    return Plan(
        destination=destination,
        collector=collector,
        sample_ratio=_sample_ratio(settings, variables),
        resource=_resource(variables),
        queue_size=queue_size,
        batch_size=batch_size,
        delay_seconds=variables.seconds("OTEL_BSP_SCHEDULE_DELAY", default=_DELAY_SECONDS),
        problems=tuple(variables.problems),
    )


def without_password(url: str) -> str:
    """Return *url* without the name and password that may stand before its host."""
    scheme, slashes, rest = url.rpartition("//")
    place, slash, path = rest.partition("/")
    return f"{scheme}{slashes}{place.rpartition('@')[2]}{slash}{path}"


def masked(text: str, secrets: Iterable[str]) -> str:
    """Return *text* without any of *secrets*."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return text


def _destination(settings: TracingSettings, variables: Variables) -> Destination:
    if variables.switch("OTEL_SDK_DISABLED"):
        if settings.exporter != "none":
            sentence = (
                f"OTEL_SDK_DISABLED: true, so tracing.exporter {settings.exporter} is ignored."
            )
            variables.problems.append(sentence)
        return "none"
    if "exporter" in settings.model_fields_set:
        return settings.exporter
    given = variables.text("OTEL_TRACES_EXPORTER")
    if given is None:
        return settings.exporter
    known = ("none", "otlp", "console")
    named = [word.strip().lower() for word in given.text.split(",")]
    if len(named) > 1 or named[0] not in known:
        variables.ignore(given, f"expected one of {', '.join(known)}")
        return settings.exporter
    return cast("Destination", named[0])


def _collector(settings: TracingSettings, variables: Variables) -> Collector | None:
    protocol = settings.protocol
    if "protocol" not in settings.model_fields_set:
        given = variables.choice(*_otlp("PROTOCOL"), known=tuple(_PLACES))
        protocol = cast("Protocol", given) if given else settings.protocol
    endpoint = _endpoint(settings, variables, protocol)
    if endpoint is None:
        return None
    compression = variables.choice(*_otlp("COMPRESSION"), known=_COMPRESSIONS[protocol])
    insecure = variables.switch(*_otlp("INSECURE"))
    return Collector(
        protocol=protocol,
        endpoint=endpoint,
        insecure=endpoint.startswith("http://") if "://" in endpoint else bool(insecure),
        headers=variables.headers(*_otlp("HEADERS")),
        timeout_seconds=_timeout(variables),
        compression=cast("Compression", compression or "none"),
        certificate=_word(variables, "CERTIFICATE"),
        client_key=_word(variables, "CLIENT_KEY"),
        client_certificate=_word(variables, "CLIENT_CERTIFICATE"),
    )


def _endpoint(settings: TracingSettings, variables: Variables, protocol: Protocol) -> str | None:
    """Return the URL that spans are sent to; None when what was named cannot be one."""
    given = variables.text(*_otlp("ENDPOINT"))
    if settings.endpoint is not None:
        given = Given("tracing.endpoint", settings.endpoint)
    elif given is None:
        given = Given("", _PLACES[protocol])
    url = given.text
    http = protocol == "http/protobuf"
    if not _is_endpoint(url, scheme_needed=http):
        form = "a URL such as" if http else "a URL or HOST:PORT such as"
        variables.problems.append(
            f'{given.variable}: expected {form} "{_PLACES[protocol]}",'
            f' got "{without_password(url)}"; no spans are exported.'
        )
        return None
    # The variable of traces alone is the only one that is taken as it stands.
    complete = given.variable == f"{_OTLP}TRACES_ENDPOINT"
    if not http or complete or url.rstrip("/").endswith(_HTTP_PATH):
        return url
    return url.rstrip("/") + _HTTP_PATH


def _is_endpoint(url: str, *, scheme_needed: bool) -> bool:
    if "://" not in url:
        if scheme_needed:
            return False
        url = f"http://{url}"
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _timeout(variables: Variables) -> float:
    names = _otlp("TIMEOUT")
    seconds = variables.seconds(*names, default=_TIMEOUT_SECONDS)
    given = variables.text(*names)
    if given and seconds < _SHORT_SECONDS:
        variables.problems.append(
            f"{given.variable}: {given.text} milliseconds are hardly enough for any export;"
            f" were seconds meant? It is used as it is."
        )
    return seconds


def _sample_ratio(settings: TracingSettings, variables: Variables) -> float:
    """
    Return the part of all traces that is kept.

    Whether a sampler is "parentbased" makes no difference here: we begin every trace, and within
    one all spans share the decision.
    """
    if "sample_ratio" in settings.model_fields_set:
        return settings.sample_ratio
    known = (*_SAMPLERS, *(f"parentbased_{name}" for name in _SAMPLERS))
    sampler = variables.choice("OTEL_TRACES_SAMPLER", known=known)
    match (sampler or "").removeprefix("parentbased_"):
        case "always_off":
            return 0.0
        case "traceidratio":
            return variables.ratio("OTEL_TRACES_SAMPLER_ARG", default=settings.sample_ratio)
    return settings.sample_ratio


def _resource(variables: Variables) -> dict[str, str]:
    named = variables.text("OTEL_SERVICE_NAME")
    return {
        "service.name": "flyte-exporter",
        "service.version": exporter.__version__,
        "service.instance.id": str(uuid.uuid4()),
        **variables.pairs("OTEL_RESOURCE_ATTRIBUTES"),
        **({"service.name": named.text} if named else {}),
    }


def _word(variables: Variables, name: str) -> str:
    given = variables.text(*_otlp(name))
    return given.text if given else ""


def _otlp(name: str) -> tuple[str, str]:
    return f"{_OTLP}TRACES_{name}", f"{_OTLP}{name}"
