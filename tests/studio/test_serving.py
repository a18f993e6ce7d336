"""`etude studio` on the command line: where it listens, what it prints, how it fails."""

import builtins
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import pytest

from browsing import Browser
from etude.cli import main
from etude.studio import serving
from etude.studio.guard import Guard
from made_up import make_run


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ETUDE_RUNS", raising=False)


@pytest.fixture
def taken() -> Iterator[int]:
    """A port at which another program listens."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Guard]:
    """The applications that would have been served."""
    found: list[Guard] = []

    class Server:
        def __init__(self, config: Any) -> None:
            found.append(config.app)

        def run(self, sockets: list[socket.socket]) -> None:
            assert len(sockets) == 1

    monkeypatch.setattr(serving.uvicorn, "Server", Server)
    monkeypatch.setattr(serving.torch, "set_num_threads", lambda _: None)
    return found


def said(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What a studio that cannot start says, without `etude: `."""
    assert main(["studio", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err.removeprefix("etude: ").rstrip("\n")


NO_HOST = "(allowed: a name or an address of this machine)."
MISTAKES = {
    ("--port", "-1"): "--port -1 (allowed: 0 to 65535).",
    ("--port", "65536"): "--port 65536 (allowed: 0 to 65535).",
    ("file",): "file is no folder: give the folder of your runs.",
    ("--port", "0", "--host", ""): f"--host '' {NO_HOST}",
    ("--port", "0", "--host", "nosuch.invalid"): f"--host 'nosuch.invalid' {NO_HOST}",
    ("--port", "0", "--host", "192.0.2.1"): f"--host '192.0.2.1' {NO_HOST}",
    ("--port", "0", "--host", "[::1]"): f"--host '[::1]' {NO_HOST}",
    ("--port", "0", "--host", "a\0b"): f"--host 'a\\x00b' {NO_HOST}",
    ("--port", "0", "--host", "\udcff"): f"--host '\\udcff' {NO_HOST}",
    ("--port", "0", "--host", "é" * 80): f"--host '{'é' * 80}' {NO_HOST}",
}


@pytest.mark.parametrize("words", MISTAKES, ids=repr)
def test_a_studio_that_cannot_start_says_why(
    words: tuple[str, ...], served: list[Guard], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("file").write_text("")
    assert said([*words], capsys) == MISTAKES[words]
    assert served == []


def test_a_port_in_use_is_told(taken: int, served: list[Guard], capsys: pytest.CaptureFixture[str]) -> None:
    message = f"cannot listen on 127.0.0.1:{taken}: address already in use; choose another --port."
    assert said(["--port", str(taken)], capsys) == message


def test_without_a_port_the_first_free_one_is_taken(
    taken: int, served: list[Guard], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "FIRST_PORT", taken)
    assert main(["studio"]) == 0
    assert f"http://127.0.0.1:{taken}/" not in capsys.readouterr().out
    monkeypatch.setattr(serving, "TRIED_PORTS", 1)
    assert said([], capsys) == f"ports {taken} to {taken} are all in use: give a --port."


@pytest.mark.parametrize("name", ["starlette.applications", "uvicorn", "orjson"])
def test_a_missing_extra_is_told(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in [each for each in sys.modules if each.startswith("etude.studio")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.delattr("etude.studio")
    real = builtins.__import__

    def without(wanted: str, *rest: Any) -> Any:
        if wanted == name:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name.partition(".")[0])
        return real(wanted, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    assert (
        said(["--port", "0"], capsys)
        == f"the studio needs {name.partition('.')[0]}: pip install starlette uvicorn orjson."
    )


def printed(capsys: pytest.CaptureFixture[str]) -> re.Match[str]:
    found = re.fullmatch(
        r"studio of (\S+) at http://(\S+):(\d+)/\?token=([\w-]{32})\nCtrl-C ends it; trainings go on\.\n",
        capsys.readouterr().out,
    )
    assert found
    return found


@pytest.mark.parametrize(("host", "shown", "names"), [
    ("127.0.0.1", "127.0.0.1", []), ("localhost", "localhost", []),
    ("127.0.0.2", "127.0.0.2", ["127.0.0.2"]), ("LocalHost", "LocalHost", []),
])  # fmt: skip
def test_26_beyond_loopback_the_token_and_the_names_are_needed_too(
    host: str, shown: str, names: list[str], served: list[Guard], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["studio", "--port", "0", "--host", host]) == 0
    folder, name, port, token = printed(capsys).groups()
    assert (folder, name) == ("runs", shown)
    (guard,) = served
    assert guard.addresses == {f"{each}:{port}" for each in ("127.0.0.1", "localhost", "[::1]", *names)}
    assert guard.origins == {f"http://{each}" for each in guard.addresses}
    visitor, at = Browser(guard), f"{names[0] if names else 'localhost'}:{port}"
    assert visitor.get("/api/runs", host=at, cookie=None).status == 401
    assert visitor.get("/api/runs", host=at, cookie=f"etude_{port}={token}").status == 200
    assert visitor.get("/api/runs", host=f"evil.example:{port}", cookie=f"etude_{port}={token}").status == 400


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "0"])
def test_every_address_is_none_that_a_browser_can_name(host: str, capsys: pytest.CaptureFixture[str]) -> None:
    told = said(["--port", "0", "--host", host], capsys)
    assert told == f"--host {host} is every address: give the one by which others call this machine."


def test_each_studio_has_a_token_of_its_own(served: list[Guard], capsys: pytest.CaptureFixture[str]) -> None:
    tokens = set()
    for _ in range(3):
        assert main(["studio", "--port", "0"]) == 0
        tokens.add(printed(capsys)[4])
    assert len(tokens) == 3


def test_the_page_is_opened_where_asked(
    served: list[Guard], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(serving.webbrowser, "open", opened.append)
    assert main(["studio", "--port", "0"]) == 0
    capsys.readouterr()
    assert opened == []
    assert main(["studio", "--port", "0", "--open"]) == 0
    assert opened == [printed(capsys)[0].split()[4]]


def test_logs_of_what_was_started_are_removed_at_the_end(
    served: list[Guard], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert main(["studio", "--port", "0"]) == 0
    assert [*tmp_path.iterdir()] == []


def test_25_the_printed_address_works_and_its_token_is_in_no_log(tmp_path: Path) -> None:
    """Of a studio in a process of its own, after right, wrong and malformed requests."""
    make_run(tmp_path / "mine", "a")
    words = [sys.executable, "-m", "etude", "studio", "mine", "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        address = process.stdout.readline().split()[-1]
        page, token = address.split("?token=")
        cookies = CookieJar()
        visitor = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(cookies)
        )
        with pytest.raises(urllib.error.HTTPError, match="401"):
            visitor.open(f"{page}api/runs")
        with visitor.open(address) as answer:
            assert (answer.status, answer.url) == (200, page)
            assert b"tude studio" in answer.read()
        assert [(cookie.value, cookie.path) for cookie in cookies] == [(token, "/")]
        with visitor.open(f"{page}api/runs") as answer:
            assert b'"id": "a"' in answer.read()
        for wanted in (f"{page}nosuch", f"{page}?token={token}x", f"{page}api/runs?token={token}&a=/../"):
            with pytest.raises(urllib.error.HTTPError):
                urllib.request.build_opener(urllib.request.ProxyHandler({})).open(wanted)
        host, _, port = page.removeprefix("http://").rstrip("/").partition(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(f"nonsense {token}\r\n\r\n".encode())
            assert connection.recv(1000).startswith(b"HTTP/1.1 400")
        process.send_signal(2)
        assert process.stdout.read() == "Ctrl-C ends it; trainings go on.\n"
        assert process.stderr.read() == "etude: stopped.\n"
    assert process.returncode == 130
