"""
One channel to Admin at a time, made anew when what it was made of has changed.

A channel heals by itself: gRPC connects again after whatever ends a connection. What it cannot do
is take a new certificate, so each call asks here for the channel to use.

1. A channel that was handed out stays open for as long as a call on it may last.
2. Files that cannot be used are an error at first, and later a warning: the old channel goes on.
3. Nothing here waits for Admin, but for a look at its certificate where it is not verified.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

import grpc
from cryptography.hazmat.primitives.hashes import SHA256

import exporter
from exporter.admin import certificates, pinning
from exporter.admin.address import address_of
from exporter.admin.certificates import ConnectionSettingsError, Material, Pair
from exporter.admin.handshake import presented
from exporter.admin.pinning import Pin
from exporter.config.settings import AdminSettings
from exporter.model.clock import Clock
from exporter.model.time import to_datetime
from exporter.telemetry.log import get_logger
from exporter.threads import Errand, StillRunning

log = get_logger(__name__)

RECEIVE_LIMIT = 20 * 1024 * 1024
"""
Bytes of one answer that we accept.

grpc's default of 4 MiB is too small for a page of executions; flytekit uses this same figure.
"""

_LOOK_SECONDS = 5.0
"""How often files are looked at: new certificates come hours before the old ones end."""
_HANDSHAKE_SECONDS = 5.0
_READ_SECONDS = 5.0
"""How long files may take: they may be mounted, and a mount may hang."""
_REFUSAL_SECONDS = 1.0
"""How long an error stands before files are read again, however many calls wait."""

_OPTIONS = (
    ("grpc.max_receive_message_length", RECEIVE_LIMIT),
    # Long error texts travel in the trailers, and newer grpc refuses more than 16 KiB of them.
    ("grpc.max_metadata_size", 32 * 1024),
    ("grpc.absolute_max_metadata_size", 64 * 1024),
    ("grpc.primary_user_agent", f"flyte-exporter/{exporter.__version__}"),
    # No DNS record may give us a retry policy: retries have one place, and it is not here. What
    # gRPC does without one is to send a call again that no server has seen, such as one that met
    # a GOAWAY on its way. That is lost with `grpc.enable_retries: 0`, so it is left on.
    ("grpc.service_config_disable_resolution", 1),
    # Resolve again as soon as a connection breaks; by default 30 s pass before a moved Admin is
    # found. It is asked for once per failed attempt to connect, so about once a second at most.
    ("grpc.dns_min_time_between_resolutions_ms", 1_000),
    # The first attempt after a broken connection is at once; the next within a second, so that
    # a restart of Admin is noticed about a second after it is over. That is no storm: one channel
    # makes one attempt at a time. The minimum is the time that one attempt may take.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.min_reconnect_backoff_ms", 10_000),
    # A channel's connections are its own. Else the next channel would be given the same ones.
    ("grpc.use_local_subchannel_pool", 1),
    # A server may answer pings that come more often than each 5 min with GOAWAY; calls end long
    # before. What this buys is the timeout: gRPC hands it to the kernel as TCP_USER_TIMEOUT, so
    # that a connection whose other end is gone without a word is given up 10 s after we sent
    # something, and not a quarter of an hour later.
    ("grpc.keepalive_time_ms", 360_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 0),
    # Load balancers forget connections that are idle for a minute or more, some without a word:
    # after this long without a call the next one begins with a connection of its own.
    ("grpc.client_idle_timeout_ms", 50_000),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recipe:
    """All that a channel is made of; another recipe asks for another channel."""

    secure: bool
    roots: bytes = field(default=b"", repr=False)
    chain: bytes | None = field(default=None, repr=False)
    key: bytes | None = field(default=None, repr=False)
    server_name: str | None = None
    authority: str | None = None


class Connection:
    """
    The way to Admin that *settings* describe; an async context manager.

    Nothing is sent before the first call.

    Args:
        patience: Seconds that files may take to be read.
    """

    def __init__(
        self, settings: AdminSettings, *, clock: Clock, patience: float = _READ_SECONDS
    ) -> None:
        self._settings = settings
        self._patience = patience
        self._clock = clock
        self._address = address_of(settings.endpoint)
        self._looking = asyncio.Lock()
        self._look_at = 0.0
        self._channel: grpc.aio.Channel | None = None
        self._recipe: _Recipe | None = None
        self._material: Material | None = None
        self._reading: Errand[Material] = Errand()
        self._pin: Pin | None = None
        self._refusal: ConnectionSettingsError | None = None
        self._complaint = ""
        self._retired: list[tuple[float, grpc.aio.Channel]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._retire()
        await self._close_retired(until=float("inf"))

    async def channel(self) -> grpc.aio.Channel:
        """
        Return the channel for the next call; a new one after certificates were rotated.

        To be asked before every attempt: it costs nothing but, now and then, a look at the files.
        The channel may be used for as long as a call may last.

        Raises:
            ConnectionSettingsError: Files cannot be used, and there are none from before.
        """
        # While one call looks, the others go on with what there is.
        if self._is_time() and not (self._channel and self._looking.locked()):
            async with self._looking:
                if self._is_time():
                    await self._look()
        if self._channel is None:
            assert self._refusal is not None  # noqa: S101  # a look leaves one or the other
            raise self._refusal
        return self._channel

    def renew(self, channel: grpc.aio.Channel) -> None:
        """
        Have the next call begin with another connection than those of *channel*.

        For calls that time out one after the other: the connection to a proxy that hangs looks
        sound for ever, and another may lead elsewhere. However many calls ask for it, a channel is
        replaced once.
        """
        if channel is self._channel and self._recipe is not None:
            self._retire()
            self._channel = self._open(self._recipe)

    def _is_time(self) -> bool:
        return self._clock.monotonic() >= self._look_at

    async def _look(self) -> None:
        """Look at what the channel is made of, and make another where that has changed."""
        try:
            recipe = await self._recipe_now()
        except ConnectionSettingsError as error:
            self._refuse(error)
        else:
            self._complaint = ""
            self._use(recipe)
            self._look_at = self._clock.monotonic() + _LOOK_SECONDS
        await self._close_retired(until=self._clock.monotonic())

    def _refuse(self, error: ConnectionSettingsError) -> None:
        if self._channel is None:
            self._refusal = error
            self._look_at = self._clock.monotonic() + _REFUSAL_SECONDS
            return
        self._look_at = self._clock.monotonic() + _LOOK_SECONDS
        if self._complaint != str(error):
            log.warning("connection goes on with what it has", reason=str(error))
        self._complaint = str(error)

    def _use(self, recipe: _Recipe) -> None:
        if recipe == self._recipe:
            return
        if self._channel is not None:
            log.info("certificates changed, calls use a new connection")
            self._retire()
        self._channel, self._recipe = self._open(recipe), recipe

    def _retire(self) -> None:
        """Use the channel for no other call, and close it when none on it can be left."""
        if self._channel is not None:
            lasting = 2 * self._settings.timeout.total_seconds()
            self._retired.append((self._clock.monotonic() + lasting, self._channel))
            self._channel = None

    def _open(self, recipe: _Recipe) -> grpc.aio.Channel:
        options = list(_OPTIONS)
        if recipe.authority is not None:
            options.append(("grpc.default_authority", recipe.authority))
        if not recipe.secure:
            return grpc.aio.insecure_channel(self._settings.endpoint, options=options)
        if recipe.server_name is not None:
            # Also what we ask for in the handshake and, without an authority, in each call: an
            # ingress that serves several hosts must learn which one is meant.
            options.append(("grpc.ssl_target_name_override", recipe.server_name))
        credentials = grpc.ssl_channel_credentials(recipe.roots, recipe.key, recipe.chain)
        return grpc.aio.secure_channel(self._settings.endpoint, credentials, options=options)

    async def _recipe_now(self) -> _Recipe:
        if self._settings.insecure:
            return _Recipe(secure=False)
        now = to_datetime(self._clock.now())
        self._material = material = await self._read()
        material.refuse_expired(now)
        roots, server_name, authority = material.roots.pem, self._settings.server_name, None
        if self._settings.insecure_skip_verify:
            await self._look_at_admin(material.pair, now)
            if self._pin is not None:
                roots, server_name = self._pin.pem, self._pin.server_name
                authority = self._pin.authority
        return _Recipe(
            secure=True,
            roots=roots,
            chain=material.pair.chain if material.pair else None,
            key=material.pair.key if material.pair else None,
            server_name=server_name,
            authority=authority,
        )

    async def _read(self) -> Material:
        try:
            return await self._reading.run(
                certificates.current, self._settings, self._material, within=self._patience
            )
        except StillRunning:
            raise ConnectionSettingsError(
                f"The files of certificates were not read within {self._patience:g} s: "
                f"{certificates.named(self._settings)}. Look at the disk or mount that holds them."
            ) from None

    async def _look_at_admin(self, pair: Pair | None, now: datetime) -> None:
        """Trust what Admin shows: at first, and again whenever that is no longer what it shows."""
        failing = grpc.ChannelConnectivity.TRANSIENT_FAILURE
        if self._pin and self._channel and self._channel.get_state() is not failing:
            return
        try:
            shown = await presented(
                self._address,
                server_name=self._settings.server_name,
                pair=pair,
                seconds=_HANDSHAKE_SECONDS,
            )
        except OSError:
            # The next call will find the same, and it says so as of any Admin that is down.
            return
        pin = pinning.pin(shown.certificate, self._address, self._settings.server_name)
        pin.refuse_expired(now)
        if pin != self._pin:
            log.warning(
                "Admin's certificate is trusted unverified, as admin.insecure_skip_verify says",
                subject=certificates.subject(pin.certificate),
                issuer=certificates.issuer(pin.certificate),
                sha256=pin.certificate.fingerprint(SHA256()).hex(),
                first=self._pin is None,
                advice="set admin.ca_file to the authority that issued it",
            )
        self._pin = pin

    async def _close_retired(self, *, until: float) -> None:
        over = [channel for at, channel in self._retired if at <= until]
        self._retired = [(at, channel) for at, channel in self._retired if at > until]
        for channel in over:
            await channel.close(grace=None)
