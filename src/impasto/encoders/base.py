"""The contract of an encoder: a frozen network that turns a picture into named feature maps."""

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from impasto.errors import LayerError, did_you_mean

COARSEST = 8
"""Stride of the coarsest layer in a hypercolumn."""


DTYPES: Mapping[str, torch.dtype] = {
    "float32": torch.float32,
    "tf32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
"""Of weights and features, by precision."""


@dataclass(frozen=True)
class Layer:
    """What a recipe and a memory estimate need to know of a layer without running it.

    Attributes:
        channels: Channels of its feature map.
        stride: Pixels of the picture between two of its positions.
        inner: Channels of the maps, of the same stride, that it is computed by and that no recipe can name.
        reach: Pixels of the picture, past those that a position stands for, that it depends on, on each side; None if
            that is unknown or all of the picture.
    """

    channels: int
    stride: int
    inner: int = 0
    reach: int | None = None


class Encoder(nn.Module, ABC):
    """A frozen network whose layers are asked for by name.

    Preprocessing is the encoder's own affair: it takes RGB in [0, 1] and does what its network was trained on.

    Attributes:
        name: As in the recipe, ``"vgg19"``.
        layers: All layers by name, in the order in which they are computed.
        content_layers: Layers (with weights) of the content loss where the recipe names none.
        style_layers: Layers (with weights) of the style loss where the recipe names none.
        weights_sha256: Of the weights' file, empty if they came from none.
        supports_low_memory: Whether it knows how to keep less for the gradient.
        is_low_memory: Whether it does so: the gradient stays the same, about half of the memory is needed.
        style_underestimate: By what factor it underestimates the style distance of pictures that were painted with it;
            1 for a network that is its own measure, more for one that imitates another.
        precision: Of its weights and features, as in the recipe.
    """

    name: str
    layers: Mapping[str, Layer]
    content_layers: Mapping[str, float]
    style_layers: Mapping[str, float]
    weights_sha256: str = ""
    supports_low_memory: bool = False
    is_low_memory: bool = False
    style_underestimate: float = 1.0
    precision: str = "float32"

    @abstractmethod
    def forward(self, image: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
        """Computes the asked layers, and nothing past the deepest of them.

        Args:
            image: Pictures of shape (B, 3, H, W), RGB float32 in [0, 1], of any size from 1×1.
            layers: Names of layers.

        Returns:
            Feature maps of shape (B, C, H', W') by layer name, in the encoder's precision.

        Raises:
            LayerError: If a name is unknown.
        """

    def iter_features(self, image: Tensor, layers: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        """The asked layers one by one, by name; arguments and errors as in `forward`.

        An encoder that computes a layer only when it is asked for the next one is leaner and faster: what is done with
        a layer in between comes, on the way back, after all that follows the layer.
        """
        yield from self(image, layers).items()

    def iter_content_features(self, image: Tensor, layers: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        """The asked layers of the content image, which is looked at once; see `iter_style_features`."""
        yield from self.iter_features(image, layers)

    def iter_style_features(self, image: Tensor, layers: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        """The asked layers of a style image, which is looked at once, so that an encoder may spend more on it.

        Arguments and errors as in `forward`.
        """
        yield from self.iter_features(image, layers)

    def style_sources(self, layer: str) -> Collection[str]:
        """The layers that `iter_style_features` computes for the layer asked for."""
        return [layer]

    def projection(self, layer: str) -> Tensor | None:
        """The linear map that takes this layer's features to the space in which losses are to be measured.

        A narrow encoder that imitates a wide one publishes, for each layer, the affine map back to the wide one's
        channels. Losses apply it to statistics (``H S Hᵀ``), never to whole feature maps.

        Args:
            layer: A layer's name.

        Returns:
            A float32 matrix of shape (K, C + 1), its last column the constant; None for the identity.
        """
        self.check_layers([layer])
        return None

    def reach(self, layers: Collection[str]) -> int | None:
        """How far the asked layers look past what their positions stand for, in pixels; None if one cannot say."""
        reaches = [self.layers[layer].reach for layer in layers]
        known = [reach for reach in reaches if reach is not None]
        return None if len(known) < len(reaches) else max(known, default=0)

    def alignment(self, layers: Collection[str]) -> int:
        """What a window's first row and column must be multiples of, for positions to fall on those of the whole."""
        return math.lcm(*(self.layers[layer].stride for layer in layers))

    def grid(self, layer: str, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width of a layer's feature map for a picture of a height and width."""
        height, width = (max(1, edge // self.layers[layer].stride) for edge in size)
        return height, width

    @property
    def hypercolumn_layers(self) -> Mapping[str, float]:
        """Layers (with weights) of the style loss ``neighbors``: the style layers, without those of a coarse grid."""
        fine = {name: weight for name, weight in self.style_layers.items() if self.layers[name].stride <= COARSEST}
        return fine or self.style_layers

    def check_layers(self, layers: Collection[str]) -> None:
        """Raises `LayerError` for the first name that is no layer of this encoder."""
        for layer in layers:
            if layer not in self.layers:
                raise LayerError(f"Unknown layer '{layer}' of {self.name}. {did_you_mean(layer, self.layers)}")

    def expand_layers(self, layers: Mapping[str, float]) -> dict[str, float]:
        """Replaces patterns by the layers that they match, each with the pattern's weight.

        Args:
            layers: Names or patterns with weights. ``*`` stands for any part of a name between two dots, ``**`` for
                any part, ``?`` for one character. A layer that is named or matched twice takes the last weight.

        Raises:
            LayerError: If a name is unknown or a pattern matches nothing.
        """
        expanded: dict[str, float] = {}
        for name, weight in layers.items():
            if name in self.layers or not set("*?") & set(name):
                expanded[name] = weight
                continue
            pattern = re.compile(_as_expression(name))
            matches = [layer for layer in self.layers if pattern.fullmatch(layer)]
            if not matches:
                raise LayerError(
                    f"No layer of {self.name} matches '{name}'. {did_you_mean(name.replace('*', ''), self.layers)}"
                )
            expanded.update(dict.fromkeys(matches, weight))
        self.check_layers(expanded)
        return expanded

    def freeze(self) -> "Encoder":
        """Switches to evaluation and asks for no gradient of any weight; returns itself."""
        self.eval()
        for parameter in self.parameters():
            parameter.requires_grad_(False)
        return self


def is_finite(tensor: Tensor) -> bool:
    """Whether no value is NaN or infinite, in one pass that writes nothing; both show in the extremes."""
    least, largest = tensor.aminmax()
    return bool(least.isfinite() & largest.isfinite())


def _as_expression(pattern: str) -> str:
    """A layer pattern as a regular expression."""
    wild = {"**": ".*", "*": "[^.]*", "?": "[^.]"}
    return "".join(wild.get(part) or re.escape(part) for part in re.split(r"(\*\*|\*|\?)", pattern))
