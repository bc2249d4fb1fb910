"""Where custom networks come from: a Python file, an exported program, timm, torchvision."""

import hashlib
import importlib.util
import io
import json
import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

from impasto.encoders.custom.calibration import in_words
from impasto.encoders.custom.config import ATTRIBUTE, ModelConfig, parse_config, read_config
from impasto.encoders.custom.hooks import FeatureHooks, GraphHooks, ModuleHooks
from impasto.errors import EncoderError, RecipeError, UserError, did_you_mean
from impasto.formats.files import is_file
from impasto.recipe.model_names import model_file

logger = logging.getLogger(__name__)

_EXTRA_FILE = f"{ATTRIBUTE}.json"
"""Of an exported program: its config, given to `torch.export.save` under ``extra_files``."""


@dataclass(frozen=True, eq=False)
class Loaded:
    """A network before anything is known of its layers.

    Attributes:
        hooks: The network, with hooks on its inner outputs.
        config: What it declares, None if nothing.
        file_sha256: Of the file that it came from, in hexadecimal; empty if it came from an installed package.
    """

    hooks: FeatureHooks
    config: ModelConfig | None
    file_sha256: str = ""


def load_network(model: str, *, trust: bool, device: torch.device) -> Loaded:
    """Loads the network that a recipe names.

    Args:
        model: ``"FILE.py:FACTORY"``, ``"FILE.pt2"``, ``"timm:NAME"`` or ``"torchvision:NAME"``.
        trust: Whether code of the file may be run.
        device: Where it is to compute.

    Raises:
        UserError: If the file is missing, or its code may not be run.
        RecipeError: If the name is none of the four, or the package is not installed.
        EncoderError: If the network cannot be had.
    """
    file = model_file(model)
    if file is not None:
        if not is_file(file):
            raise UserError(f"The model's file '{file}' is not there. Give the path of an existing file.")
        data = _read(file)
        _check_trust(model, file, trust)
        load = _load_exported if file.suffix == ".pt2" else _load_python
        return load(model, file, data, device)
    package, _, name = model.partition(":")
    if package == "timm":
        return _load_timm(model, name)
    if package == "torchvision":
        return _load_torchvision(model, name)
    raise RecipeError(
        f"Unknown model '{model}'. It must be an encoder of Impasto, FILE.py:FACTORY, FILE.pt2, timm:NAME or "
        "torchvision:NAME."
    )


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UserError(f"Cannot read the model's file '{file}': {error.strerror}.") from None


def _check_trust(model: str, file: Path, trust: bool) -> None:
    if trust:
        logger.info("Running the code in '%s', as allowed.", file)
        return
    what = "the Python code in it" if file.suffix == ".py" else "code hidden in it (it may hold pickled objects)"
    raise UserError(
        f"To load the model '{model}', the file '{file}' has to be opened in a way that runs {what}. If you know where "
        "it comes from, allow it by --trust (trust=True in Python)."
    )


def _load_python(model: str, file: Path, data: bytes, _: torch.device) -> Loaded:
    factory_name = model.rpartition(":")[2]
    digest = hashlib.sha256(data).hexdigest()
    module = ModuleType(f"impasto_model_{digest[:12]}")
    module.__file__ = str(file.absolute())
    sys.modules[module.__name__] = module  # dataclasses and pickles look their module up
    with _errors_in_one_sentence(f"The file '{file}'", file), _neighbors_of(file), redirect_stdout(sys.stderr):
        exec(compile(data, str(file.absolute()), "exec"), module.__dict__)  # noqa: S102 – trusted, and not cached
    factory = getattr(module, factory_name, None)
    if factory is None:
        own = [n for n, v in vars(module).items() if callable(v) and getattr(v, "__module__", "") == module.__name__]
        raise EncoderError(f"'{file}' has no factory '{factory_name}'. {did_you_mean(factory_name, own)}")
    if not callable(factory):
        raise EncoderError(f"'{factory_name}' in '{file}' is no function: it is {_a(factory)}.")
    with (
        _errors_in_one_sentence(f"The factory '{factory_name}' in '{file}'", file),
        _neighbors_of(file),
        redirect_stdout(sys.stderr),
    ):
        network = factory()
    return Loaded(
        _with_hooks(network, f"The factory '{factory_name}' in '{file}'"), read_config(network, model), digest
    )


@contextmanager
def _neighbors_of(file: Path) -> Iterator[None]:
    """Lets a file import those beside it; afterwards another folder's file of the same name is another module."""
    folder = file.absolute().parent
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            origin = getattr(sys.modules[name], "__file__", None)
            if origin and Path(origin).is_relative_to(folder):
                del sys.modules[name]


def _load_exported(model: str, file: Path, data: bytes, device: torch.device) -> Loaded:
    from torch.export.passes import move_to_device_pass

    extra = {_EXTRA_FILE: ""}
    try:
        program = torch.export.load(io.BytesIO(data), extra_files=extra)
        hooks = GraphHooks(move_to_device_pass(program, device).module())
        declared = json.loads(extra[_EXTRA_FILE]) if extra[_EXTRA_FILE] else None
    except Exception as error:  # torch raises whatever its zip reader, JSON or pickle does
        raise EncoderError(
            f"'{file}' is no exported program that this PyTorch can load ({in_words(error)}). Save it with "
            "torch.export.save."
        ) from None
    config = None if declared is None else parse_config(declared, model)
    return Loaded(hooks, config, hashlib.sha256(data).hexdigest())


def _load_timm(model: str, name: str) -> Loaded:
    timm = _import_package("timm")
    with _errors_in_one_sentence(f"timm, asked for '{name}',"):
        network = timm.create_model(name, pretrained=True)
    return Loaded(_with_hooks(network, model), read_config(network, model))


def _load_torchvision(model: str, name: str) -> Loaded:
    models = _import_package("torchvision.models")
    with _errors_in_one_sentence(f"torchvision, asked for '{name}',"):
        weights = models.get_model_weights(name).DEFAULT
        network, transforms = models.get_model(name, weights=weights), weights.transforms()
    declared = {key: getattr(transforms, key) for key in ("mean", "std") if hasattr(transforms, key)}
    return Loaded(_with_hooks(network, model), parse_config(declared, model) if declared else None)


def _import_package(name: str) -> ModuleType:
    package = name.partition(".")[0]
    if importlib.util.find_spec(package) is None:
        raise RecipeError(
            f"Models of {package} need the package {package}, which is not installed: pip install {package}, or use "
            "--model compact, which needs nothing."
        )
    with _errors_in_one_sentence(f"The package {package}"):
        return importlib.import_module(name)


def _with_hooks(network: object, origin: str) -> FeatureHooks:
    if not isinstance(network, nn.Module):
        raise EncoderError(f"{origin} returned {_a(network)}; a torch.nn.Module is needed.")
    if any(nn.parameter.is_lazy(parameter) for parameter in network.parameters()):
        raise EncoderError(f"{origin} returned a network whose lazy parameters have no size yet; call it once there.")
    return ModuleHooks(network)


def _a(value: object) -> str:
    return "None" if value is None else f"an object of type {type(value).__name__}"


@contextmanager
def _errors_in_one_sentence(subject: str, file: Path | None = None) -> Iterator[None]:
    """Turns what code that is not ours raises into one sentence, with the line of the file where that is known."""
    try:
        yield
    except (Exception, SystemExit) as error:
        where = ""
        if file is not None:
            frames = traceback.extract_tb(error.__traceback__)
            own = [frame for frame in frames if frame.filename == str(file.absolute())]
            where = f" in line {own[-1].lineno}" if own else ""
        raise EncoderError(f"{subject} raised an error{where}: {in_words(error)}.") from None
