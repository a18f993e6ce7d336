"""`etude export RUN --to html`: what the page holds, what it says it cannot do, and the page in a browser."""

import getpass
import json
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import etude
from etude.errors import UsageError
from etude.exports import page as page_module
from etude.exports.drawn import Frame, frame_of
from etude.exports.page import embedded, page_of
from etude.runs import Run
from exports.conftest import untrained

LEVEL = 1 / 255


@pytest.fixture(scope="module")
def html(made: Callable[[str], Run], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The page of a recipe's run."""
    folder = tmp_path_factory.mktemp("pages")

    def path(recipe: str) -> Path:
        target = folder / f"{recipe}.html"
        if not target.exists():
            assert etude.export(made(recipe), to="html", path=target, say=pytest.fail) == [target]
        return target

    return path


def content_of(text: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="content">(.*?)</script>', text, re.DOTALL)
    assert found
    return json.loads(found[1])


# What it holds --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recipe", "kind", "classes"), [("vae", "latents", 0), ("cvae", "latents", 10), ("gan", "samples", 0),
                                    ("lenet", "drawing", 10)]
)  # fmt: skip
def test_what_a_run_can_do_decides_what_its_page_offers(
    recipe: str, kind: str, classes: int, html: Callable[[str], Path]
) -> None:
    content = content_of(html(recipe).read_text("utf-8"))
    assert content["page"] == kind
    assert len(content["classes"]) == classes


@pytest.mark.parametrize("recipe", ["vae", "cvae", "gan", "lenet"])
def test_the_network_is_pytorchs(recipe: str, made: Callable[[str], Run]) -> None:
    difference = page_of(made(recipe)).difference
    assert difference is not None
    assert 0 < difference < 1e-2


def test_a_page_is_small_and_asks_for_nothing(html: Callable[[str], Path]) -> None:
    text = html("vae").read_text("utf-8")
    assert len(text) < 150_000
    policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
    assert f'<meta http-equiv="Content-Security-Policy" content="{policy}">' in text
    assert not re.search(r"https?://|\bfetch\(|XMLHttpRequest|\bimport[ (]|\bsrc=|WebAssembly", text)


@pytest.mark.parametrize("recipe", ["vae", "lenet"])
def test_a_page_holds_nothing_of_this_machine(
    recipe: str, made: Callable[[str], Run], html: Callable[[str], Path]
) -> None:
    text = html(recipe).read_text("utf-8")
    for secret in (str(made(recipe).path.parent), str(Path.home()), socket.gethostname(), getpass.getuser()):
        assert len(secret) < 5 or secret not in text


HOSTILE = "</script><script>document.title='taken'</script>\u2028&<img src=x onerror=alert(1)>"


def test_names_are_data_not_markup(tmp_path: Path) -> None:
    run = untrained(tmp_path, "cvae", class_names=(HOSTILE, "b"))
    text = page_of(run).text
    assert "taken'</script>" not in text
    assert "\u2028" not in text
    assert content_of(text)["classes"] == [HOSTILE, "b"]
    assert embedded({"a": HOSTILE}).count("<") == 0


def test_a_network_that_no_page_can_compute_shows_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = untrained(tmp_path, "cvae", name="run")
    monkeypatch.setattr(page_module, "MOST_BYTES", 1000)
    said: list[str] = []
    (path,) = etude.export(run, to="html", path=tmp_path / "page.html", say=said.append)
    reason = "A page cannot compute this network: its weights take 0 MB."
    assert said == [f"note: {reason} It shows pictures drawn now."]
    content = content_of(path.read_text("utf-8"))
    assert content["page"] == "pictures"
    assert content["reason"] == reason
    assert len(content["pictures"]) == 10
    assert all(each.startswith("data:image/png;base64,") for each in content["pictures"])


def test_a_diffusion_model_that_takes_seconds_shows_pictures(made: Callable[[str], Run]) -> None:
    page = page_of(made("flow"))
    reason = "A page cannot compute this network: it takes more than 150 million multiplications for an image."
    assert page.notes == (f"{reason} It shows pictures drawn now.",)
    assert content_of(page.text)["reason"] == reason


def test_a_result_far_from_pytorchs_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = untrained(tmp_path, "vae", name="run")
    monkeypatch.setattr(page_module, "compare", lambda *_: 0.25)
    page = page_of(run)
    reason = "A page cannot compute this network: its result differs from PyTorch's by 0.25."
    assert page.notes == (f"{reason} It shows pictures drawn now.",)
    assert page.difference is None


@pytest.mark.parametrize(
    ("recipe", "changes", "message"),
    [
        ("lenet", {"MOST_BYTES": 1000}, "a page cannot compute the network of run run: its weights take 0 MB; "
         "`etude export run --to onnx` exports it."),
    ],
)  # fmt: skip
def test_a_classifier_without_a_page(
    recipe: str, changes: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in changes.items():
        monkeypatch.setattr(page_module, name, value)
    with pytest.raises(UsageError) as caught:
        page_of(untrained(tmp_path, recipe, name="run"))
    assert str(caught.value) == message


def test_a_frame_says_how_the_data_are_drawn() -> None:
    images = torch.zeros(6, 1, 28, 28)
    for at in range(6):
        images[at, 0, 4:24, 10 + at % 2 : 13 + at % 2] = 1  # strokes 3 wide and 20 high
    frame = frame_of(images)
    assert frame.extent == pytest.approx(20 / 28)
    assert frame.pen == pytest.approx(2 * 60 / 46)  # a box has two short sides, too
    assert frame.centre == pytest.approx((12 / 28, 0.5))
    assert (frame.blur, frame.ink_is_dark) == (0, False)
    assert frame_of(1 - images) == Frame(**{**frame.as_dict(), "centre": frame.centre, "ink_is_dark": True})
    soft = torch.nn.functional.avg_pool2d(images, 5, 1, 2)
    assert frame_of(soft).blur > 0.5


@pytest.mark.parametrize("images", [torch.zeros(3, 1, 28, 28), torch.rand(3, 3, 28, 28), torch.zeros(0, 1, 28, 28)])
def test_without_grey_ink_the_whole_image_is_drawn_on(images: Tensor) -> None:
    assert frame_of(images).extent == 0.9


# In a browser ---------------------------------------------------------------------------------------------------------

PIXELS = """(canvas) => {
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  return Array.from({length: data.length / 4}, (_, i) => data[4 * i] / 255);
}"""


def opened(page: Any, path: Path, selector: str) -> Any:
    """The element of a page from disk, with the network off."""
    page.context.set_offline(True)
    page.goto(path.as_uri())
    return page.locator(selector)


def pixels(locator: Any) -> Tensor:
    return torch.tensor(locator.evaluate(PIXELS)).view(28, 28)


def settled(page: Any) -> None:
    """After the next two frames."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


@pytest.mark.browser
def test_arrow_keys_move_the_point_and_its_image_is_pytorchs(
    page: Any, made: Callable[[str], Run], html: Callable[[str], Path]
) -> None:
    plane = opened(page, html("cvae"), "canvas.plane")
    page.locator("select").first.select_option("7")
    plane.focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowUp", "Shift+ArrowLeft"):
        plane.press(key)
    settled(page)
    assert plane.get_attribute("aria-valuetext") == "z1 0.38, z2 0.20, class 7"
    assert page.locator(".value").inner_text() == "z1 0.38, z2 0.20, class 7"
    expected = made("cvae").decode([[0.38, 0.2]], labels=7)[0, 0]
    torch.testing.assert_close(pixels(page.locator("canvas.large")), expected, rtol=0, atol=1e-2)
    plane.press("Home")
    settled(page)
    assert plane.get_attribute("aria-valuetext") == "z1 0.00, z2 0.00, class 7"


@pytest.mark.browser
def test_the_image_follows_the_pointer(page: Any, made: Callable[[str], Run], html: Callable[[str], Path]) -> None:
    plane = opened(page, html("vae"), "canvas.plane")
    box = plane.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    for share in (0.6, 0.7, 0.75):
        page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 4)
    settled(page)
    z1 = float(plane.get_attribute("aria-valuenow"))
    assert z1 == pytest.approx(1.5, abs=0.02)
    z2 = float(plane.get_attribute("aria-valuetext").partition("z2 ")[2])
    expected = made("vae").decode([[z1, z2]])[0, 0]
    torch.testing.assert_close(pixels(page.locator("canvas.large")), expected, rtol=0, atol=1e-2)
    page.mouse.up()


@pytest.mark.browser
def test_other_dimensions_have_sliders_and_axes_are_chosen(page: Any, tmp_path: Path) -> None:
    run = untrained(tmp_path, "vae", latent_dim=4)
    etude.export(run, to="html", path=tmp_path / "page.html")
    plane = opened(page, tmp_path / "page.html", "canvas.plane")
    page.get_by_label("z3").fill("1.5")
    page.get_by_label("Dimension upwards").select_option("3")
    plane.focus()
    plane.press("ArrowUp")
    settled(page)
    assert plane.get_attribute("aria-valuetext") == "z1 0.00, z4 0.20"
    expected = run.decode([[0, 0, 1.5, 0.2]])[0, 0]
    torch.testing.assert_close(pixels(page.locator("canvas.large")), expected, rtol=0, atol=1e-2)


@pytest.mark.browser
def test_samples_of_a_seed_are_morphed_into_each_other(page: Any, html: Callable[[str], Path]) -> None:
    tiles = opened(page, html("gan"), ".tiles button")
    page.get_by_label("Seed").fill("3")
    tiles.nth(4).click()
    tiles.nth(9).click()
    settled(page)
    assert page.locator(".value").inner_text() == "A is sample 5, B is sample 10, of seed 3"
    assert [at for at in range(24) if tiles.nth(at).get_attribute("aria-pressed") == "true"] == [4, 9]
    large, share = page.locator("canvas.large"), page.get_by_label("From A to B")
    for value, at in (("0", 4), ("1", 9)):
        share.fill(value)
        settled(page)
        torch.testing.assert_close(pixels(large), pixels(tiles.nth(at).locator("canvas")), rtol=0, atol=LEVEL)
    first = pixels(tiles.nth(0).locator("canvas"))
    page.get_by_label("Seed").fill("4")
    page.get_by_label("Seed").fill("3")
    settled(page)
    assert torch.equal(first, pixels(tiles.nth(0).locator("canvas")))


@pytest.mark.browser
def test_a_drawing_is_centred_and_classified(
    page: Any, made: Callable[[str], Run], html: Callable[[str], Path]
) -> None:
    sheet = opened(page, html("lenet"), "canvas.sheet")
    value = page.locator(".value")
    page.locator(".value:has-text('Nothing drawn yet.')").wait_for()
    box = sheet.bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 20, box["y"] + 90, steps=5)
    page.mouse.up()
    settled(page)
    seen = pixels(page.locator("canvas.small"))
    rows = (seen > 0.5).any(1).nonzero().flatten()
    columns = (seen > 0.5).any(0).nonzero().flatten()
    assert len(rows) > 20  # as large as the digits are, wherever it was drawn
    assert abs(columns.float().mean() + 0.5 - 14) < 2
    shares = [float(each.removesuffix(" %")) / 100 for each in page.locator(".bars li > :last-child").all_inner_texts()]
    expected = made("lenet").classify(seen[None, None])[0]
    torch.testing.assert_close(torch.tensor(shares), expected, rtol=0, atol=1e-2)
    best = int(expected.argmax())
    assert value.inner_text() == f"{best}, {100 * shares[best]:.1f} %"
    page.get_by_role("button", name="Undo").click()
    settled(page)
    page.locator(".value:has-text('Nothing drawn yet.')").wait_for()


@pytest.mark.browser
def test_a_drawing_by_keys(page: Any, html: Callable[[str], Path]) -> None:
    sheet = opened(page, html("lenet"), "canvas.sheet")
    sheet.focus()
    for key in (" ", "ArrowDown", "ArrowDown", "Shift+ArrowRight", " "):
        sheet.press(key)
    settled(page)
    assert "%" in page.locator(".value").inner_text()
    sheet.press("Delete")
    settled(page)
    page.locator(".value:has-text('Nothing drawn yet.')").wait_for()


@pytest.mark.browser
def test_a_picture_is_opened(
    page: Any, html: Callable[[str], Path], made: Callable[[str], Run], tmp_path: Path
) -> None:
    from PIL import Image

    (tmp_path / "no.png").write_bytes(b"no picture")
    shade = torch.arange(28).expand(28, 28) * 9
    Image.fromarray(shade.to(torch.uint8).numpy()).save(tmp_path / "grey.png")
    opened(page, html("lenet"), "canvas.sheet")
    chooser = page.locator("input[type=file]")
    chooser.set_input_files(tmp_path / "grey.png")
    page.locator(".value", has_text="%").wait_for()
    torch.testing.assert_close(pixels(page.locator("canvas.small")), shade / 255, rtol=0, atol=2 * LEVEL)
    chooser.set_input_files(tmp_path / "no.png")
    page.locator(".value", has_text="This file is no picture that the browser can read.").wait_for()


@pytest.mark.browser
def test_a_page_has_both_grounds_and_fits_a_phone(browser: Any, html: Callable[[str], Path]) -> None:
    grounds = {}
    for scheme in ("light", "dark"):
        context = browser.new_context(viewport={"width": 390, "height": 800}, color_scheme=scheme, offline=True)
        page = context.new_page()
        for recipe in ("vae", "gan", "lenet"):
            page.goto(html(recipe).as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") <= 390
        grounds[scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
        context.close()
    assert grounds == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 27)"}


@pytest.mark.browser
def test_hostile_names_stay_text_and_pictures_are_shown(
    page: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = untrained(tmp_path, "cvae", name="run", class_names=(HOSTILE, "b"))
    monkeypatch.setattr(page_module, "MOST_BYTES", 1000)
    (tmp_path / "page.html").write_text(page_of(run).text, "utf-8")
    image = opened(page, tmp_path / "page.html", "img")
    assert page.title() == "run: cvae on digits"
    assert page.locator("option").all_text_contents() == [HOSTILE, "b"]
    before = image.get_attribute("src")
    page.locator("select").first.select_option("1")
    assert image.get_attribute("src") != before
    assert image.evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 400
