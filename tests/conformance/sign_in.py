# Copyright (c) the agent-framework-mcp contributors. Licensed under the MIT License.
"""The HTTP client that a scenario needs: none of its own, or one that signs in as the scenario is about.

The suite says who we are in MCP_CONFORMANCE_CONTEXT. What asks a person in real life, the page where one signs in, is
answered by the suite's authorization server with a redirect at once, so a GET stands in for the browser.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
from mcp.client.auth import OAuthClientProvider
from mcp.client.auth.extensions.client_credentials import (
    ClientCredentialsOAuthProvider,
    JWTParameters,
    PrivateKeyJWTOAuthProvider,
    RFC7523OAuthClientProvider,
    SignedJWTParameters,
)
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl

REDIRECT_URI = AnyUrl("http://127.0.0.1:3030/callback")  # nobody listens there: the redirect is read and not followed
CLIENT_METADATA_URL = "https://conformance-test.local/client-metadata.json"  # the id that auth/basic-cimd expects
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"
ID_JAG = "urn:ietf:params:oauth:token-type:id-jag"


async def http_client(scenario: str, url: str, context: Mapping[str, Any]) -> httpx.AsyncClient | None:
    """A client with the scenario's credentials, which the caller closes; None where the server asks for none."""
    if not scenario.startswith("auth/"):
        return None
    if scenario in ("auth/enterprise-managed-authorization", "auth/cross-app-access-complete-flow"):
        token = await exchange_identity(url, context)
        return httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"})
    return httpx.AsyncClient(auth=provider(scenario, url, context))


def provider(scenario: str, url: str, context: Mapping[str, Any]) -> httpx.Auth:
    """The SDK's OAuth flow for a scenario."""
    if scenario == "auth/client-credentials-basic":
        return ClientCredentialsOAuthProvider(url, Memory(), context["client_id"], context["client_secret"])
    if scenario == "auth/client-credentials-jwt":
        me = context["client_id"]
        signature = SignedJWTParameters(
            issuer=me,
            subject=me,
            signing_key=context["private_key_pem"],
            signing_algorithm=context["signing_algorithm"],
        )
        return PrivateKeyJWTOAuthProvider(url, Memory(), me, signature.create_assertion_provider())
    if scenario == "auth/wif-jwt-bearer":
        return RFC7523OAuthClientProvider(
            url,
            OAuthClientMetadata(redirect_uris=None, grant_types=[JWT_BEARER]),
            Memory(known_client(context)),
            jwt_parameters=JWTParameters(assertion=context["valid_jwt"]),
        )
    browser = Browser()
    return OAuthClientProvider(
        url,
        OAuthClientMetadata(
            client_name="conformance",
            redirect_uris=[REDIRECT_URI],
            grant_types=["authorization_code", "refresh_token"],
        ),
        Memory(known_client(context) if "client_id" in context else None),
        redirect_handler=browser.visit,
        callback_handler=browser.callback,
        client_metadata_url=CLIENT_METADATA_URL,
    )


def known_client(context: Mapping[str, Any]) -> OAuthClientInformationFull:
    """A client that was registered before, by other means."""
    secret = context.get("client_secret")
    return OAuthClientInformationFull(
        client_id=context["client_id"],
        client_secret=secret,
        token_endpoint_auth_method="client_secret_basic" if secret else "none",
        redirect_uris=[REDIRECT_URI],
    )


class Browser:
    """Stands in for a person with a browser, at a server that agrees at once."""

    def __init__(self) -> None:
        self._answer: dict[str, list[str]] = {}

    async def visit(self, url: str) -> None:
        async with httpx.AsyncClient() as client:
            response = await client.get(url)
        self._answer = parse_qs(urlsplit(response.headers["location"]).query)

    async def callback(self) -> tuple[str, str | None]:
        """What the browser brings back: the code, and the state it was sent with."""
        return self._answer.get("code", [""])[0], self._answer.get("state", [None])[0]


class Memory:
    """Keeps tokens and the client's registration for as long as the process lives."""

    def __init__(self, client: OAuthClientInformationFull | None = None) -> None:
        self._client = client
        self._tokens: OAuthToken | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self._tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self._tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self._client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self._client = client_info


async def exchange_identity(url: str, context: Mapping[str, Any]) -> str:
    """An access token for an identity of the company's own provider (SEP-990), for which SDK 1.x has no flow."""
    parts = urlsplit(url)
    async with httpx.AsyncClient() as client:
        resource = await _json(client.get(urljoin(url, f"/.well-known/oauth-protected-resource{parts.path}")))
        (issuer,) = resource["authorization_servers"]
        server = await _json(client.get(urljoin(issuer, "/.well-known/oauth-authorization-server")))
        grant = await _json(
            client.post(
                context["idp_token_endpoint"],
                data={
                    "grant_type": TOKEN_EXCHANGE,
                    "requested_token_type": ID_JAG,
                    "audience": server["issuer"],
                    "resource": resource["resource"],
                    "subject_token": context["idp_id_token"],
                    "subject_token_type": ID_TOKEN,
                    "client_id": context["idp_client_id"],
                },
            )
        )
        token = await _json(
            client.post(
                server["token_endpoint"],
                data={"grant_type": JWT_BEARER, "assertion": grant["access_token"]},
                auth=(context["client_id"], context["client_secret"]),
            )
        )
    return str(token["access_token"])


async def _json(request: Any) -> dict[str, Any]:
    response: httpx.Response = await request
    response.raise_for_status()
    body: dict[str, Any] = response.json()
    return body
