"""Jobs by the page."""

import pytest

from impasto.errors import UserError
from impasto.service.jobs.listing import list_jobs
from tests.unit.service.conftest import new_job


def names(page):
    return [job.name for job in page.items]


def test_pages_follow_each_other_and_repeat_nothing(core):
    for number in range(5):
        core.desk.create("ann", new_job(name=f"job {number}"))
    first = list_jobs(core.database, "ann", limit=2)
    second = list_jobs(core.database, "ann", limit=2, cursor=first.next_cursor)
    third = list_jobs(core.database, "ann", limit=2, cursor=second.next_cursor)
    assert names(first) + names(second) + names(third) == [f"job {number}" for number in (4, 3, 2, 1, 0)]
    assert third.next_cursor is None


def test_a_list_is_the_callers_own(core):
    core.desk.create("ann", new_job())
    assert not list_jobs(core.database, "bob").items


def test_words_are_looked_for_in_names_of_jobs_and_pictures(core):
    core.desk.create("ann", new_job(name="The Good One"))
    core.desk.create("ann", new_job(name="another"))
    assert names(list_jobs(core.database, "ann", search="good ONE")) == ["The Good One"]
    assert len(list_jobs(core.database, "ann", search="coffee").items) == 2
    assert not list_jobs(core.database, "ann", search="100%").items
    assert len(list_jobs(core.database, "ann", search="coff\0\0ee\0").items) == 2


@pytest.mark.parametrize(
    ("search", "found"),
    [("goo", True), ("OOD", True), ("g", True), ("e one g", True), ('"quoted"', True), ("50%", True), ("5_%", False),
     ("goo nowhere", False), ("z", False), ("search : good", False), ("goo*", False)],
)  # fmt: skip
def test_words_of_any_length_and_sign_are_found_within_names(core, search, found):
    core.desk.create("ann", new_job(name='The Good One "quoted" 50%'))
    assert bool(list_jobs(core.database, "ann", search=search).items) is found
    assert not list_jobs(core.database, "anna", search=search).items


def test_what_was_found_is_paged_and_filtered(core):
    jobs = [core.desk.create("ann", new_job(name=f"coffee {number}"))[0] for number in range(5)]
    core.desk.create("bob", new_job(name="coffee"))
    core.desk.cancel("ann", jobs[1].id)
    core.desk.delete("ann", jobs[2].id)
    first = list_jobs(core.database, "ann", search="coffee", state="queued", limit=2)
    second = list_jobs(core.database, "ann", search="coffee", state="queued", limit=2, cursor=first.next_cursor)
    assert names(first) + names(second) == ["coffee 4", "coffee 3", "coffee 0"]
    assert second.next_cursor is None


def test_a_new_name_is_found_and_the_old_one_is_not(core):
    job, _ = core.desk.create("ann", new_job(name="before"))
    core.desk.rename("ann", job.id, "after")
    assert names(list_jobs(core.database, "ann", search="after")) == ["after"]
    assert not list_jobs(core.database, "ann", search="before").items


def test_the_operator_searches_among_all_callers(core):
    core.desk.create("ann", new_job(name="coffee"))
    core.desk.create("bo", new_job(name="coffee"))
    assert len(list_jobs(core.database, None, search="coffee").items) == 2
    assert len(list_jobs(core.database, "bo", search="coffee").items) == 1


def test_states_and_kinds_filter(core):
    job, _ = core.desk.create("ann", new_job())
    core.desk.create_batch("ann", new_job(), ["example:coffee"])
    core.desk.cancel("ann", job.id)
    assert [found.id for found in list_jobs(core.database, "ann", state="cancelled").items] == [job.id]
    assert [found.kind for found in list_jobs(core.database, "ann", kind="batch").items] == ["batch"]


def test_cells_are_listed_by_their_parent_in_order(core):
    sweep, _ = core.desk.create_sweep("ann", new_job(), {"strength": [10, 50, 90]})
    first = list_jobs(core.database, "ann", parent_id=sweep.id, limit=2)
    second = list_jobs(core.database, "ann", parent_id=sweep.id, limit=2, cursor=first.next_cursor)
    assert names(first) + names(second) == ["strength 10", "strength 50", "strength 90"]


@pytest.mark.parametrize(("filters", "complaint"), [({"state": "quued"}, "queued"), ({"cursor": "%%%"}, "cursor")])
def test_what_is_not_understood_is_refused(core, filters, complaint):
    with pytest.raises(UserError, match=complaint):
        list_jobs(core.database, "ann", **filters)
