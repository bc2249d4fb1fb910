"""The compact encoder: a narrow network that imitates VGG19, bundled with the package.

It has the topology of VGG19 down to relu5_1. Its early layers have a quarter to a half of VGG19's channels. Each of
them carries a *projection*, the affine map from its own channels to those of VGG19, so that losses can be measured in
the space of VGG19. Its late layers have all of VGG19's channels, by convolutions of low rank (`low_rank`). For style
images, which are looked at once, it carries *estimates*: linear maps from more layers than one. `training/` makes the
file.
"""

import hashlib
import itertools
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from impasto.encoders.low_rank import LowRankConv
from impasto.encoders.vgg import CONTENT_LAYERS, STYLE_LAYERS, VGG
from impasto.errors import WeightsError
from impasto.recipe import TEACHERS

WEIGHTS = Path(__file__).with_name("compact.safetensors")
"""The bundled file."""

SHA256 = "0f2a743b3ca17fa8ca5d11d9f9a9b35e6d9d906fc3a412db8dfa20f72915d494"
"""Of the bundled file."""

FORMAT_VERSION = "2"
"""Of the file's layout: ``<layer>.weight`` and ``<layer>.bias``, then ``<layer>.head``, or, of a factored layer,
``<layer>.expand`` and perhaps ``<layer>.squeeze``; and perhaps ``<layer>.estimate``, all in float16."""

NUM_CONVS = (2, 2, 4, 4, 1)
"""Convolutions in each block: VGG19's down to relu5_1."""


class Compact(VGG):
    """A narrow VGG with projections to the channels of the VGG19 that it imitates, and factored layers.

    Args:
        state: Weight, bias and projection (or factors) of each layer, and perhaps its estimate, under the file's names,
            in any floating precision.
        pooling: See `VGG`.
        padding: See `VGG`.

    Attributes:
        teacher: Name of the VGG19 that the projections lead to.
    """

    teacher = TEACHERS["compact"]
    # More pleases VGG19 better and leaves the dial no room: python -m benchmarks.style_underestimate
    style_underestimate = 1.75

    def __init__(self, state: Mapping[str, Tensor], *, pooling: str = "max", padding: str = "zero") -> None:
        names = [[f"relu{block}_{index + 1}" for index in range(count)] for block, count in enumerate(NUM_CONVS, 1)]
        super().__init__(
            "compact",
            [[len(state[f"{layer}.bias"]) for layer in block] for block in names],
            content_layers=CONTENT_LAYERS["vgg19"],
            style_layers=STYLE_LAYERS["vgg19"],
            pooling=pooling,
            padding=padding,
            factors={
                layer: (len(state.get(f"{layer}.squeeze", ())), len(state[f"{layer}.weight"]))
                for layer in itertools.chain(*names)
                if f"{layer}.expand" in state
            },
        )
        self.convs.load_state_dict({name: state[name] for name in self.convs.state_dict()})
        self._full_projections = {  # cloned, to let go of the file
            layer: state[f"{layer}.head"].clone() for layer in self.layers if not self.is_low_rank(layer)
        }
        self._estimates = {
            layer: state[name].clone() for layer in self.layers if (name := f"{layer}.estimate") in state
        }
        self._projections: dict[str, Tensor] = {}  # reduced when first asked for: a recipe looks at few layers

    def is_low_rank(self, layer: str) -> bool:
        """Whether a layer has all of VGG19's channels, so that no projection leads there."""
        return isinstance(self.convs[layer], LowRankConv)

    def iter_style_features(self, image: Tensor, layers: Collection[str]) -> Iterator[tuple[str, Tensor]]:
        """See `Encoder.iter_style_features`: a layer's estimate, if the file has one, takes the place of its features.

        Estimates are made for max pooling; with another one the features are returned as they are.
        """
        self.check_layers(layers)
        waiting = {layer: set(self.style_sources(layer)) for layer in layers}
        features: dict[str, Tensor] = {}
        for name, seen in self.iter_features(image, set().union(*waiting.values())):
            features[name] = seen
            for layer in [layer for layer, sources in waiting.items() if sources <= features.keys()]:
                yield layer, self._estimate(layer, features) if self._is_estimated(layer) else features[layer]
                del waiting[layer]
            features = {
                name: features[name] for name in features if any(name in sources for sources in waiting.values())
            }

    def style_sources(self, layer: str) -> Collection[str]:
        """See `Encoder.style_sources`."""
        return self.estimated_from(layer) if self._is_estimated(layer) else [layer]

    def estimated_from(self, layer: str) -> list[str]:
        """What a layer is estimated from: itself, the rest of its block, and the block before, which is max-pooled."""
        stride = self.layers[layer].stride
        around = [[name for name, other in self.layers.items() if other.stride == s] for s in (stride, stride // 2)]
        return [layer, *(name for names in around for name in names if name != layer)]

    def as_input(self, name: str, features: Tensor, layer: str) -> Tensor:
        """Features of a layer in the grid of the one that is estimated from it."""
        return features if self.layers[name].stride == self.layers[layer].stride else F.max_pool2d(features, 2)

    def _is_estimated(self, layer: str) -> bool:
        return layer in self._estimates and self.pooling == "max"

    def _estimate(self, layer: str, features: Mapping[str, Tensor]) -> Tensor:
        names = self.estimated_from(layer)
        estimate = self._estimates[layer].float().to(self.mean.device)
        widths = [*(self.layers[name].channels for name in names), 1]
        *parts, constant = torch.split(estimate, widths, dim=1)
        result: Tensor = constant[:, :, None]
        for name, part in zip(names, parts, strict=True):  # one after the other: together they would take much memory
            result = result + F.conv2d(self.as_input(name, features[name], layer).float(), part[:, :, None, None])
        return result.to(features[layer].dtype)

    def full_projection(self, layer: str) -> Tensor:
        """The affine map from this layer's features to VGG19's: ``H[:, :-1] @ features + H[:, -1:]``.

        Args:
            layer: A layer's name.

        Returns:
            A float32 matrix of shape (VGG19's channels, C + 1); the identity for a factored layer.
        """
        self.check_layers([layer])
        if self.is_low_rank(layer):
            channels = self.layers[layer].channels
            return torch.eye(channels, channels + 1, device=self.mean.device)
        return self._full_projections[layer].float().to(self.mean.device)

    def projection(self, layer: str) -> Tensor | None:
        """The full projection without its silent directions: see `reduced_projection` and `Encoder.projection`."""
        self.check_layers([layer])
        if self.is_low_rank(layer):
            return None
        if layer not in self._projections:
            self._projections[layer] = reduced_projection(self._full_projections[layer])
        return self._projections[layer].to(self.mean.device)


def reduced_projection(projection: Tensor) -> Tensor:
    """The smallest matrix with the same inner products: R with ``Rᵀ R = Hᵀ H``.

    Gram matrices, covariances and squared distances are then those of the full space up to a rotation, so every loss
    that is a function of inner products has exactly its value there, at a fraction of the cost.

    Args:
        projection: H of shape (C_out, C + 1).

    Returns:
        Float32, upper triangular, shape (min(C_out, C + 1), C + 1), its diagonal not negative, which makes it unique.
    """
    triangle: Tensor = torch.linalg.qr(projection.double(), mode="r").R
    signs = torch.where(triangle.diagonal() < 0, -1.0, 1.0).to(triangle)
    reduced: Tensor = signs[:, None] * triangle
    return reduced.float()


def load_compact(
    *, pooling: str = "max", padding: str = "zero", path: Path = WEIGHTS, sha256: str | None = SHA256
) -> Compact:
    """Loads the compact encoder.

    Args:
        pooling: ``"max"`` (what it is trained for) or ``"average"``.
        padding: ``"zero"`` (what it is trained for), ``"reflect"`` or ``"replicate"``.
        path: Another file of the same format.
        sha256: What the file must hash to; None accepts any file.

    Raises:
        WeightsError: If the file is missing, damaged, or of another format.
    """
    try:
        with path.open("rb") as stream:
            actual = hashlib.file_digest(stream, "sha256").hexdigest()
        if sha256 is not None and actual != sha256:
            raise WeightsError(
                f"'{path.name}' is damaged: its SHA-256 begins with {actual[:12]}, {sha256[:12]} is expected. "
                "Install Impasto again."
            )
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
        version = metadata.get("format_version", "none")
        if version != FORMAT_VERSION:
            raise WeightsError(f"'{path.name}' has format version {version}, {FORMAT_VERSION} is needed.")
        encoder = Compact(load_file(path), pooling=pooling, padding=padding)
    except (OSError, SafetensorError, KeyError, RuntimeError) as error:
        raise WeightsError(f"'{path.name}' cannot be read as weights of the compact encoder: {error}.") from None
    encoder.weights_sha256 = actual
    return encoder
