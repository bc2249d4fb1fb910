"""Pictures from memory: Pillow images, arrays and tensors, and what is refused."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from impasto.errors import ImageError
from impasto.images import Picture, as_picture, load_picture
from tests.pictures import ADOBE_RGB, GAMMA, Space, card, encoded, exif_block, turned, write_odd


def test_a_picture_is_returned_as_it_is() -> None:
    picture = as_picture(card(channels=3))
    assert as_picture(picture) is picture


def test_paths_are_loaded(tmp_path: Path) -> None:
    Image.fromarray(card(channels=3)).save(tmp_path / "a.png")
    for source in (tmp_path / "a.png", str(tmp_path / "a.png")):
        assert as_picture(source).name == "a.png"


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64, np.float16])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_arrays_of_all_types_mean_the_same_picture(dtype: type, channels: int) -> None:
    eight = card(channels=channels)
    scale = {np.uint8: 1, np.uint16: 257}.get(dtype, 1 / 255)
    picture = as_picture((eight.astype(np.float64) * scale).astype(dtype))
    expected = np.broadcast_to(eight[..., :3], (*eight.shape[:2], 3)) / 255
    assert np.abs(picture.to_numpy()[..., :3] - expected).max() < 1e-3
    assert picture.pixels.dtype == torch.float32
    assert picture.is_gray == (channels == 1)
    assert (picture.alpha is not None) == (channels == 4)
    assert picture.bit_depth == (8 if dtype == np.uint8 else 16)


def test_arrays_of_two_dimensions_and_of_bools_are_gray() -> None:
    mask = np.eye(9, 5, dtype=bool)
    picture = as_picture(mask)
    assert picture.is_gray
    assert torch.equal(picture.pixels[0, 1], torch.from_numpy(mask).float())


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64, torch.bfloat16])
def test_tensors_have_their_channels_first(dtype: torch.dtype) -> None:
    samples = torch.from_numpy(card(channels=3)).permute(2, 0, 1)
    tensor = samples if dtype == torch.uint8 else (samples.double() / 255).to(dtype)
    for source in (tensor, tensor[None]):
        assert (as_picture(source).pixels[0] - samples / 255).abs().max() < 3e-3


def test_tensors_may_require_a_gradient() -> None:
    assert not as_picture(torch.rand(1, 3, 4, 5, requires_grad=True)).pixels.requires_grad


def test_the_source_array_is_left_alone() -> None:
    array = np.random.default_rng(0).random((6, 7, 3), dtype=np.float32)
    before = array.copy()
    as_picture(array).pixels.zero_()
    assert np.array_equal(array, before)


def test_pictures_from_memory_carry_their_hash_and_no_name() -> None:
    array = card(channels=3)
    picture = as_picture(array)
    assert picture.sha256 == hashlib.sha256(array.tobytes()).hexdigest()
    assert picture.name == ""


@pytest.mark.parametrize(
    "mode", ["1", "L", "LA", "P", "RGB", "RGBA", "RGBa", "La", "CMYK", "YCbCr", "HSV", "I;16", "I"]
)
def test_pillow_images_of_all_modes_are_taken(mode: str) -> None:
    source = Image.fromarray(card(channels=4)).convert({"RGBa": "RGBA", "La": "LA"}.get(mode, "RGB"))
    image = source.convert("L").convert(mode) if mode.startswith("I") else source.convert(mode)
    picture = as_picture(image)
    assert picture.size == (24, 40)
    assert picture.is_gray == (mode in ("1", "L", "LA", "La", "I;16", "I"))
    assert (picture.alpha is not None) == (mode in ("LA", "RGBA", "RGBa", "La"))


def test_pillow_images_of_floats_are_clamped_and_say_so() -> None:
    picture = as_picture(Image.fromarray(np.array([[-1.0, 0.5, 2.0]], np.float32)))
    assert picture.pixels[0, 0].tolist() == [[0.0, 0.5, 1.0]]
    assert picture.notes == ("floating point: taken as sRGB, values outside 0 to 1 are clamped",)


def test_pillow_images_are_turned_upright_and_leave_their_profile() -> None:
    upright, space = card(channels=3), Space(ADOBE_RGB, GAMMA)
    image = Image.fromarray(turned(upright, 6))
    image.info |= {"exif": exif_block(orientation=6).tobytes(), "icc_profile": space.profile()}
    picture = as_picture(image)
    assert np.abs(picture.to_numpy() - space.to_srgb(upright / 255)).max() * 255 <= 1
    assert picture.profile == space.profile()


@pytest.mark.parametrize("kind", ["jpeg", "png", "tiff", "webp"])
@pytest.mark.parametrize("orientation", [3, 6])
def test_files_opened_by_pillow_are_turned_like_files(kind: str, orientation: int, tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_odd(path, turned(card(channels=3), orientation), kind, orientation=orientation)
    with Image.open(path) as image:
        assert torch.equal(as_picture(image).pixels, load_picture(path).pixels)


def test_transparent_palettes_become_alpha() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putdata([0, 1])
    image.info["transparency"] = 1
    picture = as_picture(image)
    assert picture.alpha is not None
    assert picture.alpha.flatten().tolist() == [1.0, 0.0]
    assert picture.pixels[0, :, 0, 0].tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (np.zeros((4, 5, 2), np.uint8), "The array has shape (4, 5, 2); it must be (H, W)"),
        (np.zeros((3, 40, 50), np.uint8), "If channels come first, transpose it."),
        (np.zeros((0, 5, 3), np.uint8), "The array has shape (0, 5, 3); it must be (H, W)"),
        (np.zeros((4, 5, 3), np.int64), "The array's type is int64; it must be uint8"),
        (np.full((4, 5, 3), 128.0), "go from 128 to 128; floating point must lie in [0, 1]. Divide by 255"),
        (np.full((4, 5, 3), -0.5), "go from -0.5 to -0.5; floating point must lie in [0, 1]."),
        (np.full((4, 5, 3), np.nan), "go from nan to nan; floating point must lie in [0, 1]."),
        (np.zeros((4, 5, 3), complex), "The array's type is complex128; it must be uint8"),
        (torch.zeros(40, 50, 3), "If channels come last, permute it."),
        (torch.zeros(2, 3, 4, 5), "The tensor has shape (2, 3, 4, 5); it must be (C, H, W) or (1, C, H, W)"),
        (torch.zeros(3, 4, 5, dtype=torch.int64), "The array's type is int64; it must be uint8"),
        (torch.zeros(3, 0, 5), "The array has shape (0, 5, 3); it must be (H, W)"),
        (12, "tensor or Picture, got int."),
        (None, "tensor or Picture, got NoneType."),
    ],
)
def test_what_is_no_picture_is_refused_with_the_way_out(source: Any, words: str) -> None:
    with pytest.raises(ImageError) as caught:
        as_picture(source)
    assert words in str(caught.value)


def test_pictures_from_memory_obey_the_limit_of_pixels() -> None:
    for source in (card(channels=3), Image.fromarray(card(channels=3))):
        with pytest.raises(ImageError, match="has 40×24 pixels; at most 959 are allowed"):
            as_picture(source, max_pixels=24 * 40 - 1)


def test_a_truncated_pillow_image_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(
        encoded(Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)), "PNG")[:5000]
    )
    with Image.open(path) as image, pytest.raises(ImageError, match=r"^The Pillow image cannot be decoded: "):
        as_picture(image)


def test_pictures_go_back_to_arrays_and_pillow_images_exactly() -> None:
    array = card(channels=4)
    picture = as_picture(array)
    assert isinstance(picture, Picture)
    assert np.array_equal(np.asarray(picture.to_pil()), array)
    assert np.array_equal(np.rint(picture.to_numpy() * 255), array)
