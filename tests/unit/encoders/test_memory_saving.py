"""The lean way of taking gradients: the same gradient, from less memory."""

import pytest
import torch
from torch import Tensor

from tests.tiny import TinyEncoder

LAYERS = ("relu1_1", "relu2_1", "relu2_2", "relu3_1")


def gradient(encoder: TinyEncoder, image: Tensor, layers: tuple[str, ...] = LAYERS) -> Tensor:
    image = image.clone().requires_grad_()
    features = encoder(image, layers)
    # twice by way of the deepest layer, so that three gradients meet in it
    total = sum((f.float().square().sum() for f in features.values()), start=features["relu3_1"].float().sin().sum())
    return torch.autograd.grad(total, image)[0]


def both(encoder: TinyEncoder, image: Tensor, layers: tuple[str, ...] = LAYERS) -> tuple[Tensor, Tensor]:
    plain = gradient(encoder, image, layers)
    encoder.is_low_memory = True
    return plain, gradient(encoder, image, layers)


@pytest.mark.parametrize("padding", ["zero", "reflect", "replicate"])
@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("size", [(32, 48), (33, 47), (5, 3), (1, 1)])
def test_the_lean_gradient_is_the_plain_one_to_the_last_bit(padding: str, pooling: str, size: tuple[int, int]) -> None:
    plain, lean = both(TinyEncoder(padding=padding, pooling=pooling), torch.rand(1, 3, *size))
    assert plain.abs().max() > 0
    assert lean.equal(plain)


def test_the_lean_gradient_holds_in_half_precision() -> None:
    plain, lean = both(TinyEncoder().to(torch.bfloat16), torch.rand(1, 3, 32, 48))
    assert plain.abs().max() > 0
    assert lean.equal(plain)


def test_a_layer_that_is_pooled_next_may_be_asked_for() -> None:
    plain, lean = both(TinyEncoder(), torch.rand(1, 3, 31, 31), ("relu1_2", "relu2_2", "relu3_1"))
    assert lean.equal(plain)


def test_equal_values_in_a_window_give_the_same_gradient() -> None:
    plain, lean = both(TinyEncoder(), torch.full((1, 3, 24, 24), 0.5))
    assert lean.equal(plain)


def test_features_are_the_same_without_a_gradient() -> None:
    encoder, image = TinyEncoder(), torch.rand(1, 3, 20, 20)
    plain = encoder(image, LAYERS)
    encoder.is_low_memory = True
    assert all(plain[layer].equal(features) for layer, features in encoder(image, LAYERS).items())


def test_less_is_kept_for_the_way_back() -> None:
    def kept_bytes(is_low_memory: bool) -> int:
        encoder = TinyEncoder()
        encoder.is_low_memory = is_low_memory
        weights = {parameter.untyped_storage().data_ptr() for parameter in encoder.parameters()}
        kept: dict[int, int] = {}

        def note(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in weights:
                kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            features = encoder(torch.rand(1, 3, 64, 64, requires_grad=True), ("relu3_1",))
        assert features["relu3_1"].requires_grad
        return sum(kept.values())

    assert kept_bytes(True) < 0.3 * kept_bytes(False)
