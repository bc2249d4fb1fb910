"""The built-in encoders: what is special about each of them, by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from impasto.encoders import compact
from impasto.encoders.base import Encoder
from impasto.encoders.vgg import build_vgg
from impasto.encoders.weights.reading import load_weights
from impasto.errors import RecipeError, did_you_mean


@dataclass(frozen=True)
class PublishedCheckpoint:
    """A file of torchvision's with an encoder's weights.

    Attributes:
        file: Its name; what follows the dash is the start of its SHA-256.
        prefix: Of the names of the tensors that are kept of it.
        part: What these are, in words.
        check: Takes the kept tensors; raises `EncoderError` if they are not the encoder's.
    """

    file: str
    prefix: str
    part: str
    check: Callable[[Mapping[str, Tensor]], None]


@dataclass(frozen=True)
class EncoderSpec:
    """A built-in encoder: how it is built, and where its weights come from.

    Attributes:
        name: As in the recipe.
        load: Builds it from a file of weights, with a pooling and a padding; raises `WeightsError` if that cannot be.
        outline: Builds it with random weights, with a pooling and a padding; None if its weights are always at hand.
        published: Where its weights are downloaded from; None if they are bundled.
        bundled_file: Its weights within the package; None if they are downloaded.
    """

    name: str
    load: Callable[[Path, str, str], Encoder]
    outline: Callable[[str, str], Encoder] | None = None
    published: PublishedCheckpoint | None = None
    bundled_file: Path | None = None


def find_spec(name: str) -> EncoderSpec:
    """The built-in encoder of a name.

    Raises:
        RecipeError: If there is none.
    """
    if name not in ENCODERS:
        raise RecipeError(f"Unknown model '{name}'. {did_you_mean(name, ENCODERS)}")
    return ENCODERS[name]


def _vgg(name: str, file: str) -> EncoderSpec:
    """A VGG with torchvision's weights."""

    def load(path: Path, pooling: str, padding: str) -> Encoder:
        encoder = build_vgg(name, pooling=pooling, padding=padding, is_random=False)
        encoder.weights_sha256 = load_weights(path, encoder.load_torchvision)
        return encoder

    def outline(pooling: str, padding: str) -> Encoder:
        return build_vgg(name, pooling=pooling, padding=padding)

    def check(kept: Mapping[str, Tensor]) -> None:
        build_vgg(name, is_random=False).load_torchvision(kept)

    published = PublishedCheckpoint(file, prefix="features.", part="convolutional part", check=check)
    return EncoderSpec(name, load=load, outline=outline, published=published)


def _load_compact(file: Path, pooling: str, padding: str) -> Encoder:
    sha256 = compact.SHA256 if file == compact.WEIGHTS else None
    return compact.load_compact(pooling=pooling, padding=padding, path=file, sha256=sha256)


ENCODERS: Mapping[str, EncoderSpec] = {
    spec.name: spec
    for spec in (
        _vgg("vgg19", "vgg19-dcbb9e9d.pth"),  # both are IMAGENET1K_V1
        _vgg("vgg16", "vgg16-397923af.pth"),
        EncoderSpec("compact", load=_load_compact, bundled_file=compact.WEIGHTS),
    )
}
"""The encoders that a recipe can name without a file."""
