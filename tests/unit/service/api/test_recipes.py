"""The recipe over HTTP: what forms are built from, and the recipe that a picture carries."""

import json
from pathlib import Path

from httpx import Client

from impasto.examples import example_path
from impasto.images import load_picture, save_picture
from impasto.recipe import LIVE_TUNABLE, LOOKS, PRESETS, Recipe
from tests.service import API

SHA256 = {name: load_picture(example_path(name)).sha256 for name in ("coffee", "oil")}


def painted(folder: Path, **values: object) -> Path:
    """A picture that carries a recipe."""
    recipe = Recipe(model="compact", height=32).model_dump(mode="json") | values
    provenance = {
        "recipe": recipe, "content": {"name": "coffee.jpg", "sha256": SHA256["coffee"]},
        "styles": [{"name": "gone.jpg", "sha256": "0" * 64}],
    }  # fmt: skip
    file = folder / "painted.png"
    picture = load_picture(example_path("coffee"))
    save_picture(picture.pixels, file, source=picture, recipe_json=json.dumps(provenance))
    return file


def test_a_form_has_every_option_once_in_a_group(client: Client) -> None:
    schema = client.get(f"{API}/recipe/schema").json()
    properties = schema["json_schema"]["properties"]
    grouped = [name for group in schema["groups"] for name in group["parameters"]]
    assert sorted(grouped) == sorted(name for name, entry in properties.items() if entry["is_option"])
    assert [entry["order"] for entry in properties.values()] == list(range(len(properties)))
    assert schema["live_tunable"] == list(LIVE_TUNABLE)
    for entry in properties.values():
        assert entry["description"] and entry["allowed"]


def test_looks_and_presets_are_recipes(client: Client) -> None:
    looks = client.get(f"{API}/looks").json()
    assert [look["name"] for look in looks] == list(LOOKS)
    assert [look["name"] for look in looks if look["is_default"]] == [Recipe().look]
    presets = client.get(f"{API}/presets").json()
    assert [preset["name"] for preset in presets] == list(PRESETS)
    for preset in presets:
        Recipe(**preset["recipe"])
        assert preset["summary"]


def test_a_painted_picture_gives_its_recipe_back(client: Client, tmp_path: Path) -> None:
    file = painted(tmp_path, strength=77.0)
    found = client.post(f"{API}/recipe/inspect", files={"file": ("p.png", file.read_bytes())}).json()
    assert found["recipe"] == {"look": "painterly", "model": "compact", "height": 32, "strength": 77.0}
    assert found["content"] == {"name": "coffee.jpg", "sha256": SHA256["coffee"], "image_id": "example:coffee"}
    assert found["styles"][0]["image_id"] is None
    assert client.get(f"{API}/images").json()["items"] == []


def test_an_uploaded_picture_gives_it_too(client: Client, tmp_path: Path) -> None:
    image = client.post(f"{API}/images", content=painted(tmp_path).read_bytes()).json()
    found = client.post(f"{API}/images/{image['id']}/recipe").json()
    assert found["recipe"]["height"] == 32


def test_a_recipe_of_another_version_is_told_of(client: Client, tmp_path: Path) -> None:
    file = painted(tmp_path, unheard_of=1)
    found = client.post(f"{API}/recipe/inspect", files={"file": ("p.png", file.read_bytes())}).json()
    assert found["recipe"] == {}
    assert "unheard_of" in found["warnings"][0]


def test_a_picture_without_a_recipe_says_so(client: Client) -> None:
    answer = client.post(f"{API}/recipe/inspect", files={"file": ("p.jpg", example_path("oil").read_bytes())})
    assert (answer.status_code, "holds no recipe" in answer.json()["detail"]) == (422, True)
    assert client.post(f"{API}/images/example:oil/recipe").status_code == 422
