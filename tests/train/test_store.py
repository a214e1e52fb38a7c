"""The folder of programs: whose it is, what is refused, and what goes when it is full."""

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from skfm.train import store

KEY = "a" * 64
needs_owners = pytest.mark.skipif(os.name == "nt", reason="folders have modes on POSIX alone")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Where programs go."""
    monkeypatch.setenv("SKFM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "programs"


def test_what_was_saved_is_loaded(place):
    assert store.load(KEY) is None
    store.save(KEY, b"some bytes")
    assert store.load(KEY) == b"some bytes"
    assert os.listdir(place) == [KEY]
    store.save(KEY, b"other bytes")
    assert store.load(KEY) == b"other bytes"
    store.forget(KEY)
    assert store.load(KEY) is None


def test_one_variable_switches_it_off(place, monkeypatch):
    store.save(KEY, b"some bytes")
    monkeypatch.setenv("SKFM_CACHE", "0")
    assert store.folder() is None
    assert store.load(KEY) is None
    store.save(KEY, b"other bytes")
    store.forget(KEY)
    monkeypatch.setenv("SKFM_CACHE", str(place.parent))
    assert store.load(KEY) == b"some bytes"


def test_a_relative_folder_is_none(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SKFM_CACHE", "cache")
    store.save(KEY, b"some bytes")
    assert store.load(KEY) is None
    assert not os.listdir(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="the convention of Linux")
def test_the_folder_is_that_of_the_platform(tmp_path, monkeypatch):
    monkeypatch.delenv("SKFM_CACHE")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert store.folder() == tmp_path / "xdg" / "skfm" / "programs"
    for ignored in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert store.folder() == tmp_path / "home" / ".cache" / "skfm" / "programs"


@needs_owners
def test_the_folder_belongs_to_its_user_alone(place, monkeypatch):
    store.save(KEY, b"some bytes")
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    for mode in (0o770, 0o702, 0o755):
        place.chmod(mode)
        assert store.load(KEY) is None
    place.chmod(0o700)
    assert store.load(KEY) == b"some bytes"
    monkeypatch.setattr(os, "getuid", lambda: place.stat().st_uid + 1)
    assert store.load(KEY) is None
    store.save("b" * 64, b"some bytes")
    assert os.listdir(place) == [KEY]


@needs_owners
def test_a_link_is_no_folder(place, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    place.parent.mkdir()
    place.symlink_to(elsewhere)
    store.save(KEY, b"some bytes")
    assert store.folder() is None
    assert os.listdir(elsewhere) == []


def test_files_under_another_name_are_ignored_and_removed(place):
    store.save(KEY, b"some bytes")
    (place / KEY).rename(place / ("b" * 64))
    assert store.load("b" * 64) is None
    assert os.listdir(place) == []


@pytest.mark.parametrize("damage", [b"", b"short", b"\0" * 100, "cut", "changed"])
def test_damaged_files_are_ignored_and_removed(place, damage):
    store.save(KEY, b"some bytes")
    content = (place / KEY).read_bytes()
    damaged = {"cut": content[:-1], "changed": content[:-1] + b"!"}.get(damage, damage)
    (place / KEY).write_bytes(damaged)
    assert store.load(KEY) is None
    assert os.listdir(place) == []


@pytest.mark.parametrize("obstacle", ["file", "folder of a file"])
def test_a_place_that_cannot_be_is_none(tmp_path, monkeypatch, obstacle):
    (tmp_path / "taken").write_text("")
    path = {"file": tmp_path / "taken", "folder of a file": tmp_path / "taken" / "deeper"}[obstacle]
    monkeypatch.setenv("SKFM_CACHE", str(path))
    assert store.folder() is None
    store.save(KEY, b"some bytes")
    assert store.load(KEY) is None


def test_a_user_without_a_home_keeps_nothing(monkeypatch):
    def fail():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setenv("SKFM_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setattr(Path, "home", fail)
    assert store.folder() is None


@pytest.mark.parametrize("step", ["mkstemp", "fdopen", "replace"])
def test_a_disk_that_takes_nothing_leaves_nothing(place, monkeypatch, step):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    store.save(KEY, b"some bytes")
    owner = store.tempfile if step == "mkstemp" else os
    with monkeypatch.context() as failing:
        failing.setattr(owner, step, full)
        store.save("b" * 64, b"other bytes")
    assert os.listdir(place) == [KEY]


def test_those_used_last_stay(place, monkeypatch):
    monkeypatch.setattr(store, "MOST_BYTES", 4 * 132)
    names = [letter * 64 for letter in "abcdef"]
    for number, name in enumerate(names[:4]):
        store.save(name, bytes(100))
        os.utime(place / name, (number, number))
    (place / "writing-left").write_bytes(bytes(100))
    os.utime(place / "writing-left", (0, 0))
    store.load(names[0])
    store.save(names[4], bytes(100))
    assert sorted(os.listdir(place)) == [names[0], names[2], names[3], names[4]]
    store.save(names[5], bytes(1000))
    assert os.listdir(place) == []


def test_threads_and_processes_write_at_once(place):
    code = (
        "from skfm.train import store\n"
        "for number in range(60):\n"
        "    key = format(number % 7, '064d')\n"
        "    store.save(key, key.encode() * 500)\n"
        "    found = store.load(key)\n"
        "    assert found is None or found == key.encode() * 500\n"
        "    if number % 13 == 0: store.forget(key)\n"
    )
    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda _: subprocess.run([sys.executable, "-c", code]), range(3)))
    assert [each.returncode for each in done] == [0, 0, 0]
    assert len(os.listdir(place)) <= 7
    for name in os.listdir(place):
        assert store.load(name) == name.encode() * 500
