"""How a connection to Admin is made."""

import grpc

from exporter.config.settings import AdminSettings

RECEIVE_LIMIT = 20 * 1024 * 1024
"""
Bytes of one answer that we accept.

grpc's default of 4 MiB is too small for a page of executions; flytekit uses this same figure.
"""

_OPTIONS = (
    ("grpc.max_receive_message_length", RECEIVE_LIMIT),
    # Long error texts travel in the trailers, and newer grpc refuses more than 16 KiB of them.
    ("grpc.max_metadata_size", 32 * 1024),
    ("grpc.absolute_max_metadata_size", 64 * 1024),
)


def connect(admin: AdminSettings) -> grpc.aio.Channel:
    """Open a channel to Admin; nothing is sent before the first call."""
    if admin.insecure:
        return grpc.aio.insecure_channel(admin.endpoint, options=_OPTIONS)
    return grpc.aio.secure_channel(admin.endpoint, grpc.ssl_channel_credentials(), options=_OPTIONS)
