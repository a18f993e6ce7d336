"""The rules of the studies of VAEs, on findings made by hand."""

import pytest

from etude.studies import Evidence, Findings, exact, measured
from etude.studies.vaes import (
    bound,
    classify_latents,
    conditional_latents,
    encode_twice,
    more_latents,
    posterior_of_one_image,
    retrain,
    std_or_logvar,
    style_swap,
    without_kl,
    z_in_vae_and_gan,
)


def spread(what: str, centre: float, by: float = 0.01) -> Evidence:
    """Four seeds around a value."""
    return measured(what, [centre - by, centre + by, centre - by, centre + by])


@pytest.mark.parametrize(
    ("smallest", "over_tight", "over_exact", "verdict"),
    [
        (0.01, 1.0, 0.5, "true"),
        (-0.01, 1.0, 0.5, "false"),
        (0.01, -1.0, 0.5, "false"),
        (0.01, 1.0, -0.5, "false"),
        (0.01, 0.0, 0.5, "undecided"),
    ],
)
def test_bound_holds_if_no_gap_is_below_0(smallest: float, over_tight: float, over_exact: float, verdict: str) -> None:
    evidence = [exact(bound.SMALLEST, smallest)]
    for when in bound.TIMES:
        evidence += [
            spread(bound.EXACT.format(when), 10),
            spread(bound.LOOSE.format(when), over_tight),
            spread(bound.TIGHT.format(when), over_exact),
        ]
    assert bound.judge(Findings(tuple(evidence))).verdict == verdict


@pytest.mark.parametrize(("apart", "verdict"), [(0.2, "true"), (20.0, "false"), (1.0, "undecided")])
def test_encode_twice_asks_for_less_than_a_grey_level(apart: float, verdict: str) -> None:
    findings = Findings(
        (
            spread(encode_twice.DRAWN, apart),
            spread(encode_twice.MEAN, 0, 0),
            spread(encode_twice.SHARE, 1, 0),
            spread(encode_twice.ERROR, 50),
            spread(encode_twice.WIDTH, 0.2),
        )
    )
    ruling = encode_twice.judge(findings)
    assert ruling.verdict == verdict
    assert f"{apart:.3g} grey levels of 255" in ruling.because


@pytest.mark.parametrize(("nats", "verdict"), [(0.01, "true"), (5.0, "false"), (0.1, "undecided")])
def test_posterior_of_one_image_asks_for_a_tenth_of_a_nat(nats: float, verdict: str) -> None:
    module = posterior_of_one_image
    findings = Findings(
        (
            spread(module.ONE, nats, 0.002),
            spread(module.ALL, 0.05),
            spread(module.WIDTH, 0.1),
            spread(module.WIDTH_ALL, 1),
        )
    )
    assert module.judge(findings).verdict == verdict


@pytest.mark.parametrize(
    ("reconstruction", "distance", "verdict"),
    [(-5.0, 20.0, "true"), (5.0, 20.0, "false"), (-5.0, -20.0, "false"), (0.0, 20.0, "undecided")],
)
def test_without_kl_asks_for_better_reconstructions_and_farther_samples(
    reconstruction: float, distance: float, verdict: str
) -> None:
    evidence = []
    for name, factor in ((without_kl.WITH, 0), (without_kl.WITHOUT, 1)):
        wiggle = [0.1, -0.1, 0.1, -0.1] if factor else [0.0] * 4
        evidence += [
            measured(without_kl.TEST.format(name), [160 + factor * reconstruction + each for each in wiggle]),
            measured(without_kl.DISTANCE.format(name), [30 + factor * distance + each for each in wiggle]),
            spread(without_kl.LIKELIHOOD.format(name), 170),
        ]
    assert without_kl.judge(Findings(tuple(evidence))).verdict == verdict


@pytest.mark.parametrize(
    ("failed", "verdict"), [([1, 1, 1, 1], "false"), ([0, 0, 0, 0], "true"), ([0, 0, 0, 1], "undecided")]
)
def test_std_or_logvar_counts_failures(failed: list[float], verdict: str) -> None:
    evidence = [measured(std_or_logvar.FAILED.format(name), [0, 0, 0, 0]) for name in std_or_logvar.READINGS]
    findings = Findings(tuple(evidence)).with_values({std_or_logvar.FAILED.format("σ"): failed})
    assert std_or_logvar.judge(findings).verdict == verdict


@pytest.mark.parametrize(
    ("losses", "verdict"),
    [((160, 130, 110), "true"), ((160, 130, 130), "false"), ((160, 161, 110), "false"), ((160, 159, 120), "undecided")],
)
def test_more_latents_asks_for_a_gain_at_each_step(losses: tuple[float, ...], verdict: str) -> None:
    evidence = [
        measured(more_latents.LOSS.format(number), [loss + number * each for each in (-0.01, 0.01, -0.01, 0.01)])
        for number, loss in zip((2, 10, 50), losses, strict=True)
    ]
    ruling = more_latents.judge(Findings(tuple(evidence), {"latents": [2, 10, 50]}))
    assert ruling.verdict == verdict
    assert "from 2 to 10" in ruling.because


@pytest.mark.parametrize(("together", "verdict"), [(0.99, "true"), (0.1, "false"), (0.9, "undecided")])
def test_retrain_asks_for_a_correlation_of_nine_tenths(together: float, verdict: str) -> None:
    findings = Findings(
        (
            spread(retrain.AS_IS, together, 0.005),
            spread(retrain.ROTATED, 0.5),
            spread(retrain.LINEAR, 0.5),
            spread(retrain.LOSS_SPREAD, 1),
        )
    )
    assert retrain.judge(findings).verdict == verdict


@pytest.mark.parametrize(("share", "verdict"), [(0.2, "true"), (0.8, "false"), (0.3, "undecided")])
def test_classify_latents_asks_for_three_times_a_guess(share: float, verdict: str) -> None:
    module = classify_latents
    evidence = [exact(module.PIXELS, 0.97)]
    for number, each in ((2, share), (10, 0.9)):
        evidence += [
            spread(module.LINEAR.format(number), each),
            spread(module.NEIGHBOURS.format(number), each),
            spread(module.SHUFFLED.format(number), 0.1),
        ]
    assert module.judge(Findings(tuple(evidence), {"latents": [2, 10]})).verdict == verdict


@pytest.mark.parametrize(("share", "verdict"), [(0.8, "true"), (0.3, "false"), (0.75, "undecided")])
def test_conditional_latents_compares_by_seed(share: float, verdict: str) -> None:
    module, evidence = conditional_latents, []
    for recipe, accuracy in (("vae", 0.8), ("cvae", share)):
        wiggle = 0.01 if recipe == "vae" else -0.01
        evidence += [
            measured(module.NEIGHBOURS.format(recipe), [accuracy + wiggle * sign for sign in (1, -1, 1, -1)]),
            spread(module.DISTANCE.format(recipe), 0.2),
        ]
    assert module.judge(Findings(tuple(evidence))).verdict == verdict


@pytest.mark.parametrize(
    ("right", "slant", "verdict"),
    [(0.9, 0.6, "true"), (0.2, 0.6, "false"), (0.9, 0.0, "false"), (0.7, 0.6, "undecided")],
)
def test_style_swap_asks_for_the_digit_and_for_the_slant(right: float, slant: float, verdict: str) -> None:
    module = style_swap
    findings = Findings((spread(module.CLASS, right), spread(module.SLANT, slant), spread(module.SHUFFLED, 0)))
    assert module.judge(findings).verdict == verdict


@pytest.mark.parametrize(
    ("vae", "gan", "verdict"), [(0.5, 0.5, "true"), (0.5, 1.0, "false"), (1.0, 0.5, "false"), (0.5, 0.9, "undecided")]
)
def test_z_asks_for_a_code_in_both(vae: float, gan: float, verdict: str) -> None:
    module, evidence = z_in_vae_and_gan, []
    for kind, share in zip(module.KINDS, (vae, gan), strict=True):
        evidence += [spread(module.ERROR.format(kind), share), spread(module.PROBE.format(kind), 0.5)]
    assert module.judge(Findings(tuple(evidence))).verdict == verdict
