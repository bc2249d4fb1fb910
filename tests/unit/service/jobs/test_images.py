"""Uploaded pictures."""

import hashlib

import pytest

from impasto.service.jobs.images import (
    StorageQuotaError,
    UnknownImageError,
    add_image,
    delete_image,
    get_image,
    list_images,
)
from impasto.service.jobs.records import JobInputs, NewJob
from impasto.service.jobs.states import ConflictError
from tests.unit.service.conftest import new_job


def add(core, tmp_path, owner="ann", data=b"picture", **more):
    path = tmp_path / "upload"
    path.write_bytes(data)
    return add_image(
        core.database, core.artifacts, owner, path, sha256=hashlib.sha256(data).hexdigest(), name="a.png",
        format_name="PNG", media_type="image/png", size=(3, 4), **more,
    )  # fmt: skip


def test_the_same_bytes_are_kept_once_for_each_caller(core, tmp_path):
    first, is_new = add(core, tmp_path)
    assert is_new
    assert (first.width, first.height) == (4, 3)
    assert add(core, tmp_path) == (first, False)
    other, is_new = add(core, tmp_path, owner="bob")
    assert is_new
    assert other.artifact == first.artifact


def test_bytes_stay_until_nobody_has_them(core, tmp_path):
    ann, bob = add(core, tmp_path)[0], add(core, tmp_path, owner="bob")[0]
    delete_image(core.database, core.artifacts, "ann", ann.id)
    assert core.artifacts.exists(bob.artifact)
    delete_image(core.database, core.artifacts, "bob", bob.id)
    assert not core.artifacts.exists(bob.artifact)


def test_a_picture_that_a_job_needs_is_not_deleted(core, tmp_path):
    image, _ = add(core, tmp_path)
    inputs = JobInputs(content=image.id, styles=["example:oil"])
    core.desk.create("ann", NewJob(inputs=inputs, recipe=new_job().recipe, name="mine"))
    with pytest.raises(ConflictError, match="mine"):
        delete_image(core.database, core.artifacts, "ann", image.id)


def test_a_picture_is_its_owners(core, tmp_path):
    image, _ = add(core, tmp_path)
    with pytest.raises(UnknownImageError):
        get_image(core.database, "bob", image.id)


def test_a_caller_keeps_no_more_than_is_allowed(core, tmp_path):
    with pytest.raises(StorageQuotaError, match="delete some"):
        add(core, tmp_path, max_stored_bytes=3)


def test_pages_of_pictures_repeat_nothing(core, tmp_path):
    ids = [add(core, tmp_path, data=bytes([number]))[0].id for number in range(3)]
    first = list_images(core.database, "ann", limit=2)
    second = list_images(core.database, "ann", limit=2, cursor=first.next_cursor)
    assert [image.id for image in (*first.items, *second.items)] == ids[::-1]
