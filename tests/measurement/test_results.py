"""What a measurement shows and prints, on made-up results: no run is trained."""

import json
import re
from dataclasses import replace

import pytest

from etude.measurement.catalogue import METRICS
from etude.measurement.results import About, Measurement, Result

ABOUT = About(
    run="vae", checkpoint="last", step=1840, data="digits", split="test", num_samples=297, seed=0, features=None
)
FEATURES = {"name": "lenet-digits-0f", "test_accuracy": 0.9596}
NATS = {
    "value": 98.7654, "interval": [97.5, 100.1], "num_samples": 297, "bits_per_dimension": 0.18174,
    "binarize": "dynamic", "is_likelihood": True,
}  # fmt: skip
GREY = {
    "value": 142.31, "interval": [140.0, 145.0], "num_samples": 30, "floor": 88.2, "binarize": "none",
    "is_likelihood": False, "note": "grey",
}  # fmt: skip
REMARKS = [
    ("nll_nats", {**NATS, "method": "quadrature", "largest_error_nats": 0.01},
     "0.1817 bits/dim, exact, dynamic binarisation"),
    ("nll_nats", {**GREY, "method": "importance", "num_importance": 1000},
     "upper bound, K = 1,000, pixels as they are"),
    ("nll_nats", {"value": 0.3, "interval": [0.2, 0.4], "num_samples": 297}, ""),  # of a classifier
    ("negative_elbo_nats", {**GREY, "reconstruction_nats": 136.412, "kl_nats": 5.898},
     "reconstruction 136.4 + KL 5.898, pixels as they are"),
    ("bayes_accuracy", {"value": 0.9, "num_samples": 30, "num_importance": 50, "binarize": "static"},
     "K = 50, static binarisation"),
    ("active_latents", {"value": 7, "num_latents": 20, "active": [], "num_samples": 297}, "of 20 latents"),
    ("aggregate_posterior", {"value": 0.2, "distance": [0.1, 0.2], "num_different": 1, "num_samples": 297},
     "1 of 2 latents differ from the prior at 5 %"),
    ("linear_probe", {"value": 0.8, "num_samples": 297, "num_train": 1500}, "on latents of 1,500 training images"),
    ("nearest_neighbours_probe", {"value": 0.8, "num_samples": 9, "num_train": 9}, "on latents of 9 training images"),
    ("copy_rate", {"value": 0.01, "num_samples": 297}, "nearer to a training image than 1 % of test images are"),
    ("top_k_accuracy", {"value": 0.99, "num_samples": 297, "k": 3}, "k = 3"),
    ("class_accuracy", {"value": 0.7, "num_samples": 30, "num_classes": 10, "worst": "8"},
     "minimum of 10 classes, 8; floor: were all equally hard"),
    ("ece", {"value": 0.02, "num_samples": 297}, "floor: labels drawn from its own probabilities"),
    ("temperature", {"value": 1.4, "num_samples": 150, "test_nll_nats": 0.1234, "test_ece": 0.0123},
     "fitted on validation; test nll 0.123, ece 0.012 with it"),
    ("accuracy", {"value": 0.9, "num_samples": 297}, ""),
    ("fid", {"value": 13.4, "num_samples": 297}, ""),
]  # fmt: skip


def metric_of(name: str, numbers: dict[str, object]) -> str:
    """The remark of the metric of this name; the nats of an image know how its pixels were scored."""
    first, *others = [metric for metric in METRICS if metric.name == name]
    metric = others[0] if others and "binarize" not in numbers else first
    return metric.remark(Result(numbers))


@pytest.mark.parametrize(("name", "numbers", "remark"), REMARKS)
def test_a_metric_says_what_the_table_needs(name: str, numbers: dict[str, object], remark: str) -> None:
    assert metric_of(name, numbers) == remark


def made_up() -> Measurement:
    fid = Result({"value": 13.4321, "interval": [11.7, 15.1], "floor": 0.5234, "num_samples": 10_000, "features": "x"})
    active = Result({"value": 7, "num_latents": 20, "num_samples": 297}, remark="of 20 latents")
    return Measurement({"fid": fid, "active_latents": active}, replace(ABOUT, features=FEATURES), ["<few> images"])


def test_a_result_has_attributes_and_is_a_mapping_that_nobody_changes() -> None:
    fid = made_up()["fid"]
    assert (fid.value, fid.interval, fid.floor, fid.num_samples) == (13.4321, (11.7, 15.1), 0.5234, 10_000)
    assert (fid.note, fid.remark, fid.details, fid["features"]) == (None, "", {"features": "x"}, "x")
    assert (made_up()["active_latents"].interval, made_up()["active_latents"].floor) == (None, None)
    with pytest.raises(AttributeError):
        fid.value = 1.0  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(TypeError):
        fid["value"] = 1.0  # pyright: ignore[reportIndexIssue]
    assert repr(fid) == "<Result 13.4, floor 0.5, 95% interval 11.7 – 15.1, 10,000 images>"
    assert repr(made_up()["active_latents"]) == "<Result 7, 297 images>"


def test_a_measurement_is_its_table() -> None:
    assert repr(made_up()).splitlines() == [
        "vae at step 1,840 (the last), digits: test images, seed 0",
        "features: lenet-digits-0f, test accuracy 0.960",
        "",
        "metric          value  floor  95% interval  images",
        "fid              13.4    0.5   11.7 – 15.1  10,000",
        "active_latents      7                          297  of 20 latents",
        "",
        "note: <few> images",
    ]
    plain = Measurement({"accuracy": Result({"value": 0.5, "num_samples": 9})}, replace(ABOUT, checkpoint=46), [])
    assert repr(plain).splitlines() == [
        "vae at step 1,840, digits: test images, seed 0",
        "",
        "metric    value  images",
        "accuracy    0.5       9",
    ]


def test_a_notebook_shows_the_table() -> None:
    page = made_up()._repr_html_()
    assert "<p>vae at step 1,840 (the last), digits: test images, seed 0</p>" in page
    assert re.findall(r"<td[^>]*>([^<]*)</td>", page)[:6] == ["fid", "13.4", "0.5", "11.7 – 15.1", "10,000", ""]
    assert page.endswith("<p>note: &lt;few&gt; images</p>")


def test_json_has_the_results_as_they_were_computed_then_about_and_notes() -> None:
    assert json.dumps(made_up().to_dict()) == (
        '{"fid": {"value": 13.4321, "interval": [11.7, 15.1], "floor": 0.5234, "num_samples": 10000, "features": "x"}, '
        '"active_latents": {"value": 7, "num_latents": 20, "num_samples": 297}, '
        '"about": {"run": "vae", "checkpoint": "last", "step": 1840, "data": "digits", "split": "test", '
        '"num_samples": 297, "seed": 0, "features": {"name": "lenet-digits-0f", "test_accuracy": 0.9596}}, '
        '"notes": ["<few> images"]}'
    )
    assert "features" not in Measurement({}, ABOUT, []).to_dict()["about"]
