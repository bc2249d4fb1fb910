"""The recipe: every parameter that decides pixels, declared once; and the options of one run, which do not.

The command line's options and help, the JSON schema, the studio's controls and the reference pages are derived from
the two models below; nothing else states a default or a range. This module never imports torch.
"""

import json
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args, get_origin

import tomli_w
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema, field_validator
from pydantic.config import JsonDict

from impasto.errors import RecipeError, did_you_mean

__all__ = ["DEFAULT_ITERATIONS", "MAX_RECIPE_BYTES", "LayerWeights", "Recipe", "RunOptions"]

ModelName = (
    Literal["vgg19", "vgg16", "compact"]
    | Annotated[
        str,
        Field(
            pattern=r"^(.*\.py:[A-Za-z_]\w*|.*\.pt2|(timm|torchvision):.+)$",
            json_schema_extra={"words": "FILE.py:FACTORY, FILE.pt2, timm:NAME or torchvision:NAME"},
        ),
    ]
)
OptimizerName = Literal["lbfgs", "adam"]

DEFAULT_ITERATIONS: Mapping[str, int] = {"lbfgs": 1000, "adam": 3000}
"""Budget where none is given, by optimizer: Adam's steps are shorter."""

MAX_RECIPE_BYTES = 64 * 1024
"""A recipe embedded in a picture stays below this."""


def _parse_layers(value: object) -> object:
    """Turns ``"relu1_1:1,relu2_1:0.5"`` into a mapping; a name without a weight weighs 1."""
    if not isinstance(value, str):
        return value
    weights: dict[str, float] = {}
    for entry in filter(None, (part.strip() for part in value.split(","))):
        name, _, weight = entry.partition(":")
        try:
            weights[name.strip()] = float(weight) if weight.strip() else 1.0
        except ValueError:
            raise ValueError(f"'{entry}' is no 'layer:weight'; write for example relu1_1:1,relu2_1:0.5") from None
    return weights


def _parse_numbers(value: object) -> object:
    """Turns ``"0.7,0.3"`` into a list of numbers, and a single number into a list of one."""
    if isinstance(value, int | float):
        return [value]
    if not isinstance(value, str):
        return value
    try:
        return [float(part) for part in value.split(",") if part.strip()]
    except ValueError:
        raise ValueError(f"'{value}' is no list of numbers; write for example 0.7,0.3") from None


_SIZE_UNITS: Mapping[str, int] = {
    "": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
    "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
}  # fmt: skip


def _parse_size(value: object) -> object:
    """Turns ``"2GB"``, ``"800 MB"`` or ``"512MiB"`` into bytes."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]*)\s*", value)
    if match is None or match[2].lower() not in _SIZE_UNITS:
        raise ValueError("not a size")
    return int(float(match[1]) * _SIZE_UNITS[match[2].lower()])


def size_in_words(num_bytes: int) -> str:
    """``"1.4 GB"``, or ``"640 MB"`` below one; rounded up, so that what is said suffices."""
    return f"{math.ceil(num_bytes / 1e8) / 10:.1f} GB" if num_bytes >= 1e9 else f"{math.ceil(num_bytes / 1e6)} MB"


MemorySize = Annotated[
    int, Field(ge=1), BeforeValidator(_parse_size), WithJsonSchema({"type": "string", "format": "size"})
]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Numbers = Annotated[list[Weight], BeforeValidator(_parse_numbers), Field(min_length=1)]
Scales = Annotated[list[Annotated[float, Field(ge=0.05, le=20)]], BeforeValidator(_parse_numbers), Field(min_length=1)]
LayerWeights = Annotated[dict[str, Weight], BeforeValidator(_parse_layers), Field(min_length=1)]


def _parameter(
    default: Any, description: str, *, group: str, unit: str = "", is_option: bool = True, **limits: Any
) -> Any:
    """A pydantic field with what help pages and forms show: group, unit, and whether it is to be typed at all."""
    extra: JsonDict = {"group": group, "unit": unit, "is_option": is_option}
    return Field(default, description=description, json_schema_extra=extra, **limits)


class _Parameters(BaseModel):
    """What recipe and run options share: immutable, no unknown keys, errors in one sentence."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise RecipeError(_sentence(error, type(self))) from None

    def replace(self, **changes: Any) -> Self:
        """A copy with some values changed, validated like a new one.

        Raises:
            RecipeError: If a name is unknown or a value out of its range.
        """
        explicit = {name: getattr(self, name) for name in self.model_fields_set}
        return type(self)(**explicit | changes)


LIVE = ("content_weight", "style_weight", "tv_weight", "strength", "total_iterations")
"""Parameters of a recipe that may be changed while a run goes on."""


class Change(_Parameters):
    """New values for some parameters of a run, from some iteration on.

    Raises:
        RecipeError: If a parameter cannot be changed on the way, or a value is out of its range.
    """

    iteration: int = _parameter(0, "After so many iterations.", group="Objective", ge=0)
    values: dict[str, float] = _parameter({}, "The new values by name.", group="Objective")

    @field_validator("values")
    @classmethod
    def _check(cls, values: dict[str, float]) -> dict[str, float]:
        for name in values:
            if name not in LIVE:
                raise RecipeError(f"{name} cannot be changed while a run goes on; these can: {', '.join(LIVE)}.")
        Recipe(**values)
        return values


@dataclass(frozen=True)
class Finish:
    """The encoder that takes the last iterations of a run, and how many they are."""

    model: str
    iterations: int = 8


class Recipe(_Parameters):
    """Everything that decides the pixels of a picture, and no path.

    A recipe, the content image, the style images and the encoder's weights determine the output. It round-trips
    through JSON and TOML and is written into every picture.

    Raises:
        RecipeError: If a name is unknown or a value out of its range.
    """

    # objective
    content_weight: Weight = _parameter(
        5.0,
        "Weight of the content loss. Only the ratios of the three weights count; 0 switches a term off.",
        group="Objective",
    )
    style_weight: Weight = _parameter(1.0, "Weight of the style loss.", group="Objective")
    tv_weight: Weight = _parameter(
        1.0, "Weight of the total variation, which smooths the noise between neighbouring pixels.", group="Objective"
    )

    strength: float = _parameter(
        50.0,
        "How much of the painting: 0 gives the content back, 50 is the balance of the weights, 100 is nothing but "
        "texture.",
        group="Objective",
        ge=0,
        le=100,
    )
    style_loss: Literal["gram", "moments", "histogram", "sliced"] = _parameter(
        "gram",
        "What is compared of the style: Gram matrices; mean and covariance (Wasserstein); Gram matrices and "
        "histograms; the whole distribution along random directions (sliced Wasserstein).",
        group="Objective",
    )
    style_blend: Numbers | None = _parameter(
        None, "Shares of several styles, as 0.7,0.3; only their ratios count. Default: equal shares.", group="Objective"
    )
    style_scale: Scales = _parameter(
        [1.0],
        "Size of the style's strokes: 2 looks at the style image twice as large. One number, or one for each style.",
        group="Objective",
    )

    auto_mask: int = _parameter(
        0,
        "Find so many regions that look alike in content and style, and paint each from its like; 0 finds none.",
        group="Objective",
        ge=0,
        le=16,
    )

    changes: list[Change] = _parameter(
        [],
        "Changes of weights, strength or budget on the way, each after so many iterations; a run that was steered "
        "while it went on records them here.",
        group="Objective",
        is_option=False,
    )

    # encoder
    model: ModelName = _parameter(
        "vgg19",
        "Encoder whose features are compared: vgg19, vgg16, compact (which ships with the package and needs no "
        "download), or any network: FILE.py:FACTORY, an exported FILE.pt2, timm:NAME, torchvision:NAME.",
        group="Encoder",
    )
    finish: (
        Annotated[
            str,
            Field(
                pattern=r"^(vgg19|vgg16|compact)(:[1-9]\d{0,6})?$",
                json_schema_extra={
                    "words": "an encoder that comes with Impasto, with a number of iterations, as vgg19:8"
                },
            ),
        ]
        | None
    ) = _parameter(
        None,
        f"Encoder that takes the last iterations ({Finish('').iterations} where no number is given), as vgg19:8: "
        "compact goes the long way, and the full network adds the last touch.",
        group="Encoder",
    )
    content_layers: LayerWeights | None = _parameter(
        None,
        "Layers of the content loss with weights, as relu4_2:1; patterns as features.*.expand3x3 too. Default: the "
        "encoder's own.",
        group="Encoder",
    )
    style_layers: LayerWeights | None = _parameter(
        None,
        "Layers of the style loss with weights, as relu1_1:1,relu2_1:0.5; patterns too. Default: the encoder's own.",
        group="Encoder",
    )
    smoothing: float = _parameter(
        0.0,
        "Even out the features of a custom model by a softmax of this temperature, in mean activations: it helps "
        "networks with residual connections; 0 is off.",
        group="Encoder",
        ge=0,
        le=1000,
    )
    pooling: Literal["max", "average"] = _parameter(
        "max", "Pooling between the encoder's blocks; average is smoother, its gain is corrected.", group="Encoder"
    )
    padding: Literal["zero", "reflect", "replicate", "circular"] = _parameter(
        "zero", "How the encoder's convolutions continue the picture past its border.", group="Encoder"
    )
    precision: Literal["float32", "bfloat16"] = _parameter(
        "float32",
        "Arithmetic of the encoder; statistics and pixels are float32 always. bfloat16 takes half the "
        "memory and, on processors that have it, about half the time.",
        group="Encoder",
    )

    # color
    preserve_color: Literal["none", "luminance", "histogram", "linear", "oklab"] = _parameter(
        "none",
        "Keep the content's colors: luminance paints in grey and colors afterwards, histogram and linear bring the "
        "style's colors to the content's beforehand, oklab paints in color and takes the lightness only.",
        group="Color",
    )
    color_strength: float = _parameter(
        100.0,
        "How far preserve_color goes, from 0 (not at all) to 100.",
        group="Color",
        unit="percent",
        ge=0,
        le=100,
    )

    # optimization
    optimizer: OptimizerName = _parameter("lbfgs", "Optimizer of the pixels.", group="Optimization")
    init_method: Literal["random", "content", "style"] = _parameter(
        "content",
        "What the picture starts from: noise, the content image or the (first) style image.",
        group="Optimization",
    )
    total_iterations: int | None = _parameter(
        None,
        "Evaluations of the objective and its gradient, over all levels. Default: "
        + ", ".join(f"{count} for {name}" for name, count in DEFAULT_ITERATIONS.items())
        + ".",
        group="Optimization",
        ge=0,
        le=10_000_000,
    )
    learning_rate: float = _parameter(
        1.0,
        "Step length of Adam (no effect with lbfgs).",
        group="Optimization",
        unit="grey levels of 1/255",
        gt=0,
        le=255,
    )
    history_size: int = _parameter(
        10,
        "Curvature pairs that L-BFGS remembers; each takes the memory of two pictures (no effect with adam).",
        group="Optimization",
        ge=1,
        le=200,
    )
    plateau: float = _parameter(
        0.0,
        "Stop a level early once 50 iterations lower the objective by less than this fraction; 0 never does.",
        group="Optimization",
        ge=0,
        lt=1,
    )
    seed: int = _parameter(0, "Seed of the noise that the random start draws.", group="Optimization", ge=0, lt=2**63)

    # size
    tileable: bool = _parameter(
        False,
        "Make the picture's edges meet, so that it can be laid side by side; both edges become multiples of 16 pixels.",
        group="Size",
    )
    height: int = _parameter(
        400,
        "Height of the output; the width follows the content's aspect ratio.",
        group="Size",
        unit="pixels",
        ge=1,
        le=1_000_000,
    )
    size: int | None = _parameter(
        None, "Longest edge of the output, instead of its height.", group="Size", unit="pixels", ge=1, le=1_000_000
    )
    levels: Literal["auto"] | Annotated[int, Field(ge=1, le=16)] = _parameter(
        "auto",
        "Levels of the coarse-to-fine pyramid, each twice the size of the one before; 1 is the classic "
        "single-scale run.",
        group="Size",
    )
    min_size: int = _parameter(
        80, "Shortest edge below which auto adds no coarser level.", group="Size", unit="pixels", ge=16, le=1_000_000
    )

    # output
    bit_depth: Literal["auto", "8", "16"] = _parameter(
        "auto",
        "Bits per channel of the written picture; auto keeps the content's depth where the format can.",
        group="Output",
    )
    keep_profile: bool = _parameter(False, "Write in the content's colour profile instead of sRGB.", group="Output")

    @property
    def finishing(self) -> Finish | None:
        """What `finish` says."""
        if self.finish is None:
            return None
        model, _, iterations = self.finish.partition(":")
        return Finish(model, int(iterations)) if iterations else Finish(model)

    @property
    def num_iterations(self) -> int:
        """The budget: `total_iterations`, or the optimizer's default."""
        return DEFAULT_ITERATIONS[self.optimizer] if self.total_iterations is None else self.total_iterations

    def warnings(self) -> list[str]:
        """One sentence for every option that was set and has no effect in the chosen path."""
        silent = {
            "learning_rate": (self.optimizer == "lbfgs", "optimizer is lbfgs, which finds its own steps"),
            "history_size": (self.optimizer == "adam", "optimizer is adam, which keeps no history"),
            "seed": (self.init_method != "random", f"init_method is {self.init_method}, which draws no noise"),
            "height": (self.size is not None, "size is given"),
            "color_strength": (self.preserve_color == "none", "preserve_color is none"),
            "preserve_color": (
                self.preserve_color != "none" and not self.color_strength,
                "color_strength is 0",
            ),
            "smoothing": (self.model in choices("model"), f"{self.model} is no custom model"),
            "finish": (
                self.finishing is not None and self.finishing.model == self.model,
                "it is the run's own encoder",
            ),
            "min_size": (self.levels != "auto", f"levels is {self.levels}"),
            "padding": (self.tileable and self.padding != "circular", "a tileable picture goes on around its edges"),
        }
        return [
            f"{name} has no effect: {reason}."
            for name, (is_silent, reason) in silent.items()
            if is_silent and name in self.model_fields_set
        ]

    def at(self, iteration: int) -> Self:
        """The recipe as it holds after so many iterations: with the changes up to then."""
        values = {
            name: value
            for change in self.changes
            if change.iteration <= iteration
            for name, value in change.values.items()
        }
        return self.replace(**values)

    def to_json(self) -> str:
        """The recipe as one line of ASCII JSON, every value included."""
        return json.dumps(self.model_dump(mode="json"), ensure_ascii=True)

    def to_toml(self) -> str:
        """The recipe as TOML; what is None is left out, as TOML has no null."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` wrote.

        Raises:
            RecipeError: If the text is no JSON object, a name is unknown or a value out of its range.
        """
        try:
            values = json.loads(text)
        except ValueError as error:
            raise RecipeError(f"The recipe is no JSON: {error}.") from None
        if not isinstance(values, dict):
            raise RecipeError(f"A recipe is a JSON object, got {type(values).__name__}.")
        return cls(**values)

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """Reads a recipe from a ``.toml`` or ``.json`` file.

        Raises:
            RecipeError: If the file cannot be read, is malformed, or holds an unknown name or a value out of range.
        """
        path = Path(path)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RecipeError(f"Cannot read the recipe '{path}': {error}.") from None
        if path.suffix.lower() == ".json":
            return cls.from_json(text)
        try:
            return cls(**tomllib.loads(text))
        except tomllib.TOMLDecodeError as error:
            raise RecipeError(f"The recipe '{path}' is no TOML: {error}.") from None


class RunOptions(_Parameters):
    """What one run needs besides its recipe, and what decides no pixel: paths, device, saving, verbosity.

    Raises:
        RecipeError: If a name is unknown or a value out of its range.
    """

    output_file: Path = _parameter(
        Path("output_image"),
        "Where the result goes: a picture file (.png, .jpg, .webp, .tif …), or without such a "
        "suffix a folder that receives 00100.png …, final.png, losses.csv and checkpoint.",
        group="Run",
    )
    content_mask: list[Path] = _parameter(
        [],
        "Where a style goes: a picture that is white there. Once for each style image, in their order.",
        group="Masks",
    )
    style_mask: list[Path] = _parameter(
        [],
        "Which part of a style image counts: a picture that is white there. Once for each style image.",
        group="Masks",
    )
    lock_mask: Path | None = _parameter(
        None, "Where the content stays as it is: a picture that is white there.", group="Masks"
    )
    saving_interval: int = _parameter(
        100,
        "Save the picture in between every so many iterations; 0 saves the final one only.",
        group="Run",
        unit="iterations",
        ge=0,
    )
    checkpoint_every: float = _parameter(
        10.0,
        "Keep the run's whole state every so many seconds (rarer where writing it takes long), so that a killed run "
        "can be resumed; 0 never does.",
        group="Run",
        unit="seconds",
        ge=0,
    )
    resume: bool = _parameter(
        False,
        "Go on from the checkpoint in the output's folder, to the same picture as if nothing had happened; or on to a "
        "larger --total-iterations.",
        group="Run",
    )
    device: str = _parameter(
        "auto",
        "Where to compute: auto, cpu, cuda, cuda:1, mps …",
        group="Run",
        pattern=r"^(auto|cpu|cuda(:\d+)?|mps|xpu(:\d+)?)$",
    )
    threads: int | None = _parameter(
        None,
        "Processor threads. Default: one for each core. Results are bit-identical for the same number.",
        group="Run",
        ge=1,
        le=1024,
    )
    overwrite: bool = _parameter(False, "Replace an existing final picture.", group="Run")
    plot: bool = _parameter(False, "Draw the losses into losses.png.", group="Run")
    quiet: bool = _parameter(False, "Print nothing but errors.", group="Run")
    json_events: bool = _parameter(False, "Print one JSON object a line for scripts.", group="Run", alias="json")
    trust: bool = _parameter(False, "Allow the file that --model names to run its code on this machine.", group="Run")
    dry_run: bool = _parameter(
        False, "Print the resolved recipe and an estimate of time and memory, and stop.", group="Run"
    )
    max_memory: MemorySize | None = _parameter(
        None,
        "Memory that a run may take, as 2GB, 800MB or 512MiB. A run that would take more keeps less for its "
        "gradients and shortens the history of L-BFGS; if that is not enough, it is refused.",
        group="Run",
        unit="bytes",
    )
    max_pixels: int = _parameter(
        200_000_000,
        "Refuse input pictures of more pixels than this, before decoding them.",
        group="Run",
        unit="pixels",
        ge=1,
    )

    model_config = ConfigDict(populate_by_name=True)


def option_name(field: str, model: type[BaseModel] = Recipe) -> str:
    """The public name of a field: ``"json"`` for ``json_events``, else the field's own."""
    return model.model_fields[field].alias or field


def _sentence(error: ValidationError, model: type[BaseModel]) -> str:
    """Turns pydantic's first complaint into: what was wrong, what was got, what is allowed."""
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    name, got = path[0] if path else "recipe", first.get("input")
    if first["type"] == "extra_forbidden":
        known = [option_name(field, model) for field in model.model_fields]
        return f"Unknown option '{name}'. {did_you_mean(name, known)}"
    return f"{name} is {_shown(got)}; it must be {allowed_values(model, name)}."


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def allowed_values(model: type[BaseModel], name: str) -> str:
    """The range of a parameter in words, as in ``"a number, at least 0"`` or ``"one of lbfgs, adam"``.

    Args:
        model: `Recipe` or `RunOptions`.
        name: The field's public name.
    """
    by_name = {option_name(field, model): info for field, info in model.model_fields.items()}
    if name not in by_name:
        return "a known option"
    schema = model.model_json_schema(by_alias=True)["properties"][name]
    branches = [branch for branch in schema.get("anyOf", [schema]) if branch.get("type") != "null"]
    return " or ".join(_branch_in_words(branch) for branch in branches)


def _branch_in_words(branch: Mapping[str, Any]) -> str:
    if "words" in branch:
        return str(branch["words"])
    if "enum" in branch:
        return "one of " + ", ".join(map(str, branch["enum"]))
    if "const" in branch:
        return str(branch["const"])
    if branch.get("type") == "object":
        return "layers with weights of at least 0, as relu1_1:1,relu2_1:0.5"
    if branch.get("type") == "array" and "$ref" in branch["items"]:
        return "a list of changes, each an iteration and values by name"
    if branch.get("type") == "array" and branch["items"].get("format") == "path":
        return "paths of pictures"
    if branch.get("type") == "array":
        return "numbers separated by commas, each " + _branch_in_words(branch["items"])
    kinds = {"number": "a finite number", "integer": "a whole number", "boolean": "true or false", "string": "text"}
    words = kinds.get(branch.get("type", ""), "a value")
    if branch.get("format") == "size":
        return "a size in bytes, as 2GB, 800MB or 512MiB"
    if "pattern" in branch:
        words += f" of the form {branch['pattern'].strip('^$')}"
    limits = [
        ("minimum", "at least"),
        ("exclusiveMinimum", "above"),
        ("maximum", "at most"),
        ("exclusiveMaximum", "below"),
    ]
    bounds = [f"{phrase} {branch[key]:,}" for key, phrase in limits if key in branch and math.isfinite(branch[key])]
    return words + (", " + " and ".join(bounds) if bounds else "")


def choices(name: str) -> Sequence[str]:
    """The names that a recipe parameter has to choose from, as ``choices("model")``; it may take others besides."""
    annotation = Recipe.model_fields[name].annotation
    literals = [branch for branch in (annotation, *get_args(annotation)) if get_origin(branch) is Literal]
    return tuple(choice for literal in literals for choice in get_args(literal))
