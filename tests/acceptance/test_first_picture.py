"""What the command line writes with default options, judged by VGG19."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from impasto.encoders import build_encoder
from tests.judge import relative_style_distance


@pytest.mark.slow
@pytest.mark.parametrize("levels", ["1", "auto"])
def test_the_written_picture_has_the_paintings_style(
    weights_dir: Path, images_dir: Path, tmp_path: Path, levels: str
) -> None:
    content, style = images_dir / "content" / "kodim23.jpg", images_dir / "style" / "starry_night.jpg"
    written = tmp_path / "out.png"
    command = [
        sys.executable, "-m", "impasto", "stylize", content, style, "--look", "classic",
        "--height", "192", "--total-iterations", "100",
        "--levels", levels, "-o", written,
    ]  # fmt: skip
    threads = str(os.cpu_count())  # one process at a time takes this long: all cores, whatever the suite is given
    subprocess.run(command, check=True, env=os.environ | {"OMP_NUM_THREADS": threads})
    distance = relative_style_distance(build_encoder("vgg19"), written, content, style)
    print(f"levels {levels}: {100 * distance:.2f} % of the content image's style distance")
    assert distance <= 0.06
