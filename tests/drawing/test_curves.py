import numpy as np
from matplotlib.axes import Axes

from etude.drawing.curves import Panel, Reference, Series, loss_curves, running_mean


def series(count: int, **changes: bool) -> Series:
    return Series(
        name="generator", steps=np.arange(count) * 10, values=np.sin(np.arange(count)), colour="blue", **changes
    )


def draw(*lines: Series, references: tuple[Reference, ...] = ()) -> Axes:
    panel = Panel(title="Losses", y_label="nats per image", series=lines, references=references)
    (axes,) = loss_curves([panel], steps_per_epoch=50, title="Losses · run").axes
    return axes


def test_running_mean_equals_a_plain_loop() -> None:
    values = np.random.default_rng(0).normal(size=40)
    values[[3, 20, 21]] = [np.nan, np.inf, -np.inf]
    expected = []
    for index in range(40):
        near = values[max(0, index - 3) : index + 4]
        expected.append(near[np.isfinite(near)].mean())
    np.testing.assert_allclose(running_mean(values, 7), expected)


def test_running_mean_of_a_constant_and_of_nothing_finite() -> None:
    np.testing.assert_allclose(running_mean(np.full(5, 2.5), 9), 2.5)
    assert np.isnan(running_mean(np.full(3, np.nan), 3)).all()


def test_a_noisy_series_is_drawn_faintly_with_its_mean() -> None:
    faint, mean = draw(series(90, smooth=True)).lines
    np.testing.assert_array_equal(faint.get_ydata(), np.sin(np.arange(90)))
    np.testing.assert_allclose(np.asarray(mean.get_ydata()), running_mean(np.sin(np.arange(90)), 7))
    assert faint.get_alpha() == 0.3
    assert mean.get_label() == "generator (mean of 7 points)"


def test_few_points_are_drawn_as_they_are_with_markers() -> None:
    (line,) = draw(series(12, smooth=True)).lines
    assert (line.get_label(), line.get_marker()) == ("generator", "o")


def test_axes_are_named_and_epochs_stand_on_top() -> None:
    axes = draw(series(20))
    (epochs,) = axes.child_axes
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title("left")) == (
        "training step",
        "nats per image",
        "Losses",
    )
    assert epochs.get_xlabel() == "epoch"
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    np.testing.assert_allclose(np.array(epochs.get_xlim()) * 50, axes.get_xlim())


def test_references_are_dashed_lines_with_their_text() -> None:
    references = (Reference(text="log 4", value=np.log(4)), Reference(text="log 2", value=np.log(2)))
    axes = draw(series(20), references=references)
    dashed = [line for line in axes.lines if line.get_linestyle() == "--"]
    np.testing.assert_allclose([np.asarray(line.get_ydata())[0] for line in dashed], np.log([2, 4]))
    assert [text.get_text() for text in axes.texts] == ["log 2", "log 4"]
    assert [text.get_verticalalignment() for text in axes.texts] == ["top", "bottom"]
