"""Any network as an encoder: a user's own, an exported program, one of timm's or torchvision's.

Its layers are what its parts return, by their names in the network; they are found by running it (`calibration`), read
by forward hooks (`hooks`), and brought to one scale, so that one recipe serves all networks.
"""

import hashlib
import logging
import math
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import replace

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from impasto.encoders.base import DTYPES, Encoder
from impasto.encoders.custom.calibration import (
    DiscoveredLayer,
    dead_leaves,
    discover_layers,
    in_words,
    suggest_layers,
)
from impasto.encoders.custom.config import DEFAULT_CONFIG, ModelConfig
from impasto.encoders.custom.hooks import FeatureHooks, OnOutput, StopForward
from impasto.encoders.custom.loading import Loaded, load_network
from impasto.encoders.custom.reach import PROBE, find_reach
from impasto.errors import EncoderError
from impasto.recipe.model_names import public_name

logger = logging.getLogger(__name__)

SMALLEST_EDGE = 64
"""Pixels of the shortest edge of a window that every layer of a picture in tiles must be able to look at."""


class CustomEncoder(Encoder):
    """A custom network with its preprocessing, the layers found in it, and their calibration.

    Each layer is divided by its mean activation on procedural pictures, so that losses, smoothing and half precision
    meet one scale in every network. (Dividing each channel by its own, as Gatys et al. did with VGG's, was measured
    to leave SqueezeNet 1.5 times as far from the style: it gives faint channels a voice that they do not deserve.)

    Args:
        name: What errors call it; it holds no path.
        loaded: The network.
        smoothing: Temperature of the softmax that evens out activations, in units of the mean activation; 0 for none.

    Attributes:
        config: The preprocessing, declared or guessed.
        weights_sha256: Of the file that the network came from; of all its weights if it came from a package.

    Raises:
        EncoderError: If the network has no usable layer.
        LayerError: If the network declares a layer that it does not have.

    Reference: Wang, Li & Vasconcelos (2021), arXiv:2104.05623, section 4 (softmax smoothing). Differs: multiplied by
    the number of values, so that their mean is 1 at every size, and that mean taken off: the relative losses would see
    little but it at high temperatures, where the result now tends to the features' plain deviations.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, name: str, loaded: Loaded, *, smoothing: float = 0.0) -> None:
        super().__init__()
        self.name, self.smoothing = name, smoothing
        self.hooks: FeatureHooks = loaded.hooks
        self.config: ModelConfig = loaded.config or DEFAULT_CONFIG
        if loaded.config is None:
            logger.warning("%s declares no preprocessing; taken to expect %s.", name, DEFAULT_CONFIG.in_words())
        self.freeze()
        self._dtype = next((p.dtype for p in self.hooks.parameters() if p.is_floating_point()), torch.float32)
        device = next((p.device for p in self.hooks.parameters()), torch.device("cpu"))
        for key in ("mean", "std"):
            values = torch.tensor(getattr(self.config, key), device=device).view(3, 1, 1)
            self.register_buffer(key, values, persistent=False)
        kinds = self.hooks.kinds()
        self._discovered: Mapping[str, DiscoveredLayer] = discover_layers(name, self._run, kinds)
        self.layers = {layer: found.layer for layer, found in self._discovered.items()}
        content, style = suggest_layers(self._discovered, kinds)
        self.content_layers = self.expand_layers(self.config.content_layers or content)
        self.style_layers = self.expand_layers(self.config.style_layers or style)
        self.check_layers([*self.content_layers, *self.style_layers])
        self.weights_sha256 = loaded.file_sha256 or _digest(self.hooks)
        self._probed: set[str] = set()  # layers whose reach was looked for
        self._lengths: dict[tuple[str, int], int] = {}

    def forward(self, image: Tensor, layers: Collection[str]) -> dict[str, Tensor]:
        """Computes the asked layers, and nothing past the deepest of them; see `Encoder.forward`.

        Raises:
            LayerError: If a name is unknown.
            EncoderError: If the network raises, or does not come to an asked layer.
        """
        self.check_layers(layers)
        to_come = {layer: self._discovered[layer].calls for layer in layers}
        features: dict[str, Tensor] = {}

        def on_output(layer: str, output: Tensor) -> None:
            to_come[layer] -= 1
            if to_come[layer] == 0:
                is_last = not any(to_come.values())
                # What follows may write over the output; after the last there is nothing to follow.
                features[layer] = output if is_last else output.clone()
                if is_last:
                    raise StopForward

        if to_come:
            self._run_checked(self._enlarge(image, layers), to_come.keys(), on_output)
        if len(features) < len(to_come):
            height, width = image.shape[-2:]
            missing = next(layer for layer in to_come if layer not in features)
            raise EncoderError(f"Model {self.name} does not compute layer '{missing}' of a {width}×{height} picture.")
        return {layer: self._calibrated(layer, output) for layer, output in features.items()}

    def reach(self, layers: Collection[str]) -> int | None:
        """Found by experiment when it is first asked for; see `Encoder.reach` and `impasto.encoders.custom.reach`.

        Unknown with smoothing, whose softmax sees all of the picture.
        """
        self.check_layers(layers)
        new = {layer: self.layers[layer].stride for layer in layers if layer not in self._probed}
        self._probed |= new.keys()
        if new and not self.smoothing and all(self._discovered[layer].min_edge <= SMALLEST_EDGE for layer in new):
            with suppress(EncoderError):  # of a network that takes certain sizes only
                found = find_reach(self, new, dead_leaves(PROBE, seed=0).to(self.mean.device))
                known = {name: replace(self.layers[name], reach=reach) for name, reach in found.items()}
                self.layers = {**self.layers, **known}
        return super().reach(layers)

    def alignment(self, layers: Collection[str]) -> int:
        """See `Encoder.alignment`; what is computed on the way to a layer may have a larger stride than the layer."""
        names = list(self.layers)
        on_the_way = names[: 1 + max((names.index(layer) for layer in layers), default=-1)]
        return math.lcm(*(self.layers[layer].stride for layer in on_the_way))

    @torch.no_grad()
    def grid(self, layer: str, size: tuple[int, int]) -> tuple[int, int]:
        """See `Encoder.grid`; found by looking at narrow pictures of those lengths: networks round as they like."""
        for edge in size:
            if (layer, edge) not in self._lengths:
                narrow = torch.full((1, 3, edge, SMALLEST_EDGE), 0.5, device=self.mean.device)
                self._lengths[layer, edge] = self(narrow, [layer])[layer].shape[-2]
        return self._lengths[layer, size[0]], self._lengths[layer, size[1]]

    def _calibrated(self, layer: str, output: Tensor) -> Tensor:
        features = output / self._discovered[layer].strength
        if not self.smoothing:
            return features
        logits = features.float().flatten(1) / self.smoothing
        return (logits.softmax(1) * logits.shape[1] - 1).view_as(features).to(output.dtype)

    def _enlarge(self, image: Tensor, layers: Collection[str]) -> Tensor:
        """Continues pictures below the reach of the deepest layer by their edge."""
        reach = max(self._discovered[layer].min_edge for layer in layers)
        height, width = image.shape[-2:]
        if height >= reach and width >= reach:
            return image
        return F.pad(image, (0, max(0, reach - width), 0, max(0, reach - height)), mode="replicate")

    def _run(self, image: Tensor, names: Collection[str], on_output: OnOutput) -> None:
        """Prepares a picture as the network expects it, and runs it."""
        if self.config.channels == "bgr":
            image = image.flip(1)
        x = (image.to(self.mean.device) * self.config.range - self.mean) / self.std
        self.hooks.run(x.to(self._dtype), names, on_output)

    def _run_checked(self, image: Tensor, names: Collection[str], on_output: OnOutput) -> None:
        try:
            self._run(image, names, on_output)
        except (MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            if "allocate memory" in str(error):  # the processor's allocator has no exception of its own
                raise
            height, width = image.shape[-2:]
            raise EncoderError(
                f"Model {self.name} fails on a picture of {width}×{height} pixels ({in_words(error)}). "
                "It may take certain sizes only: choose another --height."
            ) from error


def build_custom(
    model: str,
    *,
    pooling: str,
    padding: str,
    precision: str,
    smoothing: float,
    device: torch.device,
    trust: bool,
) -> CustomEncoder:
    """Builds an encoder from a custom network.

    Args:
        model: As in the recipe: ``"FILE.py:FACTORY"``, ``"FILE.pt2"``, ``"timm:NAME"`` or ``"torchvision:NAME"``.
        pooling: As in the recipe; ``"average"`` reaches the network's modules of max pooling.
        padding: As in the recipe; it reaches the network's convolution modules.
        precision: As in the recipe.
        smoothing: As in the recipe.
        device: Where it is to compute.
        trust: Whether code of a file may be run.

    Raises:
        UserError: If the file is missing, or its code may not be run.
        EncoderError: If the network cannot be had or used.
    """
    loaded = load_network(model, trust=trust, device=device)
    for parameter in loaded.hooks.adapt(pooling=pooling, padding=padding):
        logger.warning("%s has no effect: %s has no module that it could change.", parameter, model)
    network: nn.Module = loaded.hooks.to(device)
    if DTYPES[precision] != torch.float32:
        network.to(DTYPES[precision])
    encoder = CustomEncoder(public_name(model), loaded, smoothing=smoothing)
    encoder.precision = precision
    return encoder


def _digest(network: nn.Module) -> str:
    """SHA-256 over the names, the types and the values of all parameters and buffers."""
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
