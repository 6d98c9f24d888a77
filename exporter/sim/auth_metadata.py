"""
Where tokens are to be had, and how to send them: told to everybody, by gRPC and by HTTP.

Source: flyteadmin `auth/authzserver/metadata_provider.go`.
"""

from typing import Any

import grpc
from flyteidl.service import auth_pb2

from exporter.sim.authority import SCOPE, SCOPES, Authority

SERVICE = "flyteidl.service.AuthMetadataService"
TOKEN_PATH = "/oauth2/token"  # noqa: S105 - a path


def oauth2_metadata(authority: Authority) -> Any:
    """Return what RFC 8414 has every authorization server tell."""
    return auth_pb2.OAuth2MetadataResponse(
        issuer=authority.public_url,
        authorization_endpoint=f"{authority.public_url}/oauth2/authorize",
        token_endpoint=f"{authority.public_url}{TOKEN_PATH}",
        response_types_supported=["code", "token", "code token"],
        scopes_supported=[SCOPE],
        token_endpoint_auth_methods_supported=["client_secret_basic"],
        code_challenge_methods_supported=["S256"],
        grant_types_supported=["client_credentials", "refresh_token", "authorization_code"],
    )


def public_client_config(authority: Authority) -> Any:
    """Return what flytectl and flytekit need to know to be clients of Admin."""
    return auth_pb2.PublicClientAuthConfigResponse(
        client_id="flytectl",
        redirect_uri="http://localhost:53593/callback",
        scopes=SCOPES,
        authorization_metadata_key=authority.header,
        audience=authority.advertised_audience,
    )


def handler(authority: Authority) -> grpc.GenericRpcHandler:
    """Return AuthMetadataService."""

    async def get_oauth2_metadata(*_: Any) -> Any:
        return oauth2_metadata(authority)

    async def get_public_client_config(*_: Any) -> Any:
        return public_client_config(authority)

    return grpc.method_handlers_generic_handler(
        SERVICE,
        {
            "GetOAuth2Metadata": grpc.unary_unary_rpc_method_handler(
                get_oauth2_metadata,
                request_deserializer=auth_pb2.OAuth2MetadataRequest.FromString,
                response_serializer=auth_pb2.OAuth2MetadataResponse.SerializeToString,
            ),
            "GetPublicClientConfig": grpc.unary_unary_rpc_method_handler(
                get_public_client_config,
                request_deserializer=auth_pb2.PublicClientAuthConfigRequest.FromString,
                response_serializer=auth_pb2.PublicClientAuthConfigResponse.SerializeToString,
            ),
        },
    )
