"""npm packages as files: fetched by npm where it is, put there by hand where it is not, and read without unpacking."""

import json
import shutil
import subprocess
import tarfile
import zlib
from pathlib import Path
from typing import Any

from tqdm import tqdm

from qwen_svg.common.errors import UserError, one_line
from qwen_svg.common.files import atomic_folder

Package = tuple[str, str]  # name and version
SECONDS = 600  # for one package


def tarball(folder: Path, package: Package) -> Path:
    """Return where a package's file lies: `npm pack` names that of @a/b in version 1.0.0 a-b-1.0.0.tgz."""
    name, version = package
    return folder / f"{name.removeprefix('@').replace('/', '-')}-{version}.tgz"


def fetch(folder: Path, packages: list[Package]) -> None:
    """Fetch what is missing. Raises UserError where that is impossible, with what to put where."""
    missing = [package for package in packages if not tarball(folder, package).is_file()]
    if not missing:
        return
    names = " ".join(f"{name}@{version}" for name, version in missing)
    by_hand = f"run `npm pack {names}` where it works and put the .tgz files into {folder}"
    npm = shutil.which("npm")
    if npm is None:
        raise UserError(f"{len(missing)} packages are missing and npm is not installed: install it, or {by_hand}.")
    folder.mkdir(parents=True, exist_ok=True)
    for package in tqdm(missing, desc="packages", unit="", disable=None):
        _pack(npm, folder, package, by_hand)


def _pack(npm: str, folder: Path, package: Package, by_hand: str) -> None:
    """Let npm write into a folder of its own first: a file that is there is whole."""
    name = "@".join(package)
    wanted = tarball(folder, package)
    with atomic_folder(wanted.with_suffix(".fetched")) as part:
        command = [npm, "pack", "--silent", "--ignore-scripts", name, "--pack-destination", str(part)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
            reason = "" if done.returncode == 0 else done.stderr or done.stdout or "it said nothing"
        except subprocess.TimeoutExpired:
            reason = f"no answer in {SECONDS} seconds"
        packed = part / wanted.name
        if reason or not packed.is_file():
            raise UserError(f"npm could not fetch {name} ({one_line(reason) or 'no file'}); try again, or {by_hand}.")
        packed.replace(wanted)
    shutil.rmtree(wanted.with_suffix(".fetched"))


def read(path: Path, member: str) -> str:
    """Return the text of a file in a package. Raises UserError for a broken package and one that lacks the file."""
    try:
        with tarfile.open(path) as tar:
            file = tar.extractfile(f"package/{member}")
            assert file is not None  # a folder of that name
            return file.read().decode("utf-8")
    except (KeyError, AssertionError):
        raise UserError(f"{path} has no {member}; delete it, and the same command fetches it again.") from None
    except (tarfile.TarError, EOFError, OSError, zlib.error, UnicodeDecodeError) as error:
        raise UserError(
            f"{path} is broken ({one_line(error)}); delete it, and the same command fetches it again."
        ) from None


def read_json(path: Path, member: str) -> Any:
    """Return what a JSON file in a package holds. Raises what `read` does, and UserError for what is no JSON."""
    text = read(path, member)
    try:
        return json.loads(text)
    except ValueError as error:
        raise UserError(
            f"{member} in {path} is not JSON ({one_line(error)}); delete the file and fetch it again."
        ) from None
