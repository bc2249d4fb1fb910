"""How far custom networks look: known answers, and what cannot be known."""

import pytest
import torch
from torch import Tensor, nn

from impasto.encoders.custom.config import ModelConfig
from impasto.encoders.custom.encoder import CustomEncoder
from impasto.encoders.custom.hooks import ModuleHooks
from impasto.encoders.custom.loading import Loaded


def encoder(*modules: nn.Module, smoothing: float = 0.0) -> CustomEncoder:
    torch.manual_seed(0)
    return CustomEncoder("mine", Loaded(ModuleHooks(nn.Sequential(*modules)), ModelConfig()), smoothing=smoothing)


def conv(inputs: int, outputs: int, kernel: int | tuple[int, int] = 3, **options: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, **options), nn.ReLU())


class Gated(nn.Module):
    """Scales its channels by their means over the whole picture."""

    def forward(self, x: Tensor) -> Tensor:
        return x * x.mean((-2, -1), keepdim=True)


class Deaf(nn.Module):
    """Hands no NaN on."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.nan_to_num(torch.roll(x, 40, -1))


@pytest.mark.parametrize(
    ("modules", "reach"),
    [
        ([conv(3, 8, padding=1)], 1),
        ([conv(3, 8, 7, padding=3)], 3),
        ([conv(3, 8, (1, 9))], 8),  # nothing is padded: a position looks to the right alone
        ([conv(3, 8, 3, padding=4, dilation=4)], 4),
        ([conv(3, 8, padding=1), nn.MaxPool2d(2), conv(8, 8, padding=1)], 3),
        ([conv(3, 8, 3, stride=2), nn.MaxPool2d(3, 2, ceil_mode=True), conv(8, 8, padding=1)], 7),
    ],
)
def test_the_reach_is_found_and_hardly_overstated(modules: list[nn.Module], reach: int) -> None:
    mine = encoder(*modules)
    layer = str(len(modules) - 1)
    found = mine.reach([layer])
    assert found is not None
    assert reach <= found < reach + 2 * mine.layers[layer].stride


@pytest.mark.parametrize("module", [Gated(), nn.InstanceNorm2d(8), Deaf()])
def test_what_sees_the_whole_picture_or_hides_what_it_sees_has_no_reach(module: nn.Module) -> None:
    mine = encoder(conv(3, 8, padding=1), module, conv(8, 8, padding=1))
    assert mine.reach(["2"]) is None
    assert mine.reach(["0"]) == 1
    assert mine.reach(["0", "2"]) is None


def test_smoothing_sees_the_whole_picture() -> None:
    assert encoder(conv(3, 8, padding=1), smoothing=0.5).reach(["0"]) is None


@pytest.mark.parametrize("edge", [64, 65, 66, 67, 130])
def test_the_grid_is_that_of_the_features(edge: int) -> None:
    mine = encoder(conv(3, 8, 3, stride=2), nn.MaxPool2d(3, 2, ceil_mode=True), conv(8, 8, padding=1))
    features = mine(torch.rand(1, 3, edge, 99), ["2"])["2"]
    assert mine.grid("2", (edge, 99)) == features.shape[-2:]


def test_a_layer_is_aligned_to_all_that_is_computed_on_the_way_to_it() -> None:
    upsampled = nn.Upsample(scale_factor=4, mode="bilinear")
    mine = encoder(conv(3, 8, 3, stride=4, padding=1), upsampled, conv(8, 8, padding=1))
    assert mine.layers["2"].stride == 1
    assert mine.alignment(["2"]) == 4
