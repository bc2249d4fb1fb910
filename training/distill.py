"""Trains the compact encoder: ``python -m training.distill [CONFIG] [--set KEY=VALUE ...]``; started again, it goes on.

From the closed-form start, toward agreement with VGG19 in features, Gram matrices and the gradient of the objective
with respect to the pixels, on augmented pictures and on those that the optimizer visits with the network as it is.
Kernels and projections move along natural gradients (`training.natural`); a running mean of the weights is written.
"""

import argparse
import logging
import math
import time
import tomllib
from collections import deque
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from training import agreement, visits
from training.estimates import add_estimates
from training.natural import NaturalGradient, inverse_moments
from training.networks import LAYERS, load_teacher, save_compact
from training.pictures import Crops, add_noise

from impasto.encoders.compact import Compact
from impasto.encoders.low_rank import LowRankConv
from impasto.encoders.vgg import STYLE_LAYERS

logger = logging.getLogger(__name__)

DEFAULT_CONFIG = Path(__file__).with_suffix(".toml")
CHECKPOINT_SECONDS = 60
LOG_EVERY = 25
MOMENT_BATCHES = 16
"""Batches of pictures from which the moments of the layers' inputs are taken."""
DRAWN_LAYERS = 2
"""Of the layers that are no style layers in the classical recipe: how many Gram matrices a step looks at."""
WARM_UP = 50
"""Steps over which the step size rises."""


class Student(nn.Module):
    """A compact encoder whose weights and projections learn."""

    def __init__(self, start: Compact) -> None:
        super().__init__()
        self.encoder = start
        self.encoder.requires_grad_(True)
        projections = {layer: start.full_projection(layer) for layer in LAYERS if not start.is_low_rank(layer)}
        # Brought to the size that other weight matrices have; the teacher's channels have any size.
        self.scales = {
            layer: float(projection[:, :-1].square().sum(1).mean().sqrt()) for layer, projection in projections.items()
        }
        self.projections = nn.ParameterDict(
            {layer: nn.Parameter(projection / self.scales[layer]) for layer, projection in projections.items()}
        )

    def full_heads(self, layers: tuple[str, ...]) -> dict[str, Tensor]:
        """The projections of some layers in their own size, differentiable; the identity for a factored layer."""
        return {
            layer: self.projections[layer] * self.scales[layer]
            if layer in self.projections
            else self.encoder.full_projection(layer)
            for layer in layers
        }

    def maps(self) -> dict[str, tuple[nn.Parameter, nn.Parameter | None]]:
        """Weight and bias of all that learns, under the names of `training.natural.inverse_moments`."""
        maps: dict[str, tuple[nn.Parameter, nn.Parameter | None]] = {
            f"{layer}.head": (projection, None) for layer, projection in self.projections.items()
        }
        for layer, conv in self.encoder.convs.items():
            if isinstance(conv, LowRankConv):
                if conv.squeeze is not None:
                    maps[f"{layer}.squeeze"] = conv.squeeze, None
                maps[f"{layer}.conv"], maps[f"{layer}.expand"] = (conv.weight, None), (conv.expand, conv.bias)
            else:
                maps[f"{layer}.conv"] = conv.weight, conv.bias
        return maps

    def published(self) -> dict[str, Tensor]:
        """All weights and projections under the file's names."""
        state = {name: tensor.detach().clone() for name, tensor in self.encoder.convs.state_dict().items()}
        return state | {
            f"{layer}.head": projection.detach()
            for layer, projection in self.full_heads(tuple(self.projections)).items()
        }


class Distillation:
    """A training run: what it learns from, how, and where it stands."""

    def __init__(self, config: dict[str, Any], device: torch.device) -> None:
        self.config, self.device = config, device
        self.work = Path(config["work"])
        self.teacher = load_teacher().to(device)
        if config["bfloat16"]:
            for parameter in self.teacher.parameters():
                parameter.data = parameter.data.bfloat16()
        start = Compact(load_file(config["start"])).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.student = Student(start)
        self.crops = Crops(config["crop_size"], config["seed"])
        batches = [torch.stack([self.crops.draw() for _ in range(8)]).to(device) for _ in range(MOMENT_BATCHES)]
        self.optimizer = NaturalGradient(self.student.maps(), inverse_moments(start, batches), config["momentum"])
        self.visited: deque[visits.Visit] = deque(maxlen=config["visit_capacity"])
        self.averages = self.student.published()
        self.step = 0
        self.sums: dict[str, list[float]] = {}

    def run(self) -> None:
        """Trains to the last step, writing checkpoint and weights every minute; then fits the estimates."""
        started = saved = time.monotonic()
        first = self.step
        while self.step < self.config["steps"]:
            if self.step % self.config["visit_every"] == 0:
                self._visit()
            of_gradients = self.step % self.config["gradient_every"] == self.config["gradient_every"] - 1
            terms = self._gradient_step() if of_gradients else self._feature_step()
            total = torch.stack([self.config["weights"][name] * term for name, term in terms.items()]).sum()
            total.backward()
            self.optimizer.step(self._step_size())
            self._average()
            self.step += 1
            for name, term in terms.items():
                self.sums.setdefault(name, []).append(float(term.detach()))
            if self.step % LOG_EVERY == 0:
                pace = (time.monotonic() - started) / (self.step - first)
                self._log(pace)
            if time.monotonic() - saved > CHECKPOINT_SECONDS or self.step == self.config["steps"]:
                self.save()
                saved = time.monotonic()
        self._write(add_estimates(self._published_averages(), self.config["estimate_crops"]))

    def _step_size(self) -> float:
        done = self.step / self.config["steps"]
        rise = min(1.0, (self.step + 1) / WARM_UP)
        return float(self.config["step_size"] * rise * 0.5 * (1 + math.cos(math.pi * done)))

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config["bfloat16"])

    def _visit(self) -> None:
        parameters = list(self.student.encoder.parameters())
        for parameter in parameters:
            parameter.requires_grad_(False)
        frozen = Compact(self.student.published()).to(self.device)
        for parameter in parameters:
            parameter.requires_grad_(True)
        with self._autocast():
            self.visited.extend(visits.run(frozen, self.crops, self.config["visit_iterations"], self.device))

    def _feature_step(self) -> dict[str, Tensor]:
        """Features and Gram matrices, on fresh crops and visited pictures."""
        visited = self.config["visited"]
        pictures = [self.crops.draw() for _ in range(self.config["batch"] - visited)]
        rng = self.crops.rng
        for index in rng.integers(len(self.visited), size=visited):
            picture = self.visited[index].picture.float()
            picture = torch.rot90(picture, int(rng.integers(4)), (1, 2))
            pictures.append(add_noise(rng, picture) if rng.random() < 0.3 else picture)
        image = torch.stack(pictures).to(self.device)
        with torch.no_grad():
            wide = self.teacher(image, LAYERS)
        with self._autocast():
            narrow = self.student.encoder(image, LAYERS)
        return self._of_features(narrow, wide, self.student.full_heads(LAYERS))

    def _of_features(
        self, narrow: agreement.Features, wide: agreement.Features, projections: agreement.Features
    ) -> dict[str, Tensor]:
        wide = {layer: features.detach() for layer, features in wide.items()}
        by_layer = {layer: agreement.moments(narrow[layer], wide[layer]) for layer in narrow}
        weights = self.config["layers"]
        features = agreement.feature_disagreement(by_layer, projections, weights["features"])
        with self._autocast():  # products of many small matrices take a good part of a step
            gram = agreement.gram_disagreement(by_layer, wide, projections, self._drawn(weights["gram"], by_layer))
        return {"features": features, "gram": gram}

    def _drawn(self, weights: dict[str, float], layers: Collection[str]) -> dict[str, float]:
        """The Gram weights of the style layers, and those of a few others in the place of all others."""
        style = {layer: weights[layer] for layer in STYLE_LAYERS["vgg19"]}
        others = [layer for layer in layers if layer not in style]
        drawn = self.crops.rng.choice(others, min(DRAWN_LAYERS, len(others)), replace=False)
        return style | {str(layer): weights[str(layer)] * len(others) / len(drawn) for layer in drawn}

    def _gradient_step(self) -> dict[str, Tensor]:
        """All three, on visited pictures with the styles and contents that they are made from."""
        count, rng = self.config["triples"], self.crops.rng
        chosen = [self.visited[index] for index in rng.integers(len(self.visited), size=count)]
        pictures = torch.stack([visit.picture for visit in chosen]).float().to(self.device).requires_grad_()
        others = torch.stack([visit.style for visit in chosen] + [visit.content for visit in chosen])
        others = others.float().to(self.device)
        layers = agreement.OBJECTIVE_LAYERS
        weights = {layer: float(rng.lognormal(0, 0.7)) for layer in layers}  # not only the default recipe's
        with torch.no_grad():
            wide_others = self.teacher(others, layers)
        wide = self.teacher(pictures, layers)
        (target,) = torch.autograd.grad(agreement.objective(wide, wide_others, weights), pictures)
        with self._autocast():
            narrow_others = self.student.encoder(others, layers)
            narrow = self.student.encoder(pictures, layers)
        projections = self.student.full_heads(layers)
        own = agreement.narrow_objective(narrow, narrow_others, projections, weights)
        (gradient,) = torch.autograd.grad(own, pictures, create_graph=True)
        terms = self._of_features(narrow, wide, projections)
        return terms | {"gradient": agreement.gradient_disagreement(gradient, target)}

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(self.config["average"], (self.step + 1) / (self.step + 20))
        for name, tensor in self.student.published().items():
            self.averages[name].lerp_(tensor, 1 - decay)

    def _log(self, pace: float) -> None:
        means = "  ".join(f"{name} {sum(values) / len(values):.3f}" for name, values in self.sums.items())
        logger.info("step %d  %s  %.2f s a step", self.step, means, pace)
        self.sums = {}

    def save(self) -> None:
        """Writes the checkpoint, and the weights as the package would take them."""
        self.work.mkdir(parents=True, exist_ok=True)
        partial = self.work / "checkpoint.partial"
        torch.save(
            {
                "step": self.step,
                "student": self.student.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "averages": self.averages,
                "visited": list(self.visited),
                "rng": self.crops.rng.bit_generator.state,
            },
            partial,
        )
        partial.replace(self.work / "checkpoint.pt")
        self._write(self._published_averages())

    def _published_averages(self) -> dict[str, Tensor]:
        return {name: tensor.cpu() for name, tensor in self.averages.items()}

    def _write(self, state: dict[str, Tensor]) -> None:
        command = f"python -m training.distill, step {self.step} of {self.config['steps']}"
        save_compact(state, self.work / "compact.safetensors", command)

    def resume(self) -> None:
        """Goes on from the checkpoint, if there is one."""
        path = self.work / "checkpoint.pt"
        if not path.exists():
            return
        state = torch.load(path, map_location=self.device, weights_only=False)
        self.step, self.averages = state["step"], state["averages"]
        self.student.load_state_dict(state["student"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.visited.extend(state["visited"])
        self.crops.rng.bit_generator.state = state["rng"]
        logger.info("Going on at step %d", self.step)


def main() -> None:
    """Reads the command line and trains."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, nargs="?", default=DEFAULT_CONFIG)
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="instead of the configuration's")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("impasto").setLevel(logging.WARNING)
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    config = tomllib.loads(arguments.config.read_text())
    for pair in arguments.set:
        key, value = pair.split("=", 1)
        config[key] = value if isinstance(config[key], str) else tomllib.loads(f"value = {value}")["value"]
    distillation = Distillation(config, torch.device(arguments.device))
    distillation.resume()
    distillation.run()


if __name__ == "__main__":
    main()
