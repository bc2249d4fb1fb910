import weakref
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from impasto.encoders import compact
from impasto.encoders.compact import Compact, load_compact, reduced_projection
from impasto.errors import LayerError, WeightsError


@pytest.fixture(scope="module")
def encoder() -> Compact:
    return load_compact()


def test_bundled_file_is_small_and_says_where_it_comes_from() -> None:
    assert compact.WEIGHTS.stat().st_size <= 8_000_000
    with safe_open(compact.WEIGHTS, "pt") as file:
        metadata = file.metadata()
        assert {file.get_tensor(name).dtype for name in file.keys()} == {torch.float16}  # noqa: SIM118
    assert metadata["format_version"] == compact.FORMAT_VERSION
    assert "Simonyan & Zisserman" in metadata["origin"]
    assert "CC BY 4.0" in metadata["origin"]
    assert len(metadata["teacher_sha256"]) == 64
    assert metadata["training_command"].startswith("python -m training.")


def test_layers_have_the_names_and_strides_of_vgg19(encoder: Compact) -> None:
    assert list(encoder.layers)[:3] == ["relu1_1", "relu1_2", "relu2_1"]
    assert list(encoder.layers)[-1] == "relu5_1"
    assert encoder.layers["relu4_2"].stride == 8
    assert encoder.weights_sha256 == compact.SHA256


def test_every_layer_has_a_head_to_the_channels_of_vgg19(encoder: Compact) -> None:
    widths = {1: 64, 2: 128, 3: 256, 4: 512, 5: 512}
    for name, layer in encoder.layers.items():
        assert encoder.full_projection(name).shape == (widths[int(name[4])], layer.channels + 1)
        if encoder.is_low_rank(name):
            assert encoder.full_projection(name)[:, :-1].equal(torch.eye(layer.channels))
            assert encoder.projection(name) is None
            continue
        assert encoder.projection(name).dtype == torch.float32
        assert encoder.projection(name).shape[1] == layer.channels + 1
        assert encoder.projection(name).shape[0] <= layer.channels + 1


@pytest.mark.parametrize("padding", ["zero", "reflect"])
@pytest.mark.parametrize("squeezed", [0, 12])
def test_a_factored_layer_is_three_convolutions(squeezed: int, padding: str) -> None:
    state = {name: tensor.float() for name, tensor in load_file(compact.WEIGHTS).items() if "relu5_1" not in name}
    shapes = {"weight": (24, squeezed or 512, 3, 3), "expand": (512, 24), "bias": (512,)}
    if squeezed:
        shapes["squeeze"] = (squeezed, 512)
    generator = torch.Generator().manual_seed(0)
    factors = {kind: 0.1 * torch.randn(shape, generator=generator) for kind, shape in shapes.items()}
    encoder = Compact(state | {f"relu5_1.{kind}": tensor for kind, tensor in factors.items()}, padding=padding)
    image = torch.rand(1, 3, 40, 48, generator=generator)
    layer = encoder.layers["relu5_1"]
    assert (layer.channels, layer.stride, layer.inner) == (512, 16, squeezed + 24)
    found = encoder(image, ["relu4_4", "relu5_1"])
    x = F.max_pool2d(found["relu4_4"], 2)
    x = F.pad(x, (1, 1, 1, 1), mode="constant" if padding == "zero" else padding)
    if squeezed:
        x = F.conv2d(x, factors["squeeze"][:, :, None, None])
    expected = F.conv2d(F.conv2d(x, factors["weight"]), factors["expand"][:, :, None, None], factors["bias"]).relu()
    torch.testing.assert_close(found["relu5_1"], expected, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("padding", ["zero", "reflect"])
@pytest.mark.parametrize("size", [(32, 48), (163, 131), (320, 336), (5, 3)])
def test_the_lean_gradient_of_factored_layers_is_the_plain_one_to_the_last_bit(
    padding: str, size: tuple[int, int]
) -> None:
    encoder, image = load_compact(padding=padding), torch.rand(1, 3, *size)
    gradients = []
    for is_low_memory in (False, True):
        encoder.is_low_memory, start = is_low_memory, image.clone().requires_grad_()
        features = encoder(start, ["relu4_1", "relu4_3", "relu4_4", "relu5_1"])
        total = sum((x.square().sum() for x in features.values()), start=features["relu4_3"].sin().sum())
        gradients.append(torch.autograd.grad(total, start)[0])
    assert gradients[0].abs().max() > 0
    assert gradients[1].equal(gradients[0])


def test_reduced_heads_keep_every_inner_product(encoder: Compact) -> None:
    for name in (name for name in encoder.layers if not encoder.is_low_rank(name)):
        full, reduced = encoder.full_projection(name).double(), encoder.projection(name).double()
        expected = full.T @ full
        assert (reduced.T @ reduced - expected).norm() <= 1e-6 * expected.norm()


def test_style_distance_through_reduced_heads_is_that_of_the_full_channels(encoder: Compact) -> None:
    generator = torch.Generator().manual_seed(0)
    moments = []
    for _ in range(2):
        features = encoder(torch.rand(1, 3, 32, 40, generator=generator), ["relu3_1"])["relu3_1"]
        rows = torch.cat([features[0].flatten(1), torch.ones(1, features[0, 0].numel())]).double()
        moments.append(rows @ rows.T / rows.shape[1])
    difference = moments[0] - moments[1]
    full, reduced = encoder.full_projection("relu3_1").double(), encoder.projection("relu3_1").double()
    torch.testing.assert_close(
        (reduced @ difference @ reduced.T).norm(), (full @ difference @ full.T).norm(), rtol=1e-5, atol=0
    )


def test_reduction_of_a_head_is_upper_triangular_with_a_diagonal_not_negative() -> None:
    reduced = reduced_projection(torch.randn(20, 6, generator=torch.Generator().manual_seed(1)))
    assert torch.equal(reduced, reduced.triu())
    assert (reduced.diagonal() >= 0).all()


def with_estimate(layer: str, estimate: Tensor, pooling: str = "max") -> Compact:
    return Compact(load_file(compact.WEIGHTS) | {f"{layer}.estimate": estimate}, pooling=pooling)


def test_a_style_image_is_seen_through_its_estimates(encoder: Compact) -> None:
    names = ["relu2_1", "relu2_2", "relu1_1", "relu1_2"]
    assert encoder.estimated_from("relu2_1") == names
    num_inputs = sum(encoder.layers[name].channels for name in names)
    estimate = 0.1 * torch.randn(48, num_inputs + 1, generator=torch.Generator().manual_seed(0))
    image = torch.rand(1, 3, 25, 38)
    features = encoder(image, names)
    pooled = [torch.nn.functional.max_pool2d(features[name], 2) for name in names[2:]]
    inputs = torch.cat([features["relu2_1"], features["relu2_2"], *pooled, torch.ones_like(pooled[0][:, :1])], 1)
    expected = torch.einsum("kc,bchw->bkhw", estimate, inputs)
    estimated = with_estimate("relu2_1", estimate)
    assert estimated.style_sources("relu2_1") == names
    (seen,) = estimated.iter_style_features(image, ["relu2_1"])
    assert seen[0] == "relu2_1"
    torch.testing.assert_close(seen[1], expected, atol=1e-4, rtol=1e-4)
    assert estimated(image, ["relu2_1"])["relu2_1"].equal(features["relu2_1"])  # pictures are not


def test_estimates_are_for_max_pooling() -> None:
    encoder = with_estimate("relu2_1", torch.zeros(48, 129), pooling="average")
    image = torch.rand(1, 3, 16, 16)
    assert dict(encoder.iter_style_features(image, ["relu2_1"]))["relu2_1"].equal(
        encoder(image, ["relu2_1"])["relu2_1"]
    )


def test_all_style_layers_of_the_bundled_file_but_the_deepest_are_estimated(encoder: Compact) -> None:
    *estimated, deepest = encoder.style_layers
    assert encoder.style_sources(deepest) == [deepest]
    for layer in estimated:
        assert encoder.style_sources(layer) == encoder.estimated_from(layer)


def test_features_of_a_style_image_are_let_go_when_no_layer_waits_for_them(encoder: Compact) -> None:
    alive: dict[str, weakref.ref[Tensor]] = {}
    iter_features = encoder.iter_features

    def watched(image: Tensor, layers: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        for name, features in iter_features(image, layers):
            alive[name] = weakref.ref(features)
            yield name, features
            del features

    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoder, "iter_features", watched)
        layers = list(encoder.style_layers)
        seen = {}
        for layer, features in encoder.iter_style_features(torch.rand(1, 3, 32, 32), layers):
            del features
            seen[layer] = {name for name, reference in alive.items() if reference() is not None}
    assert list(seen) == layers  # each when its sources are there
    assert not {name for name in seen["relu4_1"] if name < "relu3"}
    assert seen["relu5_1"] <= {"relu5_1"}


@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("padding", ["zero", "reflect", "replicate"])
def test_any_pooling_and_padding_gives_finite_features_of_the_same_shape(pooling: str, padding: str) -> None:
    features = load_compact(pooling=pooling, padding=padding)(torch.rand(1, 3, 40, 48), ["relu5_1"])["relu5_1"]
    assert features.shape[2:] == (2, 3)
    assert features.isfinite().all()


def test_unknown_layer_is_named_with_the_closest_known_one(encoder: Compact) -> None:
    with pytest.raises(LayerError, match=r"Unknown layer 'relu5_2' of compact\. Did you mean 'relu5_1'\?"):
        encoder.full_projection("relu5_2")


def test_damaged_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    data = bytearray(compact.WEIGHTS.read_bytes())
    data[len(data) // 2] ^= 1
    damaged = tmp_path / "compact.safetensors"
    damaged.write_bytes(data)
    with pytest.raises(WeightsError, match="is damaged: its SHA-256 begins with"):
        load_compact(path=damaged)


def test_missing_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="cannot be read as weights of the compact encoder"):
        load_compact(path=tmp_path / "compact.safetensors")


def test_file_of_another_network_is_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.safetensors"
    save_file({"x": torch.zeros(1)}, foreign)
    with pytest.raises(WeightsError, match="has format version none"):
        load_compact(path=foreign, sha256=None)
