"""Building an encoder by its name, with its weights."""

from pathlib import Path
from typing import Any

import torch

from impasto.devices import pick_precision, set_tf32
from impasto.encoders.base import DTYPES, Encoder
from impasto.encoders.registry import ENCODERS, find_spec
from impasto.encoders.weights.store import OnDownload, describe, find_weights
from impasto.recipe import Recipe
from impasto.recipe.model_names import is_custom


def _default(parameter: str) -> Any:
    return Recipe.model_fields[parameter].default


def build_encoder(
    name: str,
    *,
    pooling: str = _default("pooling"),
    padding: str = _default("padding"),
    device: str | torch.device = "cpu",
    precision: str = _default("precision"),
    smoothing: float = _default("smoothing"),
    trust: bool = False,
    weights_file: Path | None = None,
    on_download: OnDownload | None = None,
) -> Encoder:
    """Builds an encoder with its weights, frozen, ready to be asked for features.

    Args:
        name: As in the recipe: ``"vgg19"``, ``"vgg16"``, ``"compact"`` or a custom model, as ``"FILE.py:FACTORY"``.
        pooling: ``"max"`` or ``"average"``.
        padding: ``"zero"``, ``"reflect"`` or ``"replicate"``.
        device: Where it is to compute.
        precision: As in the recipe: of the weights and the features. Preprocessing and projections stay float32.
        smoothing: Temperature of the softmax that evens out a custom model's features; 0 is off.
        trust: Whether the file of a custom model may run its code.
        weights_file: A safetensors file of a named encoder to take instead of looking for its weights.
        on_download: Told of a download's progress: bytes so far, and bytes in all (None if unknown).

    Returns:
        The encoder, with `weights_sha256` set.

    Raises:
        RecipeError: If a name or a choice is unknown.
        UserError: If a custom model's file is missing or not trusted.
        EncoderError: If a custom model cannot be had or used.
        WeightsError: If the weights are not found, damaged, of another network, or cannot be downloaded.
    """
    spec = None if is_custom(name) else find_spec(name)
    Recipe(pooling=pooling, padding=padding, precision=precision)  # refuses unknown choices
    precision = pick_precision(precision, torch.device(device))
    if spec is None:
        from impasto.encoders.custom.encoder import build_custom

        return build_custom(
            name, pooling=pooling, padding=padding, precision=precision, smoothing=smoothing,
            device=torch.device(device), trust=trust,
        )  # fmt: skip
    path = find_weights(name, weights_file, on_download=on_download)
    return _placed(spec.load(path, pooling, padding), device, precision)


def outline_encoder(
    name: str,
    *,
    pooling: str = _default("pooling"),
    padding: str = _default("padding"),
    device: str | torch.device = "cpu",
    precision: str = _default("precision"),
) -> Encoder | None:
    """The encoder with random weights, for estimates, if its own would have to be downloaded; None if they are here.

    Args:
        name: As for `build_encoder`.
        pooling: As for `build_encoder`.
        padding: As for `build_encoder`.
        device: As for `build_encoder`.
        precision: As for `build_encoder`.
    """
    spec = ENCODERS.get(name)
    if spec is None or spec.outline is None or describe(name).path is not None:
        return None
    return _placed(spec.outline(pooling, padding), device, pick_precision(precision, torch.device(device)))


def _placed(encoder: Encoder, device: str | torch.device, precision: str) -> Encoder:
    encoder.precision = precision
    if torch.device(device).type == "cuda":
        set_tf32(encoder.precision)
    # Not the buffers: they hold preprocessing and projections, which half precision would spoil.
    for parameter in encoder.parameters():
        parameter.data = parameter.data.to(DTYPES[encoder.precision])
    return encoder.to(device=torch.device(device), memory_format=torch.channels_last).freeze()  # type: ignore[call-overload, no-any-return]
