"""Jobs over HTTP: made in two ways, found, steered; whatever is wrong is said as the command line says it."""

from pathlib import Path

import pytest
from httpx import Client

from impasto.errors import RecipeError
from impasto.examples import example_path
from impasto.recipe import Recipe
from tests.service import API, ORDER, api


def create(client: Client, **changes):
    return client.post(f"{API}/jobs", json=ORDER | changes)


def test_a_job_is_made_of_ids_and_a_recipe(client: Client) -> None:
    answer = create(client, name="Morning")
    job = answer.json()
    assert answer.status_code == 201
    assert (job["name"], job["state"], job["kind"]) == ("Morning", "queued", "picture")
    assert job["content"]["id"] == "example:coffee"
    assert job["recipe"]["height"] == 32
    assert client.get(answer.headers["location"]).json() == job


def test_a_job_is_made_in_one_request(client: Client) -> None:
    files = {
        "content": ("photo.jpg", example_path("coffee").read_bytes()),
        "style": ("paint.jpg", example_path("oil").read_bytes()),
    }
    fields = {"height": "48", "style_layers": "relu1_1:1,relu2_1:0.5", "tileable": "true", "priority": "7"}
    answer = client.post(f"{API}/jobs", files=files, data=fields | {"name": "12"})
    job = answer.json()
    assert answer.status_code == 201
    assert (job["name"], job["priority"], job["recipe"]["height"]) == ("12", 7, 48)
    assert job["recipe"]["style_layers"] == {"relu1_1": 1.0, "relu2_1": 0.5}
    assert job["recipe"]["tileable"] is True
    assert [style["name"] for style in job["styles"]] == ["paint.jpg"]


def test_a_form_may_name_pictures_that_are_there(client: Client) -> None:
    answer = client.post(
        f"{API}/jobs",
        files=[
            (name, (None, f"example:{which}"))
            for name, which in (("content", "coffee"), ("style", "oil"), ("style", "waves"))
        ],
    )
    assert [style["id"] for style in answer.json()["styles"]] == ["example:oil", "example:waves"]


def test_the_same_key_gives_the_same_job(client: Client) -> None:
    headers = {"Idempotency-Key": "one"}
    first = client.post(f"{API}/jobs", json=ORDER, headers=headers)
    second = client.post(f"{API}/jobs", json=ORDER, headers=headers)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"]
    assert client.post(f"{API}/jobs", json=ORDER | {"name": "x"}, headers=headers).status_code == 422


@pytest.mark.parametrize(
    "values",
    [{"height": 0}, {"hight": 400}, {"optimizer": "sgd"}, {"strength": "much"}, {"style_layers": {"": 1}}],
    ids=str,
)
def test_a_wrong_recipe_is_refused_by_the_sentence_of_the_command_line(client: Client, values) -> None:
    with pytest.raises(RecipeError) as expected:
        Recipe(**values)
    answer = create(client, recipe=values)
    assert answer.status_code == 422
    assert answer.json()["detail"] == str(expected.value)


@pytest.mark.parametrize("model", ["/etc/evil.py:make", "os.pt2", "timm:resnet18", "torchvision:vgg11"])
def test_no_client_names_a_file_or_a_module(client: Client, model: str) -> None:
    for address in ("jobs", "jobs/check"):
        answer = client.post(f"{API}/{address}", json=ORDER | {"recipe": {"model": model}})
        assert answer.status_code == 422
        assert "model" in answer.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"content": 1}',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"\xff\xfe",
        b'{"content": "\\ud800"}',
    ],
    ids=lambda body: repr(body[:12]),
)
def test_whatever_the_body_is_the_answer_is_a_problem(client: Client, body: bytes) -> None:
    for address in ("jobs", "jobs/check", "sweeps", "batches"):
        answer = client.post(f"{API}/{address}", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (400, 422), answer.text
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_body_of_another_type_is_refused(client: Client) -> None:
    answer = client.post(f"{API}/jobs", content=b"x", headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415


def test_masks_must_go_with_the_styles(client: Client) -> None:
    answer = create(client, content_masks=["example:coffee", "example:coffee"])
    assert answer.status_code == 422
    assert "one for each style" in answer.json()["detail"]


def test_a_check_makes_no_job(client: Client) -> None:
    check = client.post(f"{API}/jobs/check", json=ORDER).json()
    assert check["plan"]["peak_bytes"] > 0
    assert check["command"].startswith("impasto stylize coffee.jpg oil.jpg --model compact")
    assert client.get(f"{API}/jobs").json()["items"] == []


def test_a_command_line_is_that_of_the_recipe(client: Client) -> None:
    recipe = {"height": 32, "style_layers": {"relu1_1": 1}, "keep_profile": True, "style_scale": [0.5, 2]}
    check = client.post(f"{API}/jobs/check", json=ORDER | {"recipe": recipe}).json()
    assert check["command"] == (
        "impasto stylize coffee.jpg oil.jpg --style-scale 0.5,2 --style-layers relu1_1:1 --height 32 --keep-profile"
    )


def test_jobs_are_listed_filtered_and_searched(client: Client) -> None:
    one, two = create(client, name="Sunset at sea").json(), create(client, name="Cat").json()
    client.post(f"{API}/jobs/{two['id']}/cancel")

    def ids(**query):
        return [job["id"] for job in client.get(f"{API}/jobs", params=query).json()["items"]]

    assert ids() == [two["id"], one["id"]]
    assert ids(state="cancelled") == [two["id"]]
    assert ids(search="SEA sunset") == [one["id"]]
    assert ids(kind="sweep") == []
    page = client.get(f"{API}/jobs", params={"limit": 1}).json()
    assert ids(limit=1, cursor=page["next_cursor"]) == [one["id"]]


def test_a_job_is_steered(client: Client) -> None:
    job = create(client).json()["id"]

    def act(action: str, **body):
        return client.post(f"{API}/jobs/{job}/{action}", json=body or None)

    assert act("pause").json()["state"] == "paused"
    assert act("pause").status_code == 409
    assert act("resume").json()["state"] == "queued"
    assert act("changes", strength=70).status_code == 200
    assert act("changes", height=70).status_code == 422
    assert act("changes", strength=170).json()["detail"] == (
        "strength is 170; it must be a finite number, at least 0 and at most 100."
    )
    assert act("cancel").json()["state"] == "cancelled"
    assert act("retry").json()["state"] == "queued"


def test_a_job_is_made_again_with_changes(client: Client) -> None:
    job = create(client, name="One").json()
    changes = {"recipe": {"strength": 80}, "styles": ["example:waves"]}
    answer = client.post(f"{API}/jobs/{job['id']}/again", json=changes)
    again = answer.json()
    assert answer.status_code == 201
    assert again["id"] != job["id"]
    assert (again["recipe"]["strength"], again["recipe"]["height"]) == (80, 32)
    assert again["styles"][0]["id"] == "example:waves"


def test_a_job_is_renamed_deleted_and_restored(client: Client) -> None:
    job = create(client).json()["id"]
    assert client.patch(f"{API}/jobs/{job}", json={"name": "New"}).json()["name"] == "New"
    assert client.delete(f"{API}/jobs/{job}").status_code == 204
    assert client.get(f"{API}/jobs/{job}").status_code == 404
    assert client.post(f"{API}/jobs/{job}/restore").json()["name"] == "New"


def test_a_sweep_is_a_job_with_cells(client: Client) -> None:
    answer = client.post(f"{API}/sweeps", json=ORDER | {"vary": {"strength": [10, 50, 90]}})
    sweep = answer.json()
    assert (answer.status_code, sweep["kind"], sweep["num_cells"]) == (201, "sweep", 3)
    cells = client.get(f"{API}/jobs", params={"parent_id": sweep["id"]}).json()["items"]
    assert sorted(cell["recipe"]["strength"] for cell in cells) == [10, 50, 90]
    assert [job["id"] for job in client.get(f"{API}/jobs").json()["items"]] == [sweep["id"]]


def test_a_sweep_of_what_is_not_allowed_is_refused(client: Client) -> None:
    answer = client.post(f"{API}/sweeps", json=ORDER | {"vary": {"strength": [10, 500]}})
    assert answer.json()["detail"] == "strength is 500; it must be a finite number, at least 0 and at most 100."


def test_a_batch_is_a_job_for_each_content(client: Client) -> None:
    body = {"contents": ["example:coffee", "example:chelsea"], "styles": ["example:oil"], "recipe": ORDER["recipe"]}
    batch = client.post(f"{API}/batches", json=body).json()
    cells = client.get(f"{API}/jobs", params={"parent_id": batch["id"]}).json()["items"]
    assert {cell["content"]["id"] for cell in cells} == set(body["contents"])


@pytest.mark.parametrize(("max_memory", "height"), [(150_000_000, 5000), (None, 60_000)])
def test_a_job_whose_memory_cannot_do_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, max_memory: int | None, height: int
) -> None:
    monkeypatch.setattr("impasto.service.settings.free_memory", lambda: 10**9)
    with api(tmp_path / "data", is_quick=False, max_memory=max_memory) as (client, _):
        answer = create(client, recipe={"model": "compact", "height": height})
    assert answer.status_code == 422
    assert "memory" in answer.json()["detail"]


def test_an_address_says_which_methods_it_knows(client: Client) -> None:
    answer = client.put(f"{API}/jobs")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
    assert client.get(f"{API}/nothing").json()["detail"] == "There is nothing at this address."
