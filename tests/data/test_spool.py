"""Rows on disk: pieces as they came, batches with every row once, items made ahead."""

import errno
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse

from skfm import FMClassifier
from skfm.data import spool
from skfm.data.batches import Batching, Samples
from skfm.data.fields import Fields
from skfm.data.pack import table_rows
from skfm.data.spool import BatchSpool, RowSpool, ahead, temporary_folder
from tests.cases import FIELDS, sparse_rows

N, D = 103, FIELDS.size


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr("skfm.data.spool._PIECE_ROWS", 10)


def spooled(folder, X, sizes=(N,), buffer_rows=30):
    """The rows on disk, which came in chunks of the given sizes."""
    rows = RowSpool(folder / "rows", X.shape[1], buffer_rows)
    for chunk in np.split(np.arange(X.shape[0]), np.cumsum(sizes)[:-1]):
        rows.append(sparse.csr_array(X)[chunk])
    return rows


# -- pieces ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ones", [True, False])
@pytest.mark.parametrize("sizes", [(N,), (1,) * N, (9, 2, 40, 0, 11, 41)])
def test_pieces_are_the_rows_in_their_order(tmp_path, ones, sizes):
    X = sparse_rows(np.random.default_rng(0), n=N, ones=ones)
    rows = spooled(tmp_path, X, sizes)
    assert rows.shape == (N, D)
    assert_array_equal(rows.in_memory().toarray(), X)
    assert rows.nnz == np.count_nonzero(X)
    firsts, pieces = zip(*rows.pieces(), strict=True)
    lengths = [piece.shape[0] for piece in pieces]
    assert list(firsts) == np.cumsum([0, *lengths[:-1]]).tolist() == rows.firsts[:-1]
    assert min(lengths[:-1]) >= 10
    assert max(lengths) < 20
    assert all(piece.has_canonical_format for piece in pieces)
    assert bool(list(tmp_path.rglob("*.data.npy"))) != ones


def test_a_piece_of_ones_among_others(tmp_path):
    X = np.where(np.arange(N)[:, None] < 15, 1.0, 0.1) * sparse_rows(np.random.default_rng(0), n=N, ones=True)
    assert_array_equal(spooled(tmp_path, X).in_memory().toarray(), X)


def test_rows_of_zeros(tmp_path):
    rows = spooled(tmp_path, np.zeros((N, D)))
    assert_array_equal(rows.in_memory().toarray(), np.zeros((N, D)))
    assert rows.nnz == 0


# -- batches -----------------------------------------------------------------------------------------

Y = np.arange(N)[:, None] + 0.0
# Of mean 1, without rounding.
WEIGHT = 1 + np.random.default_rng(1).permutation(np.arange(N) - (N - 1) / 2) / 128
CHARGE = np.zeros((table_rows(D), 1))
CHARGE[:D, 0] = 0.5 + np.random.default_rng(2).random(D)
FIELDS_OF_TWO = Fields(FIELDS, 3)


def batch_spool(folder, X, fields=None, scale=None, buffer_rows=30, seed=0, batch_size=4):
    samples = Samples(spooled(folder, X, buffer_rows=buffer_rows), Y, 4 * WEIGHT)
    batching = Batching(CHARGE, scale, fields, batch_size, np.dtype(np.float64), seed)
    return BatchSpool(samples, batching, place_on_device=lambda batches: batches)


def rows_of(batches):
    """Number, weight, ids, values and fields of each filled row, by its batch."""
    found = []
    for number, weight in enumerate(batches.weight):
        ids = batches.touched[number][batches.position[number]]
        values = np.ones(ids.shape) if batches.values is None else batches.values[number]
        fields = np.zeros(ids.shape) if batches.slot_fields is None else batches.slot_fields[number]
        for row in np.flatnonzero(weight):
            real = ids[row] < D
            own = (column[row][real] for column in (ids, values, fields))
            found.append((int(batches.y[number, row, 0]), weight[row], *own))
    return found


def epoch(spool, seed=0):
    """Rows of each part."""
    found = []
    for blocks, sizes in spool.parts(np.random.default_rng(seed)):
        part = [rows_of(batches) for batches in blocks]
        assert [len(rows) for rows in part] == sizes
        found.append([row for rows in part for row in rows])
    return found


@pytest.mark.parametrize("ones", [False, True])
@pytest.mark.parametrize("fields", [None, "one slot each", "several slots"])
@pytest.mark.parametrize("scaled", [False, True])
def test_an_epoch_has_every_row_once(tmp_path, ones, fields, scaled, several_widths):
    X = sparse_rows(np.random.default_rng(0), n=N, ones=ones, several=fields != "one slot each")
    scale = 0.5 + np.arange(D) if scaled else None
    spool = batch_spool(tmp_path, X, None if fields is None else FIELDS_OF_TWO, scale)
    assert spool.n_rows == N
    for seed in (0, 1):
        parts = epoch(spool, seed)
        assert len(parts) == 3
        rows = [row for part in parts for row in part]
        assert sorted(row[0] for row in rows) == list(range(N))
        for number, weight, ids, values, slot_fields in rows:
            assert weight == WEIGHT[number]
            row = np.zeros(D)
            row[ids] = values
            assert len(ids) == np.count_nonzero(X[number])
            np.testing.assert_allclose(row, X[number] / (1 if scale is None else scale))
            if fields == "several slots":
                assert_array_equal(slot_fields, FIELDS[ids])


@pytest.mark.parametrize("rows", ["two lengths everywhere", "sparse rows"])
def test_batches_of_all_parts_have_one_shape(tmp_path, rows, several_widths):
    X = np.where(np.arange(D) < np.where(np.arange(N) % 2, 3, 9)[:, None], 2.0, 0.0)
    X = X if rows == "two lengths everywhere" else sparse_rows(np.random.default_rng(0), n=N)
    spool = batch_spool(tmp_path, X)
    n_batches = 0
    for _ in range(2):
        shapes = {}
        for blocks, sizes in spool.parts(np.random.default_rng(0)):
            n_batches += sum(-(-size // 4) for size in sizes)
            for batches in blocks:
                leaves = [leaf for leaf in batches if leaf is not None]
                shapes.setdefault(batches.position.shape[2], set()).add(tuple(leaf.shape for leaf in leaves))
    assert n_batches == 2 * spool.n_batches
    assert len(shapes) > 1
    # The second epoch knows the most rows that a batch touches.
    assert all(len(seen) == 1 for seen in shapes.values())


def test_a_batch_pays_for_the_rows_that_it_touches(tmp_path):
    X = sparse_rows(np.random.default_rng(0), n=N)
    for blocks, _ in batch_spool(tmp_path, X).parts(np.random.default_rng(0)):
        for batches in blocks:
            for touched, charge, y, weight in zip(
                batches.touched, batches.charge, batches.y, batches.weight, strict=True
            ):
                used = (X[y[:, 0].astype(int)] != 0) * weight[:, None]
                paid = np.append(used.sum(axis=0) * CHARGE[:D, 0], np.zeros(len(CHARGE) - D))
                np.testing.assert_allclose(charge[:, 0], paid[touched])
                real = touched[touched < D]
                assert_array_equal(np.sort(real), np.flatnonzero(used.any(axis=0)))


def test_parts_hold_rows_from_anywhere_in_another_order_each_epoch(tmp_path, monkeypatch):
    monkeypatch.setattr("skfm.data.spool._PIECE_ROWS", 2)
    spool = batch_spool(tmp_path, sparse_rows(np.random.default_rng(0), n=N))
    numbers = [[sorted(row[0] for row in part) for part in epoch(spool, seed)] for seed in range(5)]
    assert all(sorted(parts) == sorted(numbers[0]) for parts in numbers)
    assert any(parts != numbers[0] for parts in numbers)
    assert all(min(part) < N // 3 and max(part) > N - N // 3 for part in numbers[0])
    assert all(len(part) == pytest.approx(N / 3, abs=3) for part in numbers[0])


@pytest.mark.parametrize(("buffer_rows", "n_parts"), [(10_000, 1), (N, 1), (1, 10)])
def test_the_buffer_decides_the_number_of_parts(tmp_path, buffer_rows, n_parts):
    parts = epoch(batch_spool(tmp_path, sparse_rows(np.random.default_rng(0), n=N), buffer_rows=buffer_rows))
    # A part has at least one piece.
    assert len(parts) == pytest.approx(n_parts, abs=1)
    assert sorted(row[0] for part in parts for row in part) == list(range(N))


def test_the_seed_decides(tmp_path):
    X = sparse_rows(np.random.default_rng(0), n=N)
    orders = []
    for place, seed in enumerate((0, 0, 1)):
        (tmp_path / str(place)).mkdir()
        parts = epoch(batch_spool(tmp_path / str(place), X, seed=seed))
        orders.append([row[0] for part in parts for row in part])
    assert orders[0] == orders[1] != orders[2]


def test_batches_are_dealt_once(tmp_path, monkeypatch):
    spool = batch_spool(tmp_path, sparse_rows(np.random.default_rng(0), n=N))
    first = epoch(spool)
    monkeypatch.setattr("skfm.data.spool.pack_rows", None)
    monkeypatch.setattr("skfm.data.spool.make_batches", None)
    assert [[row[0] for row in part] for part in epoch(spool)] == [[row[0] for row in part] for part in first]


# -- ahead -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("items", [[], [1], [None, 0, None], list(range(20))])
def test_items_come_in_their_order(items):
    assert list(ahead(iter(items))) == list(ahead(items)) == items


def test_one_item_is_made_ahead():
    made, ready = [], threading.Event()

    def items():
        for number in range(5):
            made.append(number)
            if len(made) == 2:
                ready.set()
            yield number

    coming = ahead(items())
    assert made == []
    assert next(coming) == 0
    assert ready.wait(10)
    coming.close()
    assert made == [0, 1]


def test_an_error_comes_after_the_items_before_it():
    def items():
        yield 1
        yield 2
        raise OSError("disk is full")

    coming = ahead(items())
    assert [next(coming), next(coming)] == [1, 2]
    with pytest.raises(OSError, match="disk is full"):
        next(coming)


def test_no_thread_is_left():
    before = threading.active_count()
    assert next(ahead(iter([1, 2, 3]))) == 1
    assert list(ahead(iter([1, 2, 3]))) == [1, 2, 3]
    assert threading.active_count() == before


# -- full disks --------------------------------------------------------------------------------------


@pytest.fixture
def no_large_files():
    """Function that lets no file grow beyond some bytes, as a full disk does."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


FULL = r".*: \d+\.\d MB more were to be written, and \d+\.\d MB are free\..*`folder`.*TMPDIR"


@pytest.mark.parametrize("size", [0, 10, 200])
def test_a_full_disk_names_the_folder_and_what_was_wanted(tmp_path, no_large_files, size):
    rows = RowSpool(tmp_path / "rows", D, 30)
    no_large_files(size)
    with pytest.raises(OSError, match=FULL) as caught:
        rows.append(sparse.csr_array(sparse_rows(np.random.default_rng(0), n=N)))
    assert caught.value.errno == errno.EFBIG
    assert str(tmp_path / "rows") in str(caught.value)


def test_a_disk_that_fills_while_batches_are_dealt(tmp_path, no_large_files):
    batches = batch_spool(tmp_path, sparse_rows(np.random.default_rng(0), n=N))
    no_large_files(150)
    with pytest.raises(OSError, match=FULL):
        list(batches.parts(np.random.default_rng(0)))


class Chunks(list):
    """A stream that names a folder."""

    def __init__(self, folder):
        super().__init__([(sparse_rows(np.random.default_rng(0), n=20), np.arange(20) % 2)])
        self.folder = folder


def test_a_fit_that_fills_the_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np.lib.format, "write_array_header_1_0", full)
    model = FMClassifier(n_factors=2, random_state=0)
    with pytest.raises(OSError, match=f"No space left on device in the folder {tmp_path}.*{FULL}"):
        model.fit(Chunks(tmp_path))
    assert not list(tmp_path.iterdir())
    assert not hasattr(model, "coef_")


def test_other_errors_of_writing_stay_as_they_are(tmp_path):
    rows = RowSpool(tmp_path / "rows", D, 30)
    (tmp_path / "rows").rmdir()
    with pytest.raises(FileNotFoundError, match=r"rows0\.indptr"):
        rows.append(sparse.csr_array(sparse_rows(np.random.default_rng(0), n=N)))


def test_a_folder_that_does_not_exist(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no temporary files can be made in the folder.*absent"):
        FMClassifier().fit(Chunks(tmp_path / "absent"))


# -- files of killed processes -----------------------------------------------------------------------

CHILD = """
import sys, time
from skfm.data.spool import temporary_folder
with temporary_folder(sys.argv[1]) as folder:
    (folder / "rows").mkdir()
    (folder / "rows" / "rows0.indptr.npy").write_text("rows")
    print(folder.name, flush=True)
    time.sleep(600)
"""


def names_in(folder):
    return {path.name for path in folder.iterdir()}


@pytest.mark.skipif(spool.fcntl is None, reason="no locks that the system releases")
def test_files_of_killed_processes_are_removed_and_those_of_living_ones_are_not(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", CHILD, tmp_path], stdout=subprocess.PIPE, text=True)
    try:
        name = child.stdout.readline().strip()
        with temporary_folder(tmp_path) as first, temporary_folder(tmp_path) as second:
            assert names_in(tmp_path) == {name, first.name, second.name}
        assert names_in(tmp_path) == {name}
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.communicate()
    assert (tmp_path / name / "rows" / "rows0.indptr.npy").exists()
    with temporary_folder(tmp_path) as folder:
        assert names_in(tmp_path) == {folder.name}
    assert not names_in(tmp_path)


@pytest.mark.skipif(spool.fcntl is None, reason="no locks that the system releases")
def test_a_fit_removes_what_is_surely_left_behind_and_nothing_else(tmp_path):
    system = spool._system()
    names = f"skfm-{system}-left", f"skfm-{system}-unlocked", "skfm-other-left", f"my-skfm-{system}-left"
    for name in names:
        (tmp_path / name).mkdir()
        if "unlocked" not in name:
            (tmp_path / name / "lock").touch()
    (tmp_path / f"skfm-{system}-file").touch()
    target = tmp_path / "target"
    target.mkdir()
    (target / "lock").touch()
    (tmp_path / f"skfm-{system}-link").symlink_to(target)
    before = names_in(tmp_path)
    FMClassifier(n_factors=2, random_state=0).fit(Chunks(tmp_path))
    assert names_in(tmp_path) == before - {f"skfm-{system}-left"}
    assert names_in(target) == {"lock"}


def test_without_locks_nothing_is_removed(tmp_path, monkeypatch):
    left = tmp_path / f"skfm-{spool._system()}-left"
    left.mkdir()
    (left / "lock").touch()
    monkeypatch.setattr(spool, "fcntl", None)
    with temporary_folder(tmp_path) as folder:
        assert folder.is_dir()
    assert names_in(tmp_path) == {left.name}


@pytest.mark.skipif(spool.fcntl is None, reason="no locks that the system releases")
def test_a_file_system_without_locks(tmp_path, monkeypatch):
    """Its folders carry no lock, so nobody takes them for left behind."""

    def fails(*args):
        raise OSError(errno.ENOLCK, "No locks available")

    with monkeypatch.context() as patched:
        patched.setattr(spool.fcntl, "flock", fails)
        folder = temporary_folder(tmp_path)
        path = folder.__enter__()
    with temporary_folder(tmp_path):
        assert path.is_dir()
    folder.__exit__(None, None, None)
    assert not names_in(tmp_path)
