"""From requests to orders: pictures found, recipe checked, memory and time estimated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from impasto.errors import RecipeError, UserError, did_you_mean
from impasto.recipe import Recipe, choices
from impasto.service import schemas
from impasto.service.api import shelf
from impasto.service.api.command import command_of
from impasto.service.api.edge import Edge, call
from impasto.service.jobs.records import ImageRecord, JobInputs, NewJob
from impasto.service.jobs.routing import largest_memory

PLAN = ("peak_bytes", "seconds", "size")


@dataclass(frozen=True)
class Order:
    """A job to be made.

    Attributes:
        new: As the desk takes it.
        command: The command line that paints the same.
    """

    new: NewJob
    command: str


async def order_of(
    edge: Edge,
    owner: str,
    request: schemas.JobRequest | schemas.SweepRequest,
    *,
    saving_interval: int = 0,
    contents: Sequence[ImageRecord] = (),
) -> Order:
    """What a request comes to.

    Args:
        edge: The rooms behind.
        owner: Who asks.
        request: What is asked for.
        saving_interval: Iterations between pictures that are kept.
        contents: Of a batch, whose largest one is estimated.

    Raises:
        ApiProblem: 404 if a picture is not there.
        UserError: If recipe, pictures and encoder do not suit each other.
        OutOfMemoryError: If the job cannot fit.
    """
    inputs = JobInputs(
        content=request.content, styles=request.styles, content_masks=request.content_masks,
        style_masks=request.style_masks, lock_mask=request.lock_mask,
    )  # fmt: skip
    images = {image_id: await shelf.find(edge, owner, image_id) for image_id in inputs.all}
    check_model(request.recipe, edge.models)
    check_masks(inputs)
    styles = [images[style] for style in inputs.styles]
    plan = await estimate(edge, request.recipe, contents or [images[inputs.content]], styles)
    new = NewJob(
        inputs=inputs, recipe=request.recipe, name=request.name, priority=request.priority,
        saving_interval=saving_interval, plan=plan,
        warnings=[*request.recipe.warnings(), *plan["lowered"]],
    )  # fmt: skip
    return Order(new, command(request.recipe, inputs, images))


async def estimate(
    edge: Edge, recipe: Recipe, contents: Sequence[ImageRecord], styles: Sequence[ImageRecord]
) -> dict[str, Any]:
    """What painting the largest of some contents takes; see `impasto.service.advisor.tasks.plan`."""
    if recipe.model in edge.models:  # whose layers only a worker knows, as it runs their code
        return {"recipe": recipe.model_dump(mode="json"), "lowered": [], **dict.fromkeys(PLAN)}
    largest = max(contents, key=lambda image: image.width * image.height)
    sizes = [(style.height, style.width) for style in styles]
    limit = await call(_memory_of_the_fleet, edge)
    return await edge.advisor.plan(recipe, (largest.height, largest.width), sizes, limit)


def _memory_of_the_fleet(edge: Edge) -> int | None:
    """What the largest worker can give to a job; blocks."""
    with edge.database.reading() as session:
        return largest_memory(session, otherwise=edge.settings.memory_a_worker)


def check_model(recipe: Recipe, models: Mapping[str, str]) -> None:
    """Refuses a custom model that is not on the operator's list: nothing from a client names a file or a module.

    Raises:
        RecipeError: If it is not.
    """
    known = [*choices("model"), *models]
    if recipe.model not in known:
        raise RecipeError(f"model is not one of this service's. {did_you_mean(recipe.model, known)}")


def check_masks(inputs: JobInputs) -> None:
    """Refuses masks that do not go with the styles.

    Raises:
        UserError: If their numbers differ.
    """
    for name, masks in (("content_masks", inputs.content_masks), ("style_masks", inputs.style_masks)):
        if masks and len(masks) != len(inputs.styles):
            raise UserError(f"{len(masks)} {name} are given for {len(inputs.styles)} styles; give one for each style.")


def command(recipe: Recipe, inputs: JobInputs, images: Mapping[str, ImageRecord]) -> str:
    """The command line that paints the same."""

    def name(image_id: str) -> str:
        return images[image_id].name if image_id in images else f"{image_id}.png"

    masks = [("content_mask", name(mask)) for mask in inputs.content_masks]
    masks += [("style_mask", name(mask)) for mask in inputs.style_masks]
    masks += [("lock_mask", name(inputs.lock_mask))] if inputs.lock_mask else []
    return command_of(recipe, name(inputs.content), [name(style) for style in inputs.styles], masks)


def check_answer(order: Order) -> dict[str, Any]:
    """What ``POST /jobs/check`` says of an order."""
    return {
        "recipe": order.new.plan["recipe"],
        "warnings": order.new.warnings,
        "plan": {name: order.new.plan[name] for name in PLAN},
        "command": order.command,
        "toml": order.new.recipe.to_toml(),
    }
