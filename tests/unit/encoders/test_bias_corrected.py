import pytest
import torch
from torch import Tensor

from impasto.encoders.bias_corrected import BiasCorrectedEncoder
from impasto.encoders.compact import Compact, load_compact
from impasto.encoders.vgg import VGG, build_vgg
from impasto.errors import EncoderError

LAYERS = ("relu1_1", "relu4_2", "relu5_1")


def picture(seed: int) -> Tensor:
    return torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def student() -> Compact:
    return load_compact()


@pytest.fixture(scope="module")
def teacher() -> VGG:
    torch.manual_seed(0)
    return build_vgg("vgg19")


@pytest.fixture
def corrected(student: Compact, teacher: VGG) -> BiasCorrectedEncoder:
    return BiasCorrectedEncoder(student, teacher, picture(0))


@pytest.fixture
def looks(teacher: VGG, monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The pictures that the teacher looks at."""
    looks, forward = [], teacher.forward
    monkeypatch.setattr(teacher, "forward", lambda image, layers: looks.append(image) or forward(image, layers))
    return looks


def test_targets_are_as_close_to_the_teachers_features_as_a_projection_can_come(
    corrected: BiasCorrectedEncoder, student: Compact, teacher: VGG
) -> None:
    targets, features = dict(corrected.iter_content_features(picture(1), LAYERS)), teacher(picture(1), LAYERS)
    for layer in LAYERS:
        projection = student.full_projection(layer).double()
        back = (
            torch.einsum("kc,bchw->bkhw", projection[:, :-1], targets[layer].double())
            + projection[:, -1][:, None, None]
        )
        rest = back - features[layer]
        reachable = torch.einsum("kc,bkhw->bchw", projection[:, :-1], rest)
        assert reachable.norm() <= 1e-5 * projection.norm() * rest.norm()


def test_styles_are_looked_at_as_the_content_is(corrected: BiasCorrectedEncoder) -> None:
    image = torch.rand(1, 3, 40, 24)  # a style has a size of its own
    content, style = (
        dict(look(image, LAYERS)) for look in (corrected.iter_content_features, corrected.iter_style_features)
    )
    assert all(style[layer].equal(content[layer]) for layer in LAYERS)


def test_at_its_picture_it_says_what_the_teacher_does(corrected: BiasCorrectedEncoder, student: Compact) -> None:
    said, own = corrected(picture(0), LAYERS), student(picture(0), LAYERS)
    for layer, expected in corrected.iter_content_features(picture(0), LAYERS):
        rounding = 1e-6 * float(own[layer].abs().max())  # of what comes and goes
        torch.testing.assert_close(said[layer], expected, rtol=1e-6, atol=rounding)


def test_elsewhere_it_moves_as_the_student_does(corrected: BiasCorrectedEncoder, student: Compact) -> None:
    steps = [
        {layer: end - start for layer, start, end in
         ((layer, encoder(picture(0), LAYERS)[layer], encoder(picture(1), LAYERS)[layer]) for layer in LAYERS)}
        for encoder in (student, corrected)
    ]  # fmt: skip
    for layer in LAYERS:
        torch.testing.assert_close(steps[0][layer], steps[1][layer], atol=1e-4, rtol=1e-4)


def test_the_teacher_is_asked_once_for_the_bias(corrected: BiasCorrectedEncoder, looks: list[Tensor]) -> None:
    for seed in range(3):
        corrected(picture(seed), LAYERS)
    assert len(looks) == 1


def test_what_the_teacher_was_asked_is_not_asked_again(
    corrected: BiasCorrectedEncoder, teacher: VGG, looks: list[Tensor]
) -> None:
    content, style = picture(1), picture(2)
    recording = corrected.recording_teacher()
    expected = {seed: dict(corrected.iter_content_features(picture(seed), LAYERS)) for seed in (1, 2)}
    assert dict(recording.iter_content_features(content, LAYERS))["relu5_1"].equal(teacher(content, LAYERS)["relu5_1"])
    assert dict(recording.iter_style_features(style, LAYERS))["relu5_1"].equal(teacher(style, LAYERS)["relu5_1"])
    looks.clear()
    style_targets = dict(corrected.iter_style_features(style, LAYERS))
    content_targets = dict(corrected.iter_content_features(content, LAYERS))
    assert not looks
    assert all(content_targets[layer].equal(expected[1][layer]) for layer in LAYERS)
    assert all(style_targets[layer].equal(expected[2][layer]) for layer in LAYERS)
    assert dict(corrected.iter_content_features(content, LAYERS))["relu5_1"].equal(expected[1]["relu5_1"])
    assert len(looks) == 1  # it is kept for one use


@pytest.mark.parametrize(("image", "layers"), [("equal", LAYERS), ("same", LAYERS[:2])])
def test_another_picture_or_other_layers_are_asked_of_the_teacher(
    corrected: BiasCorrectedEncoder, looks: list[Tensor], image: str, layers: tuple[str, ...]
) -> None:
    content = picture(1)
    corrected.recording_teacher()(content, LAYERS)
    looks.clear()
    seen = dict(corrected.iter_content_features(content if image == "same" else content.clone(), layers))
    assert seen.keys() == set(layers)
    assert len(looks) == 1


def test_gradients_are_the_students(corrected: BiasCorrectedEncoder, student: Compact) -> None:
    gradients = []
    for encoder in (student, corrected):
        image = picture(1).requires_grad_()
        encoder(image, LAYERS)["relu5_1"].sum().backward()
        gradients.append(image.grad)
    assert gradients[0].equal(gradients[1])


def test_another_teacher_than_the_imitated_one_is_refused(student: Compact) -> None:
    with pytest.raises(EncoderError, match=r"^compact imitates vgg19, not vgg16\.$"):
        BiasCorrectedEncoder(student, build_vgg("vgg16"), picture(0))
