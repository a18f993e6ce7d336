"""What a browser sends to the studio, without one: requests to its ASGI application, header by header."""

import asyncio
import json
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etude.studio.guard import App

PORT, TOKEN = 8642, "a-token-of-the-tests"
ORIGIN = f"http://127.0.0.1:{PORT}"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """The value of a header that is there once at most."""
        found = [value for key, value in self.headers if key == name]
        assert len(found) <= 1, (name, found)
        return found[0] if found else None

    @property
    def json(self) -> Any:
        """The body, which is JSON."""
        assert self.header("content-type") == "application/json", (self.status, self.body)
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """What a person did wrong."""
        assert self.status in (400, 404), (self.status, self.body)
        return self.json["error"]

    @property
    def about(self) -> dict[str, Any]:
        """The plain values beside arrays."""
        return self._header["about"]

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays, read as the page reads them."""
        at, found = 4 + struct.unpack("<I", self.body[:4])[0], {}
        for each in self._header["arrays"]:
            assert at % 4 == 0
            array = np.frombuffer(self.body, f"<{np.dtype(each['type']).str[1:]}", int(np.prod(each["shape"])), at)
            found[each["name"]] = array.reshape(each["shape"])
            at += array.nbytes + -array.nbytes % 4
        assert at == len(self.body)
        return found

    @property
    def _header(self) -> dict[str, Any]:
        assert self.status == 200, self.body
        assert self.header("content-type") == "application/octet-stream"
        return json.loads(self.body[4 : 4 + struct.unpack("<I", self.body[:4])[0]])


class Browser:
    """A browser with the studio's cookie, on one of its pages."""

    def __init__(self, app: App) -> None:
        self.app = app

    def get(self, address: str, *headers: tuple[str, str], method: str = "GET", **changed: str | None) -> Answer:
        """What an address answers; `changed` are headers that are not as usual, None for no such header."""
        usual = {"host": f"127.0.0.1:{PORT}", "cookie": f"etude_{PORT}={TOKEN}", "sec-fetch-site": "same-origin"}
        return self._send(method, address, b"", {**usual, **_named(changed)}, headers)

    def post(self, address: str, given: object, *headers: tuple[str, str], **changed: str | None) -> Answer:
        """What an address answers to JSON, or to bytes as they are."""
        body = given if isinstance(given, bytes) else json.dumps(given).encode()
        usual = {
            "host": f"127.0.0.1:{PORT}",
            "cookie": f"etude_{PORT}={TOKEN}",
            "sec-fetch-site": "same-origin",
            "origin": ORIGIN,
            "content-type": "application/json",
            "content-length": str(len(body)),
        }
        return self._send("POST", address, body, {**usual, **_named(changed)}, headers)

    def ask(self, run: str, question: str, **given: object) -> Answer:
        """What the networks of a run answer."""
        return self.post(f"/api/runs/{run}/{question}", given)

    def _send(
        self, method: str, address: str, body: bytes, headers: dict[str, str | None], more: tuple[tuple[str, str], ...]
    ) -> Answer:
        path, _, query = address.partition("?")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [
                (name.encode(), value.encode("latin-1"))
                for name, value in (*headers.items(), *more)
                if value is not None
            ],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", PORT),
        }
        said: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            said.append(message)

        asyncio.run(self.app(scope, receive, send))  # type: ignore[arg-type]
        start, *parts = said
        names = [(name.decode(), value.decode("latin-1")) for name, value in start["headers"]]
        return Answer(start["status"], names, b"".join(part.get("body", b"") for part in parts))


def _named(changed: dict[str, str | None]) -> dict[str, str | None]:
    return {name.replace("_", "-"): value for name, value in changed.items()}
