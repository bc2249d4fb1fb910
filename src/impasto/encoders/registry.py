"""The encoders by name, and building them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from impasto.encoders.base import Encoder
from impasto.encoders.vgg import build_vgg
from impasto.encoders.weights.store import OnDownload, describe, find_weights, load_weights
from impasto.errors import RecipeError, did_you_mean
from impasto.recipe import Recipe
from impasto.recipe.model_names import is_custom


def _default(parameter: str) -> Any:
    return Recipe.model_fields[parameter].default


def _build_vgg(name: str, pooling: str, padding: str, file: Path | None, on_download: OnDownload | None) -> Encoder:
    path = find_weights(name, file, on_download=on_download)
    encoder = build_vgg(name, pooling=pooling, padding=padding, is_random=False)
    load_weights(encoder, path)
    return encoder


def _build_compact(name: str, pooling: str, padding: str, file: Path | None, _: OnDownload | None) -> Encoder:
    from impasto.encoders.compact import load_compact

    if file is None:
        return load_compact(pooling=pooling, padding=padding)
    return load_compact(pooling=pooling, padding=padding, path=find_weights(name, file), sha256=None)


ENCODERS: Mapping[str, Callable[[str, str, str, Path | None, OnDownload | None], Encoder]] = {
    "vgg19": _build_vgg,
    "vgg16": _build_vgg,
    "compact": _build_compact,
}
"""How each encoder of the recipe is built, by name."""


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
        precision: ``"float32"`` or ``"bfloat16"``: of the weights and the features. Preprocessing and projections stay
            float32.
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
    if name not in ENCODERS and not is_custom(name):
        raise RecipeError(f"Unknown model '{name}'. {did_you_mean(name, ENCODERS)}")
    Recipe(pooling=pooling, padding=padding, precision=precision)  # refuses unknown choices
    if is_custom(name):
        from impasto.encoders.custom.encoder import build_custom

        return build_custom(
            name, pooling=pooling, padding=padding, precision=precision, smoothing=smoothing,
            device=torch.device(device), trust=trust,
        )  # fmt: skip
    encoder = ENCODERS[name](name, pooling, padding, weights_file, on_download)
    return _placed(encoder, device, precision)


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
    if ENCODERS.get(name) is not _build_vgg or describe(name).path is not None:
        return None
    return _placed(build_vgg(name, pooling=pooling, padding=padding), device, precision)


def _placed(encoder: Encoder, device: str | torch.device, precision: str) -> Encoder:
    for (
        parameter
    ) in encoder.parameters():  # buffers hold preprocessing and projections, which half precision would spoil
        parameter.data = parameter.data.to(getattr(torch, precision))
    return encoder.to(device=torch.device(device), memory_format=torch.channels_last).freeze()  # type: ignore[call-overload, no-any-return]
