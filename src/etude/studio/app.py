"""The addresses of the studio and what answers them."""

import asyncio
import functools
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any, final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from etude.errors import EtudeError, RunError, UsageError
from etude.files import parse_json
from etude.metrics.intervals import FEWEST_VALUES, t_quantile
from etude.runs import code
from etude.runs.remarks import Remarks, write_remarks
from etude.studio import classes, comparing, details, forms, generating, jobs, latents, texts
from etude.studio.answers import Arrays, json_bytes
from etude.studio.histories import Histories
from etude.studio.listing import Listing
from etude.studio.opened import Opened, OpenRuns
from etude.studio.shelf import SEPARATOR, changed, path_of, read_inside
from etude.studio.static import FILES

PREVIEWS = {"png": "image/png", "txt": "text/plain; charset=utf-8"}
"""What runs draw or write while they train, by the suffix of its file."""
Handler = Callable[[Request], Awaitable[Response]]

ASKED: dict[str, Callable[[Opened, dict[str, Any]], Arrays | dict[str, Any]]] = {
    "decode": latents.decode,
    "encode": latents.encode,
    "styles": latents.styles,
    "samples": generating.samples,
    "generate": generating.generate,
    "judge": generating.judge,
    "denoise": generating.denoise,
    "classify": classes.classify,
    "layers": classes.layers,
    "examples": classes.examples,
    "words": texts.words,
    "translate": texts.translate,
    "write": texts.write,
}
"""Questions to a run's networks, with what the page gives."""
KEPT: dict[str, Callable[[Opened], Arrays | dict[str, Any]]] = {
    "scatter": latents.scatter,
    "predictions": classes.predictions,
    "boundary": classes.boundary,
    "sentences": texts.sentences,
}
"""Questions that have one answer per checkpoint."""


@final
class Studio:
    """What the routes share: the folder of runs, what was read from it, and the networks at hand."""

    def __init__(self, runs_dir: Path, data_dir: Path | None) -> None:
        self.runs_dir = runs_dir
        self.histories = Histories()
        self.listing = Listing(runs_dir, self.histories)
        self.open_runs = OpenRuns(data_dir)
        self.jobs = jobs.Jobs(runs_dir, data_dir)

    def app(self) -> Starlette:
        """The ASGI application. It trusts its requests: `guard.Guard` stands before it."""
        routes = [
            Route("/", _file("index.html")),
            *(Route(f"/static/{name}", _file(name)) for name in FILES if name != "index.html"),
            self._get("/api/runs", self.runs),
            Route("/api/curves", _answering(lambda request: self._unless_known(request, self.curves))),
            Route("/api/bands", _answering(lambda request: self._unless_known(request, self.bands))),
            self._get("/api/jobs", lambda request: self.jobs.described()),
            self._get("/api/recipes", lambda request: forms.recipe_names()),
            self._get("/api/recipes/{name}", lambda request: forms.form(request.path_params["name"])),
            self._get("/api/studies", lambda request: forms.studies(self.runs_dir)),
            self._get("/api/studies/{name}", lambda request: forms.study(self.runs_dir, request.path_params["name"])),
            Route("/api/studies/{name}/figure.png", _answering(self.study_figure)),
            self._get("/api/runs/{id}", self.details),
            self._get("/api/runs/{id}/pictures", self.pictures),
            Route("/api/runs/{id}/pictures/{step:int}.{suffix}", _answering(self.picture)),
            self._get("/api/runs/{id}/code", lambda request: details.code_of(self._path(request))),
            *(self._get(f"/api/runs/{{id}}/{name}", functools.partial(self.kept, name)) for name in KEPT),
            *(self._post(f"/api/runs/{{id}}/{name}", functools.partial(self.ask, name)) for name in ASKED),
            self._post("/api/runs/{id}/remarks", self.remark),
            self._post("/api/runs/{id}/delete", self.delete),
            self._post("/api/runs/{id}/pause", self.pause),
            self._post("/api/runs/{id}/resume", self.resume),
            self._post("/api/runs/{id}/trust", self.trust),
            self._post("/api/train", lambda request, given: self.jobs.train(given)),
            self._post("/api/studies/{name}/settle", self.settle),
        ]
        app = Starlette(routes=routes, exception_handlers={404: _not_found, 405: _not_found})
        app.router.redirect_slashes = False  # it would be to an address made of what the request says
        return app

    # What is read ---------------------------------------------------------------------------------------------------

    def runs(self, request: Request) -> dict[str, Any]:
        """The table of runs; for intervals over up to as many as a group has, the quantiles of Student's t."""
        rows = self.listing.rows()
        most = max(Counter(row["group"] for row in rows).values(), default=0)
        quantiles = [t_quantile(n) for n in range(FEWEST_VALUES["t"], most + 1)]
        return {"folder": self.runs_dir.name, "runs": rows, "t_quantiles": quantiles}

    def details(self, request: Request) -> dict[str, Any]:
        """One run."""
        path = self._path(request)
        return details.details(path, self.histories.of(path))

    def curves(self, request: Request) -> Arrays:
        """Series for a chart: `run` and `column`, each as often as needed; `low` and `high` for a part."""
        runs = [(run_id, self.histories.of(path_of(self.runs_dir, run_id))) for run_id in _all(request, "run")]
        limits = {"low": _step(request, "low", float("-inf")), "high": _step(request, "high", float("inf"))}
        return comparing.curves(runs, _all(request, "column"), **limits)

    def bands(self, request: Request) -> Arrays:
        """Means over groups of runs: `group` is a list of ids with commas."""
        groups = [
            [self.histories.of(path_of(self.runs_dir, run_id)) for run_id in group.split(",")]
            for group in _all(request, "group")
        ]
        return comparing.bands(groups, request.query_params.get("column", ""))

    def pictures(self, request: Request) -> dict[str, Any]:
        """The steps at which the run drew a picture."""
        folder = self._path(request) / "samples"
        names = {
            suffix: [path.stem.removeprefix("step-") for path in folder.glob(f"step-*.{suffix}")] for suffix in PREVIEWS
        }
        suffix = max(PREVIEWS, key=lambda suffix: len(names[suffix]))
        steps = sorted(int(name) for name in names[suffix] if name.isascii() and name.isdecimal())
        return {"steps": steps, "suffix": suffix}

    def picture(self, request: Request) -> Response:
        """A picture that the run drew while it trained. It never changes, so a browser may keep it."""
        step, suffix = request.path_params["step"], request.path_params["suffix"]
        if suffix not in PREVIEWS:
            raise RunError(f"a run draws no {suffix}: choose from {', '.join(PREVIEWS)}.")
        content = read_inside(self._path(request), "samples", f"step-{step:06d}.{suffix}")
        headers = {"cache-control": "private, max-age=31536000, immutable"}
        return Response(content, media_type=PREVIEWS[suffix], headers=headers)

    def study_figure(self, request: Request) -> Response:
        """The figure of a study that was settled."""
        name = forms.known_study(request.path_params["name"])
        return Response(read_inside(self.runs_dir, "studies", name, "figure.png"), media_type="image/png")

    # What networks answer -------------------------------------------------------------------------------------------

    def kept(self, name: str, request: Request) -> Arrays | dict[str, Any]:
        """An answer that depends on the checkpoint alone."""
        step = request.query_params.get("checkpoint")
        return KEPT[name](self._opened(request, int(step) if step and re.fullmatch("[0-9]{1,18}", step) else step))

    def ask(self, name: str, request: Request, given: dict[str, Any]) -> Arrays | dict[str, Any]:
        """An answer to what the page gives."""
        return ASKED[name](self._opened(request, given.pop("checkpoint", None)), given)

    # What changes something -----------------------------------------------------------------------------------------

    def remark(self, request: Request, given: dict[str, Any]) -> None:
        """Keep tags and a note."""
        tags, note = given.get("tags"), given.get("note")
        if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags) or not isinstance(note, str):
            raise UsageError("tags is a list of texts, and note a text.")
        path = self._path(request)
        _require_no_link(path, "remarks.json")
        write_remarks(path, Remarks(tags=tuple(tags), note=note))

    def delete(self, request: Request, given: dict[str, Any]) -> None:
        """Remove a run."""
        jobs.delete(self._path(request), given.get("name"))

    def pause(self, request: Request, given: dict[str, Any]) -> None:
        """Let a run in training save and end."""
        if SEPARATOR in request.path_params["id"]:
            raise UsageError("this run belongs to a sweep: press Ctrl-C where the sweep was started.")
        jobs.pause(self._path(request))

    def resume(self, request: Request, given: dict[str, Any]) -> None:
        """Go on with a run."""
        self.jobs.resume(self._path(request))

    def trust(self, request: Request, given: dict[str, Any]) -> None:
        """Let the code that a run keeps run here, until the studio ends."""
        code.trust(self._path(request))

    def settle(self, request: Request, given: dict[str, Any]) -> None:
        """Run a study."""
        self.jobs.settle(forms.known_study(request.path_params["name"]), quick=given.get("quick") is not False)

    # Helpers of the routes ------------------------------------------------------------------------------------------

    def _path(self, request: Request) -> Path:
        return path_of(self.runs_dir, request.path_params["id"])

    def _opened(self, request: Request, checkpoint: object) -> Opened:
        path = self._path(request)
        _require_no_link(path, "checkpoints", "vocabulary.txt", "merges.txt", "code")
        return self.open_runs.get(path, checkpoint)

    def _unless_known(self, request: Request, answer: Callable[[Request], Arrays]) -> Response:
        """The curves of runs, or 304 if their files are as they were: then nothing is computed."""
        named = [run_id for group in (*_all(request, "run"), *_all(request, "group")) for run_id in group.split(",")]
        files = [changed(path_of(self.runs_dir, run_id) / "metrics.jsonl") for run_id in named]
        tag = _tag(repr((files, request.scope["query_string"])).encode())
        return _known(request, tag) or _tagged(_response(answer(request)), tag)

    @staticmethod
    def _get(path: str, answer: Callable[[Request], Any]) -> Route:
        return Route(path, _answering(lambda request: _fresh(request, answer(request))))

    @staticmethod
    def _post(path: str, answer: Callable[[Request, dict[str, Any]], Any]) -> Route:
        async def handle(request: Request) -> Response:
            body = await request.body()
            return await _answered(lambda: _response(answer(request, _object(body))))

        return Route(path, handle, methods=["POST"])


def _require_no_link(run: Path, *files: str) -> None:
    """Raise `RunError` where a file of a run is a link: it may lead out of the folder."""
    for file in files:
        if (run / file).is_symlink():
            raise RunError(f"run {run.name} has a link in place of {file}.")


def _answering(answer: Callable[[Request], Response]) -> Handler:
    """A handler that works in a thread, and tells a person's mistakes as JSON."""

    async def handle(request: Request) -> Response:
        return await _answered(lambda: answer(request))

    return handle


async def _answered(answer: Callable[[], Response]) -> Response:
    try:
        return await asyncio.to_thread(answer)
    except EtudeError as error:
        status = 404 if isinstance(error, RunError) else 400
        return Response(json_bytes({"error": str(error)}), status, media_type="application/json")


def _response(value: Any) -> Response:
    if isinstance(value, Arrays):
        return Response(value.to_bytes(), media_type="application/octet-stream")
    return Response(json_bytes(value), media_type="application/json")


def _fresh(request: Request, value: Any) -> Response:
    """The answer, or 304 without a body if the browser has it."""
    response = _response(value)
    tag = _tag(bytes(response.body))
    return _known(request, tag) or _tagged(response, tag)


def _tag(content: bytes) -> str:
    return f'"{blake2b(content, digest_size=12).hexdigest()}"'


def _known(request: Request, tag: str) -> Response | None:
    """304 without a body, if the browser has what has this tag."""
    known = request.headers.get("if-none-match") == tag
    return _tagged(Response(status_code=304), tag) if known else None


def _tagged(response: Response, tag: str) -> Response:
    response.headers.update({"etag": tag, "cache-control": "private, no-cache"})
    return response


def _file(name: str) -> Handler:
    """A file of the page, from memory."""
    content, media_type = FILES[name]
    tag = _tag(content)

    async def handle(request: Request) -> Response:
        return _known(request, tag) or _tagged(Response(content, media_type=media_type), tag)

    return handle


async def _not_found(request: Request, error: Exception) -> Response:
    return Response("There is no such page in the studio.\n", 404, media_type="text/plain")


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = parse_json(body, finite=True)
    except ValueError as error:
        raise UsageError(f"the page sent no JSON: {error}.") from None
    if not isinstance(found, dict):
        raise UsageError("the page sent no JSON object.")
    return found


def _all(request: Request, name: str) -> list[str]:
    return request.query_params.getlist(name)


def _step(request: Request, name: str, default: float) -> float:
    try:
        found = float(request.query_params.get(name, default))
    except ValueError:
        found = float("nan")
    if found != found:
        raise UsageError(f"{name} {request.query_params[name]!r:.40} (allowed: a number).")
    return found
