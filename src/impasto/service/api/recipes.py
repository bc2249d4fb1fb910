"""The recipe: its schema for forms, looks, presets, and the recipe that a picture carries."""

import json
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from impasto.errors import ImageError, ImpastoError
from impasto.recipe import LIVE_TUNABLE, Recipe
from impasto.service import schemas
from impasto.service.api import recipe_forms, shelf
from impasto.service.api.edge import Edge, EdgeOf, call
from impasto.service.api.example_pictures import PREFIX, all_by_id, is_example
from impasto.service.api.images import UPLOAD_BODY, receive_one
from impasto.service.api.parameters import PictureIdInPath
from impasto.service.api.problems import answers
from impasto.service.api.security import Reader
from impasto.service.api.uploads import folder_for_uploads
from impasto.service.api.views import to_example
from impasto.service.jobs.images import find_image

router = APIRouter(tags=["recipe"])


@router.get("/recipe/schema", response_model=schemas.RecipeSchema, responses=answers())
async def get_recipe_schema(_: Reader) -> Response:
    """Get all that a form for the recipe needs."""
    return JSONResponse(
        {
            "json_schema": recipe_forms.schema(),
            "groups": recipe_forms.groups(),
            "live_tunable": list(LIVE_TUNABLE),
            "looks": recipe_forms.looks(),
            "presets": recipe_forms.presets(),
        }
    )


@router.get("/looks", response_model=list[schemas.LookInfo], responses=answers())
async def list_looks(_: Reader) -> Response:
    """List the looks: named bundles of values."""
    return JSONResponse(recipe_forms.looks())


@router.get("/presets", response_model=list[schemas.Preset], responses=answers())
async def list_presets(_: Reader) -> Response:
    """List recipes to start from."""
    return JSONResponse(recipe_forms.presets())


@router.get("/examples", response_model=list[schemas.Example], responses=answers())
def list_examples(_: Reader) -> Response:
    """List the bundled pictures; their ids are taken wherever a picture's is."""
    return JSONResponse([to_example(image_id.removeprefix(PREFIX), image) for image_id, image in all_by_id().items()])


@router.post(
    "/recipe/inspect", response_model=schemas.FoundRecipe, openapi_extra=UPLOAD_BODY, responses=answers(408, 415)
)
async def inspect_recipe(request: Request, edge: EdgeOf, caller: Reader) -> Response:
    """Read the recipe that a painted picture carries; nothing is kept."""
    async with folder_for_uploads(edge.settings.scratch) as folder:
        received = await receive_one(request, folder, None)
        facts = await edge.decoding.inspect(received.path, received.name, {})
    return await _found(edge, caller.owner, facts["recipe"], received.name)


@router.post("/images/{image_id}/recipe", response_model=schemas.FoundRecipe, responses=answers(404))
async def inspect_image_recipe(image_id: PictureIdInPath, edge: EdgeOf, caller: Reader) -> Response:
    """Read the recipe that an uploaded picture carries."""
    image = await shelf.find(edge, caller.owner, image_id)
    if is_example(image_id):
        return await _found(edge, caller.owner, None, image.name)
    async with folder_for_uploads(edge.settings.scratch) as folder:
        source = folder / "source"
        await call(edge.artifacts.fetch, image.artifact, source)
        facts = await edge.decoding.inspect(source, image.name, {})
    return await _found(edge, caller.owner, facts["recipe"], image.name)


async def _found(edge: Edge, owner: str, recipe_json: str | None, name: str) -> Response:
    if recipe_json is None:
        raise ImageError(
            f"'{name}' holds no recipe: it is not a picture that Impasto wrote, or a program has since dropped its "
            "metadata."
        )
    try:
        values = json.loads(recipe_json)
        recipe, warnings = _recipe(values["recipe"])
        lock_mask = values.get("lock_mask")
        found = {
            "recipe": recipe,
            "content": await _picture(edge, owner, values["content"]),
            "styles": [await _picture(edge, owner, style) for style in values["styles"]],
            "content_masks": [await _picture(edge, owner, mask) for mask in values.get("content_masks", [])],
            "style_masks": [await _picture(edge, owner, mask) for mask in values.get("style_masks", [])],
            "lock_mask": await _picture(edge, owner, lock_mask) if lock_mask else None,
            "warnings": warnings,
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ImageError(f"The recipe in '{name}' is damaged or of another version.") from None
    return JSONResponse(found)


def _recipe(values: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The recorded values that differ from their look's, and what to say of them."""
    values = {"look": "classic", **values}  # of pictures from before there were looks
    try:
        recipe = Recipe(**values)
    except ImpastoError as error:
        return {}, [f"Its recipe is not this version's: {error}"]
    defaults = Recipe(look=recipe.look).model_dump(mode="json") | {"look": None}
    dumped = recipe.model_dump(mode="json", exclude={"changes"})
    kept = {name: value for name, value in dumped.items() if value != defaults.get(name)}
    notes = ["It was changed on its way; these changes are left out."] if recipe.changes else []
    return kept, notes


async def _picture(edge: Edge, owner: str, recorded: Mapping[str, Any]) -> dict[str, Any]:
    """A picture that a recipe names, found again by its bytes."""
    sha256 = str(recorded["sha256"])
    own = await call(find_image, edge.database, owner, sha256)
    found = own or next((image for image in all_by_id().values() if image.sha256 == sha256), None)
    return {"name": str(recorded["name"]), "sha256": sha256, "image_id": found.id if found else None}
