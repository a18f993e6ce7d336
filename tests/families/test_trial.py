"""What a trial of a person's network never does."""

import pytest
from torch import nn

from etude.families.trial import _breaks_channels_last


@pytest.mark.parametrize(
    ("layer", "breaks"),
    [
        (nn.Conv2d(4, 8, 1, stride=2), True),
        (nn.Conv2d(7, 8, (1, 1), stride=(1, 2)), True),
        (nn.Conv2d(8, 16, 1, stride=2), False),
        (nn.Conv2d(4, 8, 1), False),
        (nn.Conv2d(4, 8, 3, stride=2), False),
        (nn.ConvTranspose2d(4, 8, 1, stride=2), False),
    ],
)
def test_convolutions_whose_gradient_would_end_the_process_are_kept_out_of_channels_last(
    layer: nn.Module, breaks: bool
) -> None:
    assert _breaks_channels_last(layer) is breaks
