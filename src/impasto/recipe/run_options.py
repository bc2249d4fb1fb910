"""The options of one run, which decide no pixel: paths, device, saving, verbosity."""

from pathlib import Path

from pydantic import ConfigDict

from impasto.recipe.parameters import FilePath, MemorySize, Parameters, parameter


class RunOptions(Parameters):
    """What one run needs besides its recipe, and what decides no pixel: paths, device, saving, verbosity.

    Raises:
        RecipeError: If a name is unknown or a value out of its range.
    """

    output_file: FilePath = parameter(
        Path("output_image"),
        "Where the result goes: a picture file (.png, .jpg, .webp, .tif …; .dzi for Deep Zoom), or without such a "
        "suffix a folder that receives 00100.png …, final.png, losses.csv and checkpoint.",
        group="Run",
    )
    recipe_file: FilePath | None = parameter(
        None, "The file that the recipe was read from, which no output may replace.", group="Run", is_option=False
    )
    content_mask: list[FilePath] = parameter(
        [],
        "Where a style goes: a picture that is white there. Once for each style image, in their order.",
        group="Masks",
    )
    style_mask: list[FilePath] = parameter(
        [],
        "Which part of a style image counts: a picture that is white there. Once for each style image.",
        group="Masks",
    )
    lock_mask: FilePath | None = parameter(
        None, "Where the content stays as it is: a picture that is white there.", group="Masks"
    )
    saving_interval: int = parameter(
        100,
        "Save the picture in between every so many iterations; 0 saves the final one only.",
        group="Run",
        unit="iterations",
        ge=0,
        le=10_000_000,
    )
    checkpoint_every: float = parameter(
        10.0,
        "Keep the run's whole state every so many seconds (rarer where writing it takes long), so that a killed run "
        "can be resumed; 0 never does.",
        group="Run",
        unit="seconds",
        ge=0,
    )
    resume: bool = parameter(
        False,
        "Go on from the checkpoint in the output's folder, to the same picture as if nothing had happened; or on to a "
        "larger --total-iterations.",
        group="Run",
    )
    device: str = parameter(
        "auto",
        "Where to compute: auto, cpu, cuda, cuda:1, mps …",
        group="Run",
        pattern=r"^(auto|cpu|cuda(:[0-9]{1,3})?|mps|xpu(:[0-9]{1,3})?)$",
        words="auto, cpu, mps, cuda or xpu; or one of several, as cuda:1 or xpu:1",
    )
    threads: int | None = parameter(
        None,
        "Processor threads. Default: one for each core. Results are bit-identical for the same number.",
        group="Run",
        ge=1,
        le=1024,
    )
    overwrite: bool = parameter(False, "Replace an existing final picture.", group="Run")
    pyramid: bool = parameter(
        False,
        "Write a .tif in tiles, with copies of half the size, a quarter, and so on in the same file, for viewers of "
        "large pictures.",
        group="Run",
    )
    plot: bool = parameter(False, "Draw the losses into losses.png.", group="Run")
    quiet: bool = parameter(False, "Print nothing but errors.", group="Run")
    json_events: bool = parameter(False, "Print one JSON object a line for scripts.", group="Run", alias="json")
    trust: bool = parameter(False, "Allow the file that --model names to run its code on this machine.", group="Run")
    dry_run: bool = parameter(
        False, "Print the resolved recipe and an estimate of time and memory, and stop.", group="Run"
    )
    max_memory: MemorySize | None = parameter(
        None,
        "Memory that a run may take, as 2GB, 800MB or 512MiB. A run that would take more keeps less for its "
        "gradients, evaluates the picture in tiles, and shortens the history of L-BFGS; what cannot fit at any speed "
        "is refused. Default: most of what is free.",
        group="Run",
    )
    scratch: FilePath | None = parameter(
        None,
        "Folder on a fast disk for what L-BFGS remembers, used where memory is too small for it; nothing stays there.",
        group="Run",
    )
    max_pixels: int = parameter(
        200_000_000,
        "Refuse input pictures of more pixels than this, before decoding them.",
        group="Run",
        unit="pixels",
        ge=1,
        le=10**12,
    )

    model_config = ConfigDict(populate_by_name=True)
