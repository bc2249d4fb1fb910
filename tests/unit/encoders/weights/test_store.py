import hashlib
import http.server
import io
import os
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor

from impasto.devices import pick_precision
from impasto.encoders import ENCODERS, build_encoder, vgg
from impasto.encoders.base import DTYPES
from impasto.encoders.vgg import build_vgg, torchvision_indices
from impasto.encoders.weights import paths
from impasto.encoders.weights.store import WeightsInfo, describe, download, find_weights, verify
from impasto.errors import RecipeError, WeightsError
from impasto.recipe import Recipe, choices

FILE = "vgg19_features.safetensors"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A narrow VGG, an empty cache, and no other place with weights; nothing but loopback is ever asked."""
    monkeypatch.setattr(vgg, "WIDTHS", (2, 3, 4, 5, 6))
    monkeypatch.delenv("IMPASTO_WEIGHTS_DIR", raising=False)
    monkeypatch.setenv("IMPASTO_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("IMPASTO_WEIGHTS_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "*")
    return tmp_path / "cache"


def state(name: str = "vgg19", seed: int = 0) -> dict[str, Tensor]:
    """What torchvision publishes, in small: convolutions and a classifier."""
    generator = torch.Generator().manual_seed(seed)
    encoder = build_vgg(name)
    tensors = {"classifier.0.weight": torch.ones(2, 2)}
    for layer, index in zip(encoder.convs, torchvision_indices(encoder.layers.values()), strict=True):
        for kind, parameter in encoder.convs[layer].named_parameters():
            tensors[f"features.{index}.{kind}"] = torch.randn(parameter.shape, generator=generator)
    return tensors


def checkpoint(content: object, **options: object) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, **options)
    return stream.getvalue()


def write_weights(path: Path, tensors: dict[str, Tensor] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = state() if tensors is None else tensors
    safetensors.torch.save_file({key: value for key, value in tensors.items() if key.startswith("features.")}, path)
    return path


def publish_as(monkeypatch: pytest.MonkeyPatch, name: str, file: str) -> None:
    """Gives the published checkpoint of an encoder another file name."""
    spec = ENCODERS[name]
    monkeypatch.setitem(ENCODERS, name, replace(spec, published=replace(spec.published, file=file)))


class Server(http.server.ThreadingHTTPServer):
    """Serves `body` under every name in `paths`, announced as `length` bytes."""

    body = b""
    length: int | None = None
    paths: tuple[str, ...] = ()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no failure of the test."""


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if self.path not in self.server.paths:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(self.server.length or len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def publish(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Server]]:
    """Publishes a body as an encoder's weights on a local server, its SHA-256 in its name unless told otherwise."""
    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()

    def start(body: bytes, name: str = "vgg19", digest: str = "", length: int | None = None) -> Server:
        file = f"{name}-{digest or hashlib.sha256(body).hexdigest()[:8]}.pth"
        publish_as(monkeypatch, name, file)
        server.body, server.length, server.paths = body, length, (f"/models/{file}",)
        monkeypatch.setenv("IMPASTO_WEIGHTS_URL", f"http://127.0.0.1:{server.server_port}/models/")
        return server

    yield start
    server.shutdown()
    server.server_close()
    thread.join()


def failure(name: str = "vgg19") -> str:
    """The message of a download that must fail and leave nothing behind."""
    with pytest.raises(WeightsError) as caught:
        find_weights(name)
    folder = Path(os.environ["IMPASTO_CACHE_DIR"])
    assert not folder.exists() or list(folder.iterdir()) == []
    message = str(caught.value)
    assert "\n" not in message and "use --model compact" in message
    return message


# where weights are found


def test_the_models_of_the_recipe_are_those_that_can_be_built_and_found() -> None:
    assert set(ENCODERS) == set(choices("model"))
    for name, spec in ENCODERS.items():
        assert spec.name == name
        assert (spec.published is None) == (spec.outline is None) == (spec.bundled_file is not None)


def test_an_explicit_file_comes_before_the_folder_and_the_folder_before_the_cache(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    monkeypatch.setenv("IMPASTO_WEIGHTS_DIR", str(folder))
    expected: list[tuple[str, Path]] = []
    for source, path in (
        ("cache", cache / "vgg19.safetensors"),
        ("cache", cache / FILE),
        ("folder", folder / "vgg19.safetensors"),
        ("folder", folder / FILE),
    ):
        expected.append((source, write_weights(path)))
        info = describe("vgg19")
        assert (info.source, info.path) == expected[-1]
        assert find_weights("vgg19") == path
    mine = write_weights(tmp_path / "mine.safetensors")
    assert find_weights("vgg19", mine) == mine
    assert describe("vgg19", mine).source == "file"


def test_weights_that_are_nowhere_are_described_by_their_address() -> None:
    assert describe("vgg16") == WeightsInfo(
        "vgg16", "network", None, "http://127.0.0.1:9/vgg16-397923af.pth", None, None
    )


def test_a_file_is_described_by_its_size_and_sha256(cache: Path) -> None:
    path = write_weights(cache / FILE)
    info = describe("vgg19")
    assert info.num_bytes == path.stat().st_size
    assert info.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {"XDG_CACHE_HOME": "/x"}, "/x/impasto"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "/home/me/.cache/impasto"),
        ("linux", {}, "/home/me/.cache/impasto"),
        ("darwin", {}, "/home/me/Library/Caches/impasto"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/impasto"),
        ("win32", {}, "/home/me/AppData/Local/impasto"),
        ("linux", {"XDG_CACHE_HOME": "/x", "IMPASTO_CACHE_DIR": "/mine"}, "/mine"),
    ],
)
def test_the_cache_is_where_the_platform_keeps_caches(
    monkeypatch: pytest.MonkeyPatch, platform: str, variables: dict[str, str], expected: str
) -> None:
    for variable in ("IMPASTO_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: Path("/home/me"))
    assert paths.cache_folder() == Path(expected)


def test_no_home_folder_is_told_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("IMPASTO_CACHE_DIR")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(WeightsError, match="set IMPASTO_CACHE_DIR to a folder"):
        find_weights("vgg19")


@pytest.mark.parametrize("ask", [find_weights, describe, verify, build_encoder])
def test_an_unknown_model_is_refused_with_the_closest_name(ask: Callable[[str], object]) -> None:
    with pytest.raises(RecipeError, match=r"^Unknown model 'vgg-19'\. Did you mean 'vgg19'\?$"):
        ask("vgg-19")


def test_bundled_weights_are_not_downloaded() -> None:
    with pytest.raises(RecipeError, match="'compact' has no weights to download"):
        download("compact")


# building


def test_an_encoder_carries_the_weights_and_the_sha256_of_its_file(tmp_path: Path) -> None:
    path = write_weights(tmp_path / "mine.safetensors")
    encoder = build_encoder("vgg19", weights_file=path, precision="float32")
    assert encoder.name == "vgg19"
    assert encoder.weights_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert torch.equal(encoder.convs["relu5_4"].weight, state()["features.34.weight"])
    assert not encoder.training and not any(parameter.requires_grad for parameter in encoder.parameters())
    assert encoder.convs["relu2_1"].weight.is_contiguous(memory_format=torch.channels_last)


def test_an_encoder_is_built_by_the_defaults_of_the_recipe(tmp_path: Path) -> None:
    encoder, recipe = build_encoder("vgg19", weights_file=write_weights(tmp_path / "mine.safetensors")), Recipe()
    assert (encoder.pooling, encoder.padding) == (recipe.pooling, recipe.padding)
    features = encoder(torch.rand(1, 3, 4, 4), ["relu1_1"])["relu1_1"]
    assert encoder.precision == pick_precision(recipe.precision, torch.device("cpu"))
    assert features.dtype == DTYPES[encoder.precision]


def test_choices_reach_the_encoder(tmp_path: Path) -> None:
    path = write_weights(tmp_path / "mine.safetensors")
    encoder = build_encoder("vgg19", pooling="average", padding="reflect", precision="bfloat16", weights_file=path)
    assert (encoder.pooling, encoder.padding) == ("average", "reflect")
    assert encoder(torch.rand(1, 3, 8, 8), ["relu2_1"])["relu2_1"].dtype == torch.bfloat16


def test_half_precision_spares_the_preprocessing(tmp_path: Path) -> None:
    encoder = build_encoder("vgg19", precision="bfloat16", weights_file=write_weights(tmp_path / "mine.safetensors"))
    assert torch.equal(encoder.mean.flatten(), torch.tensor(vgg.MEAN))


@pytest.mark.parametrize("option", ["pooling", "padding", "precision"])
def test_an_unknown_choice_is_refused(option: str) -> None:
    with pytest.raises(RecipeError, match=f"{option}.*'cubic'"):
        build_encoder("vgg19", **{option: "cubic"})


def test_the_compact_encoder_is_in_the_package() -> None:
    info = verify("compact")
    assert info.source == "package" and info.url is None
    assert build_encoder("compact").weights_sha256 == info.sha256


def test_a_file_can_stand_in_for_the_bundled_one(tmp_path: Path) -> None:
    copy = tmp_path / "mine.safetensors"
    copy.write_bytes(ENCODERS["compact"].bundled_file.read_bytes())
    assert build_encoder("compact", weights_file=copy).weights_sha256 == describe("compact").sha256
    copy.write_bytes(b"")
    with pytest.raises(WeightsError, match=r"^'mine\.safetensors' cannot be read as weights of the compact encoder: "):
        build_encoder("compact", weights_file=copy)


# damaged and foreign files


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no whole safetensors file"),
        (b"\x80\x02}q\x00.", "no whole safetensors file"),
        (safetensors.torch.save({"features.0.weight": torch.zeros(2, 3, 3, 3)})[:-5], "no whole safetensors file"),
        (safetensors.torch.save({"fc.weight": torch.zeros(2, 2)}), "not vgg19's: 'features.0.weight' is missing"),
    ],
    ids=["empty", "pickle", "truncated", "foreign"],
)
@pytest.mark.parametrize("ask", [verify, build_encoder])
def test_a_file_that_holds_no_weights_is_refused_by_name(
    cache: Path, ask: Callable[[str], object], content: bytes, message: str
) -> None:
    cache.mkdir()
    (cache / FILE).write_bytes(content)
    with pytest.raises(WeightsError, match=message) as caught:
        ask("vgg19")
    assert str(cache / FILE) in str(caught.value) and "\n" not in str(caught.value)
    assert "'impasto models download' renews the one in the cache" in str(caught.value)


@pytest.mark.parametrize(
    ("key", "spoiled", "message"),
    [
        ("features.2.bias", torch.tensor([1.0, float("nan")]), "'features.2.bias' holds NaN"),
        ("features.2.bias", torch.zeros(3), r"'features.2.bias' has shape \(3,\), \(2,\) is needed"),
    ],
)
def test_spoiled_tensors_are_named(cache: Path, key: str, spoiled: Tensor, message: str) -> None:
    write_weights(cache / FILE, state() | {key: spoiled})
    with pytest.raises(WeightsError, match=message):
        verify("vgg19")


def test_the_weights_of_the_sister_network_are_refused(tmp_path: Path) -> None:
    for name, other in (("vgg16", "vgg19"), ("vgg19", "vgg16")):
        path = write_weights(tmp_path / f"{other}.safetensors", state(other))
        with pytest.raises(WeightsError, match=f"The weights are not {name}'s"):
            build_encoder(name, weights_file=path)


@pytest.mark.parametrize("place", ["missing.safetensors", ""])
def test_an_explicit_file_that_is_none_is_refused(tmp_path: Path, place: str) -> None:
    with pytest.raises(WeightsError, match="are no file"):
        build_encoder("vgg19", weights_file=tmp_path / place)


def test_a_file_that_differs_from_the_sha256_beside_it_is_refused(cache: Path) -> None:
    path = write_weights(cache / FILE)
    paths.sidecar(path).write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {FILE}\n")
    verify("vgg19")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    for ask in (verify, build_encoder):
        with pytest.raises(WeightsError, match="are damaged: their SHA-256 starts with"):
            ask("vgg19")


def test_weights_that_are_not_here_are_not_verified_but_told_how_to_fetch() -> None:
    with pytest.raises(WeightsError, match="'impasto models download vgg19'"):
        verify("vgg19")


# the download


@pytest.mark.parametrize("name", ["vgg16", "vgg19"])
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_a_download_keeps_the_convolutions_alone(
    publish: Callable[..., Server], cache: Path, name: str, legacy: bool
) -> None:
    tensors = state(name)
    publish(checkpoint(tensors, _use_new_zipfile_serialization=not legacy), name)
    path = find_weights(name)
    assert path == cache / f"{name}_features.safetensors"
    assert sorted(cache.iterdir()) == [path, paths.sidecar(path)]
    kept = safetensors.torch.load_file(path)
    assert set(kept) == {key for key in tensors if key.startswith("features.")}
    assert all(torch.equal(tensor, tensors[key]) and tensor.dtype == torch.float32 for key, tensor in kept.items())
    assert verify(name).source == "cache"
    assert paths.sidecar(path).read_text() == f"{describe(name).sha256}  {path.name}\n"


def test_a_download_happens_once(publish: Callable[..., Server]) -> None:
    server = publish(checkpoint(state()))
    first = build_encoder("vgg19")
    server.paths = ()
    assert build_encoder("vgg19").weights_sha256 == first.weights_sha256


def test_progress_ends_with_the_whole(publish: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("impasto.encoders.weights.download.CHUNK_BYTES", 1000)
    body = checkpoint(state())
    publish(body)
    seen: list[tuple[int, int | None]] = []
    build_encoder("vgg19", on_download=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(body), len(body)) and len(seen) == -(-len(body) // 1000)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


def test_downloads_at_once_do_not_break_each_other(publish: Callable[..., Server]) -> None:
    publish(checkpoint(state()))
    together, fetched = threading.Barrier(3, timeout=30), []

    def fetch() -> None:
        fetched.append(download("vgg19", on_download=lambda *_: together.wait() and None))

    threads = [threading.Thread(target=fetch) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(fetched) == 3 and len(set(fetched)) == 1
    assert sorted(fetched[0].parent.iterdir()) == [fetched[0], paths.sidecar(fetched[0])]
    verify("vgg19")


def test_the_same_weights_are_the_same_bytes(publish: Callable[..., Server]) -> None:
    publish(checkpoint(state()))
    first = download("vgg19").read_bytes()
    assert download("vgg19").read_bytes() == first


def test_a_download_mends_a_damaged_cache(publish: Callable[..., Server], cache: Path) -> None:
    cache.mkdir()
    (cache / FILE).write_bytes(b"damaged")
    publish(checkpoint(state()))
    download("vgg19")
    verify("vgg19")


def test_a_folder_can_be_the_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = checkpoint(state())
    file = f"vgg19-{hashlib.sha256(body).hexdigest()[:8]}.pth"
    (tmp_path / file).write_bytes(body)
    publish_as(monkeypatch, "vgg19", file)
    monkeypatch.setenv("IMPASTO_WEIGHTS_URL", tmp_path.as_uri())
    find_weights("vgg19")
    verify("vgg19")


def test_an_interrupted_download_leaves_nothing_behind(publish: Callable[..., Server], cache: Path) -> None:
    def interrupt(*_: object) -> None:
        assert [path.suffix for path in cache.rglob("*") if path.is_file()] == [".pth"]
        raise KeyboardInterrupt

    publish(checkpoint(state()))
    with pytest.raises(KeyboardInterrupt):
        download("vgg19", on_download=interrupt)
    assert list(cache.iterdir()) == []


def test_without_network_the_places_and_the_way_out_are_told(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMPASTO_WEIGHTS_DIR", str(tmp_path / "gone"))
    message = failure()
    assert (
        "Cannot download the weights of vgg19 from http://127.0.0.1:9/vgg19-dcbb9e9d.pth: Connection refused."
        in message
    )
    assert f"'{tmp_path / 'gone'}' (IMPASTO_WEIGHTS_DIR, which is no folder)" in message
    assert f"Put {FILE} into '{cache}'" in message


def test_a_missing_file_on_the_server_is_told(publish: Callable[..., Server]) -> None:
    publish(checkpoint(state())).paths = ()
    assert "the server answered 404 Not Found" in failure()


def test_a_body_that_breaks_off_is_told(publish: Callable[..., Server]) -> None:
    body = checkpoint(state())
    publish(body, length=len(body) + 100)
    assert f"broke off after {len(body)} of {len(body) + 100} bytes" in failure()


def test_another_body_than_the_published_is_told(publish: Callable[..., Server]) -> None:
    publish(checkpoint(state()), digest="00000000")
    assert "not with 00000000" in failure()


class Code:
    """Would run on unpickling: a file of that name would then exist."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_a_pickle_with_code_is_refused_and_not_run(publish: Callable[..., Server], tmp_path: Path) -> None:
    publish(checkpoint({"features.0.weight": Code(tmp_path / "ran")}))
    assert "holds no plain tensors" in failure()
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", pickle.dumps({"features.0.weight": 1}), checkpoint([1, 2]), checkpoint({0: torch.zeros(1)})],
    ids=["empty", "page", "pickle", "list", "number"],
)
def test_a_body_that_is_no_checkpoint_is_told(publish: Callable[..., Server], body: bytes) -> None:
    publish(body)
    assert "holds no plain tensors" in failure()


def test_a_checkpoint_of_another_network_is_told(publish: Callable[..., Server]) -> None:
    publish(checkpoint(state("vgg16")))
    assert "not vgg19's" in failure()
    publish(checkpoint({"model.weight": torch.zeros(1)}))
    assert "'features.0.weight' is missing" in failure()


def test_a_mirror_of_an_unknown_kind_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMPASTO_WEIGHTS_URL", "ftp://example.org")
    with pytest.raises(WeightsError, match="must start with https://"):
        find_weights("vgg19")


def test_a_cache_that_cannot_be_written_to_is_told(
    publish: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("IMPASTO_CACHE_DIR", str(tmp_path / "file" / "cache"))
    publish(checkpoint(state()))
    with pytest.raises(WeightsError, match="set IMPASTO_CACHE_DIR to another folder"):
        find_weights("vgg19")


@pytest.mark.slow
def test_the_real_weights_are_whole(weights_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("IMPASTO_WEIGHTS_DIR", str(weights_dir))
    info = verify("vgg19")
    assert info.source == "folder" and info.path == weights_dir / FILE


def test_weights_are_listed_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("IMPASTO_CACHE_DIR", raising=False)
    monkeypatch.delenv("IMPASTO_WEIGHTS_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    assert [describe(name).source for name in ("compact", "vgg19")] == ["package", "network"]
