from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from impasto.encoders import build_encoder, vgg
from impasto.encoders.vgg import AVERAGE_POOLING_GAINS, MEAN, STD, build_vgg
from impasto.errors import EncoderError, LayerError
from tests.tiny import TinyEncoder

NARROW = (4, 6, 8, 10, 12)

# torchvision's `features`, written down independently: a number is a convolution with ReLU, "M" a pooling
CHANNELS = dict(zip("12345", NARROW, strict=True))
REFERENCE = {
    "vgg16": "11M22M333M444M555M",
    "vgg19": "11M22M3333M4444M5555M",
}
INDICES = {
    "vgg16": [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28],
    "vgg19": [0, 2, 5, 7, 10, 12, 14, 16, 19, 21, 23, 25, 28, 30, 32, 34],
}


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vgg, "WIDTHS", NARROW)


def reference(name: str) -> nn.Sequential:
    """A narrow VGG as torchvision builds it, with random weights."""
    generator = torch.Generator().manual_seed(7)
    modules: list[nn.Module] = []
    channels = 3
    for symbol in REFERENCE[name]:
        if symbol == "M":
            modules.append(nn.MaxPool2d(2, 2))
            continue
        conv = nn.Conv2d(channels, CHANNELS[symbol], 3, padding=1)
        for parameter in conv.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator) * (2 / (9 * channels)) ** 0.5
        modules += [conv, nn.ReLU()]
        channels = CHANNELS[symbol]
    return nn.Sequential(*modules)


def torchvision_state(network: nn.Sequential) -> dict[str, Tensor]:
    return {f"features.{key}": tensor for key, tensor in network.state_dict().items()}


def layer_names(name: str) -> list[str]:
    counts = {block: REFERENCE[name].count(block) for block in "12345"}
    return [f"relu{block}_{index + 1}" for block, count in counts.items() for index in range(count)]


def reference_features(network: nn.Sequential, names: Sequence[str], image: Tensor) -> Mapping[str, Tensor]:
    features, left = {}, list(names)
    x = (image - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    for module in network:
        x = module(x)
        if isinstance(module, nn.ReLU):
            features[left.pop(0)] = x.clone()
    assert not left
    return features


@pytest.mark.parametrize("name", ["vgg16", "vgg19"])
@pytest.mark.usefixtures("narrow")
def test_features_equal_those_of_torchvisions_order(name: str) -> None:
    network, encoder = reference(name), build_vgg(name)
    encoder.load_torchvision(torchvision_state(network))
    image = torch.rand(2, 3, 50, 37, generator=torch.Generator().manual_seed(1))
    expected = reference_features(network, layer_names(name), image)
    features = encoder(image, encoder.layers)
    assert list(features) == list(encoder.layers) == layer_names(name)
    for layer, tensor in expected.items():
        torch.testing.assert_close(features[layer], tensor, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["vgg16", "vgg19"])
def test_shapes_strides_and_keys_are_those_of_the_paper_and_torchvision(name: str) -> None:
    encoder = build_vgg(name)
    widths, strides = [64, 128, 256, 512, 512], [1, 2, 4, 8, 16]
    for layer, description in encoder.layers.items():
        block = int(layer[4]) - 1
        assert (description.channels, description.stride) == (widths[block], strides[block])
        assert encoder.convs[layer].weight.shape[0] == widths[block]
    assert list(encoder.layers) == layer_names(name)
    assert vgg.torchvision_indices(encoder.layers.values()) == INDICES[name]
    assert set(encoder.content_layers) | set(encoder.style_layers) <= set(encoder.layers)


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("padding", ["zero", "reflect", "replicate"])
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (15, 2), (16, 16), (17, 31), (33, 65)])
def test_pictures_of_any_size_are_accepted(padding: str, size: tuple[int, int]) -> None:
    encoder = build_vgg("vgg19", padding=padding)
    features = encoder(torch.rand(1, 3, *size), encoder.layers)
    smallest = 2 if padding == "reflect" else 1
    for layer, tensor in features.items():
        assert tensor.isfinite().all()
        assert tensor.shape[1] == encoder.layers[layer].channels
    for side, pixels in zip(features["relu5_1"].shape[-2:], size, strict=True):
        assert side == max(smallest, pixels // 16)


@pytest.mark.parametrize(
    ("layers", "num_convs"),
    [(["relu1_1"], 1), (["relu2_1", "relu1_2"], 3), (["relu3_1", "relu1_1"], 5), ([], 0)],
)
def test_nothing_past_the_deepest_asked_layer_is_computed(
    tiny_encoder: TinyEncoder, layers: list[str], num_convs: int
) -> None:
    calls = []
    for conv in tiny_encoder.convs.values():
        conv.register_forward_hook(lambda *_: calls.append(1))
    features = tiny_encoder(torch.rand(1, 3, 16, 16), layers)
    assert set(features) == set(layers)
    assert len(calls) == num_convs


def test_layers_are_visited_in_order_and_each_computed_when_it_is_asked_for(tiny_encoder: TinyEncoder) -> None:
    calls = []
    for conv in tiny_encoder.convs.values():
        conv.register_forward_hook(lambda *_: calls.append(1))
    visit = tiny_encoder.iter_features(torch.rand(1, 3, 16, 16), ["relu3_1", "relu1_1"])
    assert not calls
    assert [(layer, len(calls)) for layer, _ in visit] == [("relu1_1", 1), ("relu3_1", 5)]


@pytest.mark.parametrize("is_low_memory", [False, True])
@pytest.mark.parametrize("layers", [["relu3_1"], ["relu1_2", "relu2_2", "relu3_1"]])
def test_pooling_before_the_relu_gives_the_features_and_gradient_of_pooling_after_it(
    layers: list[str], is_low_memory: bool
) -> None:
    encoder = TinyEncoder()
    encoder.is_low_memory = is_low_memory
    image = torch.rand(1, 3, 21, 34, requires_grad=True)
    x, expected = (image - encoder.mean) / encoder.std, {}
    for layer, conv in encoder.convs.items():
        if layer in ("relu2_1", "relu3_1"):
            x = torch.nn.functional.max_pool2d(x, 2)
        x = expected[layer] = conv(x).relu()
    features = encoder(image, layers)
    for layer in layers:
        torch.testing.assert_close(features[layer], expected[layer], rtol=1e-6, atol=1e-6)
    ours, theirs = (
        torch.autograd.grad(sum(found[layer].square().sum() for layer in layers), image)[0]
        for found in (features, expected)
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_an_unknown_layer_is_refused_with_the_closest_name(tiny_encoder: TinyEncoder) -> None:
    with pytest.raises(LayerError, match=r"^Unknown layer 'relu2_9' of tiny\. Did you mean 'relu2_[12]'\?$"):
        tiny_encoder(torch.rand(1, 3, 8, 8), ["relu1_1", "relu2_9"])


def test_a_layer_asked_for_later_is_not_changed_by_what_follows_it(tiny_encoder: TinyEncoder) -> None:
    image = torch.rand(1, 3, 16, 16)
    alone = tiny_encoder(image, ["relu1_1"])["relu1_1"]
    among_all = tiny_encoder(image, tiny_encoder.layers)["relu1_1"]
    torch.testing.assert_close(alone, among_all, rtol=0, atol=0)


def test_the_gradient_is_that_of_the_features() -> None:
    encoder = TinyEncoder(pooling="average", padding="reflect").double()
    image = torch.rand(1, 3, 5, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: encoder(x, ["relu2_1"])["relu2_1"], (image,), fast_mode=True)


def test_average_pooling_is_the_mean_times_the_gain_of_its_boundary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vgg, "AVERAGE_POOLING_GAINS", (3.0, 5.0, 1.0, 1.0))
    encoder = TinyEncoder(pooling="average")
    image = torch.rand(1, 3, 12, 16)
    features = encoder(image, ["relu1_2", "relu2_1", "relu2_2", "relu3_1"])
    for before, after, gain in (("relu1_2", "relu2_1", 3.0), ("relu2_2", "relu3_1", 5.0)):
        x = features[before]
        mean = (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4
        expected = encoder.convs[after](mean * gain).relu()
        torch.testing.assert_close(features[after], expected, rtol=1e-5, atol=1e-5)


def test_the_published_gains_are_in_use() -> None:
    assert TinyEncoder(pooling="average").average_pooling_gains == AVERAGE_POOLING_GAINS
    assert len(AVERAGE_POOLING_GAINS) == 4 and all(1 < gain < 2 for gain in AVERAGE_POOLING_GAINS)


@pytest.mark.parametrize(("padding", "index"), [("reflect", 1), ("replicate", 0)])
def test_padding_continues_the_picture_as_named(padding: str, index: int) -> None:
    image = torch.rand(1, 3, 6, 7)
    # the same picture continued by hand, through the same weights with zero padding, its border cut off
    rows = [index, *range(6), 5 - index]
    columns = [index, *range(7), 6 - index]
    by_hand = TinyEncoder(padding="zero")(image[:, :, rows][..., columns], ["relu1_1"])["relu1_1"]
    features = TinyEncoder(padding=padding)(image, ["relu1_1"])["relu1_1"]
    torch.testing.assert_close(features, by_hand[..., 1:-1, 1:-1], rtol=1e-5, atol=1e-6)


def test_zero_padding_continues_the_normalized_picture_by_zeros() -> None:
    image = torch.tensor(MEAN)[:, None, None].expand(1, 3, 4, 4)
    features = TinyEncoder()(image, ["relu1_1"])["relu1_1"]
    assert features.abs().max() == 0


@pytest.mark.usefixtures("narrow")
def test_weights_of_the_classifier_are_ignored() -> None:
    state = torchvision_state(reference("vgg16"))
    encoder = build_vgg("vgg16")
    encoder.load_torchvision(state | {"classifier.0.weight": torch.zeros(3, 3)})
    torch.testing.assert_close(encoder.convs["relu5_3"].weight, state["features.28.weight"])


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda state: state.pop("features.5.bias"), "not vgg19's: 'features.5.bias' is missing"),
        (
            lambda state: state.update({"features.5.bias": torch.zeros(7)}),
            r"'features.5.bias' has shape \(7,\), \(6,\) is needed",
        ),
        (lambda state: state["features.5.weight"].view(-1)[3].fill_(float("nan")), "damaged: 'features.5.weight'"),
    ],
)
def test_weights_that_do_not_fit_are_refused_and_change_nothing(spoil, message: str) -> None:
    state = torchvision_state(reference("vgg19"))
    spoil(state)
    encoder = build_vgg("vgg19")
    before = {key: tensor.clone() for key, tensor in encoder.state_dict().items()}
    with pytest.raises(EncoderError, match=message):
        encoder.load_torchvision(state)
    assert all(torch.equal(tensor, before[key]) for key, tensor in encoder.state_dict().items())


@pytest.mark.slow
def test_real_features_are_finite_and_keep_their_size_under_average_pooling(
    weights_dir: Path, images_dir: Path
) -> None:
    with Image.open(images_dir / "content" / "kodim20.jpg") as picture:  # not one that the gains were measured on
        pixels = np.asarray(picture.convert("RGB").resize((192, 128)), dtype=np.float32) / 255
    image = torch.from_numpy(pixels).movedim(2, 0)[None]
    features = {}
    for pooling in ("max", "average"):
        encoder = build_encoder("vgg19", pooling=pooling, weights_file=weights_dir / "vgg19_features.safetensors")
        features[pooling] = encoder(image, encoder.style_layers)
    for layer, tensor in features["max"].items():
        assert tensor.isfinite().all() and tensor.norm() > 0
        assert features["average"][layer].norm().item() == pytest.approx(tensor.norm().item(), rel=0.15), layer
