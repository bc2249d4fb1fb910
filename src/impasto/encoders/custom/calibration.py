"""Calibration of a custom network: which of its outputs are layers, and how strong their activations are.

All is found by running it on a few procedural pictures, so that nothing has to be declared.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from impasto.encoders.base import Layer
from impasto.encoders.custom.hooks import OnOutput
from impasto.errors import EncoderError

CALIBRATION_SIZE = (128, 256)
"""Height and width of the pictures that a network is calibrated on; they differ, so that strides can be told."""

NUM_PICTURES = 3

MAX_STYLE_STRIDE = 16

_PASS_THROUGH = ("pool", "dropout", "upsample", "interpolate", "identity", "pad", "norm", "sequential")
"""Kinds of modules (parts of their names, in lower case) whose outputs are no activations of their own."""

Run = Callable[[Tensor, Collection[str], OnOutput], None]
"""Runs the network on a picture of shape (1, 3, H, W), RGB in [0, 1]; see `FeatureHooks.run` in `hooks`."""


@dataclass(frozen=True, eq=False)
class DiscoveredLayer:
    """What calibration finds out about one layer of a network.

    Attributes:
        layer: Channels and stride.
        calls: How often it is computed for one picture; its last output counts.
        min_edge: Pictures below this edge in pixels do not reach it.
        strength: Mean absolute activation on the procedural pictures, above 0.
        is_finite: Whether no NaN and no infinity was seen.
        is_rectified: Whether no negative value was seen.
    """

    layer: Layer
    calls: int
    min_edge: int
    strength: float
    is_finite: bool
    is_rectified: bool


@dataclass
class _Outputs:
    """Outputs of one run: the last under each name, and how often each was computed."""

    last: dict[str, Tensor]
    calls: dict[str, int]
    error: Exception | None = None


def discover_layers(name: str, run: Run, names: Collection[str]) -> dict[str, DiscoveredLayer]:
    """Finds a network's layers.

    Args:
        name: What to call the network in errors.
        run: Runs it.
        names: The outputs to look at.

    Returns:
        The layers in the order in which they are computed.

    Raises:
        EncoderError: If there is none: the network fails, returns no feature maps, NaN, or no gradient.
    """
    pictures = [dead_leaves(CALIBRATION_SIZE, seed) for seed in range(NUM_PICTURES)]
    first = _outputs_of(run, pictures[0].requires_grad_(), names)
    maps = {name: layer for name, output in first.last.items() if (layer := _as_layer(output))}
    usable = {name: layer for name, layer in maps.items() if first.last[name].requires_grad}
    if not usable:
        raise EncoderError(_why_unusable(name, first, maps, len(names)))
    with torch.no_grad():
        runs = [first, *(_outputs_of(run, picture, usable) for picture in pictures[1:])]
        edges = _smallest_edges(run, first.calls, usable)
        found = {}
        for layer_name, layer in usable.items():
            outputs = [outputs.last[layer_name].detach().float() for outputs in runs if layer_name in outputs.last]
            found[layer_name] = DiscoveredLayer(
                layer=layer,
                calls=first.calls[layer_name],
                min_edge=edges[layer_name],
                strength=_strength(outputs),
                is_finite=all(bool(output.isfinite().all()) for output in outputs),
                is_rectified=all(bool((output >= 0).all()) for output in outputs),
            )
    if not any(layer.is_finite for layer in found.values()):
        raise EncoderError(
            f"Model {name} returns NaN or infinity at every layer. Check its weights and the preprocessing it declares,"
            " or use --precision float32."
        )
    return found


def suggest_layers(
    discovered: Mapping[str, DiscoveredLayer], kinds: Mapping[str, str]
) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """Content and style layers after the classical recipe for VGG19.

    Style: the first activation at each stride up to `MAX_STYLE_STRIDE`. Content: the second one at stride 8, or what
    comes nearest. Of nested modules the outermost count, which are whole blocks.

    Args:
        discovered: From `discover_layers`.
        kinds: From `impasto.encoders.custom.hooks.FeatureHooks.kinds`.

    Returns:
        Content layers and style layers, each with weight 1.
    """
    finite = {name: layer for name, layer in discovered.items() if layer.is_finite}
    own = {n: layer for n, layer in finite.items() if not any(word in kinds[n].lower() for word in _PASS_THROUGH)}
    rectified = {name: layer for name, layer in own.items() if layer.is_rectified}
    # Networks with smooth activations rectify here and there only; their blocks' plain outputs serve them.
    choice = rectified if _strides(rectified) == _strides(own) else own
    by_stride: dict[int, list[str]] = {}
    for name, found in (choice or finite).items():
        by_stride.setdefault(found.layer.stride, []).append(name)
    blocks = {stride: _outermost(by_stride[stride]) for stride in sorted(by_stride)}
    shallow = [stride for stride in blocks if stride <= MAX_STYLE_STRIDE] or [min(blocks)]
    middle = max((stride for stride in shallow if stride <= 8), default=shallow[0])
    content = blocks[middle][min(1, len(blocks[middle]) - 1)]
    return {content: 1.0}, {blocks[stride][0]: 1.0 for stride in shallow}


def dead_leaves(size: tuple[int, int], seed: int) -> Tensor:
    """Colored discs that hide one another, with grain: a picture with the edges and the scales of photographs.

    Args:
        size: Height and width in pixels.
        seed: The same seed gives the same picture.

    Returns:
        Shape (1, 3, H, W), float32 in [0, 1].

    Reference: Lee, Mumford & Huang (2001), IJCV 41, "Occlusion models for natural images".
    """
    generator = torch.Generator().manual_seed(seed)
    height, width = size
    rows, columns = torch.arange(height)[:, None], torch.arange(width)
    image = torch.full((3, height, width), 0.5)
    smallest, largest = 2.0, height / 2
    for _ in range(600):
        u, row, column = torch.rand(3, generator=generator).tolist()
        # Radii by the inverse cube law, which makes the picture look the same at every scale.
        radius = (smallest**-2 + u * (largest**-2 - smallest**-2)) ** -0.5
        disc = (rows - row * height) ** 2 + (columns - column * width) ** 2 < radius**2
        image[:, disc] = torch.rand((3, 1), generator=generator)
    grain = 0.03 * torch.randn((1, height, width), generator=generator)
    return (image + grain).clamp_(0, 1)[None]


def _outputs_of(run: Run, picture: Tensor, names: Collection[str]) -> _Outputs:
    """Runs the network once; a failure does not undo what was computed before it."""
    outputs = _Outputs({}, {})

    def on_output(name: str, output: Tensor) -> None:
        outputs.calls[name] = outputs.calls.get(name, 0) + 1
        outputs.last.pop(name, None)  # the order is that of the last outputs
        if output.ndim == 4:
            outputs.last[name] = output.clone()  # operations that follow may write over it

    try:
        run(picture, names, on_output)
    except Exception as error:  # whatever a custom network may raise
        outputs.error = error
    return outputs


def _as_layer(output: Tensor) -> Layer | None:
    """Channels and stride of an output that is a feature map of a `CALIBRATION_SIZE` picture, else None."""
    if output.ndim != 4 or not output.is_floating_point() or output.shape[3] <= output.shape[2]:
        return None
    stride = max(1, round((CALIBRATION_SIZE[1] - CALIBRATION_SIZE[0]) / (output.shape[3] - output.shape[2])))
    # Convolutions without padding take a few positions off; maps in another order of axes are far off.
    expected = CALIBRATION_SIZE[0] / stride
    if abs(output.shape[2] - expected) > 2 + expected / 4:
        return None
    return Layer(channels=output.shape[1], stride=stride)


def _strength(outputs: Sequence[Tensor]) -> float:
    mean = torch.stack([output.abs().mean() for output in outputs]).mean().item()
    return mean if 0 < mean < math.inf else 1.0


def _smallest_edges(run: Run, calls: Mapping[str, int], usable: Collection[str]) -> dict[str, int]:
    """The smallest edge, a power of two, of a picture that reaches each layer."""
    edges = dict.fromkeys(usable, CALIBRATION_SIZE[0])
    for exponent in range(int(math.log2(CALIBRATION_SIZE[0])) - 1, -1, -1):
        edge = 2**exponent
        reached = _outputs_of(run, torch.full((1, 3, edge, edge), 0.5), usable)
        whole = [name for name, output in reached.last.items() if reached.calls[name] == calls[name] and output.numel()]
        edges.update({name: edge for name in whole if edges[name] == 2 * edge})
        if not whole:
            break
    return edges


def _strides(discovered: Mapping[str, DiscoveredLayer]) -> set[int]:
    return {found.layer.stride for found in discovered.values() if found.layer.stride <= MAX_STYLE_STRIDE}


def _outermost(names: Sequence[str]) -> list[str]:
    depth = min(name.count(".") for name in names)
    return [name for name in names if name.count(".") == depth]


def _why_unusable(name: str, outputs: _Outputs, maps: Collection[str], num_parts: int) -> str:
    if maps:
        return f"Model {name} cannot guide a picture: no gradient flows back through any of its layers."
    if outputs.error is not None:
        height, width = CALIBRATION_SIZE
        return (
            f"Model {name} fails on a picture of {width}×{height} pixels ({in_words(outputs.error)}). "
            "A network that takes RGB pictures of any size is needed; export one with dynamic height and width."
        )
    return (
        f"Model {name} has no usable layer: of its {num_parts} parts none returns feature maps of shape "
        "(1, channels, height, width) that follow the picture's size. A convolutional network is needed."
    )


def in_words(error: BaseException) -> str:
    """An exception of code that is not ours in one line: its type and the beginning of what it says."""
    lines = str(error).strip().splitlines()
    text = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return (text if len(text) <= 200 else text[:197] + "...").rstrip(".")
