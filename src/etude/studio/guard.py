"""What a request must pass before any route sees it, and the headers that every answer has.

A page of another site may make this browser send requests here, and another program of this machine may serve pages
from the same host. So each request must name this address exactly, come from a page of the studio, and carry the
cookie that the printed address was exchanged for.
"""

import hmac
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, final
from urllib.parse import parse_qs

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MOST_BYTES = 1_000_000
"""The longest body: a picture of 224 × 224 colours as text has about half of that."""
SAFE_METHODS = ("GET", "HEAD")
_PATH = re.compile(rb"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]{,250})+|/")
_HEADERS = [
    (
        b"content-security-policy",
        b"default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; form-action 'none'; "
        b"frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


@final
class Guard:
    """An ASGI application around another one, which gets only the requests that pass."""

    def __init__(self, app: App, *, hosts: set[str], port: int, token: str) -> None:
        """`hosts` are the names by which this machine may be called, without the port."""
        self.app, self.token = app, token
        self.cookie = f"etude_{port}"  # cookies do not tell ports apart: the name does
        self.addresses = {f"{host}:{port}" for host in hosts} | (hosts if port == 80 else set[str]())
        self.origins = {f"http://{address}" for address in self.addresses}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # no WebSockets here
            await send({"type": "websocket.close", "code": 1008})
            return
        send = _with_headers(send)
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        if refusal := self._refusal(scope, headers):
            await _answer(send, *refusal)
        elif (given := _token_of(scope)) is not None:
            await self._exchange(given, send)
        elif not self._is_known(headers):
            await _answer(
                send, 401, "The studio does not know this browser: open the address that `etude studio` printed."
            )
        else:
            await self.app(scope, receive, send)

    def _refusal(self, scope: Scope, headers: list[tuple[bytes, bytes]]) -> tuple[int, str] | None:
        """Status and text for a request that is not for the studio, or not from one of its pages."""
        hosts, origins = _values(headers, b"host"), _values(headers, b"origin")
        if len(hosts) != 1 or hosts[0] not in self.addresses:
            return 400, f"The studio is at {', '.join(sorted(self.addresses))}: open it under one of these names."
        if not _PATH.fullmatch(scope["raw_path"].partition(b"?")[0]):
            return 400, "There is no such address in the studio."
        if any(site not in ("same-origin", "none") for site in _values(headers, b"sec-fetch-site")):
            return 403, "Another site asked for this. Open the studio from its own address."
        if any(origin not in self.origins for origin in origins) or len(origins) > 1:
            return 403, "Another site asked for this. Open the studio from its own address."
        if scope["method"] in SAFE_METHODS:
            return None
        if not origins:
            return 403, "A change must come from a page of the studio."
        if _values(headers, b"content-type") != ["application/json"]:
            return 415, "The studio takes application/json."
        lengths = _values(headers, b"content-length")
        if len(lengths) != 1 or not lengths[0].isdecimal() or _values(headers, b"transfer-encoding"):
            return 411, "The request must say its length."
        return (413, f"At most {MOST_BYTES:,} bytes.") if int(lengths[0][:12]) > MOST_BYTES else None

    async def _exchange(self, given: str, send: Send) -> None:
        """The token of the printed address becomes a cookie, and leaves the address."""
        if not _equal(given, self.token):
            await _answer(send, 401, "This address is old: open the one that `etude studio` printed last.")
            return
        cookie = f"{self.cookie}={self.token}; HttpOnly; SameSite=Strict; Path=/"
        await _answer(send, 303, "", [(b"location", b"/"), (b"set-cookie", cookie.encode())])

    def _is_known(self, headers: list[tuple[bytes, bytes]]) -> bool:
        return any(_equal(value, self.token) for value in _cookies(headers, self.cookie))


def _token_of(scope: Scope) -> str | None:
    """The token in the address, if it is that of the first page."""
    if scope["path"] != "/" or scope["method"] not in SAFE_METHODS:
        return None
    return parse_qs(scope["query_string"].decode("latin-1")).get("token", [None])[0]


def _cookies(headers: list[tuple[bytes, bytes]], name: str) -> list[str]:
    """The values of a cookie. Those of other services on this host may have any form: each is read alone."""
    pairs = [pair.strip().partition("=") for header in _values(headers, b"cookie") for pair in header.split(";")]
    return [value for key, _, value in pairs if key == name]


def _values(headers: list[tuple[bytes, bytes]], name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in headers if key == name]


def _equal(given: str, token: str) -> bool:
    """In a time that does not depend on how much of it is right."""
    return hmac.compare_digest(given.encode(), token.encode())


def _with_headers(send: Send) -> Send:
    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            given = {name for name, _ in message.get("headers", ())}
            more = _HEADERS if b"cache-control" in given else [*_HEADERS, (b"cache-control", b"no-store")]
            message = {**message, "headers": [*message.get("headers", ()), *more]}
        await send(message)

    return sending


async def _answer(send: Send, status: int, text: str, headers: list[tuple[bytes, bytes]] | None = None) -> None:
    body = f"{text}\n".encode() if text else b""
    all_headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": all_headers + (headers or [])})
    await send({"type": "http.response.body", "body": body})
