"""Folders that tools misread: what is said of each, and names of files that no wheel can have."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import pytest

from muslbackend.errors import MuslBackendError, ToolError
from muslbackend.musl.releases import MuslVersion
from muslbackend.repair.verify import Opener, open_all
from muslbackend.system import cache as usercache
from muslbackend.system import paths
from muslbackend.wheel.member_names import name_for
from support.wheels.builders import graph_of, target_for

READ: str = ", which CMake, linkers or loaders misread"


def blamed(error: BaseException, **places: str) -> str:
    """Return what is said when a build fails so in these folders, the others being fit."""
    usual = {"home": "/p", "temp": "/t", "prefix": "/venv", "kept": "/cache"} | places
    home = PurePosixPath(usual.pop("home"))
    with (
        pytest.raises(ToolError) as caught,
        paths.blamed(paths.of_build(home, None, usual["temp"], usual["prefix"], usual["kept"])),
    ):
        raise error
    return str(caught.value)


@pytest.mark.parametrize(
    ("place", "path", "said", "hint"),
    [
        ("home", "/a\nb", "project folder, '/a\\nb', contains a line break", "move the project"),
        ("home", "/a|b", "project folder, /a|b, contains a |", "move the project"),
        ("home", "/a$(b)", "project folder, /a$(b), contains a $(", "move the project"),
        ("temp", "/a,b", "build folder, /a,b, contains a ,", "set TMPDIR to another"),
        (
            "temp",
            "/a\udcff",
            "build folder, '/a\\udcff', contains a byte that is not UTF-8",
            "set TMPDIR",
        ),
        (
            "temp",
            "/a%b",
            "temporary folder, /a%b, contains a %",
            "set TMPDIR to another folder",
        ),
        (
            "prefix",
            "/a[b",
            "interpreter folder, /a[b, contains a [",
            "create the virtual environment",
        ),
        (
            "kept",
            "/a]b",
            "cache folder, /a]b, contains a ]",
            "set XDG_CACHE_HOME to another folder",
        ),
    ],
)
def test_a_build_that_fails_in_an_unfit_folder_says_which(
    place: str, path: str, said: str, hint: str
) -> None:
    text = blamed(SystemExit(1), **{place: path})
    assert text.startswith(f"the build failed: the {said}{READ}\n  hint  {hint}")


def test_a_build_that_fails_elsewhere_ends_as_it_did() -> None:
    with (
        pytest.raises(SystemExit),
        paths.blamed(paths.of_build(Path("/p"), None, "/t", "/v", "/c")),
    ):
        raise SystemExit(1)


def test_a_locale_that_lacks_a_character_is_blamed_for_it_and_no_comma_is() -> None:
    said = blamed(UnicodeEncodeError("utf-8", "", 0, 1, ""), temp="/a,b", prefix="/v\udcc3\udcbc")
    fact = "the interpreter folder, /vü, contains a character that the locale cannot encode"
    assert said.startswith(f"the build failed: {fact}\n  hint  set LC_ALL=C.UTF-8")


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("a\nb", "a line break"),
        ("a\tb", "a tab"),
        ("a:b", "a :"),
        ("a;b", "a ;"),
        ('a"b', 'a "'),
        ("a${b}", "a ${"),
        ("a\\b", "a \\"),
        ("a\udcffb", "a byte that is not UTF-8"),
    ],
)
def test_a_cache_that_no_cross_build_can_use_is_refused_at_once(
    name: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", f"/{name}")
    with pytest.raises(ToolError) as caught:
        usercache.cache_folder()
    assert caught.value.message.endswith(f", contains {what}{READ}")
    assert caught.value.hint == "set XDG_CACHE_HOME to another folder"


def test_spaces_other_scripts_and_dashes_are_no_reason() -> None:
    name = "/-a b 'c' <d> & # ` $e ü漢 @ ~ * ?" + "x" * 200
    places = [*paths.of_build(PurePosixPath(name), None, name, name, name), paths.opening(name)]
    assert paths.unfit(places) is None


def test_loaders_open_nothing_in_a_folder_whose_path_they_split(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "a:b"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    with pytest.raises(ToolError) as caught:
        open_all(Opener((), MuslVersion(1, 2, 5), "", Path("cc")), (), graph_of({}), target_for())
    assert caught.value.message.startswith(f"the temporary folder, {folder}")
    assert caught.value.hint == "set TMPDIR to another folder"


@pytest.mark.parametrize("open_to", [0o770, 0o707])
def test_a_cache_among_temporary_files_that_others_can_write_to_is_refused(
    open_to: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made = usercache.cache_folder()
    assert made.stat().st_mode & 0o777 == 0o700
    made.chmod(open_to)
    with pytest.raises(ToolError) as caught:
        usercache.cache_folder()
    assert caught.value.message.startswith(f"{made} cannot be used as the cache")
    made.rmdir()
    made.symlink_to(tmp_path)
    with pytest.raises(ToolError):
        usercache.cache_folder()


@pytest.fixture
def among_temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for a cache where the user has none; the user's is `user` in the same folder."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    return tmp_path / f"tmp/muslbackend-{os.getuid()}"


def made_once(cache: Path) -> Path:
    return usercache.once(cache / "x", cache, lambda new: new.mkdir())


def test_a_cache_is_made_for_the_user_alone(among_temporary: Path, tmp_path: Path) -> None:
    before = os.umask(0o002)
    try:
        assert usercache.cache_folder() == tmp_path / "user/muslbackend"
        assert not (tmp_path / "user").exists()  # whoever asks only, makes nothing
        made_once(usercache.cache_folder())
    finally:
        os.umask(before)
    assert (tmp_path / "user/muslbackend").stat().st_mode & 0o777 == 0o755
    assert usercache.cache_folder() == tmp_path / "user/muslbackend"
    assert not among_temporary.exists()


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
def test_a_cache_that_others_can_write_to_is_not_used(
    mode: int, among_temporary: Path, tmp_path: Path
) -> None:
    (tmp_path / "user").mkdir()
    (tmp_path / "user/muslbackend").mkdir()
    (tmp_path / "user/muslbackend").chmod(mode)
    assert usercache.cache_folder() == among_temporary


def test_a_cache_of_another_user_is_not_used(
    among_temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "user").mkdir()
    (tmp_path / "user/muslbackend").mkdir()
    uid = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: uid + 1)
    theirs = among_temporary.with_name(f"muslbackend-{uid + 1}")
    with pytest.raises(ToolError, match="it is not a folder that only you can write to"):
        usercache.cache_folder()
    assert theirs.is_dir()  # it was made by the one who is now somebody else


def test_a_cache_that_is_a_link_of_the_user_is_used(among_temporary: Path, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir(mode=0o700)
    (tmp_path / "user").mkdir()
    (tmp_path / "user/muslbackend").symlink_to(tmp_path / "disk")
    assert usercache.cache_folder() == tmp_path / "user/muslbackend"
    (tmp_path / "disk").chmod(0o777)
    assert usercache.cache_folder() == among_temporary
    (tmp_path / "disk").rmdir()
    assert usercache.cache_folder() == among_temporary


def test_a_cache_that_somebody_else_makes_meanwhile_is_not_used(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    cache.chmod(0o777)
    with pytest.raises(ToolError, match="it is not a folder that only you can write to"):
        made_once(cache)


@pytest.mark.parametrize("home", [None, "", "/dev/null", "/dev/null/none"])
def test_a_user_without_a_home_has_a_cache(
    home: str | None, among_temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME")
    if home is None:
        monkeypatch.delenv("HOME")
    else:
        monkeypatch.setenv("HOME", home)
    assert usercache.cache_folder() == among_temporary


@pytest.mark.parametrize("path", ["/a;b", "/a${b}", "/a$ENV{b}", "/a\\b"])
def test_no_build_begins_in_a_folder_that_cmake_misses(path: str) -> None:
    """It would write to folders of other names, in the project too."""
    places = paths.of_build(PurePosixPath("/p"), None, path, "/v", "/c")
    begun = []
    with pytest.raises(ToolError) as caught, paths.blamed(places, cmake=True):
        begun.append(path)
    assert not begun
    assert caught.value.message.startswith(f"the build folder, {path}, contains a ")
    with paths.blamed(places):  # of what compiles nothing
        begun.append(path)


def test_a_folder_that_tools_misread_gets_a_link_that_they_do_not(tmp_path: Path) -> None:
    odd = tmp_path / "a;b\n"
    odd.mkdir()
    (odd / "inside").touch()
    named = usercache.plainly_named(odd, tmp_path)
    assert paths.is_plain(str(named))
    assert (named / "inside").exists()
    assert usercache.plainly_named(odd, tmp_path) == named
    assert usercache.plainly_named(tmp_path, tmp_path) == tmp_path


def test_what_a_wheel_can_have_keeps_its_name() -> None:
    for name in ("demo/-x y.so", "demo/ü漢.py", "demo/a,b\"c'.txt"):
        assert name_for(name) == name
    # As Python has it where the locale is ASCII's.
    assert name_for(os.fsencode("demo/ü").decode("ascii", "surrogateescape")) == "demo/ü"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("demo/a\nb.py", "whose name tools read differently"),
        ("demo/a\udcff.py", "whose name is not UTF-8"),
    ],
)
def test_what_no_wheel_can_have_is_named(name: str, why: str) -> None:
    with pytest.raises(MuslBackendError) as caught:
        name_for(name)
    said = f"the project has a file that wheels must not contain: {name!r}, {why}"
    assert caught.value.message == said
    assert caught.value.hint == "rename it, or leave it out of the wheel"
