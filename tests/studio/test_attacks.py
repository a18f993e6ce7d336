"""Attacks on the studio, each after one that harmed a tool of its kind: all are refused.

Numbers are those of the list that they were collected in: A from a web page, B on files, C by content, D secrets and
load. 18 (archives) and 24 (cells of tables) concern exports; that
the token is in no log (25), and addresses beyond loopback (26), are in test_serving.
"""

import asyncio
import json
import re
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.routing import Route

from browsing import ORIGIN, PORT, TOKEN, Answer, Browser
from etude import recipes
from etude.errors import RunError
from etude.files import checked_json
from etude.runs import create_run
from etude.runs.lock import training_lock
from etude.studio.app import Studio
from etude.studio.guard import Guard
from etude.studio.serving import LOOPBACK, listen
from etude.studio.shelf import path_of
from etude.studio.static import FILES
from made_up import configuration, make_run

Browse = Callable[[Path], Browser]
SCRIPT = "<script>alert(1)</script>"


@pytest.fixture(autouse=True)
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str]]]:
    """Title and words of what the studio would have started."""
    found: list[tuple[str, list[str]]] = []
    monkeypatch.setattr("etude.studio.jobs.Jobs._start", lambda _, title, words: found.append((title, words)))
    return found


@pytest.fixture
def runs_dir(tmp_path: Path) -> Path:
    """A folder with a run, beside another that only shares the beginning of its name."""
    make_run(tmp_path / "runs", "a")
    make_run(tmp_path / "runs-secret", "hidden")
    (tmp_path / "secret.txt").write_text("SECRET")
    (tmp_path / "runs/a/samples").mkdir()
    (tmp_path / "runs/a/samples/step-000010.png").write_bytes(b"\x89PNG")
    return tmp_path / "runs"


@pytest.fixture
def visitor(runs_dir: Path, browse: Browse) -> Browser:
    return browse(runs_dir)


def addresses() -> list[tuple[str, str]]:
    """Method and address of every route of the studio."""
    studio = Studio(Path("runs"), None)
    studio.jobs.close()
    found = []
    for route in studio.app().routes:
        assert isinstance(route, Route)
        assert route.methods
        path = route.path
        for part, value in (("id", "a"), ("step:int", "10"), ("suffix", "png"), ("name", "xy-game")):
            path = path.replace(f"{{{part}}}", value)
        assert "{" not in path
        found += [(method, path) for method in sorted(route.methods - {"HEAD"})]
    return found


def send(visitor: Browser, method: str, address: str, **changed: str | None) -> Answer:
    if method == "POST":
        return visitor.post(address, {}, **changed)
    assert method == "GET"
    return visitor.get(address, method=method, **changed)


def text(answer: Answer) -> str:
    """What a refusal says: plain text, with the headers that all answers have."""
    assert answer.header("content-type") == "text/plain; charset=utf-8"
    require_headers(answer)
    return answer.body.decode().rstrip("\n")


def require_headers(answer: Answer) -> None:
    """The headers that keep a browser from running, framing, guessing or telling."""
    policy = answer.header("content-security-policy")
    assert policy is not None
    for rule in ("default-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"):
        assert rule in policy.split("; ")
    assert "unsafe" not in policy
    assert answer.header("x-content-type-options") == "nosniff"
    assert answer.header("x-frame-options") == "DENY"
    assert answer.header("referrer-policy") == "no-referrer"
    assert answer.header("cross-origin-resource-policy") == "same-origin"
    assert answer.header("cross-origin-opener-policy") == "same-origin"
    assert answer.header("cache-control")
    assert not [name for name, _ in answer.headers if name.startswith("access-control-")]


# A real server, for what no client library would send -----------------------------------------------------------------


@dataclass
class Server:
    """A studio that listens, and what was asked of it."""

    port: int

    def send(self, request: bytes, *, is_all: bool = False) -> bytes:
        """The answer to these bytes, until the server closes; with `is_all` it is told that no more will come."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(request)
            if is_all:
                connection.shutdown(socket.SHUT_WR)
            answer = b""
            while part := connection.recv(65536):
                answer += part
            return answer

    def get(self, target: str, *headers: str, host: str | None = None) -> bytes:
        """The answer to a GET of a known visitor, its lines as they are given."""
        lines = [f"GET {target} HTTP/1.1", f"Host: {host or f'127.0.0.1:{self.port}'}", *headers]
        lines += [f"Cookie: etude_{self.port}={TOKEN}", "Connection: close", "\r\n"]
        return self.send("\r\n".join(lines).encode())


@pytest.fixture
def server(runs_dir: Path) -> Iterator[Server]:
    studio = Studio(runs_dir, None)
    with listen("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        app = Guard(studio.app(), hosts={*LOOPBACK}, port=port, token=TOKEN)
        serving = uvicorn.Server(uvicorn.Config(app, log_level="critical", access_log=False, server_header=False))
        thread = threading.Thread(target=serving.run, kwargs={"sockets": [listening]})
        thread.start()
        yield Server(port)
        serving.should_exit = True
        thread.join()
    studio.jobs.close()


def status(answer: bytes) -> int:
    assert b"SECRET" not in answer
    return int(answer.split(b" ", 2)[1])


def test_the_server_answers_what_is_right(server: Server) -> None:
    assert status(server.get("/api/runs")) == 200
    assert status(server.get("/api/runs", host=f"localhost:{server.port}")) == 200
    assert status(server.get("/api/runs/a/pictures/10.png")) == 200


# A. From a web page ---------------------------------------------------------------------------------------------------

OTHER_HOSTS = [
    "evil.example", f"evil.example:{PORT}", "127.0.0.1", f"127.0.0.1:{PORT + 1}", f"127.0.0.1.evil.example:{PORT}",
    f"localhost.:{PORT}", f"0.0.0.0:{PORT}", f"[::]:{PORT}", f"::1:{PORT}", f"2130706433:{PORT}", "", " ",
    f"127.0.0.1:{PORT}/", f"127.0.0.1:{PORT}/x?", f"127.0.0.1:{PORT}#", f"a@127.0.0.1:{PORT}", f"127.0.0.1:{PORT}@b",
    f"127.0.0.1:{PORT},evil.example", f"127.0.0.1:0{PORT}",
]  # fmt: skip


@pytest.mark.parametrize("host", OTHER_HOSTS)
def test_1_2_another_host_is_refused(visitor: Browser, host: str) -> None:
    """DNS rebinding: a page of evil.example whose name now leads here; malformed names that fool a parser."""
    for answer in (visitor.get("/api/runs", host=host), visitor.get(f"/?token={TOKEN}", host=host)):
        assert answer.status == 400
        assert text(answer) == (
            f"The studio is at 127.0.0.1:{PORT}, [::1]:{PORT}, localhost:{PORT}: open it under one of these names."
        )
        assert answer.header("set-cookie") is None


def test_1_no_host_or_two_are_refused(visitor: Browser) -> None:
    assert visitor.get("/api/runs", host=None).status == 400
    assert visitor.get("/api/runs", ("host", f"127.0.0.1:{PORT}")).status == 400
    assert visitor.get("/api/runs", ("host", "evil.example")).status == 400
    for name in ("127.0.0.1", "localhost", "[::1]"):
        assert visitor.get("/api/runs", host=f"{name}:{PORT}").status == 200


@pytest.mark.parametrize("line", ["Host: evil.example", "Host: 127.0.0.1:%d", "X-Forwarded-Host: evil.example"])
def test_1_a_second_host_is_refused_as_bytes(server: Server, line: str) -> None:
    answer = server.get("/api/runs", line % server.port if "%d" in line else line)
    if line.startswith("X-"):
        assert b"evil" not in answer  # it is not looked at
        return
    assert status(answer) == 400


@pytest.mark.parametrize(
    "host", ["127.0.0.1:%d/x?", "a@127.0.0.1:%d", "127.0.0.1:%d/static/main.js?", "127.0.0.1:%d#", "127.0.0.1:%d\t.x"]
)
def test_2_a_malformed_host_decides_nothing(server: Server, host: str) -> None:
    assert status(server.get("/api/runs", host=host % server.port)) == 400


@pytest.mark.parametrize(
    "target",
    ["@evil.example", "evil.example", "//evil.example", "http://evil.example/", "http://127.0.0.1/api/runs", "*",
     "?token", "/\\evil.example", "/@evil.example"],
)  # fmt: skip
def test_3_a_target_that_is_no_path_is_refused(server: Server, target: str) -> None:
    answer = server.get(target)
    assert status(answer) == 400
    assert b"location" not in answer.lower()


def test_4_ports_are_checked_and_ipv6_is_known(visitor: Browser) -> None:
    assert visitor.get("/api/runs", host="localhost").status == 400
    assert visitor.get("/api/runs", host="localhost:80").status == 400
    assert visitor.get("/api/runs", host=f"[::1]:{PORT}").status == 200


CHANGES = [address for method, address in addresses() if method == "POST"]


OTHER_KINDS = [
    "text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded",
    "text/plain; application/json", "application/json; charset=utf-8", "", None,
]  # fmt: skip


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_5_27_only_json_is_taken(visitor: Browser, runs_dir: Path, kind: str | None) -> None:
    """What a form of another page can send without asking, and files of many parts."""
    for address in CHANGES:
        answer = visitor.post(address, {"name": "a"}, content_type=kind)
        assert (answer.status, text(answer)) == (415, "The studio takes application/json.")
    assert (runs_dir / "a").exists()


OTHER_ORIGINS = [
    "null", "http://evil.example", f"https://127.0.0.1:{PORT}", f"http://127.0.0.1:{PORT}.evil.test",
    f"http://127.0.0.1:{PORT}0", "http://127.0.0.1", f"http://127.0.0.1:{PORT + 1}", f"http://127.0.0.1:{PORT}/",
    f"http://a@127.0.0.1:{PORT}", f"http://evil.example#http://127.0.0.1:{PORT}", "", f"{ORIGIN} http://evil.example",
]  # fmt: skip


@pytest.mark.parametrize("origin", OTHER_ORIGINS)
def test_6_7_8_another_origin_is_refused_with_the_cookie_too(visitor: Browser, runs_dir: Path, origin: str) -> None:
    for method, address in addresses():
        answer = send(visitor, method, address, origin=origin)
        assert answer.status == 403
        assert text(answer) == "Another site asked for this. Open the studio from its own address."
    assert (runs_dir / "a").exists()


def test_7_a_change_without_an_origin_is_refused(visitor: Browser) -> None:
    for address in CHANGES:
        answer = visitor.post(address, {"name": "a"}, origin=None)
        assert (answer.status, text(answer)) == (403, "A change must come from a page of the studio.")
        assert visitor.post(address, {}, ("origin", "http://evil.example")).status == 403
        assert visitor.post(address, {}, ("origin", ORIGIN)).status == 403  # two, although right


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "POST ", "get"])
def test_7_other_methods_need_what_a_change_needs_and_change_nothing(visitor: Browser, method: str) -> None:
    for _, address in addresses():
        assert visitor.get(address, method=method).status == 403
        answer = visitor.get(address, method=method, origin=ORIGIN, content_type="application/json", content_length="0")
        assert answer.status == 404


def test_9_no_answer_opens_itself_to_other_origins(visitor: Browser) -> None:
    for method, address in addresses():
        require_headers(send(visitor, method, address))
        require_headers(send(visitor, method, address, origin="http://evil.example"))
    answer = visitor.get(
        "/api/runs", method="OPTIONS", access_control_request_method="POST", origin="http://evil.example"
    )
    require_headers(answer)


@pytest.mark.parametrize("site", ["cross-site", "same-site", "Same-Origin", ""])
def test_10_a_page_of_another_port_of_this_host_is_refused(visitor: Browser, site: str) -> None:
    """For cookies it is the same site."""
    for method, address in addresses():
        assert send(visitor, method, address, sec_fetch_site=site).status == 403
    assert visitor.get("/", sec_fetch_site="none").status == 200
    assert visitor.get("/", sec_fetch_site=None).status == 200


def test_10_the_cookie_of_another_port_is_not_ours(visitor: Browser) -> None:
    assert visitor.get("/api/runs", cookie=f"etude_{PORT + 1}={TOKEN}").status == 401
    assert visitor.get("/api/runs", cookie=f"etude={TOKEN}").status == 401
    others = 'a={"json": [1, "x;y"]}; b="un;closed; _xsrf=2|a|b; \xe9=\xff; =; ;;'
    assert visitor.get("/api/runs", cookie=f"{others} etude_{PORT}={TOKEN}").status == 200
    assert visitor.get("/api/runs", cookie=f"etude_{PORT}=old; {others}etude_{PORT}={TOKEN}").status == 200
    assert visitor.get("/api/runs", cookie=f"x_etude_{PORT}={TOKEN}; a=etude_{PORT}={TOKEN}").status == 401


@pytest.mark.parametrize(("method", "address"), [*addresses(), ("GET", "/nosuch"), ("POST", "/api/runs/a/nosuch")])
def test_11_no_route_answers_without_the_cookie(runs_dir: Path, visitor: Browser, method: str, address: str) -> None:
    for cookie in (None, "", f"etude_{PORT}=", f"etude_{PORT}={TOKEN[:-1]}", f"etude_{PORT}={TOKEN}x"):
        answer = send(visitor, method, address, cookie=cookie)
        assert answer.status == 401
        assert text(answer) == "The studio does not know this browser: open the address that `etude studio` printed."
    assert (runs_dir / "a").exists()


def test_11_every_route_is_a_plain_one_and_none_is_a_websocket(visitor: Browser) -> None:
    assert len(addresses()) > 40
    said: list[Any] = []

    async def send_(message: Any) -> None:
        said.append(message)

    asyncio.run(visitor.app({"type": "websocket", "path": "/", "headers": []}, None, send_))  # type: ignore[arg-type]
    assert said == [{"type": "websocket.close", "code": 1008}]


def test_12_no_page_may_be_framed(visitor: Browser) -> None:
    for address in ("/", "/api/runs", "/static/main.js", "/nosuch"):
        require_headers(visitor.get(address))


# B. Files -------------------------------------------------------------------------------------------------------------

ODD_PATHS = [
    "/static/../../../secret.txt", "/static/..%2f..%2fsecret.txt", "/static/%2e%2e/%2e%2e/secret.txt",
    "/static/..%5c..%5csecret.txt", "/api/runs/..%2fruns-secret%2fhidden", "/api/runs/%2e%2e%2fruns-secret~hidden",
    "/api/runs/a/pictures/..%2f..%2f..%2fsecret.txt", "/api/runs/a%00", "/api/runs/a/pictures/%2e%2e/recipe.json",
    "/api/runs/%2Fetc", "/api/runs/C:%5CWindows", "/api/runs/%5C%5Chost%5Cshare", "//etc/passwd", "/./api/runs",
    "/api/runs/a/../a", "/api/runs/a;x", "/api/runs/a\\..", "/api//runs", "/%", "/a b", f"/api/runs/{'a' * 300}",
    f"/api/runs/a/pictures/{'9' * 5000}.png",
]  # fmt: skip


@pytest.mark.parametrize("path", ODD_PATHS)
def test_13_15_a_path_that_leads_elsewhere_is_refused(server: Server, visitor: Browser, path: str) -> None:
    answer = visitor.get(path)
    assert (answer.status, text(answer)) == (400, "There is no such address in the studio.")
    if " " not in path and "\\" not in path:
        assert status(server.get(path)) == 400


ODD_IDS = [
    "..", ".", "~", "a~", "~a", "..~a", "a~..", "a~b~c", "*", "a*", "~root", "-x", "../runs-secret/hidden", "/etc",
    "C:\\Windows", "\\\\host\\share", "a\0", "a\n", "é", "a/", "", "nosuch", "a~a", "runs-secret~hidden", "A" * 200,
]  # fmt: skip


@pytest.mark.parametrize("run_id", ODD_IDS)
def test_14_15_an_id_is_a_name_or_none(runs_dir: Path, run_id: str) -> None:
    with pytest.raises(RunError) as error:
        path_of(runs_dir, run_id)
    assert str(error.value).startswith("no run ")


def test_14_15_ids_in_a_query_are_checked(visitor: Browser) -> None:
    for run_id in ("..%2Fruns-secret%2Fhidden", "..~hidden", "%2Fetc", "%00", "*", ""):
        for address in (f"/api/curves?run={run_id}&column=x", f"/api/bands?group={run_id},a&column=x"):
            answer = visitor.get(address)
            assert answer.status == 404
            assert answer.error.startswith("no run ")


def hostile(runs_dir: Path, **links: str) -> Path:
    """A run that came from elsewhere, with links in place of files."""
    path = make_run(runs_dir, "hostile").path
    for name, target in links.items():
        file = path / name.replace("__", ".")
        if file.is_dir():
            shutil.rmtree(file)
        file.unlink(missing_ok=True)
        file.symlink_to(target)
    return path


@pytest.mark.parametrize("kind", ["folder", "recipe", "sweep"])
def test_16_a_run_that_is_a_link_is_no_run(runs_dir: Path, browse: Browse, kind: str) -> None:
    hidden = runs_dir.parent / "runs-secret"
    if kind == "folder":
        (runs_dir / "linked").symlink_to(hidden / "hidden")
    elif kind == "recipe":
        (runs_dir / "linked").mkdir()
        (runs_dir / "linked/recipe.json").symlink_to(hidden / "hidden/recipe.json")
    else:
        (hidden / "sweep.json").write_text("{}")
        (runs_dir / "linked").symlink_to(hidden)
    visitor = browse(runs_dir)
    assert [row["id"] for row in visitor.get("/api/runs").json["runs"]] == ["a"]
    for run_id in ("linked", "linked~hidden"):
        assert visitor.get(f"/api/runs/{run_id}").status == 404
        assert visitor.post(f"/api/runs/{run_id}/delete", {"name": run_id.rpartition("~")[2]}).status == 404
    assert (hidden / "hidden/recipe.json").exists()


def test_16_links_in_a_run_are_not_followed(runs_dir: Path, browse: Browse) -> None:
    secret = str(runs_dir.parent / "secret.txt")
    path = hostile(runs_dir, metrics__jsonl=secret, remarks__json=secret, samples=str(runs_dir / "a/samples"))
    (path / "measures").symlink_to(runs_dir / "a")
    (path / "checkpoints").symlink_to(runs_dir.parent)
    visitor = browse(runs_dir)
    for method, address in addresses():
        if "/api/runs/a" in address and not address.endswith(("delete", "trust")):
            answer = send(visitor, method, address.replace("/api/runs/a", "/api/runs/hostile"))
            assert b"SECRET" not in answer.body
    assert visitor.get("/api/runs/hostile/pictures/10.png").status == 404
    assert visitor.ask("hostile", "classify").error == "run hostile has a link in place of checkpoints."
    answer = visitor.post("/api/runs/hostile/remarks", {"tags": [], "note": "mine"})
    assert answer.error == "run hostile has a link in place of remarks.json."
    assert (runs_dir.parent / "secret.txt").read_text() == "SECRET"


@pytest.mark.parametrize("action", ["delete", "resume", "pause"])
def test_16_a_lock_that_is_a_link_overwrites_nothing(runs_dir: Path, browse: Browse, action: str) -> None:
    secret = runs_dir.parent / "secret.txt"
    hostile(runs_dir, __lock=str(secret))
    browse(runs_dir).post(f"/api/runs/hostile/{action}", {"name": "hostile"})
    assert secret.read_text() == "SECRET"


def test_16_paths_in_a_recipe_lead_nowhere(runs_dir: Path, browse: Browse) -> None:
    """A run's code may name only files in its own folder, and its data only tell where they were."""
    secret = runs_dir.parent / "secret.py"
    secret.write_text("SECRET")
    for number, file in enumerate(("../../secret.py", str(secret), "x/../../../secret.py", "secret.txt")):
        path = make_run(runs_dir, f"code-{number}").path
        content = json.loads((path / "recipe.json").read_text())
        content.pop("checksum")
        content["code"] = [{"file": file, "sha256": "", "seal": ""}]
        (path / "recipe.json").write_text(checked_json(content))
    visitor = browse(runs_dir)
    rows = {row["id"]: row for row in visitor.get("/api/runs").json["runs"]}
    for number in range(4):
        assert rows[f"code-{number}"]["state"] == "damaged"
        for page in ("", "/code"):
            answer = visitor.get(f"/api/runs/code-{number}{page}")
            assert answer.status == 404
            assert b"SECRET" not in answer.body
    within = make_run(runs_dir, "linked-code").path
    (within / "code").mkdir()
    (within / "code/net.py").symlink_to(secret)
    content = json.loads((within / "recipe.json").read_text())
    content.pop("checksum")
    content["code"] = [{"file": "net.py", "sha256": "", "seal": ""}]
    (within / "recipe.json").write_text(checked_json(content))
    assert browse(runs_dir).get("/api/runs/linked-code/code").error == "run linked-code has no code/net.py."


@pytest.mark.parametrize("run_id", ["..", "*", "a~..", "-rf", "%2e%2e", "nosuch"])
def test_17_only_a_run_is_deleted(runs_dir: Path, visitor: Browser, run_id: str) -> None:
    answer = visitor.post(f"/api/runs/{run_id}/delete", {"name": run_id})
    assert answer.status in (400, 404)
    assert (runs_dir / "a/recipe.json").exists()
    assert (runs_dir.parent / "runs-secret/hidden/recipe.json").exists()


def test_17_a_link_within_a_run_is_deleted_not_followed(runs_dir: Path, browse: Browse) -> None:
    hostile(runs_dir, checkpoints=str(runs_dir.parent / "runs-secret"))
    browse(runs_dir).post("/api/runs/hostile/delete", {"name": "hostile"})
    assert not (runs_dir / "hostile").exists()
    assert (runs_dir.parent / "runs-secret/hidden/recipe.json").exists()


def test_17_a_run_in_training_is_not_deleted(runs_dir: Path, visitor: Browser) -> None:
    with training_lock(runs_dir / "a"):
        answer = visitor.post("/api/runs/a/delete", {"name": "a"})
    assert answer.status == 404
    assert answer.error.endswith("is being trained by another process: wait for it, or stop it first.")
    assert (runs_dir / "a/recipe.json").exists()


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/%2Fevil.example"])
def test_19_nothing_redirects_to_what_was_asked(visitor: Browser, target: str) -> None:
    for query in (f"token={TOKEN}&next={target}", f"next={target}&token={TOKEN}"):
        answer = visitor.get(f"/?{query}", cookie=None)
        assert (answer.status, answer.header("location")) == (303, "/")
    for path in ("/api/runs/", "/api/runs/a/", "/static/"):
        answer = visitor.get(path)
        assert answer.status == 400
        assert answer.header("location") is None


@pytest.mark.parametrize("value", ["bytes=0-", "bytes=0-0,1-1,2-2", "bytes=" + "0-," * 5000, "bytes=-1"])
def test_20_ranges_are_not_served(server: Server, value: str) -> None:
    for target in ("/static/uplot.js", "/static/main.js", "/api/runs/a/pictures/10.png"):
        answer = server.get(target, f"Range: {value}")
        assert status(answer) == 200
        assert b"content-range" not in answer.lower()
    assert answer.endswith(b"\x89PNG")


# C. Content -----------------------------------------------------------------------------------------------------------


def test_21_22_what_a_run_says_is_never_html(runs_dir: Path, browse: Browse) -> None:
    made = configuration(class_names=(SCRIPT, "</script>", "a\u2028b"))
    made["dataset"]["name"] = SCRIPT
    path = create_run(recipes.get("lenet"), name="hostile", runs_dir=runs_dir, configuration=made).path
    (path / "state.json").write_text(checked_json({"status": "failed", "error": SCRIPT}))
    (path / "metrics.jsonl").write_text(json.dumps({"event": 0, "step": 1, "epoch": 1, SCRIPT: 1.0}) + "\n")
    (path / "samples").mkdir()
    (path / "samples/step-000001.txt").write_text(SCRIPT)
    (path / "samples/step-000001.png").write_text(SCRIPT)
    visitor = browse(runs_dir)
    visitor.post("/api/runs/hostile/remarks", {"tags": [SCRIPT], "note": SCRIPT})
    (row,) = [row for row in visitor.get("/api/runs").json["runs"] if row["id"] == "hostile"]
    assert (row["data"], row["tags"], row["note"]) == (SCRIPT, [SCRIPT], SCRIPT)  # as it is, for the page to show
    allowed = {"application/json", "application/octet-stream", "image/png", "text/plain; charset=utf-8"}
    for method, address in addresses():
        address = address.replace("/api/runs/a", "/api/runs/hostile").replace("10.png", "1.png")
        if "/api/" in address:
            answer = send(visitor, method, address)
            assert answer.header("content-type") in allowed
            require_headers(answer)
    for suffix, kind in (("txt", "text/plain; charset=utf-8"), ("png", "image/png")):
        answer = visitor.get(f"/api/runs/hostile/pictures/1.{suffix}")
        assert (answer.header("content-type"), answer.body.decode()) == (kind, SCRIPT)
    answer = visitor.get(f"/api/recipes/{'x' * 9}?{SCRIPT}")
    assert answer.header("content-type") == "application/json"
    for line in (b"\xe2\x80\xa8", b"\xe2\x80\xa9"):
        assert line not in visitor.get("/api/runs/hostile").body


def test_21_the_page_has_no_script_within_and_loads_nothing_from_elsewhere(visitor: Browser) -> None:
    page = visitor.get("/")
    assert page.header("content-type") == "text/html; charset=utf-8"
    for script in re.findall(rb"<script[^>]*>(.*?)</script>", page.body, re.DOTALL):
        assert script == b""
    assert not re.search(rb"""\son\w+=|javascript:|(src|href)=["'](https?:)?//""", page.body)
    for name, (content, _) in FILES.items():
        if name.endswith(".js") and name != "uplot.js":
            sinks = rb"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function"
            assert not re.findall(sinks, content), name


def test_22_errors_are_json_or_text_and_are_not_guessed_at(visitor: Browser) -> None:
    for answer in (
        visitor.get("/nosuch"), visitor.get("/api/runs/nosuch"), visitor.post("/api/train", {"recipe": SCRIPT}),
        visitor.get("/", host="evil.example"), visitor.get(f"/?token={SCRIPT}", cookie=None),
        visitor.get(f"/api/curves?run=a&column=x&low={SCRIPT}"),
    ):  # fmt: skip
        assert answer.status >= 400
        assert answer.header("content-type") in ("application/json", "text/plain; charset=utf-8")
        require_headers(answer)


def test_23_nothing_given_is_run_or_searched_for(visitor: Browser, runs_dir: Path) -> None:
    """Columns and names are compared, never matched or evaluated."""
    for column in (".*", "train/*", "__class__", "step'); --", "train/loss%00", "[" * 1000, "().__class__"):
        answer = visitor.get(f"/api/curves?run=a&column={column}")
        assert answer.about == {"series": []}
    assert visitor.get("/api/curves?run=a&column=train/loss").about["series"][0]["points"] == 1


# D. Secrets and load --------------------------------------------------------------------------------------------------


def test_25_the_token_becomes_a_cookie_that_no_script_reads_and_leaves_the_address(visitor: Browser) -> None:
    answer = visitor.get(f"/?token={TOKEN}", cookie=None)
    assert (answer.status, answer.body, answer.header("location")) == (303, b"", "/")
    assert answer.header("set-cookie") == f"etude_{PORT}={TOKEN}; HttpOnly; SameSite=Strict; Path=/"
    assert answer.header("cache-control") == "no-store"
    assert answer.header("referrer-policy") == "no-referrer"
    for given in ("", TOKEN[:-1], f"{TOKEN}x", "é", "%00", "%ff"):
        answer = visitor.get(f"/?token={given}&a=b", cookie=None)
        assert answer.status == 401
        assert answer.header("set-cookie") is None
    assert text(answer) == "This address is old: open the one that `etude studio` printed last."
    assert visitor.get(f"/api/runs?token={TOKEN}", cookie=None).status == 401  # it opens the first page alone
    assert visitor.post(f"/?token={TOKEN}", {}, cookie=None).status == 401


def test_25_the_token_is_compared_in_constant_time(visitor: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []
    monkeypatch.setattr("etude.studio.guard.hmac.compare_digest", lambda a, b: compared.append((a, b)) or a == b)
    visitor.get("/api/runs", cookie=f"etude_{PORT}=given")
    visitor.get("/?token=given", cookie=None)
    assert compared == [(b"given", TOKEN.encode())] * 2


@pytest.mark.parametrize("length", ["1000001", "9" * 5000, "-1", "+5", "1e3", "x", "", None])
def test_27_a_body_has_a_length_and_not_a_large_one(visitor: Browser, length: str | None) -> None:
    answer = visitor.post("/api/runs/a/remarks", {"tags": [], "note": ""}, content_length=length)
    large = length is not None and length.isdecimal()
    assert answer.status == (413 if large else 411)
    assert text(answer) == ("At most 1,000,000 bytes." if large else "The request must say its length.")
    assert visitor.post("/api/runs/a/remarks", {}, ("content-length", "5")).status == 411


def test_27_a_body_in_chunks_cannot_hide_its_length(server: Server, runs_dir: Path) -> None:
    head = [
        "POST /api/runs/a/remarks HTTP/1.1", f"Host: 127.0.0.1:{server.port}", f"Cookie: etude_{server.port}={TOKEN}",
        f"Origin: http://127.0.0.1:{server.port}", "Content-Type: application/json", "Connection: close",
        "Transfer-Encoding: chunked",
    ]  # fmt: skip
    body = b"19\r\n" + b'{"tags": [], "note": "x"}' + b"\r\n0\r\n\r\n"
    for more in ([], ["Content-Length: 25"]):
        assert status(server.send("\r\n".join([*head, *more, "\r\n"]).encode() + body)) in (400, 411)
    assert not (runs_dir / "a/remarks.json").exists()


def test_27_the_server_lives_after_all_of_this(server: Server) -> None:
    """Half a request, none, many at once."""
    idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(50)]
    for connection in idle:
        connection.sendall(b"POST /api/train HTTP/1.1\r\nContent-Length: 999999999\r\n")
    for request in (b"", b"\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"a" * 100_000, b"\x00" * 1000):
        server.send(request, is_all=True)
    started = time.monotonic()
    assert status(server.get("/api/runs")) == 200
    assert time.monotonic() - started < 5
    for connection in idle:
        connection.close()
