"""`etude studio`."""

from pathlib import Path

import tyro

from etude.errors import UsageError


def studio(
    runs_dir: tyro.conf.Positional[Path | None] = None,
    *,
    port: int | None = None,
    host: str = "127.0.0.1",
    open: bool = False,
    data_dir: Path | None = None,
) -> None:
    """Look at runs and play with trained networks in the browser.

    It prints an address. Open it in a browser on this machine. Ctrl-C ends the studio; trainings go on.

    Args:
        runs_dir: The folder of runs. Default: the folder in ETUDE_RUNS, or ./runs.
        port: Where to listen. Default: the first free port from 8642 on.
        host: The address to listen on. Whoever has the printed address can do with your runs what you can.
        open: Open the page in the browser.
        data_dir: Where to look for data first.
    """
    if port is not None and not 0 <= port <= 65535:
        raise UsageError(f"--port {port} (allowed: 0 to 65535).")
    try:
        from etude.studio import serving
    except ModuleNotFoundError as error:
        raise UsageError(f"the studio needs {error.name}: pip install starlette uvicorn orjson.") from error
    from etude.runs import default_runs_dir

    folder = runs_dir or default_runs_dir()
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is no folder: give the folder of your runs.")
    serving.serve(folder, host=host, port=port, data_dir=data_dir, open_page=open)
