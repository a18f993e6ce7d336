import numpy as np
import pytest

from etude.drawing.latent_effect import latent_effect
from etude.drawing.style import render


def test_points_are_the_runs_and_lines_the_means_over_seeds() -> None:
    figure = latent_effect(
        np.array([2, 2, 10, 10]),
        reconstruction_nats=np.array([150.0, 154.0, 80.0, 90.0]),
        kl_nats=np.array([6.0, 8.0, 20.0, 22.0]),
        active_latents=np.array([2, 2, 9, 10]),
        fid=np.array([200.0, 220.0, 50.0, 70.0]),
        fid_floor=0.5,
        title="vae",
    )
    nats, active, distance = figure.axes
    drawn = [np.asarray(line.get_xydata()).tolist() for line in nats.lines]
    assert drawn[0] == [[2, 159], [10, 106]]  # the mean of the sums
    assert drawn[1] == [[2, 156], [2, 162], [10, 100], [10, 112]]
    assert drawn[2] == [[2, 152], [10, 85]]
    assert drawn[4] == [[2, 7], [10, 21]]
    assert np.asarray(active.lines[0].get_xydata()).tolist() == [[2, 2], [10, 10]]  # all latents
    assert np.asarray(active.lines[1].get_xydata()).tolist() == [[2, 2], [10, 9.5]]
    assert list(distance.lines[-1].get_ydata()) == [0.5, 0.5]  # type: ignore[arg-type]
    assert [label.get_text() for label in nats.get_xticklabels()] == ["2", "10"]
    assert nats.get_ylabel() == "nats per image"
    assert render(figure, "png").startswith(b"\x89PNG")


@pytest.mark.parametrize("dim", [1, 50])
def test_one_run_alone(dim: int) -> None:
    one = np.array([1.0])
    figure = latent_effect(
        np.array([dim]), reconstruction_nats=one, kl_nats=one, active_latents=one, fid=one, fid_floor=0.5, title="one"
    )
    assert render(figure, "svg").startswith(b"<?xml")
