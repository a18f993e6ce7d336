"""A headless Chromium for tests: pages fail the test on errors in their console and on requests beyond the machine.

Tests that use it have the marker `browser`. They are skipped, with the reason, where playwright or Chromium is missing.
"""

import os
import shutil
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
LOCAL_SCHEMES, LOCAL_HOSTS = ("file", "data", "blob", "about"), ("127.0.0.1", "localhost", "::1")


def is_local(address: str) -> bool:
    """Whether a request stays on this machine."""
    parts = urlsplit(address)
    return parts.scheme in LOCAL_SCHEMES or parts.hostname in LOCAL_HOSTS


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One Chromium for the tests of a file; `ETUDE_CHROMIUM` names another one than the system's.

    While playwright runs, no other test of the process can start an event loop: so it ends with the file.
    """
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install playwright"
    )
    path = os.environ.get("ETUDE_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium, or name one in ETUDE_CHROMIUM")
    with playwright.sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A new page, 1280×720. It must neither write an error to its console nor ask for anything beyond the machine."""
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    page, wrong = context.new_page(), []
    page.set_default_timeout(20_000)
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: None if is_local(request.url) else wrong.append(f"asks for {request.url}"))
    yield page
    context.close()
    assert wrong == []
