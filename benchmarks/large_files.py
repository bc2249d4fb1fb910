"""Memory that reading a large picture takes, of which a small copy is needed: ``python -m benchmarks.large_files``."""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyvips

SIZE = 8_000, 14_000
NEEDED = 400, 700

FILES = {
    "TIFF, uncompressed": ("flat.tif", {}),
    "PNG": ("plain.png", {"compression": 1}),
    "JPEG": ("plain.jpg", {"Q": 90}),
    "interlaced PNG": ("interlaced.png", {"compression": 1, "interlace": True}),
    "progressive JPEG": ("progressive.jpg", {"Q": 90, "interlace": True}),
}


def peak_megabytes() -> float:
    """Of this process so far; what getrusage tells includes the process that started it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def measure(path: Path) -> None:
    """Prints the memory that reading takes, on top of what the imports have taken."""
    from impasto.images import load_picture

    before = peak_megabytes()
    load_picture(path, shrink_to=lambda _: NEEDED)
    print(f"{peak_megabytes() - before:.0f} MB on top of {before:.0f} MB")


def main() -> None:
    """Writes each file, and reads it in a process of its own."""
    if len(sys.argv) > 1:
        measure(Path(sys.argv[1]))
        return
    rows, columns = (np.linspace(0, 255, edge) for edge in SIZE)
    picture = np.empty((*SIZE, 3), np.uint8)
    picture[..., 0], picture[..., 1] = rows[:, None], columns
    picture[..., 2] = np.arange(SIZE[0])[:, None] * 7 + np.arange(SIZE[1]) * 13 & 255
    with tempfile.TemporaryDirectory() as folder:
        for what, (name, options) in FILES.items():
            path = Path(folder) / name
            pyvips.Image.new_from_array(picture).write_to_file(str(path), **options)
            command = [sys.executable, "-m", "benchmarks.large_files", str(path)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            print(f"{what}: {done.stdout.strip()}", flush=True)
            path.unlink()


if __name__ == "__main__":
    main()
