"""What the musl fixtures are made with: Debian packages, files of PyPI, zig, and a cache.

`apt-get` runs here with a state, cache and sources file of its own: no root is needed, the
machine's own apt is not changed, and signatures are checked with the machine's keys. Files of
PyPI are pinned by hash, and nothing of a downloaded sdist is run.
"""

import fcntl
import os
import platform
import re
import shlex
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

APT: Final = Path("/etc/apt")
#: As a `-c` file, so that it is read after the machine's own settings: its proxy stays, its hooks
#: (Docker images empty the machine's package cache in one) go.
APT_SETTINGS: Final = """\
#clear APT::Update;
#clear APT::Architectures;
APT::Architecture "{architecture}";
APT::Architectures "{architecture}";
APT::Sandbox::User "";
Acquire::Languages "none";
Dir::State "{state}/state";
Dir::State::status "/dev/null";
Dir::Cache "{state}/cache";
Dir::Etc::sourcelist "{state}/suite.sources";
Dir::Etc::sourceparts "/dev/null";
"""

#: What apt reads of a package that it need not install.
INSTALLED: Final = """\
Package: {name}
Status: install ok installed
Architecture: amd64
Multi-Arch: same
Version: 9999

"""

#: pip asks the backend for an sdist's metadata before it hands the sdist over. This module answers
#: instead, with what the sdist has of it: no code of the project is run and no backend fetched.
BACKEND: Final = """\
import email, pathlib, shutil, sys
def prepare_metadata_for_build_wheel(folder, config_settings=None):
    known = email.message_from_string(pathlib.Path("PKG-INFO").read_text("utf-8"))
    info = pathlib.Path(folder, "%(Name)s-%(Version)s.dist-info" % known)
    info.mkdir()
    shutil.copy("PKG-INFO", info / "METADATA")
    return info.name
def __getattr__(name):  # what a backend that wraps this one takes of it
    if name.startswith("__"):
        raise AttributeError(name)
    return lambda *_: []
__legacy__ = sys.modules[__name__]
"""

ZIG: Final = (sys.executable, "-m", "ziglang")

#: How many characters of a failed command's output an error message quotes.
OUTPUT_TAIL: Final = 3000


class FixtureError(RuntimeError):
    """A fixture cannot be made here; the message says what is the matter and what helps."""


@dataclass(frozen=True)
class Pin:
    """A release on PyPI, "name==version", and the hash of the one file of it that is taken."""

    requirement: str
    sha256: str


@dataclass(frozen=True)
class Source:
    """One place packages come from, in the words of a deb822 sources file."""

    uris: str
    components: str
    signed_by: str
    """Empty, or all that follows `Signed-By:`, continuation lines with it."""

    def stanza(self, suite: str, kind: str = "deb") -> str:
        """Return the paragraph that names this place for `suite`."""
        key = f"Signed-By:{self.signed_by}\n" if self.signed_by else ""
        fields = (
            f"Types: {kind}\nURIs: {self.uris}\nSuites: {suite}\nComponents: {self.components}\n"
        )
        return fields + key


def require(version: str, known: Collection[str], what: str) -> None:
    """Raise FixtureError for a version that is not known and a machine that is not served."""
    if version not in known:
        raise FixtureError(f"{what} {version}: is not known here; take one of {', '.join(known)}")
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        machine = f"{sys.platform} on {platform.machine()}"
        raise FixtureError(f"{machine}: no {what} is had for it; use Linux on x86_64")


def unpack(
    package: str, suites: Mapping[str, str], folder: Path, architecture: str = "amd64"
) -> None:
    """Unpack a package, out of the suite for this distribution, into an empty folder."""
    with _suite(package, suites, folder) as state:
        say(f"apt-get: {package}, {architecture}")
        file = _download(package, "*.deb", ["download"], architecture, state)
        remedy = "it needs the programs of Debian's package dpkg"
        run(["dpkg-deb", "--extract", file, folder], remedy)


def unpack_with_libraries(
    package: str, suites: Mapping[str, str], folder: Path, without: Collection[str]
) -> None:
    """Unpack a package and all that it depends on into an empty folder; ``without`` is left out."""
    installed = "".join(INSTALLED.format(name=name) for name in without)
    with _suite(package, suites, folder) as state:
        (state / "installed").write_text(installed)
        say(f"apt-get: {package} and what it depends on")
        # The last of two settings of one name counts.
        options = ["-o", f"Dir::State::status={state}/installed", "-o", "Debug::NoLocking=1"]
        command = [*options, "install", "-y", "--download-only", "--no-install-recommends"]
        _fetch(package, command, "amd64", state)
        for file in sorted((state / "cache/archives").glob("*.deb")):
            run(["dpkg-deb", "--extract", file, folder], "it needs the programs of Debian's dpkg")


def unpack_original(package: str, suites: Mapping[str, str], folder: Path) -> None:
    """Unpack the upstream source of a package, without Debian's changes, into an empty folder."""
    with _suite(package, suites, folder, "deb-src") as state:
        say(f"apt-get: source of {package}")
        command = ["source", "--download-only"]
        file = _download(package, "*.orig.tar.?z*", command, "amd64", state)
        run(["tar", "-xf", file, "--strip-components=1", "-C", folder], "it needs tar and xz")


@contextmanager
def _suite(
    package: str, suites: Mapping[str, str], folder: Path, kind: str = "deb"
) -> Iterator[Path]:
    """Give a folder for apt's state that knows the suite for this distribution."""
    distribution, codename = _release()
    suite = suites.get(distribution)
    if suite is None:
        known = " or ".join(sorted(suites))
        raise FixtureError(f"{package}: not had on {distribution}; make this fixture on {known}")
    sources = _sources(codename)
    with tempfile.TemporaryDirectory(prefix="apt-", dir=folder.parent) as scratch:
        state = Path(scratch)
        (state / "suite.sources").write_text("\n".join(s.stanza(suite, kind) for s in sources))
        yield state


def own_suites() -> dict[str, str]:
    """Return the suite of this machine's own release: packages that fit those installed."""
    distribution, codename = _release()
    return {distribution: codename}


def _release() -> tuple[str, str]:
    try:
        release = platform.freedesktop_os_release()
    except OSError as error:
        raise FixtureError("os-release: is missing; use Debian or Ubuntu") from error
    return release.get("ID", "linux"), release.get("VERSION_CODENAME", "")


def _sources(codename: str) -> list[Source]:
    """Return the places this machine has its own release's main packages from."""
    found: list[Source] = []
    for file in [APT / "sources.list", *sorted((APT / "sources.list.d").glob("*"))]:
        if file.suffix == ".sources" and file.is_file():
            found += _deb822_sources(file.read_text(), codename)
        elif file.suffix == ".list" and file.is_file():
            found += _one_line_sources(file.read_text(), codename)
    if not found:
        remedy = "add the distribution's mirror, by the release's code name, with component main"
        raise FixtureError(f"{APT}: has no source of {codename or 'this release'}; {remedy}")
    return found


def _deb822_sources(text: str, codename: str) -> Iterator[Source]:
    for paragraph in re.split(r"\n\s*\n", re.sub(r"(?m)^#.*\n?", "", text)):
        lines = re.findall(r"(?m)^([\w-]+):(.*(?:\n[ \t].*)*)", paragraph)
        fields = {name.lower(): value for name, value in lines}
        components = fields.get("components", "").split()
        wanted = (
            "deb" in fields.get("types", "").split()
            and codename in fields.get("suites", "").split()
            and "main" in components
            and fields.get("enabled", "yes").strip().lower() != "no"
        )
        if wanted:
            uris = " ".join(fields.get("uris", "").split())
            yield Source(uris, " ".join(components), fields.get("signed-by", ""))


def _one_line_sources(text: str, codename: str) -> Iterator[Source]:
    line = r"(?m)^\s*deb[ \t]+(?:\[([^\]\n]*)\][ \t]*)?(\S+)[ \t]+(\S+)[ \t]+([^#\n]+)"
    for options, uri, suite, components in re.findall(line, text):
        if suite == codename and "main" in components.split() and not uri.startswith("cdrom:"):
            key = re.search(r"\bsigned-by=(\S+)", options)
            yield Source(uri, components.strip(), f" {key[1]}" if key else "")


def _download(
    package: str, pattern: str, command: Sequence[str], architecture: str, state: Path
) -> Path:
    """Return the path of what `command` fetches, below `state`, which holds `suite.sources`."""
    target = _fetch(package, command, architecture, state)
    return next(file for file in target.glob(pattern) if file.suffix != ".asc")


def _fetch(package: str, command: Sequence[str], architecture: str, state: Path) -> Path:
    """Run `command` of apt-get for a package, in a folder below `state`, and return that."""
    settings = state / "apt.conf"
    settings.write_text(APT_SETTINGS.format(state=state, architecture=architecture))
    target = state / "package"
    for made in (state / "state/lists/partial", state / "cache/archives/partial", target):
        made.mkdir(parents=True)
    apt_get = ["apt-get", "-q", "-c", str(settings)]
    # A source of someone else's may lack the suite, which fails the update and does no harm:
    # whether the package can be had and its signature is right is for the download to say.
    try:
        told = run([*apt_get, "update"], "use Debian or Ubuntu")
    except FixtureError as error:
        told = str(error)
    remedy = f"see whether this machine's mirror has the suite, what came before was\n{told}"
    run([*apt_get, *command, package], remedy, folder=target)
    return target


def wheel(pin: Pin, platform_tag: str, version: str, cache: Path) -> Path:
    """Return the path of the pinned wheel for Python `version`; a dot is between several tags."""
    options = ["--only-binary=:all:", "--implementation", "cp", "--python-version", version]
    for tag in platform_tag.split("."):
        options += ["--platform", tag]
    return _pip_download(pin, options, dict(os.environ), cache)


def sdist(pin: Pin, cache: Path) -> Path:
    """Return the path of the pinned sdist; of its code only a backend of its own is run."""
    with tempfile.TemporaryDirectory() as scratch:
        for name in (
            "setuptools/build_meta.py",
            "scikit_build_core/build.py",
            "hatchling/build.py",
        ):
            backend = Path(scratch) / name
            backend.parent.mkdir()
            (backend.parent / "__init__.py").touch()
            backend.write_text(BACKEND)
        options = ["--no-binary=:all:", "--no-build-isolation", "--use-pep517"]
        path = f"{scratch}{os.pathsep}{os.environ.get('PYTHONPATH', '')}".rstrip(os.pathsep)
        return _pip_download(pin, options, {**os.environ, "PYTHONPATH": path}, cache)


def unpack_sdist(pin: Pin, folder: Path, cache: Path) -> None:
    """Unpack the pinned sdist below a folder: one folder named NAME-VERSION."""
    with tarfile.open(sdist(pin, cache)) as archive:
        if hasattr(tarfile, "data_filter"):  # Debian 12's Python has none, newer ones want one
            archive.extractall(folder, filter="data")
        else:
            archive.extractall(folder)  # noqa: S202 - with that filter


def _pip_download(
    pin: Pin, options: Sequence[str], environment: Mapping[str, str], cache: Path
) -> Path:
    def fill(folder: Path) -> None:
        say(f"pip: {pin.requirement}")
        wanted = folder.with_name("requirements.txt")
        wanted.write_text(f"{pin.requirement} --hash=sha256:{pin.sha256}\n")
        pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes"]
        run(
            [*pip, *options, "--dest", folder, "--requirement", wanted],
            "see whether PyPI can be reached and this Python has a pip",
            folder=folder,
            environment=environment,
        )

    folder = cached(cache / f"{pin.requirement.replace('==', '-')}-{pin.sha256[:8]}", fill)
    return next(folder.iterdir())


def say(text: str) -> None:
    """Write one line of progress on stderr."""
    print(text, file=sys.stderr, flush=True)


def run(
    command: Sequence[str | Path],
    remedy: str,
    *,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Return the combined output of `command`; FixtureError, with `remedy`, where it fails."""
    words = [str(word) for word in command]
    try:
        done = captured(words, folder, environment)
    except FileNotFoundError as error:
        raise FixtureError(f"{words[0]}: is not on this machine; {remedy}") from error
    if done.returncode:
        tail = done.stdout[-OUTPUT_TAIL:]
        fact = f"failed with exit status {done.returncode}"
        raise FixtureError(f"{shlex.join(words)}: {fact}; {remedy}\n{tail}")
    return done.stdout


def captured(
    words: list[str], folder: Path | None, environment: Mapping[str, str] | None
) -> subprocess.CompletedProcess[str]:
    """Run a command; its two outputs come back as one, whatever its status."""
    return subprocess.run(
        words,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )


def cached(folder: Path, fill: Callable[[Path], None]) -> Path:
    """Return `folder`, which `fill` has filled, now or in an earlier run.

    `fill` gets another, empty folder, renamed once it returns: an interrupted run leaves nothing
    that looks finished, and nothing written may hold that folder's path.
    """
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(prefix=".unfinished-", dir=folder.parent) as scratch:
                content = Path(scratch) / "content"
                content.mkdir()
                fill(content)
                content.rename(folder)
    return folder


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock on `path`, a file beside it, against other processes and threads.

    The file stays: removing it would let two holders in, one of them on the unlinked file.
    """
    with path.with_name(f".{path.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def compile_c(
    output: Path, arguments: Sequence[str | Path], cache: Path, triple: str = "x86_64-linux-musl"
) -> None:
    """Make `output` of C for that target with zig, run in its folder with `arguments`."""
    run(
        [*ZIG, "cc", "-target", triple, "-O2", "-s", "-w", "-o", output.name, *arguments],
        "it takes `pip install ziglang`, and sources that this zig compiles",
        folder=output.parent,
        environment={"ZIG_GLOBAL_CACHE_DIR": str(cache.absolute() / "zig"), **os.environ},
    )
