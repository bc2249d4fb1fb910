"""The contract of `Encoder`, kept by every encoder: those of the registry, a custom network, the tests' tiny one.

An encoder that is added to the registry is tested here without another line.
"""

from collections.abc import Collection
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from impasto.encoders import ENCODERS, Encoder
from impasto.encoders.bias_corrected import BiasCorrectedEncoder
from impasto.encoders.compact import load_compact
from impasto.encoders.custom.config import ModelConfig
from impasto.encoders.custom.encoder import CustomEncoder
from impasto.encoders.custom.hooks import ModuleHooks
from impasto.encoders.custom.loading import Loaded
from impasto.errors import LayerError
from tests.tiny import TinyEncoder


class _CountedConvolutions(TorchFunctionMode):
    """Counts the convolutions that are computed within it."""

    number = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        self.number += function in (torch.conv2d, torch.nn.functional.conv2d)
        return function(*args, **(kwargs or {}))


SIZE = (32, 48)
"""Height and width of the pictures: multiples of every stride."""


def built_in(name: str) -> Encoder:
    """An encoder of the registry, with random weights if its own are not in the package."""
    spec = ENCODERS[name]
    if spec.outline is not None:
        return spec.outline("max", "zero")
    assert isinstance(spec.bundled_file, Path)
    return spec.load(spec.bundled_file, "max", "zero")


def custom() -> Encoder:
    network = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True),
        nn.Conv2d(8, 10, 3, stride=2, padding=1), nn.ReLU(inplace=True),
    )  # fmt: skip
    return CustomEncoder("mine", Loaded(ModuleHooks(network), ModelConfig()))


def bias_corrected() -> Encoder:
    encoder = BiasCorrectedEncoder(load_compact(), built_in("vgg19"), picture(seed=1))
    encoder(picture(), encoder.layers)  # measures the bias of every layer
    return encoder


BUILDERS = {name: lambda name=name: built_in(name) for name in ENCODERS} | {
    "bias_corrected": bias_corrected, "custom": custom, "tiny": TinyEncoder,
}  # fmt: skip


@pytest.fixture(scope="module", params=BUILDERS)
def encoder(request: pytest.FixtureRequest) -> Encoder:
    torch.manual_seed(0)
    return BUILDERS[request.param]()


def picture(*, seed: int = 0, batch: int = 1, size: tuple[int, int] = SIZE) -> Tensor:
    return torch.rand(batch, 3, *size, generator=torch.Generator().manual_seed(seed))


def features_and_gradient(encoder: Encoder, layers: Collection[str]) -> tuple[dict[str, Tensor], Tensor]:
    image = picture().requires_grad_()
    features = encoder(image, layers)
    total = sum((x.square().sum() for x in features.values()), start=torch.zeros(()))
    return features, torch.autograd.grad(total, image)[0]


def test_every_layer_has_the_shape_that_its_channels_and_stride_say(encoder: Encoder) -> None:
    features = encoder(picture(batch=2), encoder.layers)
    assert features.keys() == encoder.layers.keys()
    for name, layer in encoder.layers.items():
        assert features[name].shape == (2, layer.channels, SIZE[0] // layer.stride, SIZE[1] // layer.stride), name
        assert features[name].isfinite().all(), name


def test_layers_are_listed_and_computed_in_the_order_of_depth(encoder: Encoder) -> None:
    names = list(encoder.layers)
    assert list(encoder(picture(), names[::-1])) == names
    strides = [layer.stride for layer in encoder.layers.values()]
    assert strides == sorted(strides)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (5, 3), (33, 47)])
def test_pictures_of_any_size_are_taken(encoder: Encoder, size: tuple[int, int]) -> None:
    if isinstance(encoder, BiasCorrectedEncoder):
        pytest.skip("its pictures have the size at which it was corrected")
    for name, features in encoder(picture(size=size), encoder.layers).items():
        assert features.shape[:2] == (1, encoder.layers[name].channels)
        assert features.numel() and features.isfinite().all()


def test_a_gradient_reaches_the_picture_from_every_layer_and_no_weight(encoder: Encoder) -> None:
    image = picture().requires_grad_()
    for name, features in encoder(image, encoder.layers).items():
        (gradient,) = torch.autograd.grad(features.sum(), image, retain_graph=True)
        assert gradient.isfinite().all() and gradient.any(), name
    assert not encoder.training
    assert not any(parameter.requires_grad or parameter.grad is not None for parameter in encoder.parameters())


def test_low_memory_mode_gives_the_same_features_and_gradient_to_the_last_bit(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers = [*encoder.content_layers, *encoder.style_layers]
    assert not encoder.is_low_memory
    plain, plain_gradient = features_and_gradient(encoder, layers)
    monkeypatch.setattr(encoder, "is_low_memory", True)
    lean, lean_gradient = features_and_gradient(encoder, layers)
    assert plain.keys() == lean.keys()
    assert all(lean[layer].equal(plain[layer]) for layer in plain)
    assert lean_gradient.equal(plain_gradient)


def test_the_same_picture_gives_the_same_features_and_gradient_and_stays_as_it_is(encoder: Encoder) -> None:
    image = picture()
    encoder(image, encoder.layers)
    assert image.equal(picture())
    (first, first_gradient), (second, second_gradient) = (features_and_gradient(encoder, encoder.layers) for _ in "12")
    assert all(first[layer].equal(second[layer]) for layer in encoder.layers)
    assert first_gradient.equal(second_gradient)


def test_layers_one_by_one_are_the_asked_ones_with_the_same_features(encoder: Encoder) -> None:
    asked = [*reversed(encoder.style_layers), *encoder.content_layers]
    expected, seen = encoder(picture(), asked), dict(encoder.iter_features(picture(), asked))
    assert expected.keys() == set(asked)
    assert list(seen) == list(expected)
    assert all(seen[layer].equal(features) for layer, features in expected.items())


def test_a_layer_has_the_same_features_whatever_else_is_asked_for(encoder: Encoder) -> None:
    together = encoder(picture(), encoder.layers)
    for layer in encoder.style_layers:
        torch.testing.assert_close(encoder(picture(), [layer])[layer], together[layer], rtol=1e-5, atol=1e-6)


def test_style_features_have_the_channels_of_their_layers_and_known_sources(encoder: Encoder) -> None:
    with torch.no_grad():
        seen = dict(encoder.iter_style_features(picture(), encoder.style_layers))
    assert seen.keys() == encoder.style_layers.keys()
    for name, features in seen.items():
        layer = encoder.layers[name]
        assert features.shape == (1, layer.channels, SIZE[0] // layer.stride, SIZE[1] // layer.stride)
        assert name in encoder.style_sources(name)
        assert set(encoder.style_sources(name)) <= encoder.layers.keys()


def test_a_projection_maps_a_layers_channels_and_a_constant(encoder: Encoder) -> None:
    for name, layer in encoder.layers.items():
        projection = encoder.projection(name)
        assert projection is None or (projection.dtype, projection.shape[1]) == (torch.float32, layer.channels + 1)


def test_nothing_past_the_deepest_asked_layer_is_computed(encoder: Encoder) -> None:
    counts = []
    for layer in encoder.layers:
        with _CountedConvolutions() as counted:
            encoder(picture(), [layer])
        counts.append(counted.number)
    assert counts == sorted(counts)
    assert 0 < counts[0] < counts[-1]
    with _CountedConvolutions() as counted:
        next(iter(encoder.iter_features(picture(), [next(iter(encoder.layers))])))
    assert counted.number == counts[0]


def test_an_unknown_layer_is_refused(encoder: Encoder) -> None:
    for ask in (
        lambda: encoder(picture(), ["no_such_layer"]),
        lambda: list(encoder.iter_features(picture(), ["no_such_layer"])),
        lambda: list(encoder.iter_style_features(picture(), ["no_such_layer"])),
        lambda: encoder.projection("no_such_layer"),
        lambda: encoder.check_layers([*encoder.layers, "no_such_layer"]),
        lambda: encoder.expand_layers({"no_such_layer": 1.0}),
    ):
        with pytest.raises(LayerError, match=rf"^Unknown layer 'no_such_layer' of {encoder.name}\."):
            ask()


def test_the_layers_of_its_losses_are_its_own_with_weights_above_zero(encoder: Encoder) -> None:
    for layers in (encoder.content_layers, encoder.style_layers, encoder.hypercolumn_layers):
        assert layers and layers.keys() <= encoder.layers.keys()
        assert all(weight > 0 for weight in layers.values())
