"""From requests to orders: pictures found, recipe checked, memory and time asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from impasto.errors import RecipeError, UserError, did_you_mean
from impasto.recipe import Recipe, choices
from impasto.service import schemas
from impasto.service.api import shelf
from impasto.service.api.command import command_of
from impasto.service.api.edge import Edge
from impasto.service.api.ports import Order, PictureRow


async def for_picture(edge: Edge, owner: str, request: schemas.JobRequest) -> Order:
    """What a request for one picture comes to.

    Raises:
        ApiProblem: 404 if a picture is not there.
        UserError: If recipe, pictures and encoder do not suit each other.
        OutOfMemoryError: If the job cannot fit.
    """
    order = Order(
        kind="picture",
        content=await shelf.find(edge, owner, request.content),
        styles=await _all(edge, owner, request.styles),
        recipe=request.recipe,
        name=request.name,
        priority=request.priority,
        saving_interval=request.saving_interval,
        content_masks=await _all(edge, owner, request.content_masks),
        style_masks=await _all(edge, owner, request.style_masks),
        lock_mask=await shelf.find(edge, owner, request.lock_mask) if request.lock_mask else None,
    )
    return await planned(edge, order)


async def for_sweep(edge: Edge, owner: str, request: schemas.SweepRequest) -> Order:
    """What a request for a sweep comes to.

    Raises:
        ApiProblem: 404 if a picture is not there.
        UserError: If recipe, pictures and encoder do not suit each other.
    """
    order = Order(
        kind="sweep",
        content=await shelf.find(edge, owner, request.content),
        styles=await _all(edge, owner, request.styles),
        recipe=request.recipe,
        name=request.name,
        priority=request.priority,
        saving_interval=0,
        content_masks=await _all(edge, owner, request.content_masks),
        style_masks=await _all(edge, owner, request.style_masks),
        lock_mask=await shelf.find(edge, owner, request.lock_mask) if request.lock_mask else None,
        vary=request.vary,
    )
    for name, values in request.vary.items():
        for value in values:  # each refused by the recipe's own sentence
            Recipe(**{name: value})
    return await planned(edge, order)


async def for_batch(edge: Edge, owner: str, request: schemas.BatchRequest) -> Order:
    """What a request for a batch comes to.

    Raises:
        ApiProblem: 404 if a picture is not there.
        UserError: If recipe, pictures and encoder do not suit each other.
    """
    contents = await _all(edge, owner, request.contents)
    order = Order(
        kind="batch",
        content=contents[0],
        contents=contents,
        styles=await _all(edge, owner, request.styles),
        recipe=request.recipe,
        name=request.name,
        priority=request.priority,
        saving_interval=request.saving_interval,
    )
    return await planned(edge, order)


async def again(edge: Edge, owner: str, order: Order, request: schemas.AgainRequest) -> Order:
    """Another job's order with what a request changes.

    Raises:
        ApiProblem: 404 if a picture is not there.
        UserError: If recipe, pictures and encoder do not suit each other.
        OutOfMemoryError: If the job cannot fit.
    """
    recipe = request.recipe
    changes = {name: getattr(recipe, name) for name in recipe.model_fields_set}
    changed = replace(
        order,
        recipe=order.recipe.replace(**changes),
        content=await shelf.find(edge, owner, request.content) if request.content else order.content,
        styles=await _all(edge, owner, request.styles) if request.styles else order.styles,
        name=order.name if request.name is None else request.name,
    )
    return await planned(edge, changed)


async def planned(edge: Edge, order: Order) -> Order:
    """An order with what it will take, and with warnings.

    Raises:
        UserError: If recipe, pictures and encoder do not suit each other.
        OutOfMemoryError: If the job cannot fit.
    """
    check_model(order.recipe, edge.models)
    check_masks(order)
    contents = order.contents or [order.content]
    largest = max(contents, key=lambda row: row.width * row.height)
    plan = await edge.advisor.plan(
        order.recipe,
        (largest.height, largest.width),
        [(row.height, row.width) for row in order.styles],
        edge.max_memory,
    )
    return replace(order, plan=plan, warnings=[*order.recipe.warnings(), *plan["lowered"]])


def check_model(recipe: Recipe, models: Mapping[str, str]) -> None:
    """Refuses a custom model that is not on the operator's list: nothing from a client names a file or a module.

    Raises:
        RecipeError: If it is not.
    """
    known = [*choices("model"), *models]
    if recipe.model not in known:
        raise RecipeError(f"model is not one of this service's. {did_you_mean(recipe.model, known)}")


def check_masks(order: Order) -> None:
    """Refuses masks that do not go with the styles.

    Raises:
        UserError: If their numbers differ, or pictures and regions are both given.
    """
    for name, masks in (("content_masks", order.content_masks), ("style_masks", order.style_masks)):
        if masks and len(masks) != len(order.styles):
            raise UserError(f"{len(masks)} {name} are given for {len(order.styles)} styles; give one for each style.")


def command(order: Order) -> str:
    """The command line that paints the same."""
    masks = [("content_mask", row.name) for row in order.content_masks]
    masks += [("style_mask", row.name) for row in order.style_masks]
    masks += [("lock_mask", order.lock_mask.name)] if order.lock_mask else []
    return command_of(order.recipe, order.content.name, [row.name for row in order.styles], masks)


def check_answer(order: Order) -> dict[str, Any]:
    """What ``POST /jobs/check`` says of an order."""
    return {
        "recipe": order.plan["recipe"],
        "warnings": list(order.warnings),
        "plan": {name: order.plan[name] for name in ("peak_bytes", "seconds", "size")},
        "command": command(order),
        "toml": order.recipe.to_toml(),
    }


async def _all(edge: Edge, owner: str, ids: Sequence[str]) -> list[PictureRow]:
    return [await shelf.find(edge, owner, picture_id) for picture_id in ids]

