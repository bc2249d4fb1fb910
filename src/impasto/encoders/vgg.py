"""VGG16 and VGG19: blocks of 3×3 convolutions with ReLU, and pooling between the blocks.

Reference: Simonyan & Zisserman (2014), arXiv:1409.1556, table 1, columns D and E.
"""

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from impasto.encoders.base import Encoder, Layer, is_finite
from impasto.encoders.low_rank import LowRankConv
from impasto.encoders.memory_saving import LowMemoryConv, LowMemoryMaxPool
from impasto.errors import EncoderError

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's RGB values in [0, 1], which torchvision's networks expect to be taken out."""

NUM_CONVS: Mapping[str, Sequence[int]] = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
"""Convolutions in each block."""

WIDTHS = (64, 128, 256, 512, 512)
"""Channels of each block."""

CONTENT_LAYERS: Mapping[str, Mapping[str, float]] = {"vgg16": {"relu3_3": 1.0}, "vgg19": {"relu4_2": 1.0}}
STYLE_LAYERS: Mapping[str, Mapping[str, float]] = {
    "vgg16": dict.fromkeys(("relu1_2", "relu2_2", "relu3_3", "relu4_3"), 1.0),
    "vgg19": dict.fromkeys(("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"), 1.0),
}
"""The classical recipes: Johnson et al. (2016), arXiv:1603.08155, and Gatys et al. (2016), CVPR, section 2."""

HYPERCOLUMN_LAYERS: Mapping[str, float] = {
    "relu1_1": 1.0, "relu1_2": 1.0, "relu2_1": 2.0, "relu2_2": 2.0,
    "relu3_1": 4.0, "relu3_3": 4.0, "relu4_1": 16.0, "relu4_3": 16.0,
}  # fmt: skip
"""Of nearest-neighbor features, where the network has them all: blocks 1 to 4, as Kolkin et al. (2022) found enough.
What fits is mostly for the deepest block to say."""

MEMORY_FORMAT = torch.channels_last
"""Faster than NCHW on processors and accelerators alike."""

AVERAGE_POOLING_GAINS = (1.34, 1.47, 1.35, 1.81)
"""Average pooling shrinks ReLU activations where max pooling keeps the peak: the factors, one a boundary between
blocks, that bring VGG19's features on photographs back to their usual size (`benchmarks/pooling_gains.py`)."""


class _Conv(nn.Conv2d):
    """A convolution whose weights are to be loaded; to draw them first would be time lost."""

    def reset_parameters(self) -> None:
        """Leaves the weights unset, in the order in which they will be used."""
        self.weight.data = torch.empty_like(self.weight, memory_format=MEMORY_FORMAT)

    def draw(self) -> None:
        """Sets random weights."""
        super().reset_parameters()

    def low_memory_forward(self, x: Tensor, keeps_signs: bool) -> Tensor:
        """The output and its ReLU; see `LowMemoryConv`."""
        lean: Tensor = LowMemoryConv.apply(x, self.weight, self.bias, self.padding[0], keeps_signs)  # type: ignore[no-untyped-call]
        return lean


class VGG(Encoder):
    """A VGG's convolutional part, any layer of it by name (``relu4_2``: block 4, convolution 2, after its ReLU).

    Its weights are unset until they are loaded.

    Args:
        name: What the recipe calls it.
        widths: Channels of each convolution, block by block.
        content_layers: See `Encoder`.
        style_layers: See `Encoder`.
        pooling: ``"max"`` or ``"average"`` (its gain corrected).
        padding: ``"zero"``, ``"reflect"``, ``"replicate"`` or ``"circular"``.
        factors: Channels that a layer's convolution squeezes its input to, and its rank, where it is a `LowRankConv`.
    """

    supports_low_memory = True
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        name: str,
        widths: Sequence[Sequence[int]],
        *,
        content_layers: Mapping[str, float],
        style_layers: Mapping[str, float],
        pooling: str = "max",
        padding: str = "zero",
        factors: Mapping[str, tuple[int, int]] | None = None,
    ) -> None:
        super().__init__()
        self.name = name
        self.content_layers, self.style_layers = dict(content_layers), dict(style_layers)
        self.pooling, self.padding = pooling, padding
        self.average_pooling_gains: Sequence[float] = AVERAGE_POOLING_GAINS
        self.convs = nn.ModuleDict()
        self.layers = {}
        channels, reach = 3, 0
        for block, block_widths in enumerate(widths):
            for index, width in enumerate(block_widths):
                reach += 2**block  # of a kernel of 3; a pooling takes its own positions alone
                layer = f"relu{block + 1}_{index + 1}"
                margin = 1 if padding == "zero" else 0
                if squeezed_and_rank := (factors or {}).get(layer):
                    factored = LowRankConv(channels, *squeezed_and_rank, width, padding=margin)
                    self.convs[layer], inner = factored, factored.inner
                else:
                    self.convs[layer], inner = _Conv(channels, width, 3, padding=margin), 0
                self.layers[layer] = Layer(channels=width, stride=2**block, inner=inner, reach=reach)
                channels = width
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1), persistent=False)
        self.memory_format = MEMORY_FORMAT
        self.to(memory_format=MEMORY_FORMAT)  # type: ignore[call-overload]
        self.freeze()

    @property
    def hypercolumn_layers(self) -> Mapping[str, float]:
        """See `Encoder.hypercolumn_layers`."""
        return HYPERCOLUMN_LAYERS if HYPERCOLUMN_LAYERS.keys() <= self.layers.keys() else super().hypercolumn_layers

    def forward(self, image: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
        """Computes the asked layers, and nothing past the deepest of them; see `Encoder.forward`."""
        return dict(self.iter_features(image, layers))

    def iter_features(self, image: Tensor, layers: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        """Computes each layer when it is asked for; see `Encoder.iter_features`."""
        self.check_layers(layers)
        missing = set(layers)
        x = self._preprocess(image, missing)
        stride = 1
        order = list(self.convs)
        for layer, follower in itertools.zip_longest(order, order[1:]):
            if not missing:
                return
            if self.layers[layer].stride > stride:
                x, stride = self._pool(x, stride), self.layers[layer].stride
            is_for_pool = follower is not None and self.layers[follower].stride > stride and layer not in missing
            x = self._conv(layer, self._pad(x), is_for_pool)
            if layer in missing:
                missing.remove(layer)
                yield layer, x

    def _conv(self, layer: str, x: Tensor, is_for_pool: bool) -> Tensor:
        """Convolution and ReLU; `is_for_pool` says that nothing but a pooling will see the output.

        Max pooling and ReLU may change places: the ReLU is then left to `_pool`, which has a quarter of the positions.
        """
        conv = cast(_Conv | LowRankConv, self.convs[layer])
        is_left_to_pool = is_for_pool and self.pooling == "max"
        if self.is_low_memory and x.requires_grad:
            return conv.low_memory_forward(x, keeps_signs=not is_left_to_pool)
        output: Tensor = conv(x)
        if is_left_to_pool:
            return output
        # In place it would take less memory for a moment, but autograd copies what is changed through a view.
        return torch.relu(output) if isinstance(conv, LowRankConv) else torch.relu_(output)

    def _preprocess(self, image: Tensor, layers: Collection[str]) -> Tensor:
        """Normalizes, and continues pictures below the reach of the deepest layer by their edge."""
        reach = max((self.layers[layer].stride for layer in layers), default=1)
        if self.padding == "reflect":
            reach *= 2  # reflection needs two positions
        height, width = image.shape[-2:]
        if height < reach or width < reach:
            image = F.pad(image, (0, max(0, reach - width), 0, max(0, reach - height)), mode="replicate")
        x = (image - self.mean) / self.std
        return x.to(next(self.parameters()).dtype, memory_format=self.memory_format)

    def _pad(self, x: Tensor) -> Tensor:
        return x if self.padding == "zero" else F.pad(x, (1, 1, 1, 1), mode=self.padding)

    def _pool(self, x: Tensor, stride: int) -> Tensor:
        if self.pooling == "max":
            if self.is_low_memory and x.requires_grad:
                return LowMemoryMaxPool.apply(x)  # type: ignore[no-untyped-call, no-any-return]
            return torch.relu_(F.max_pool2d(x, 2))
        return F.avg_pool2d(x, 2) * self.average_pooling_gains[stride.bit_length() - 1]

    def load_torchvision(self, weights: Mapping[str, Tensor]) -> None:
        """Takes weights under torchvision's names, ``features.0.weight`` …; other keys are ignored.

        Raises:
            EncoderError: If a tensor is missing, has another shape, or holds a value that is not finite.
        """
        state = {}
        for layer, index in zip(self.convs, torchvision_indices(self.layers.values()), strict=True):
            for kind, expected in self.convs[layer].named_parameters():
                key = f"features.{index}.{kind}"
                tensor = weights.get(key)
                if tensor is None:
                    raise EncoderError(f"The weights are not {self.name}'s: '{key}' is missing.")
                if tensor.shape != expected.shape:
                    raise EncoderError(
                        f"The weights are not {self.name}'s: '{key}' has shape {tuple(tensor.shape)}, "
                        f"{tuple(expected.shape)} is needed."
                    )
                if not is_finite(tensor):
                    raise EncoderError(f"The weights of {self.name} are damaged: '{key}' holds NaN or infinity.")
                state[f"{layer}.{kind}"] = tensor
        self.convs.load_state_dict(state)


def build_vgg(name: str, *, pooling: str = "max", padding: str = "zero", is_random: bool = True) -> VGG:
    """VGG16 or VGG19 with the layers of its classical recipe, its weights random, or left for others to be loaded."""
    vgg = VGG(
        name,
        [[width] * count for width, count in zip(WIDTHS, NUM_CONVS[name], strict=True)],
        content_layers=CONTENT_LAYERS[name],
        style_layers=STYLE_LAYERS[name],
        pooling=pooling,
        padding=padding,
    )
    if is_random:
        for conv in vgg.convs.values():
            cast(_Conv, conv).draw()
    return vgg


def torchvision_indices(layers: Collection[Layer]) -> list[int]:
    """Positions of the convolutions in torchvision's ``features``, where ReLU and pooling take a place each."""
    indices, index, stride = [], 0, 1
    for layer in layers:
        if layer.stride > stride:
            index, stride = index + 1, layer.stride
        indices.append(index)
        index += 2
    return indices
