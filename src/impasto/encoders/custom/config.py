"""What a custom network declares: the pictures that it expects, and the layers that suit it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from impasto.encoders.vgg import MEAN, STD
from impasto.errors import EncoderError, did_you_mean

ATTRIBUTE = "impasto"
"""A network may carry its config as a mapping in an attribute of this name."""


@dataclass(frozen=True)
class ModelConfig:
    """The preprocessing that a network expects, and the layers that it suggests.

    The picture's values v become ``(v · range − mean) / std``.

    Attributes:
        mean: Of each channel, in the network's own order and range.
        std: Of each channel.
        channels: ``"rgb"`` or ``"bgr"``.
        range: What white is: 1 or 255.
        content_layers: Names (or patterns) with weights; None leaves the choice to Impasto.
        style_layers: The same for the style.
    """

    mean: Sequence[float] = (0.0, 0.0, 0.0)
    std: Sequence[float] = (1.0, 1.0, 1.0)
    channels: str = "rgb"
    range: float = 1.0
    content_layers: Mapping[str, float] | None = None
    style_layers: Mapping[str, float] | None = None

    def in_words(self) -> str:
        """``"BGR in 0–255, minus (104, 117, 123), over (1, 1, 1)"``."""
        mean, std = (", ".join(f"{value:g}" for value in values) for values in (self.mean, self.std))
        return f"{self.channels.upper()} in 0–{self.range:g}, minus ({mean}), over ({std})"


DEFAULT_CONFIG = ModelConfig(mean=MEAN, std=STD)
"""What most networks trained on ImageNet expect."""


def read_config(network: object, model: str) -> ModelConfig | None:
    """Reads what a network carries: its attribute `ATTRIBUTE`, or the ``pretrained_cfg`` of timm's networks.

    Args:
        network: Any object.
        model: What to call it in errors.

    Returns:
        None if it declares nothing.

    Raises:
        EncoderError: If a config has an unknown key or a value that cannot be.
    """
    declared = getattr(network, ATTRIBUTE, None)
    if declared is not None:
        return parse_config(declared, model)
    config = getattr(network, "pretrained_cfg", None)
    if isinstance(config, Mapping) and {"mean", "std"} <= config.keys():
        return parse_config({"mean": config["mean"], "std": config["std"]}, model)
    return None


def parse_config(declared: Any, model: str) -> ModelConfig:
    """Checks a config and fills in what it leaves out.

    Args:
        declared: A mapping with some of `ModelConfig`'s attributes as keys.
        model: What to call the network in errors.

    Raises:
        EncoderError: If it is no mapping, has an unknown key, or a value that cannot be.
    """
    known = [field.name for field in fields(ModelConfig)]
    if not isinstance(declared, Mapping):
        raise EncoderError(f"Model {model} declares {declared!r}; a mapping with some of {', '.join(known)} is needed.")
    for key in declared:
        if key not in known:
            raise EncoderError(f"Model {model} declares '{key}', which is unknown. {did_you_mean(str(key), known)}")
    values = dict(declared)
    for key in ("mean", "std"):
        if key in values:
            values[key] = _three_numbers(values[key], f"Model {model} declares {key}")
    if not all(values.get("std", (1,))):
        raise EncoderError(f"Model {model} declares a std of 0; each must differ from 0.")
    if values.get("channels", "rgb") not in ("rgb", "bgr"):
        raise EncoderError(f"Model {model} declares channels {values['channels']!r}; it must be 'rgb' or 'bgr'.")
    if not _is_number(values.get("range", 1)) or values.get("range", 1) <= 0:
        raise EncoderError(f"Model {model} declares range {values['range']!r}; it must be a number above 0, as 255.")
    for key in ("content_layers", "style_layers"):
        if values.get(key) is not None:
            values[key] = _layers(values[key], f"Model {model} declares {key}")
    return ModelConfig(**values)


def _three_numbers(value: Any, subject: str) -> tuple[float, ...]:
    numbers = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else ()
    if len(numbers) != 3 or not all(_is_number(number) for number in numbers):
        raise EncoderError(f"{subject} {value!r}; it must be three numbers, one for each channel.")
    return tuple(float(number) for number in numbers)


def _layers(value: Any, subject: str) -> Mapping[str, float]:
    """Names with weights, from a mapping, or from a sequence of names, which then weigh 1."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = dict.fromkeys(value, 1.0)
    is_good = isinstance(value, Mapping) and value and all(isinstance(name, str) for name in value)
    if not is_good or not all(_is_number(weight) and weight >= 0 for weight in value.values()):
        raise EncoderError(f"{subject} {value!r}; it must be a list of names, or names with weights of at least 0.")
    return {name: float(weight) for name, weight in value.items()}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
