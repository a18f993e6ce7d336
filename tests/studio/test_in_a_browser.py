"""The studio in a headless Chromium: every panel, real pointers and keys, and what pages ask of the machine."""

import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import etude
from etude.metrics.intervals import t_interval
from etude.training import Display

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
uvicorn = pytest.importorskip("uvicorn", reason="the extra studio is not installed")

from etude.studio.app import Studio  # noqa: E402
from etude.studio.guard import Guard  # noqa: E402
from etude.studio.serving import listen  # noqa: E402

pytestmark = pytest.mark.browser

NODE_MODULES = Path(sys.prefix) / "node" / "node_modules"
VIEWS = (
    "runs", "run/lenet/watch", "run/lenet/classifier", "run/cvae/plane", "run/cvae/style", "run/gan/samples",
    "run/sentiment-lstm/words?text=a%20clever%20film", "run/lenet/about", "studies", "studies/xy-game", "train",
)  # fmt: skip
TOKEN = "a-token-of-the-tests"
RUNS: dict[str, dict[str, Any]] = {
    "lenet": {"data": "digits", "train_images": 200, "epochs": 2, "report_every": 10},
    "cvae": {"data": "digits", "train_images": 400, "epochs": 1, "latent_dim": 3},
    "gan": {"data": "digits", "train_images": 128, "epochs": 2, "batch_size": 32, "report_every": 2},
    "flow": {"data": "digits", "train_images": 64, "epochs": 1, "batch_size": 32, "sampling_steps": 3},
    "classifier": {"data": "moons", "train_images": 200, "epochs": 2},
    "sentiment-lstm": {"data": "opinions", "train_images": 128, "validation_images": 32, "epochs": 1},
    "translate-gru": {"data": "clauses", "train_images": 128, "validation_images": 8, "epochs": 1, "beam": 1},
}  # fmt: skip


@pytest.fixture(scope="session")
def runs_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of each family, a sweep of three seeds, and a damaged run."""
    folder = tmp_path_factory.mktemp("runs")
    quiet = {"runs_dir": folder, "threads": 1, "compile": "off"}
    for recipe, changes in RUNS.items():
        etude.train(recipe, name=recipe, display=Display(quiet=True), **quiet, **changes)
    etude.sweep("lenet", name="seeds", seeds=3, data="digits", train_images=100, epochs=2, jobs=1, quiet=True,
                runs_dir=folder)  # fmt: skip
    (folder / "damaged").mkdir()
    (folder / "damaged" / "recipe.json").write_text("{")
    return folder


@pytest.fixture(scope="session")
def address(runs_dir: Path) -> Iterator[str]:
    """The studio of these runs, served by a thread; its address with the token."""
    listening = listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    app = Guard(Studio(runs_dir, None).app(), hosts={"127.0.0.1"}, port=port, token=TOKEN)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False, lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{port}/?token={TOKEN}"
    server.should_exit = True
    thread.join(timeout=10)


@pytest.fixture
def studio(page: Any, address: str) -> Callable[[str], Any]:
    """Open a view of the studio and return the page."""
    page.goto(address)

    def view(hash: str) -> Any:
        page.goto(f"{address.partition('?')[0]}#/{hash}")
        page.wait_for_selector("h1")
        return page

    return view


@pytest.fixture
def refused(browser: Any, address: str) -> Iterator[Any]:
    """A page that may be refused something, which Chromium writes to the console as an error."""
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    page.set_default_timeout(20_000)
    page.goto(address)
    yield page
    page.close()


def pixels(page: Any, selector: str) -> np.ndarray:
    """The levels (H, W, 3) that a canvas shows."""
    height, width, levels = page.eval_on_selector(
        selector,
        "c => [c.height, c.width, Array.from(c.getContext('2d').getImageData(0, 0, c.width, c.height).data)]",
    )
    return np.array(levels, dtype=np.uint8).reshape(height, width, 4)[:, :, :3]


def test_the_token_leaves_the_address(refused: Any, address: str) -> None:
    page = refused
    page.wait_for_selector("table.runs")
    assert "token" not in page.url
    assert page.evaluate("document.cookie") == ""  # out of reach of any script
    page.goto(address.replace(TOKEN, "another"))
    assert "This address is old" in page.content()


def test_the_table_groups_seeds_searches_and_sorts(studio: Callable[[str], Any], runs_dir: Path) -> None:
    page = studio("runs")
    page.wait_for_selector("tr.group")
    assert page.locator("tr.group").inner_text().split("\t")[1].startswith("▸ seeds")
    values = [
        run.metrics().last()["test/accuracy"] for run in map(etude.load, sorted((runs_dir / "seeds").glob("*-seed-*")))
    ]
    interval = t_interval(np.array(values))
    shown = re.search(r"([\d.]+) ± ([\d.]+) test/accuracy, n = 3", page.locator("tr.group").inner_text())
    assert shown
    assert float(shown[1]) == pytest.approx(np.mean(values), rel=1e-3)
    assert float(shown[2]) == pytest.approx((interval.high - interval.low) / 2, rel=1e-3)
    assert "damaged run" in page.locator("tr:has-text('damaged')").first.inner_text()
    page.locator("tr.group button").first.click()
    assert page.locator("tr.member").count() == 3

    page.fill("input[type=search]", "gan")
    assert page.locator("tbody tr").count() == 1
    assert "search=gan" in page.url
    page.fill("input[type=search]", "")
    page.get_by_role("button", name="recipe", exact=True).click()
    names = [
        row.split("\t")[2] for row in page.locator("tbody tr:not(.member)").all_inner_texts() if "damaged" not in row
    ]
    assert names == sorted(names, reverse=True)


def test_runs_are_compared_with_their_mean_and_differences(studio: Callable[[str], Any]) -> None:
    page = studio("runs")
    page.wait_for_selector("tr.group")
    page.locator("tr.group input").check()
    page.locator("#tick-lenet-1").check()
    page.wait_for_selector("canvas")
    legend = page.locator(".u-legend").inner_text()
    assert "mean of 3" in legend
    assert "upper" not in legend
    differences = page.locator("h3:has-text('Differences') + div").inner_text()
    assert "report_every" in differences
    assert "n = 3 test/accuracy" in page.locator("h3:has-text('Metrics') + div").inner_text()
    page.reload()  # the comparison is in the address
    page.wait_for_selector("canvas")


def test_curves_zoom_and_tell_their_values_as_a_table(studio: Callable[[str], Any], runs_dir: Path) -> None:
    page = studio("run/lenet/watch")
    page.wait_for_selector(".u-over")
    over = page.locator(".u-over").first
    box = over.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + 50, steps=4)
    page.mouse.up()
    page.wait_for_timeout(200)
    page.locator(".panel summary").first.click()
    rows = page.locator(".panel details table").first.inner_text()
    assert "validation" in rows
    with page.expect_download() as download:
        page.locator(".panel").first.get_by_role("button", name="CSV").click()
    text = Path(download.value.path()).read_text("utf-8")
    last = etude.load(runs_dir / "lenet").metrics().last()["validation/loss"]
    shown = [float(line.split(",")[2]) for line in text.splitlines()[1:] if line.startswith("validation")]
    assert shown[-1] == pytest.approx(last, rel=1e-6)
    with page.expect_download() as download:
        page.locator(".panel").first.get_by_role("button", name="SVG").click()
    assert Path(download.value.path()).read_text("utf-8").startswith("<svg")


def test_pictures_follow_the_slider(studio: Callable[[str], Any], runs_dir: Path) -> None:
    steps = [step for step, _ in etude.load(runs_dir / "gan").preview_images()]
    page = studio("run/gan/watch")
    page.wait_for_selector("img.preview[src]")
    assert page.locator("img.preview").get_attribute("src").endswith(f"/{steps[-1]}.png")
    page.get_by_label("pictures at step").last.fill("0")
    assert page.locator("img.preview").get_attribute("src").endswith(f"/{steps[0]}.png")
    assert f"step={steps[0]}" in page.url


def test_dragging_through_the_latent_plane_decodes_as_pytorch_does(
    studio: Callable[[str], Any], runs_dir: Path
) -> None:
    page = studio("run/cvae/plane?z=0,0,0.5&label=3")
    page.wait_for_selector("canvas.decoded[data-z]")
    box = page.locator("canvas.plane").bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 300, box["y"] + 150, steps=8)
    page.mouse.up()
    where = page.locator(".where").inner_text()
    page.wait_for_function(
        "() => { const z = document.querySelector('canvas.decoded').dataset.z.split(',').map(Number);"
        "return document.querySelector('.where').textContent.includes(z.map(v => v.toFixed(2)).join(', ')) }"
    )
    z = [float(value) for value in page.locator("canvas.decoded").get_attribute("data-z").split(",")]
    assert z[0] > 0, where
    assert z[1] > 0, where
    assert z[2] == 0.5, where
    run = etude.load(runs_dir / "cvae")
    expected = (run.decode(torch.tensor([z]), labels=3)[0] * 255).round().permute(1, 2, 0).numpy()
    assert np.abs(pixels(page, "canvas.decoded") - expected).max() <= 1


def test_arrows_move_the_latent_and_say_where_it_is(studio: Callable[[str], Any]) -> None:
    page = studio("run/cvae/plane")
    page.wait_for_selector("canvas.decoded[data-z]")
    page.locator("canvas.plane").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowUp")
    assert page.locator(".where").inner_text() == "z = (0.10, 0.01, 0.00), class 0"
    assert page.locator("#said").inner_text() == "z = (0.10, 0.01, 0.00), class 0"
    page.wait_for_function("() => location.hash.includes('z=0.1%2C0.01%2C0')")


def test_the_brush_shows_test_images_by_their_rows(studio: Callable[[str], Any], page: Any, runs_dir: Path) -> None:
    with page.expect_response(re.compile("scatter")):
        studio("run/cvae/plane")
    page.get_by_label("brush test images").check()
    box = page.locator("canvas.plane").bounding_box()
    page.mouse.move(box["x"] + 10, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 10, box["y"] + box["height"] - 10, steps=4)
    page.mouse.up()
    page.wait_for_selector(".grid figure canvas.image")
    caption = page.locator(".grid figcaption").first.inner_text()
    row = int(caption.split(" · ")[1])
    test = etude.load(runs_dir / "cvae").dataset().test
    assert np.array_equal(pixels(page, ".grid figure canvas.image")[:, :, 0], test.images[row, 0].numpy())


def test_a_style_in_every_class(studio: Callable[[str], Any]) -> None:
    page = studio("run/cvae/style?row=5")
    page.wait_for_selector("h2:has-text('every class') ~ .grid figure:nth-of-type(10)")
    shares = [
        float(text.rsplit(" ", 2)[-2])
        for text in page.locator("h2:has-text('every class') ~ .grid figcaption").all_inner_texts()
    ]
    assert sum(shares) == pytest.approx(100, abs=1)
    page.get_by_label("from the image to the other").last.fill("0.5")
    page.wait_for_function("() => location.hash.includes('share=0.5')")


def test_samples_come_from_their_seed_and_a_drawing_is_judged(studio: Callable[[str], Any], runs_dir: Path) -> None:
    page = studio("run/gan/samples?seed=3")
    page.wait_for_selector(".grid figure:nth-of-type(32) canvas.image")
    expected = (etude.load(runs_dir / "gan").sample(32, seed=3)[0, 0] * 255).round().numpy()
    assert np.abs(pixels(page, ".grid canvas.image")[:, :, 0] - expected).max() <= 1
    page.locator("canvas.pad").scroll_into_view_if_needed()
    box = page.locator("canvas.pad").bounding_box()
    page.mouse.move(box["x"] + 50, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + 150, box["y"] + 150, steps=5)
    page.mouse.up()
    page.wait_for_selector("text=The discriminator says D = ")


def test_denoising_goes_from_noise_to_the_samples(studio: Callable[[str], Any], runs_dir: Path) -> None:
    page = studio("run/flow/denoising")
    page.wait_for_selector(".grid canvas.image")
    expected = (etude.load(runs_dir / "flow").sample(10, seed=0)[0, 0] * 255).round().numpy()
    assert np.abs(pixels(page, ".grid canvas.image")[:, :, 0] - expected).max() <= 1
    page.locator("input[type=range]").fill("0")
    assert np.abs(pixels(page, ".grid canvas.image")[:, :, 0] - expected).max() > 20


def test_a_drawn_digit_is_classified_and_the_matrix_leads_to_images(studio: Callable[[str], Any]) -> None:
    page = studio("run/lenet/classifier")
    page.wait_for_selector(".bar.chosen")
    box = page.locator("canvas.pad").bounding_box()
    page.locator("button:has-text('Clear')").click()
    page.mouse.move(box["x"] + 110, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 112, box["y"] + 190, steps=8)
    page.mouse.up()
    page.wait_for_timeout(500)
    shares = [float(text.split("\n")[-1].split(" ")[0]) for text in page.locator(".bar").all_inner_texts()]
    assert sum(shares) == pytest.approx(100, abs=1)
    page.locator("summary:has-text('layers')").click()
    page.wait_for_selector("h3:has-text('Filters of the first convolution')")
    page.locator("table.confusion button").first.click()
    page.wait_for_selector("section[aria-label=Confusion] .grid canvas.image")


def test_drawing_brushing_and_zooming_by_keys(refused: Any, address: str) -> None:
    page, base = refused, address.partition("?")[0]
    page.goto(f"{base}#/run/lenet/classifier")
    page.wait_for_selector(".bar.chosen")
    page.locator("canvas.pad").focus()
    for key in ("Delete", " ", *("ArrowDown",) * 6, " "):
        page.keyboard.press(key)
    assert pixels(page, "canvas.pad").any()
    with page.expect_response(re.compile("scatter")):
        page.goto(f"{base}#/run/cvae/plane")
    with page.expect_response(re.compile("examples")):
        page.wait_for_timeout(200)
        page.locator("canvas.plane").focus()
        page.keyboard.press("Enter")
    page.goto(f"{base}#/run/lenet/watch")
    page.wait_for_selector(".u-over")
    page.locator(".chart").first.focus()
    with page.expect_response(re.compile("low=")):
        page.keyboard.press("+")
    with page.expect_response(lambda response: "curves" in response.url and "low=" not in response.url):
        page.keyboard.press("0")


def test_the_boundary_is_of_two_classes(studio: Callable[[str], Any]) -> None:
    page = studio("run/classifier/boundary")
    page.wait_for_selector("figcaption:has-text('epoch 2')")
    colours = page.eval_on_selector(
        "canvas.plane",
        "c => new Set(new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer)).size",
    )
    assert colours > 20


def test_words_are_coloured_and_a_translation_has_its_alignment(studio: Callable[[str], Any]) -> None:
    page = studio("run/sentiment-lstm/words?text=a%20clever%20film")
    page.wait_for_selector(".sentence .word")
    assert page.locator(".sentence .word").all_inner_texts() == ["a", "clever", "film"]
    page = studio("run/translate-gru/translation?text=Das%20Kind%20lacht.")
    page.wait_for_selector("table.confusion")
    assert page.locator("table.confusion thead th").all_inner_texts()[:2] == ["Das", "Kind"]


def test_24_a_spreadsheet_computes_nothing_of_a_csv(studio: Callable[[str], Any]) -> None:
    text = studio("runs").evaluate(
        """async () => {
          const { csv } = await import("/static/dom.js");
          return await csv([["=1+1", "+1", "-1.5", "-x", "@a", 'a"b', "a,b", 3, null]]).text();
        }"""
    )
    assert text == '\'=1+1,\'+1,-1.5,\'-x,\'@a,"a""b","a,b",3,\r\n'


def test_a_study_asks_before_it_shows(studio: Callable[[str], Any], runs_dir: Path) -> None:
    etude.study("xy-game", runs_dir=runs_dir)
    page = studio("studies/xy-game")
    assert "Verdict" not in page.inner_text("main")
    page.get_by_label("true").check()
    page.wait_for_selector("text=You were wrong: you expected true.")
    assert "Verdict: false" in page.inner_text("main")


def test_the_form_has_the_fields_of_the_recipe_and_tells_what_is_wrong(refused: Any) -> None:
    page = refused
    page.goto(f"{page.url}#/train?recipe=vae")
    page.get_by_label("epochs").fill("0")
    page.get_by_role("button", name="Train", exact=True).click()
    page.wait_for_selector("text=--epochs 0 (allowed: at least 1)")
    assert page.get_by_label("optimizer, learning rate").input_value() == "0.001"


def test_a_damaged_run_has_a_readable_page(refused: Any) -> None:
    refused.goto(f"{refused.url}#/run/damaged/watch")
    refused.wait_for_selector("h1:has-text('This cannot be shown')")
    assert "damaged run" in refused.inner_text("main")


def test_what_is_out_of_range_in_an_address_is_left_out(studio: Callable[[str], Any]) -> None:
    studio("run/cvae/plane?z=1,NaN,1e99&label=99&across=-1").wait_for_selector("canvas.decoded[data-z='0,0,0']")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_is_accessible(scheme: str, studio: Callable[[str], Any], page: Any) -> None:
    axe = NODE_MODULES / "axe-core" / "axe.min.js"
    if not axe.exists():
        pytest.skip("axe-core is not installed: make .venv/installed-dev, where npm is")
    page.emulate_media(color_scheme=scheme)
    for view in VIEWS:
        studio(view).wait_for_timeout(400)
        page.evaluate(axe.read_text("utf-8"))
        found = page.evaluate("axe.run({resultTypes: ['violations']})")
        serious = [
            f"{each['id']}: {each['nodes'][0]['html'][:120]}"
            for each in found["violations"]
            if each["impact"] in ("serious", "critical")
        ]
        assert serious == [], f"{view}: {json.dumps(serious, indent=1)}"


def test_a_phone_needs_no_sideways_scrolling(studio: Callable[[str], Any], page: Any) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    for view in VIEWS:
        studio(view).wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, view
