"""A job's pictures as files."""

import pytest

from impasto.examples import example_path
from impasto.service.artifacts import ArtifactError
from impasto.service.jobs.images import add_image
from impasto.service.jobs.records import JobInputs
from impasto.service.worker.inputs import fetch_inputs
from tests.unit.service.conftest import new_job


@pytest.fixture
def photo(core, tmp_path):
    path = tmp_path / "upload"
    path.write_bytes(b"picture")
    return add_image(
        core.database, core.artifacts, "ann", path, sha256="5" * 64, name="My photo.JPG", format_name="JPEG",
        media_type="image/jpeg", size=(3, 4),
    )[0]  # fmt: skip


@pytest.fixture
def job(core, photo):
    inputs = JobInputs(content=photo.id, styles=["example:oil"])
    return core.desk.create("ann", new_job().model_copy(update={"inputs": inputs}))[0]


def test_pictures_have_the_names_that_their_owner_gave_them(core, job, tmp_path):
    files = fetch_inputs(core.database, core.artifacts, job, tmp_path / "in")
    assert (files.content.name, files.content.read_bytes()) == ("My photo.JPG", b"picture")
    assert files.styles == [example_path("oil")]


def test_a_picture_that_is_lost_is_named(core, job, photo, tmp_path):
    core.artifacts.delete(photo.artifact)
    with pytest.raises(ArtifactError, match=r"'My photo.JPG' is lost"):
        fetch_inputs(core.database, core.artifacts, job, tmp_path / "in")
