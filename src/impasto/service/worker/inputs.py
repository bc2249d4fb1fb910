"""A job's pictures as files in a folder, under the names that their owner gave them."""

from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from impasto.examples import example_path
from impasto.recipe import Recipe
from impasto.recipe.model_names import is_custom, public_name
from impasto.runs.outputs import short_stem
from impasto.service.artifacts import ArtifactError, Artifacts, MissingArtifactError
from impasto.service.jobs.images import EXAMPLE, get_images
from impasto.service.jobs.records import ImageRecord, JobRecord
from impasto.service.store.database import Database

__all__ = ["InputFiles", "fetch_inputs", "own_recipe"]


@dataclass(frozen=True)
class InputFiles:
    """Where the pictures of a job lie."""

    content: Path
    styles: list[Path]
    content_masks: list[Path]
    style_masks: list[Path]
    lock_mask: Path | None


def fetch_inputs(database: Database, artifacts: Artifacts, job: JobRecord, folder: Path) -> InputFiles:
    """Copies a job's pictures into a folder, each into one of its own, so that names may repeat.

    Raises:
        ArtifactError: If one cannot be had.
    """
    ids = job.inputs.all
    images = get_images(database, [image for image in ids if not image.startswith(EXAMPLE)])
    files = {
        image: example_path(image.removeprefix(EXAMPLE))
        if image.startswith(EXAMPLE)
        else _fetch(artifacts, images[image], folder / str(number))
        for number, image in enumerate(ids)
    }
    return InputFiles(
        files[job.inputs.content],
        [files[image] for image in job.inputs.styles],
        [files[image] for image in job.inputs.content_masks],
        [files[image] for image in job.inputs.style_masks],
        files[job.inputs.lock_mask] if job.inputs.lock_mask else None,
    )


def own_recipe(job: JobRecord, models: list[str]) -> Recipe:
    """A job's recipe, with the operator's file in the place of a custom model's name."""
    recipe = Recipe(**job.recipe).accelerated()
    if not is_custom(recipe.model):
        return recipe
    return recipe.replace(model={public_name(model): model for model in models}[recipe.model])


def _fetch(artifacts: Artifacts, image: ImageRecord, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    # The name was cleaned when it came; that it stays in the folder does not depend on that.
    name = PureWindowsPath(image.name.replace("\0", "")).name.lstrip(".") or "picture"
    path = folder / (short_stem(Path(name).stem) + Path(name).suffix[:10])
    try:
        artifacts.fetch(image.artifact, path)
    except MissingArtifactError:
        raise ArtifactError(
            f"The picture '{image.name}' is lost from the store; upload it once more and make a new job."
        ) from None
    return path
