"""The recipe: every parameter that decides pixels, declared once."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args, get_origin

import tomli_w
from pydantic import Field, field_validator

from impasto.errors import RecipeError
from impasto.recipe.files import parse_json, read_values
from impasto.recipe.looks import DEFAULT_LOOK, LOOKS, LookName, look_default
from impasto.recipe.messages import shortened
from impasto.recipe.parameters import LayerWeights, Numbers, Parameters, Scales, Weight, parameter

BuiltInModel = Literal["vgg19", "vgg16", "compact"]
ModelName = (
    BuiltInModel
    | Annotated[
        str,
        Field(
            pattern=r"^(.*\.py:[A-Za-z_]\w*|.*\.pt2|(timm|torchvision):.+)$",
            json_schema_extra={"words": "FILE.py:FACTORY, FILE.pt2, timm:NAME or torchvision:NAME"},
        ),
    ]
)
OptimizerName = Literal["lbfgs", "adam"]

TEACHERS: Mapping[str, str] = {"compact": "vgg19"}
"""The encoder that another one imitates, by name."""

DEFAULT_ITERATIONS: Mapping[str, int] = {"lbfgs": 1000, "adam": 3000}
"""Budget where none is given, by optimizer: Adam's steps are shorter."""

DEFAULT_PLATEAU = 0.03
"""The recipe's `plateau` where neither it nor a budget is given: what is gained after that, people do not see."""

NEIGHBORS_SPEED = 5
"""Nearest neighbors need so many times fewer iterations than the other style losses."""

MAX_RECIPE_BYTES = 64 * 1024
"""A recipe embedded in a picture stays below this."""


LIVE_TUNABLE = ("content_weight", "style_weight", "tv_weight", "strength", "total_iterations")
"""Parameters of a recipe that may be changed while a run goes on."""


class Change(Parameters):
    """New values for some parameters of a run, from some iteration on.

    Raises:
        RecipeError: If a parameter cannot be changed on the way, or a value is out of its range.
    """

    iteration: int = parameter(0, "After so many iterations.", group="Objective", ge=0, le=10_000_000)
    values: dict[str, float] = parameter({}, "The new values by name.", group="Objective")

    @field_validator("values")
    @classmethod
    def _check(cls, values: dict[str, float]) -> dict[str, float]:
        for name in values:
            if name not in LIVE_TUNABLE:
                raise RecipeError(
                    f"{shortened(name)} cannot be changed while a run goes on; these can: {', '.join(LIVE_TUNABLE)}."
                )
        Recipe(**values)
        return values


@dataclass(frozen=True)
class Finish:
    """The encoder that takes the last iterations of a run, and how many they are."""

    model: str
    iterations: int = 8


LARGEST_FINISH = 0.15
"""Share of the budget that the finish of an accelerated run takes, at most; `plateau` ends it before."""


class Recipe(Parameters):
    """Everything that decides the pixels of a picture, and no path.

    A recipe, the content image, the style images and the encoder's weights determine the output. It round-trips
    through JSON and TOML and is written into every picture.

    Raises:
        RecipeError: If a name is unknown or a value out of its range.
    """

    look: LookName = parameter(
        DEFAULT_LOOK,
        "Named bundle of values; any option that is given goes before it. impasto looks shows them.",
        group="Look",
    )

    # objective
    content_weight: Weight = parameter(
        5.0,
        "Weight of the content loss. Only the ratios of the three weights count; 0 switches a term off.",
        group="Objective",
    )
    style_weight: Weight = parameter(1.0, "Weight of the style loss.", group="Objective")
    tv_weight: Weight = parameter(
        look_default("tv_weight"),
        "Weight of the total variation, which smooths the noise between neighboring pixels.",
        group="Objective",
    )

    strength: float = parameter(
        look_default("strength"),
        "How much of the painting: 0 gives the content back, 50 is the balance of the weights, 100 is nothing but "
        "texture.",
        group="Objective",
        ge=0,
        le=100,
    )
    style_loss: Literal["gram", "moments", "histogram", "sliced", "neighbors"] = parameter(
        look_default("style_loss"),
        "What is compared of the style: Gram matrices; mean and covariance (Wasserstein); Gram matrices and "
        "histograms; the whole distribution along random directions (sliced Wasserstein); or, at each place, the "
        "features of the place of the style image that fits it (nearest neighbors).",
        group="Objective",
    )
    style_blend: Numbers | None = parameter(
        None, "Shares of several styles, as 0.7,0.3; only their ratios count. Default: equal shares.", group="Objective"
    )
    style_scale: Scales = parameter(
        [1.0],
        "Size of the style's strokes: 2 looks at the style image twice as large. One number, or one for each style.",
        group="Objective",
    )

    style_rotations: bool = parameter(
        False,
        "Look for neighbors in the style image turned by quarters, too (no effect with other style losses).",
        group="Objective",
    )

    texture: float = parameter(
        look_default("texture"),
        "How much the Gram matrices of fine layers count beside nearest neighbors: more has more contrast and finer "
        "strokes, 0 has calmer areas (no effect with other style losses).",
        group="Objective",
        ge=0,
        le=100,
    )

    auto_mask: int = parameter(
        0,
        "Find so many regions that look alike in content and style, and paint each from its like; 0 finds none.",
        group="Objective",
        ge=0,
        le=16,
    )

    changes: list[Change] = parameter(
        [],
        "Changes of weights, strength or budget on the way, each after so many iterations; a run that was steered "
        "while it went on records them here.",
        group="Objective",
        is_option=False,
    )

    # encoder
    model: ModelName = parameter(
        "vgg19",
        "Encoder whose features are compared: vgg19, vgg16, compact (which ships with the package and needs no "
        "download), or any network: FILE.py:FACTORY, an exported FILE.pt2, timm:NAME, torchvision:NAME.",
        group="Encoder",
    )
    finish: (
        Annotated[
            str,
            Field(
                pattern=rf"^({'|'.join(get_args(BuiltInModel))})(:[1-9][0-9]{{0,6}})?$",
                json_schema_extra={
                    "words": "an encoder that comes with Impasto, with a number of iterations, as vgg19:8"
                },
            ),
        ]
        | None
    ) = parameter(
        None,
        f"Encoder that takes the last iterations ({Finish('').iterations} where no number is given), as vgg19:8: "
        "compact goes the long way, and the full network adds the last touch.",
        group="Encoder",
    )
    accelerate: Literal["auto", "off"] = parameter(
        look_default("accelerate"),
        "Let a small encoder go the long way, and the named one finish, where one that imitates it comes with Impasto "
        "(compact, for vgg19): about the same picture several times sooner. off uses the named encoder throughout.",
        group="Encoder",
    )
    content_layers: LayerWeights | None = parameter(
        None,
        "Layers of the content loss with weights, as relu4_2:1; patterns as features.*.expand3x3 too. Default: the "
        "encoder's own.",
        group="Encoder",
    )
    style_layers: LayerWeights | None = parameter(
        None,
        "Layers of the style loss with weights, as relu1_1:1,relu2_1:0.5; patterns too. Default: the encoder's own.",
        group="Encoder",
    )
    layer_falloff: float = parameter(
        look_default("layer_falloff"),
        "Factor by which the weights of the encoder's own style layers fall from each to the next deeper one: 2 has "
        "fewer motifs of the painting than 1, and more of its brushwork (no effect where style_layers is given).",
        group="Encoder",
        ge=0.1,
        le=10,
    )
    smoothing: float = parameter(
        0.0,
        "Even out the features of a custom model by a softmax of this temperature, in mean activations: it helps "
        "networks with residual connections; 0 is off.",
        group="Encoder",
        ge=0,
        le=1000,
    )
    pooling: Literal["max", "average"] = parameter(
        "max", "Pooling between the encoder's blocks; average is smoother, its gain is corrected.", group="Encoder"
    )
    padding: Literal["zero", "reflect", "replicate", "circular"] = parameter(
        look_default("padding"), "How the encoder's convolutions continue the picture past its border.", group="Encoder"
    )
    precision: Literal["auto", "float32", "bfloat16", "float16", "tf32"] = parameter(
        "auto",
        "Arithmetic of the encoder; statistics and pixels are float32 always. auto takes bfloat16 where the device has "
        "it in hardware, for half the memory and about half the time, and float32 elsewhere; float16 and tf32 are for "
        "GPUs.",
        group="Encoder",
    )

    # color
    preserve_color: Literal["none", "luminance", "histogram", "linear", "oklab"] = parameter(
        "none",
        "Keep the content's colors: luminance paints in gray and colors afterwards, histogram and linear bring the "
        "style's colors to the content's beforehand, oklab paints in color and takes the lightness only.",
        group="Color",
    )
    color_strength: float = parameter(
        100.0,
        "How far preserve_color goes, from 0 (not at all) to 100.",
        group="Color",
        unit="percent",
        ge=0,
        le=100,
    )

    # optimization
    optimizer: OptimizerName = parameter("lbfgs", "Optimizer of the pixels.", group="Optimization")
    init_method: Literal["random", "content", "style"] = parameter(
        "content",
        "What the picture starts from: noise, the content image or the (first) style image.",
        group="Optimization",
    )
    total_iterations: int | None = parameter(
        None,
        "Evaluations of the objective and its gradient, over all levels. Default: "
        + ", ".join(f"{count} for {name}" for name, count in DEFAULT_ITERATIONS.items())
        + f"; a {NEIGHBORS_SPEED}th of that for style_loss neighbors.",
        group="Optimization",
        ge=0,
        le=10_000_000,
    )
    learning_rate: float = parameter(
        1.0,
        "Step length of Adam (no effect with lbfgs).",
        group="Optimization",
        unit="gray levels of 1/255",
        gt=0,
        le=255,
    )
    history_size: int = parameter(
        5,
        "Curvature pairs that L-BFGS remembers; each takes the memory of two pictures (no effect with adam).",
        group="Optimization",
        ge=1,
        le=200,
    )
    plateau: float | None = parameter(
        None,
        "Stop a level early once the objective falls by less than this fraction in 50 iterations; 0 never does. "
        f"Default: {DEFAULT_PLATEAU}, or 0 where total_iterations is given.",
        group="Optimization",
        ge=0,
        lt=1,
    )
    seed: int = parameter(0, "Seed of the noise that the random start draws.", group="Optimization", ge=0, lt=2**63)

    # size
    tileable: bool = parameter(
        False,
        "Make the picture's edges meet, so that it can be laid side by side; both edges become multiples of 16 pixels.",
        group="Size",
    )
    height: int = parameter(
        400,
        "Height of the output; the width follows the content's aspect ratio.",
        group="Size",
        unit="pixels",
        ge=1,
        le=1_000_000,
    )
    size: int | None = parameter(
        None, "Longest edge of the output, instead of its height.", group="Size", unit="pixels", ge=1, le=1_000_000
    )
    levels: Literal["auto"] | Annotated[int, Field(ge=1, le=16)] = parameter(
        "auto",
        "Levels of the coarse-to-fine pyramid, each twice the size of the one before; 1 is the classic "
        "single-scale run.",
        group="Size",
    )
    min_size: int = parameter(
        look_default("min_size"),
        "Shortest edge below which auto adds no coarser level.",
        group="Size",
        unit="pixels",
        ge=16,
        le=1_000_000,
    )

    tile_edge: int | None = parameter(
        None,
        "Evaluate the picture in tiles of about this edge: the same objective in a fraction of the memory, and up to "
        "twice the time. Default: whole where it fits into memory, else as large as fits.",
        group="Size",
        unit="pixels",
        ge=64,
        le=1_000_000,
    )
    kept_targets: Literal["float32", "float16", "none"] = parameter(
        "float32",
        "How a picture in tiles keeps what its features are compared with, place by place: as they are, in half "
        "precision, or not at all, which computes them anew in each iteration (no effect on a picture in one piece).",
        group="Size",
    )

    # output
    bit_depth: Literal["auto", "8", "16"] = parameter(
        "auto",
        "Bits per channel of the written picture; auto keeps the content's depth where the format can.",
        group="Output",
    )
    keep_profile: bool = parameter(False, "Write in the content's color profile instead of sRGB.", group="Output")

    def __init__(self, /, **values: Any) -> None:
        look = values.get("look", DEFAULT_LOOK)
        bundle = LOOKS[look].values if isinstance(look, str) and look in LOOKS else {}
        super().__init__(**{**bundle, **values})
        object.__setattr__(self, "__pydantic_fields_set__", set(values))  # what a look says was not set by anybody

    @property
    def finishing(self) -> Finish | None:
        """What `finish` says."""
        if self.finish is None:
            return None
        model, _, iterations = self.finish.partition(":")
        return Finish(model, int(iterations)) if iterations else Finish(model)

    @property
    def is_corrected(self) -> bool:
        """Whether the finishing encoder is the teacher of the run's own, and so can correct its statistics."""
        return self.finishing_is_teacher and self.style_loss != "neighbors"  # which compares no statistics

    @property
    def finishing_is_teacher(self) -> bool:
        """Whether the finishing encoder is the one that the run's own imitates."""
        return self.finishing is not None and self.finishing.model == TEACHERS.get(self.model)

    @property
    def num_iterations(self) -> int:
        """The budget: `total_iterations`, or the optimizer's default."""
        if self.total_iterations is None and self.style_loss == "neighbors":
            return DEFAULT_ITERATIONS[self.optimizer] // NEIGHBORS_SPEED
        return DEFAULT_ITERATIONS[self.optimizer] if self.total_iterations is None else self.total_iterations

    @property
    def plateau_fraction(self) -> float:
        """Where a level ends early: `plateau`, or by default only where no budget is given."""
        if self.plateau is not None:
            return self.plateau
        return DEFAULT_PLATEAU if self.total_iterations is None else 0.0

    def accelerated(self) -> Self:
        """The recipe as it is carried out: by the student of its encoder, finished by the encoder itself.

        With `accelerate` auto, and where a student comes with Impasto that imitates the encoder; the same recipe
        otherwise, and where it names layers or a finish of its own.
        """
        student = next((student for student, teacher in TEACHERS.items() if teacher == self.model), None)
        if self.accelerate == "off" or student is None or self.finish or self.content_layers or self.style_layers:
            return self
        iterations = round(LARGEST_FINISH * self.num_iterations) if self.plateau_fraction else Finish.iterations
        return self.replace(model=student, finish=f"{self.model}:{iterations}")

    def warnings(self) -> list[str]:
        """One sentence for every option that was set and has no effect in the chosen path, or term without a layer."""
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
            "layer_falloff": (
                self.style_loss != "neighbors" and self.style_layers is not None,
                "style_layers is given",
            ),
            "accelerate": (
                self.accelerate == "auto" and not self.finishing_is_teacher and self.accelerated() is self,
                f"{self.model} with these layers and this finish has no small encoder that imitates it",
            ),
            "texture": (self.style_loss != "neighbors", f"style_loss is {self.style_loss}"),
            "style_rotations": (self.style_loss != "neighbors", f"style_loss is {self.style_loss}"),
            "padding": (self.tileable and self.padding != "circular", "a tileable picture goes on around its edges"),
        }
        layers = {"content": self.content_layers, "style": self.style_layers}
        off = [
            f"{term}_weight has no effect: all weights of {term}_layers are 0."
            for term, weights in layers.items()
            if weights and not any(weights.values())
        ]
        return off + [
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
            RecipeError: If the text is not a JSON object, a name is unknown or a value out of its range.
        """
        return cls._read("the recipe", lambda: parse_json(text))

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """Reads a recipe from a ``.toml`` or ``.json`` file.

        Raises:
            RecipeError: If the file cannot be read, is malformed, or holds an unknown name or a value out of range;
                it names the file.
        """
        return cls._read(f"the recipe '{shortened(str(path), 100)}'", lambda: read_values(path))

    @classmethod
    def _read(cls, source: str, read: Callable[[], Mapping[str, Any]]) -> Self:
        try:
            return cls(**read())
        except RecipeError as error:
            raise RecipeError(f"Cannot read {source}: {error}") from None


def choices(name: str) -> Sequence[str]:
    """The names that a recipe parameter has to choose from, as ``choices("model")``; it may take others besides."""
    annotation = Recipe.model_fields[name].annotation
    literals = [branch for branch in (annotation, *get_args(annotation)) if get_origin(branch) is Literal]
    return tuple(choice for literal in literals for choice in get_args(literal))
