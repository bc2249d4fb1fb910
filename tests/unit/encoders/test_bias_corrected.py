import pytest
import torch
from torch import Tensor

from impasto.encoders.bias_corrected import Corrected, Overheard, Translated
from impasto.encoders.compact import Compact, load_compact
from impasto.encoders.vgg import VGG, build_vgg
from impasto.errors import EncoderError

LAYERS = ("relu1_1", "relu4_2", "relu5_1")


def picture(seed: int) -> Tensor:
    return torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def narrow() -> Compact:
    return load_compact()


@pytest.fixture(scope="module")
def wide() -> VGG:
    torch.manual_seed(0)
    return build_vgg("vgg19")


def test_a_translation_is_as_close_to_the_wide_features_as_a_head_can_come(narrow: Compact, wide: VGG) -> None:
    translated, features = Translated(narrow, wide)(picture(0), LAYERS), wide(picture(0), LAYERS)
    for layer in LAYERS:
        projection = narrow.full_projection(layer).double()
        back = (
            torch.einsum("kc,bchw->bkhw", projection[:, :-1], translated[layer].double())
            + projection[:, -1][:, None, None]
        )
        rest = back - features[layer]
        reachable = torch.einsum("kc,bkhw->bchw", projection[:, :-1], rest)
        assert reachable.norm() <= 1e-5 * projection.norm() * rest.norm()


def test_at_its_picture_a_corrected_encoder_says_what_the_wide_one_does(narrow: Compact, wide: VGG) -> None:
    translated = Translated(narrow, wide)
    said, own = Corrected(translated, picture(0))(picture(0), LAYERS), narrow(picture(0), LAYERS)
    for layer, expected in translated(picture(0), LAYERS).items():
        rounding = 1e-6 * float(own[layer].abs().max())  # of what comes and goes
        torch.testing.assert_close(said[layer], expected, rtol=1e-6, atol=rounding)


def test_elsewhere_it_moves_as_the_narrow_one_does(narrow: Compact, wide: VGG) -> None:
    corrected = Corrected(Translated(narrow, wide), picture(0))
    steps = [
        {layer: end - start for layer, start, end in
         ((layer, encoder(picture(0), LAYERS)[layer], encoder(picture(1), LAYERS)[layer]) for layer in LAYERS)}
        for encoder in (narrow, corrected)
    ]  # fmt: skip
    for layer in LAYERS:
        torch.testing.assert_close(steps[0][layer], steps[1][layer], atol=1e-4, rtol=1e-4)


def test_the_wide_encoder_is_asked_once(narrow: Compact, wide: VGG, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    forward = wide.forward
    monkeypatch.setattr(wide, "forward", lambda image, layers: calls.append(1) or forward(image, layers))
    corrected = Corrected(Translated(narrow, wide), picture(0))
    for seed in range(3):
        corrected(picture(seed), LAYERS)
    assert len(calls) == 1


def test_what_is_overheard_is_not_asked_again(narrow: Compact, wide: VGG, monkeypatch: pytest.MonkeyPatch) -> None:
    translated, image = Translated(narrow, wide), picture(0)
    expected = translated(image, LAYERS)
    assert Overheard(translated)(image, LAYERS)["relu5_1"].equal(wide(image, LAYERS)["relu5_1"])
    with monkeypatch.context() as patch:
        patch.setattr(wide, "forward", lambda *_: pytest.fail("asked again"))
        for layer, features in translated(image, LAYERS).items():
            assert features.equal(expected[layer])
    assert translated(image, LAYERS)["relu5_1"].equal(expected["relu5_1"])  # only once


def test_gradients_are_the_narrow_ones(narrow: Compact, wide: VGG) -> None:
    corrected = Corrected(Translated(narrow, wide), picture(0))
    gradients = []
    for encoder in (narrow, corrected):
        image = picture(1).requires_grad_()
        encoder(image, LAYERS)["relu5_1"].sum().backward()
        gradients.append(image.grad)
    assert gradients[0].equal(gradients[1])


def test_another_encoder_than_the_imitated_one_is_refused(narrow: Compact) -> None:
    with pytest.raises(EncoderError, match="compact imitates vgg19, not vgg16"):
        Translated(narrow, build_vgg("vgg16"))
