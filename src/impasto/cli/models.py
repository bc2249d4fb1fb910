"""``impasto models``: the encoders' weights, where they are and whether they are whole; and what a model offers."""

import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from impasto.cli.reporters import reporter_for
from impasto.recipe import Recipe, RunOptions, choices

if TYPE_CHECKING:
    from impasto.encoders.weights.store import WeightsInfo

app = App(name="models", help_format="plaintext")

Name = Annotated[str, Parameter(choices=tuple(choices("model")), help="The encoder, as --model has it.")]


@app.command(name="list")
def list_models() -> int:
    """Show each encoder: where its weights are or would come from, their size and SHA-256."""
    from impasto.encoders.weights.store import describe

    infos = [describe(name) for name in choices("model")]
    for info in infos:
        sys.stdout.write(_in_words(info) + "\n")
    return 0


@app.command
def download(name: Name, /) -> int:
    """Fetch an encoder's weights into the cache, unless they are on this machine already."""
    from impasto.encoders.weights.store import describe, find_weights

    with reporter_for(RunOptions()) as reporter:
        find_weights(name, on_download=reporter.download)
    sys.stdout.write(_in_words(describe(name)) + "\n")
    return 0


@app.command
def verify(*names: Name) -> int:
    """Recompute the SHA-256 of weights, and check every tensor of them; by default of all on this machine."""
    from impasto.encoders.weights.store import describe
    from impasto.encoders.weights.store import verify as verify_weights

    for name in names or [name for name in choices("model") if describe(name).path]:
        sys.stdout.write(f"{_in_words(verify_weights(name))}\n{name}: whole, with every tensor as it must be.\n")
    return 0


@app.command
def inspect(
    model: Annotated[str, Parameter(help="The encoder or custom model, as --model has it.")],
    /,
    *,
    trust: Annotated[bool, Parameter(negative=(), help="Allow the file of the model to run its code.")] = False,
) -> int:
    """List a model's layers with stride and channels, and suggest a recipe for it."""
    import tomli_w

    from impasto.encoders import build_encoder

    recipe = Recipe(model=model)
    with reporter_for(RunOptions()) as reporter:
        encoder = build_encoder(recipe.model, trust=trust, on_download=reporter.download)
    lines = ["stride  channels  layer"]
    lines += [f"{layer.stride:6}  {layer.channels:8}  {name}" for name, layer in encoder.layers.items()]
    if config := getattr(encoder, "config", None):
        lines += ["", f"# The network is given {config.in_words()}."]
    suggestion = {
        "model": model,
        "content_layers": dict(encoder.content_layers),
        "style_layers": dict(encoder.style_layers),
    }
    sys.stdout.write(
        "\n".join([*lines, "", "# A recipe to start from, for --recipe FILE.toml:", tomli_w.dumps(suggestion)])
    )
    return 0


def _in_words(info: "WeightsInfo") -> str:
    if info.path is None or info.num_bytes is None:
        return f"{info.name}: not on this machine; comes from {info.url}"
    return f"{info.name}: {info.path} ({info.source}, {info.num_bytes / 1e6:.1f} MB, SHA-256 {info.sha256})"
