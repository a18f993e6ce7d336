import numpy as np
import pytest

from etude.drawing.bands import Band, BandPanel, band_curves


def test_bands_far_wider_than_the_curves_do_not_flatten_them() -> None:
    epochs, means = np.arange(1.0, 4.0), np.array([0.2, 0.6, 0.7])

    def limits(width: float) -> tuple[float, float]:
        band = Band(name="lenet", epochs=epochs, means=means, low=means - width, high=means + width)
        panel = BandPanel(title="Validation", y_label="accuracy", bands=[band])
        return band_curves([panel], title="two seeds", note="band").axes[0].get_ylim()

    low, high = limits(0.1)
    assert low < 0.1
    assert high > 0.8
    assert limits(3.0) == pytest.approx((0.2 - 0.3 * 0.5, 0.7 + 0.3 * 0.5))
