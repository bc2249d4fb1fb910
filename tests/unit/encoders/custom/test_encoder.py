"""Any network as an encoder: what is found in it, how it is read, and what is refused in one sentence."""

import json
import logging
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from impasto.encoders import build_encoder
from impasto.encoders.custom.calibration import dead_leaves
from impasto.encoders.custom.config import ModelConfig
from impasto.encoders.custom.encoder import CustomEncoder
from impasto.encoders.custom.hooks import ModuleHooks
from impasto.encoders.custom.loading import Loaded
from impasto.errors import EncoderError, LayerError, RecipeError, UserError
from impasto.recipe.model_names import is_custom, public_name

PLAIN = ModelConfig()


class Block(nn.Module):
    """Two convolutions with a shared in-place activation and a residual that is added in place."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.act(self.norm(self.first(x)))
        y = self.second(y)
        y += x
        return self.act(y)


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2), Block(8),
        nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.ReLU(inplace=True), Block(16), Block(16),
    )  # fmt: skip


def encoder(module: nn.Module, config: ModelConfig | None = PLAIN, **options: float) -> CustomEncoder:
    return CustomEncoder("mine", Loaded(ModuleHooks(module), config), **options)


def write(folder: Path, text: str, name: str = "nets.py") -> str:
    path = folder / name
    path.write_text("import torch\nfrom torch import nn\n" + text, encoding="utf-8")
    return str(path)


class TestLayers:
    def test_channels_and_strides_are_found_by_running(self):
        layers = encoder(network()).layers
        assert (layers["0"].channels, layers["0"].stride) == (8, 1)
        assert (layers["3"].channels, layers["3"].stride) == (8, 2)
        assert (layers["6.act"].channels, layers["6.act"].stride) == (16, 4)

    def test_they_come_in_the_order_of_computation(self):
        names = list(encoder(network()).layers)
        assert names.index("3.first") < names.index("3.second") < names.index("3.act") < names.index("3")

    def test_outputs_without_the_pictures_grid_are_none(self):
        module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
        assert set(encoder(module).layers) == {"0"}

    def test_the_suggestion_follows_the_classical_recipe(self):
        found = encoder(network())
        assert found.style_layers == {"1": 1.0, "3": 1.0, "5": 1.0}
        assert found.content_layers == {"6": 1.0}

    def test_a_declaration_has_its_way_with_patterns(self):
        found = encoder(
            network(), ModelConfig(content_layers={"6": 1.0}, style_layers={"*.first": 0.5, "6.first": 2.0})
        )
        assert found.style_layers == {"3.first": 0.5, "6.first": 2.0, "7.first": 0.5}

    def test_one_star_stays_between_dots_and_two_cross_them(self):
        found = encoder(nn.Sequential(network()))
        assert list(found.expand_layers({"0.*.first": 1})) == ["0.3.first", "0.6.first", "0.7.first"]
        assert list(found.expand_layers({"**.first": 1})) == ["0.3.first", "0.6.first", "0.7.first"]
        with pytest.raises(LayerError, match=r"No layer of mine matches '\*\.first'"):
            found.expand_layers({"*.first": 1})

    def test_an_unknown_layer_is_answered_by_a_near_one(self):
        with pytest.raises(LayerError, match=r"Unknown layer '3\.frist' of mine\. Did you mean '3\.first'\?"):
            encoder(network())(torch.rand(1, 3, 32, 32), ["3.frist"])


class TestFeatures:
    def test_operations_in_place_do_not_reach_back(self):
        image, module = torch.rand(1, 3, 48, 32), network().eval()
        features = encoder(module)(image, ["0", "3.second", "3.act"])
        with torch.no_grad():
            expected = module[0](image)
        scale = expected.abs().sum() / features["0"].abs().sum()
        torch.testing.assert_close(features["0"] * scale, expected)
        assert (features["0"] < 0).any()
        assert (features["3.act"] >= 0).all()

    def test_a_module_that_is_called_twice_gives_its_last_output(self):
        features = encoder(network())(torch.rand(1, 3, 32, 32), ["3.act", "3"])
        first = features["3"] / features["3"].mean()
        torch.testing.assert_close(features["3.act"] / features["3.act"].mean(), first)

    def test_nothing_past_the_deepest_layer_is_computed(self):
        module = network()
        found = encoder(module)
        module[4].register_forward_pre_hook(lambda *_: pytest.fail("too deep"))
        assert set(found(torch.rand(1, 3, 32, 32), ["1", "3"])) == {"1", "3"}

    def test_no_hook_stays_behind(self):
        module, image = network(), torch.rand(1, 3, 32, 32)
        found = encoder(module)
        before, expected = pickle.dumps(module), module(image)
        found(image, ["3"])
        assert pickle.dumps(module) == before, "hooks would be part of it"
        torch.testing.assert_close(module(image), expected)

    @pytest.mark.parametrize("size", [(1, 1), (1, 40), (5, 3), (31, 33)])
    def test_pictures_of_any_size_are_taken(self, size):
        features = encoder(network())(torch.rand(1, 3, *size), ["1", "7"])
        assert all(feature.numel() and feature.isfinite().all() for feature in features.values())

    def test_gradients_reach_the_picture_and_no_weight(self):
        module = network()
        image = torch.rand(1, 3, 32, 32, requires_grad=True)
        encoder(module)(image, ["7"])["7"].sum().backward()
        assert image.grad is not None and image.grad.abs().sum() > 0
        assert not any(parameter.requires_grad for parameter in module.parameters())

    def test_normalization_uses_its_stored_statistics(self):
        module = network().train()
        before = {name: buffer.clone() for name, buffer in module.named_buffers()}
        found = encoder(module)
        alone = found(dead_leaves((32, 32), 1), ["7"])["7"]
        found(torch.ones(1, 3, 32, 32), ["7"])
        assert all(torch.equal(buffer, before[name]) for name, buffer in module.named_buffers())
        assert torch.equal(found(dead_leaves((32, 32), 1), ["7"])["7"], alone)

    def test_each_layer_is_brought_to_one_scale(self):
        picture = dead_leaves((64, 128), 7)
        for feature in encoder(network())(picture, ["1", "3", "7"]).values():
            assert 0.5 < feature.abs().mean() < 2

    def test_a_thousandfold_network_gives_the_same_features(self):
        loud = network()
        with torch.no_grad():
            loud[0].weight *= 1000
            loud[0].bias *= 1000
        image = torch.rand(1, 3, 32, 32)
        torch.testing.assert_close(encoder(loud)(image, ["1"])["1"], encoder(network())(image, ["1"])["1"])

    def test_smoothing_is_a_softmax_about_its_mean(self):
        image = torch.rand(1, 3, 32, 32)
        plain, smooth = (encoder(network(), smoothing=t)(image, ["7"])["7"] for t in (0.0, 4.0))
        logits = plain.flatten() / 4
        torch.testing.assert_close(smooth.flatten(), logits.exp() / logits.exp().mean() - 1)

    def test_a_hot_softmax_leaves_the_deviations_as_they_are(self):
        image = torch.rand(1, 3, 32, 32)
        plain, smooth = (encoder(network(), smoothing=t)(image, ["7"])["7"] for t in (0.0, 1000.0))
        torch.testing.assert_close(smooth * 1000, plain - plain.mean(), atol=0.02, rtol=0.02)

    def test_preprocessing_is_as_declared(self):
        declared = ModelConfig(mean=(104, 117, 123), std=(1, 2, 4), channels="bgr", range=255)
        seen: list[Tensor] = []
        module = network()
        found = encoder(module, declared)
        module[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        found(torch.tensor([1.0, 0.5, 0.0]).view(1, 3, 1, 1).expand(1, 3, 16, 16), ["0"])
        assert seen[0][0, :, 0, 0].tolist() == [-104, pytest.approx((127.5 - 117) / 2), (255 - 123) / 4]

    def test_a_guessed_preprocessing_warns(self, caplog):
        with caplog.at_level(logging.WARNING):
            encoder(network(), None)
        assert "mine declares no preprocessing; taken to expect RGB in 0–1, minus (0.485, 0.456, 0.406)" in caplog.text


class Raising(nn.Module):
    def __init__(self, only: tuple[int, int] | None = None) -> None:
        super().__init__()
        self.conv, self.only = nn.Conv2d(3, 4, 3, padding=1), only

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-2:] != self.only:
            raise ValueError(f"expected {self.only}\nand more")
        return self.conv(x)


class Detached(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            return super().forward(x)


class Spoiled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.spoil = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1)
        nn.init.constant_(self.spoil.weight, torch.nan)

    def forward(self, x: Tensor) -> Tensor:
        return self.spoil(self.conv(x * torch.nan))


class TestRefusals:
    @pytest.mark.parametrize(
        ("module", "sentence"),
        [
            (nn.Sequential(nn.Flatten(), nn.ReLU()), "has no usable layer: of its 2 parts none returns"),
            (nn.Sequential(), "has no usable layer"),
            (Raising((224, 224)), r"fails on a picture of 256×128 pixels \(ValueError: expected \(224, 224\)\)\. A"),
            (nn.Sequential(nn.Conv2d(1, 4, 3)), r"fails on a picture of 256×128 pixels \(RuntimeError: Given groups=1"),
            (Detached(nn.Conv2d(3, 4, 3)), "no gradient flows back"),
            (Spoiled(), "returns NaN or infinity at every layer"),
        ],
    )
    def test_an_unusable_network_is_refused_in_one_line(self, module, sentence):
        with pytest.raises(EncoderError, match=sentence) as refusal:
            encoder(module)
        assert "\n" not in str(refusal.value)

    def test_a_size_that_fails_later_is_named(self):
        class Odd(nn.Sequential):
            def forward(self, x: Tensor) -> Tensor:
                if x.shape[-1] % 2:
                    raise ValueError("odd")
                return super().forward(x)

        with pytest.raises(EncoderError, match=r"fails on a picture of 33×32 pixels \(ValueError: odd\).*--height"):
            encoder(Odd(nn.Conv2d(3, 4, 3)))(torch.rand(1, 3, 32, 33), ["0"])

    def test_running_out_of_memory_is_left_to_others(self):
        class Greedy(nn.Sequential):
            def forward(self, x: Tensor) -> Tensor:
                if x.shape[-1] == 99:
                    raise torch.OutOfMemoryError("too large")
                return super().forward(x)

        with pytest.raises(torch.OutOfMemoryError):
            encoder(Greedy(nn.Conv2d(3, 4, 3)))(torch.rand(1, 3, 99, 99), ["0"])

    def test_a_declared_layer_has_to_be_there(self):
        with pytest.raises(LayerError, match="Unknown layer 'conv9' of mine"):
            encoder(network(), ModelConfig(style_layers={"conv9": 1.0}))

    @pytest.mark.parametrize(
        ("declared", "sentence"),
        [
            ("rgb", "a mapping with some of mean, std"),
            ({"means": 1}, "declares 'means', which is unknown. Did you mean 'mean'"),
            ({"mean": [1, 2]}, "it must be three numbers"),
            ({"std": (1, 0, 1)}, "a std of 0"),
            ({"channels": "BGR"}, "it must be 'rgb' or 'bgr'"),
            ({"range": 0}, "a number above 0"),
            ({"style_layers": {"0": -1}}, "weights of at least 0"),
        ],
    )
    def test_a_wrong_config_is_named(self, declared, sentence, tmp_path):
        lines = ["def make():", "net = nn.Sequential(nn.Conv2d(3, 4, 3))", f"net.impasto = {declared!r}", "return net"]
        text = "\n    ".join(lines)
        with pytest.raises(EncoderError, match=sentence):
            build_encoder(write(tmp_path, text) + ":make", trust=True)


class TestFiles:
    GOOD = "def make():\n    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())\n"

    def test_code_runs_only_when_trusted(self, tmp_path):
        flag = tmp_path / "ran"
        model = write(tmp_path, f"open({str(flag)!r}, 'w').close()\n" + self.GOOD) + ":make"
        with pytest.raises(UserError, match=r"runs the Python code in it.*--trust \(trust=True in Python\)"):
            build_encoder(model)
        assert not flag.exists()
        assert list(build_encoder(model, trust=True).layers) == ["0", "1"]

    def test_the_encoder_knows_the_files_hash_and_no_folder(self, tmp_path):
        built = build_encoder(write(tmp_path, self.GOOD) + ":make", trust=True)
        assert built.name == "nets.py:make"
        assert len(built.weights_sha256) == 64

    def test_a_class_serves_as_factory(self, tmp_path):
        text = "class Net(nn.Sequential):\n    def __init__(self):\n        super().__init__(nn.Conv2d(3, 4, 3))\n"
        assert list(build_encoder(write(tmp_path, text) + ":Net", trust=True).layers) == ["0"]

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("def maker(): pass", "has no factory 'make'. Did you mean 'maker'?"),
            ("make = 3", "is no function: it is an object of type int"),
            ("def make(): pass", "returned None; a torch.nn.Module is needed"),
            ("def make():\n    return {}['x']", "raised an error in line 4: KeyError: 'x'"),
            ("def make(): return nn.LazyConv2d(4, 3)", "lazy parameters have no size yet; call it once there"),
            ("1 / 0", "raised an error in line 3: ZeroDivisionError"),
            ("def make(:", "raised an error: SyntaxError"),
            ("import no_such_package", "raised an error in line 3: ModuleNotFoundError"),
            ("raise SystemExit", "raised an error in line 3: SystemExit"),
        ],
    )
    def test_a_file_that_fails_says_where(self, text, sentence, tmp_path):
        with pytest.raises(EncoderError) as refusal:
            build_encoder(write(tmp_path, text) + ":make", trust=True)
        assert sentence in str(refusal.value)
        assert "\n" not in str(refusal.value)

    def test_a_missing_file_is_the_users_mistake(self, tmp_path):
        with pytest.raises(UserError, match=r"^The model's file '.*none\.py' is not there\."):
            build_encoder(str(tmp_path / "none.py:make"), trust=True)

    def test_average_pooling_and_padding_reach_its_modules(self, tmp_path):
        text = (
            "def make():\n"
            "    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3, padding=1))\n"
        )
        model, image = write(tmp_path, text) + ":make", torch.rand(1, 3, 16, 16)
        torch.manual_seed(0)
        plain = build_encoder(model, trust=True, precision="float32")(image, ["0", "1"])
        torch.manual_seed(0)
        changed = build_encoder(model, trust=True, precision="float32", pooling="average", padding="circular")
        other = changed(image, ["0", "1"])
        inner = (..., slice(1, -1), slice(1, -1))
        ratio = plain["0"][inner] / other["0"][inner]
        torch.testing.assert_close(ratio, ratio.mean().expand_as(ratio))
        pooled = nn.functional.avg_pool2d(other["0"], 2)
        torch.testing.assert_close(other["1"] / other["1"].mean(), pooled / pooled.mean())

    def test_what_cannot_be_changed_in_it_warns(self, tmp_path, caplog):
        text = "def make():\n    return nn.Sequential(nn.Conv2d(3, 4, 3))\n"
        with caplog.at_level(logging.WARNING):
            build_encoder(write(tmp_path, text) + ":make", trust=True, pooling="average", padding="reflect")
        assert "pooling has no effect" in caplog.text
        assert "padding has no effect" in caplog.text

    def test_bfloat16_gives_about_the_same_features(self, tmp_path):
        model, image = write(tmp_path, "torch.manual_seed(0)\n" + self.GOOD) + ":make", torch.rand(1, 3, 16, 16)
        full, half = (build_encoder(model, trust=True, precision=p)(image, ["1"])["1"] for p in ("float32", "bfloat16"))
        assert half.dtype == torch.bfloat16
        torch.testing.assert_close(half.float(), full, atol=0.05, rtol=0.05)


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Path:
    """The network as an exported program that takes pictures of any size, with a declaration."""
    path = tmp_path_factory.mktemp("exported") / "net.pt2"
    auto = torch.export.Dim.AUTO
    program = torch.export.export(
        network().eval(), (torch.rand(1, 3, 64, 96),), dynamic_shapes=({2: auto, 3: auto},), strict=False
    )
    extra = {"impasto.json": json.dumps({"mean": [0.5] * 3, "content_layers": ["6"]})}
    torch.export.save(program, path, extra_files=extra)
    return path


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
class TestExportedPrograms:
    def test_it_gives_the_features_of_the_network_it_was_made_from(self, exported):
        found = build_encoder(str(exported), trust=True, precision="float32")
        reference = encoder(network(), ModelConfig(mean=(0.5, 0.5, 0.5)))
        image, layers = torch.rand(1, 3, 40, 56), ["0", "3.first", "3.act", "3", "7"]
        for layer, features in reference(image, layers).items():
            torch.testing.assert_close(found(image, [layer])[layer], features, atol=1e-4, rtol=1e-4)

    def test_its_layers_have_the_modules_names_and_the_declaration_holds(self, exported):
        found = build_encoder(str(exported), trust=True)
        assert {"0", "3.first", "7"} <= set(found.layers)
        assert found.content_layers == {"6": 1.0}

    def test_it_is_trusted_explicitly(self, exported):
        with pytest.raises(UserError, match="pickled objects"):
            build_encoder(str(exported))

    def test_a_fixed_size_is_refused_in_a_sentence(self, tmp_path):
        path = tmp_path / "fixed.pt2"
        torch.export.save(torch.export.export(network().eval(), (torch.rand(1, 3, 64, 96),), strict=False), path)
        with pytest.raises(EncoderError, match=r"fails on a picture of 256×128.*dynamic height and width"):
            build_encoder(str(path), trust=True)

    def test_another_file_is_refused(self, tmp_path):
        path = tmp_path / "net.pt2"
        path.write_bytes(b"no program")
        with pytest.raises(EncoderError, match="is no exported program"):
            build_encoder(str(path), trust=True)


class TestPackages:
    @pytest.mark.parametrize("package", ["timm", "torchvision"])
    def test_a_missing_package_is_named_with_the_way_out(self, package, monkeypatch):
        monkeypatch.setattr("importlib.util.find_spec", lambda *_: None)
        with pytest.raises(RecipeError, match=f"the package {package}, which is not installed: pip install {package}"):
            build_encoder(f"{package}:resnet18")

    def test_timm_declares_by_its_configuration(self, monkeypatch):
        def create_model(name: str, *, pretrained: bool) -> nn.Module:
            assert (name, pretrained) == ("tiny", True)
            module = network()
            module.pretrained_cfg = {"mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25), "crop_pct": 0.9}
            return module

        install(monkeypatch, "timm", create_model=create_model)
        assert build_encoder("timm:tiny").config == ModelConfig(mean=(0.5,) * 3, std=(0.25,) * 3)

    def test_torchvision_declares_by_its_transforms(self, monkeypatch):
        weights = SimpleNamespace(transforms=lambda: SimpleNamespace(mean=[0.4] * 3, std=[0.2] * 3))
        install(
            monkeypatch,
            "torchvision.models",
            get_model_weights=lambda _: SimpleNamespace(DEFAULT=weights),
            get_model=lambda _, weights: network(),
        )
        assert build_encoder("torchvision:tiny").config == ModelConfig(mean=(0.4,) * 3, std=(0.2,) * 3)

    def test_an_unknown_name_is_told_in_the_packages_words(self, monkeypatch):
        def create_model(name: str, **_: object) -> nn.Module:
            raise RuntimeError(f"Unknown model ({name})")

        install(monkeypatch, "timm", create_model=create_model)
        with pytest.raises(EncoderError, match=r"timm, asked for 'tiny', raised an error: RuntimeError: Unknown model"):
            build_encoder("timm:tiny")


def install(monkeypatch: pytest.MonkeyPatch, name: str, **members: Callable[..., object]) -> None:
    """Puts a package of that name in place of the real one."""
    monkeypatch.setattr("importlib.util.find_spec", lambda *_: object())
    parts = name.split(".")
    for depth in range(1, len(parts) + 1):
        monkeypatch.setitem(sys.modules, ".".join(parts[:depth]), SimpleNamespace(**members))


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("/a/b.py:make", "b.py:make"),
        ("b.py:make", "b.py:make"),
        (r"C:\nets\b.py:make", "b.py:make"),
        ("../nets/b.pt2", "b.pt2"),
        ("timm:hf-hub:timm/resnet18", "timm:hf-hub:timm/resnet18"),
    ],
)
def test_a_models_public_name_holds_no_folder(model, name):
    assert is_custom(model)
    assert public_name(model) == name


def test_dead_leaves_are_the_same_for_a_seed_and_of_many_colors():
    picture = dead_leaves((32, 48), 3)
    assert picture.shape == (1, 3, 32, 48)
    assert torch.equal(picture, dead_leaves((32, 48), 3))
    assert not torch.equal(picture, dead_leaves((32, 48), 4))
    assert picture.min() >= 0
    assert picture.max() <= 1
    assert picture.std() > 0.15
