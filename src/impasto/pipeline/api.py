"""One picture in the style of others: ``stylize``."""

import base64
import io
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from impasto.devices import pick_device, release_freed_pages, trim_freed_pages
from impasto.encoders import Encoder
from impasto.engine import Control, Progress
from impasto.engine.checkpoint import Checkpoint, Checkpointer, Checkpoints
from impasto.errors import UserError
from impasto.images import Picture, as_picture
from impasto.images.picture import quantize, to_samples
from impasto.objective.ranks import Ranks
from impasto.pipeline.build import build_engine, complete, encoder_of
from impasto.pipeline.color_preservation import stays_gray
from impasto.pipeline.level_images import style_sizes, target_size
from impasto.pipeline.memory import Sizes
from impasto.pipeline.memory_plan import PLANNED, MemoryPlan, plan_within
from impasto.pipeline.provenance import Inputs, provenance_of
from impasto.pipeline.ranks import Leader, with_tiles_for
from impasto.recipe import Recipe, StopReason

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Result:
    """A painted picture, and how it was made.

    Attributes:
        image: Shape (1, 3, H, W), float32 in [0, 1], on the CPU.
        recipe: The recipe, with layers and iterations filled in.
        inputs: The pictures that it was made from.
        iterations: Evaluations of the objective that were spent.
        seconds: Time spent, without pauses.
        stop_reason: Why the run ended; its `sentence` says it in words.
        losses: ``total`` and its weighted parts at the picture.
        gradient_share: Share of ``content``, ``style`` and ``tv`` in the gradient at the end, adding up to 1;
            empty if the run was stopped or cancelled, or the picture was evaluated in tiles.
        is_cancelled: Whether the run was cancelled.
        weights_sha256: Of the encoder's weights.
        finish_sha256: Of the finishing encoder's weights, empty if there was none.
    """

    image: Tensor
    recipe: Recipe
    inputs: Inputs
    iterations: int
    seconds: float
    stop_reason: StopReason
    losses: Mapping[str, float]
    gradient_share: Mapping[str, float]
    is_cancelled: bool
    weights_sha256: str
    finish_sha256: str = ""

    @property
    def content(self) -> Picture:
        """The content image; its alpha, profile and EXIF go into the written file."""
        return self.inputs.content

    @property
    def is_gray(self) -> bool:
        """Whether the picture is gray because the content is and its colors were kept; it is written as one channel."""
        return stays_gray(self.content, self.recipe)

    def provenance(self) -> str:
        """What `impasto rerun` needs to make this picture again, as one line of ASCII JSON; it holds no path."""
        provenance = provenance_of(self.recipe, self.inputs, self.weights_sha256, self.finish_sha256)
        ending = {"iterations": self.iterations, "stop_reason": self.stop_reason}
        return json.dumps({"impasto": version("impasto"), **provenance, **ending}, ensure_ascii=True)

    def _repr_png_(self) -> bytes:
        """The picture, as notebooks show it; 8 bits per channel."""
        buffer = io.BytesIO()
        Image.fromarray(quantize(to_samples(self.image), 8)).save(buffer, "PNG")
        return buffer.getvalue()

    def _repr_html_(self) -> str:
        """The picture and why the run ended, as notebooks show it."""
        height, width = self.image.shape[-2:]
        address = f"data:image/png;base64,{base64.b64encode(self._repr_png_()).decode('ascii')}"
        caption = (
            f"{width}×{height}, {self.iterations} iterations in {self.seconds:.1f} s: {self.stop_reason.sentence}."
        )
        return f'<img src="{address}" alt="The painted picture" style="max-width: 100%"><p>{caption}</p>'


@dataclass(frozen=True)
class Masks:
    """Masks, in any form that `impasto.images.as_picture` takes; white is inside, transparency is outside.

    Attributes:
        content: For each style image, the part of the output that it is for; soft edges and any size are allowed.
        style: For each style image, the part of it that is taken as style.
        lock: The part of the content that is kept unchanged.
    """

    content: Sequence[Any] = ()
    style: Sequence[Any] = ()
    lock: Any = None


@dataclass(frozen=True)
class Execution:
    """How a run is carried out; none of it changes the picture.

    Attributes:
        device: ``"auto"`` (the first accelerator, else the CPU) or a name that torch knows.
        threads: Processor threads; None leaves torch's setting.
        trust: Whether the file of a custom model may run its code.
        max_memory: Bytes that the process may use; memory savings are switched on until it fits. None is what the
            machine, its container or the accelerator has free, less a margin.
        checkpoints: Where to keep the run's state, and whether to resume from it; None keeps none.
        scratch: Folder for what L-BFGS remembers where memory is too small for it; None for none.
        ranks: The processes that share the tiles of the picture, of which this one leads; None for this one alone.
    """

    device: str = "auto"
    threads: int | None = None
    trust: bool = False
    max_memory: int | None = None
    checkpoints: Checkpoints | None = None
    scratch: Path | None = None
    ranks: Ranks | None = None


def stylize(
    content: Any,
    styles: Any,
    recipe: Recipe | None = None,
    *,
    masks: Masks = Masks(),
    execution: Execution = Execution(),
    encoder: Encoder | Callable[[], Encoder] | None = None,
    control: Control | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_plan: Callable[[MemoryPlan], None] | None = None,
    **changes: Any,
) -> Result:
    """Paints the content image in the style of the style images.

    Args:
        content: A path, a PIL image, an array, a tensor or a `Picture`; see `impasto.images.as_picture`.
        styles: One of the same, or a sequence of them, mixed by ``style_blend``.
        recipe: Settings that determine the picture; None for the defaults.
        masks: Where styles go, which parts of them are taken, and where the content is kept.
        execution: Device, threads, memory, checkpoints.
        encoder: A built encoder, or a function that builds it once the pictures are read; None builds the recipe's,
            accelerated where the recipe allows it.
        control: Pauses, stops or cancels the run from another thread or from `on_progress`.
        on_progress: Called with the start and after each iteration.
        on_plan: Called with the memory plan before the first iteration.
        changes: Values of the recipe by name, as ``height=600``.

    Returns:
        The picture, and why the run stopped. Whatever the weights, it is finite and in [0, 1].

    Raises:
        RecipeError: If a parameter is unknown or out of its range, or the device is not available.
        ImageError: If a picture cannot be read.
        LayerError: If the encoder does not have a layer that the recipe names.
        WeightsError: If the encoder's weights are missing or damaged.
        CheckpointError: If the checkpoint to resume from is missing, damaged, or of another run.
        OutOfMemoryError: If the run does not fit into `max_memory` with all memory savings on.

    Reference: Gatys, Ecker & Bethge (2016), CVPR, "Image Style Transfer Using Convolutional Neural Networks".
    """
    recipe = (recipe or Recipe()).replace(**changes)
    if encoder is None:
        recipe = recipe.accelerated()
    release_freed_pages()
    inputs = Inputs(
        content=as_picture(content),
        styles=[as_picture(style) for style in _listed(styles)],
        content_masks=[as_picture(mask) for mask in masks.content],
        style_masks=[as_picture(mask) for mask in masks.style],
        lock_mask=None if masks.lock is None else as_picture(masks.lock),
    )
    device = pick_device(execution.device)
    if execution.threads is not None:
        torch.set_num_threads(execution.threads)
    if not isinstance(encoder, Encoder):
        encoder = encoder() if encoder is not None else encoder_of(recipe, device, trust=execution.trust)
    recipe = complete(recipe, encoder)
    for warning in recipe.warnings():
        logger.warning("%s", warning)
    finishing_encoder = None
    if recipe.finishing is not None:
        finishing_encoder = encoder_of(recipe.replace(model=recipe.finishing.model), device)
    encoders = [encoder] if finishing_encoder is None else [encoder, finishing_encoder]
    plan = _within_memory(inputs, recipe, encoders, execution, device)
    recipe, ranks = plan.recipe, execution.ranks
    if ranks is not None:
        recipe = with_tiles_for(ranks, encoder, recipe, target_size(inputs.content.size, recipe))
    if on_plan is not None:
        on_plan(plan)
    scratch = execution.scratch if plan.uses_scratch else None
    shared_by = None
    if ranks is not None:
        shared_by = partial(
            Leader, ranks=ranks, inputs=inputs, recipe=recipe, trust=execution.trust, is_low_memory=plan.is_low_memory
        )
    engine = build_engine(inputs, recipe, encoder, device, control, finishing_encoder, scratch, shared_by)
    finish_sha256 = finishing_encoder.weights_sha256 if finishing_encoder is not None else ""
    provenance = provenance_of(recipe, inputs, encoder.weights_sha256, finish_sha256)
    checkpointer = Checkpointer(execution.checkpoints, engine, provenance, _surroundings(device), device)
    try:
        for progress in engine.run():
            if on_progress is not None:
                on_progress(progress)
            checkpointer.after_iteration()
    finally:
        trim_freed_pages()
    checkpointer.close()
    return Result(
        image=engine.image.detach().cpu(),
        recipe=engine.recipe,
        inputs=inputs,
        iterations=engine.iteration,
        seconds=engine.seconds,
        stop_reason=engine.stop_reason or StopReason.BUDGET,
        losses=dict(engine.losses),
        gradient_share=dict(engine.gradient_share),
        is_cancelled=engine.control.is_cancelled,
        weights_sha256=encoder.weights_sha256,
        finish_sha256=finish_sha256,
    )


def _surroundings(device: torch.device) -> dict[str, Any]:
    """What may change the last bits of the picture, and nothing else."""
    return {
        "impasto": version("impasto"), "torch": torch.__version__, "device": str(device),
        "threads": torch.get_num_threads(),
    }  # fmt: skip


def _within_memory(
    inputs: Inputs, recipe: Recipe, encoders: Sequence[Encoder], execution: Execution, device: torch.device
) -> MemoryPlan:
    """The plan, with the recipe as memory requires it; switches encoders to low memory if necessary.

    A run that is resumed goes on in the tiles, and with the history, that it began with.
    """
    if execution.checkpoints is not None and execution.checkpoints.resume:
        begun = Checkpoint.recipe_in(execution.checkpoints.path)
        recipe = recipe.replace(
            **{name: begun[name] for name in PLANNED if name in begun and name not in recipe.model_fields_set}
        )
    sizes = memory_sizes(inputs, recipe)
    has_scratch = execution.scratch is not None
    plan = plan_within(encoders, recipe, sizes, device, execution.max_memory, has_scratch=has_scratch)
    for sentence in plan.lowered:
        logger.warning("%s", sentence)
    if plan.is_low_memory:
        for encoder in encoders:
            encoder.is_low_memory = encoder.supports_low_memory
    changed = {name: value for name in PLANNED if (value := getattr(plan.recipe, name)) != getattr(recipe, name)}
    return replace(plan, recipe=recipe.replace(**changed) if changed else recipe)


def memory_sizes(inputs: Inputs, recipe: Recipe) -> Sizes:
    """The sizes of the pictures, for a memory plan."""
    masks = [*inputs.content_masks, *inputs.style_masks, *([inputs.lock_mask] if inputs.lock_mask else [])]
    styles = [style.size for style in inputs.styles]
    output = target_size(inputs.content.size, recipe)
    pictures = [inputs.content.size, *styles, *(mask.size for mask in masks)]
    return Sizes(output, pictures, style_sizes(styles, output, recipe))


def _listed(styles: Any) -> Sequence[Any]:
    listed: list[Any] = list(styles) if isinstance(styles, list | tuple) else [styles]
    if not listed:
        raise UserError("No style image was given; at least one is needed.")
    return listed
