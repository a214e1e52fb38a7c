"""Rows on disk, for training on more rows than memory holds: as they came, and dealt into batches."""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from scipy import sparse

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

from skfm.data.batches import Batches, Batching, Samples, compose, make_batches, n_batches
from skfm.data.pack import choose_layout, pack_rows
from skfm.data.units import check_range, standardized

# Rows of a piece on disk: what is read at once, and the grain of shuffling between buffers.
_PIECE_ROWS = 1 << 15
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_ELSEWHERE = ". Choose another: the attribute `folder` of the stream, or the environment variable TMPDIR"
T = TypeVar("T")


@contextlib.contextmanager
def writing(path, n_bytes: int | None = None, remedy: str = "") -> Iterator[None]:
    """Name the file, and what was wanted, where its disk is full."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        folder = Path(path).absolute().parent
        wanted = "" if n_bytes is None else f"{_megabytes(n_bytes)} more were to be written, and "
        free = _megabytes(shutil.disk_usage(folder).free)
        raise OSError(
            error.errno,
            f"{os.strerror(error.errno)} in the folder {folder}: {wanted}{free} are free{remedy}",
            str(path),
        ) from error


def _megabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:.1f} MB"


@contextlib.contextmanager
def temporary_folder(parent=None) -> Iterator[Path]:
    """A folder for temporary files, removed at the end; those that killed processes left are removed first.

    A process holds a lock on a file in its folder, which the system releases when it dies. Locks tell nothing
    of processes on other machines that share a file system, so folders are named after the running system,
    and those of others, or of before a restart, are left alone.

    Parameters
    ----------
    parent : where to make it; None for that of Python's tempfile
    """
    parent = Path(tempfile.gettempdir() if parent is None else parent)
    prefix = f"skfm-{_system()}-"
    if fcntl is not None:
        for left in parent.glob(f"{prefix}*"):
            _remove_if_left(left)
    try:
        folder = tempfile.TemporaryDirectory(prefix=prefix, dir=parent, ignore_cleanup_errors=True)
    except OSError as error:
        error.filename = str(parent)
        error.strerror = f"{error.strerror}; no temporary files can be made in the folder{_ELSEWHERE}"
        raise
    with folder as name, _locked(Path(name)):
        yield Path(name)


def _system() -> str:
    """What names the running system, and changes when it is started again."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return platform.node()


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder."""
    if fcntl is None:
        yield
        return
    with open(folder / "new", "wb") as file:
        # The lock comes before the name by which others look for it; without locks there is no such name.
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
            os.rename(folder / "new", folder / "lock")
        yield


def _remove_if_left(folder: Path) -> None:
    """Remove a folder whose process is dead."""
    # Another process may remove it too, or it may be another user's.
    with contextlib.suppress(OSError), open(folder / "lock", "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)


def _save(path: str | Path, array: np.ndarray) -> None:
    """Write an array as numpy.save does, whose errors do not tell that the disk is full."""
    array = np.ascontiguousarray(array)
    with writing(path, array.nbytes, _ELSEWHERE), open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        file.write(array.data)


def ahead(items: Iterable[T]) -> Iterator[T]:
    """The same items, each made in a thread while its predecessor is in use."""
    iterator, end = iter(items), object()
    with ThreadPoolExecutor(1) as executor:
        coming = executor.submit(next, iterator, end)
        while (item := coming.result()) is not end:
            coming = executor.submit(next, iterator, end)
            yield item  # type: ignore[misc]


class RowSpool:
    """Rows of a canonical CSR matrix in files of a folder; pieces are read one at a time.

    Attributes
    ----------
    shape : (rows, columns) so far
    nnz : nonzeros so far
    buffer_rows : rows that may be in memory at once
    """

    def __init__(self, folder: Path, n_columns: int, buffer_rows: int):
        self.folder, self.n_columns, self.buffer_rows = folder, n_columns, buffer_rows
        self.firsts, self.nnz = [0], 0
        self._waiting: list[sparse.csr_array] = []
        self._n_waiting = 0
        with writing(folder, remedy=_ELSEWHERE):
            folder.mkdir()

    @property
    def shape(self) -> tuple[int, int]:
        return self.firsts[-1] + self._n_waiting, self.n_columns

    def append(self, X: sparse.csr_array) -> None:
        """Add rows; small pieces wait until there are enough of them."""
        for first in range(0, X.shape[0], _PIECE_ROWS):
            self._waiting.append(X[first : first + _PIECE_ROWS])
            self._n_waiting += self._waiting[-1].shape[0]
            if self._n_waiting >= _PIECE_ROWS:
                self.flush()

    def flush(self) -> None:
        """Write the rows that wait."""
        if not self._n_waiting:
            return
        X = sparse.vstack(self._waiting, format="csr")
        name = self._name(len(self.firsts) - 1)
        _save(f"{name}.indptr.npy", X.indptr.astype(np.int32))
        _save(f"{name}.indices.npy", X.indices.astype(np.int32, copy=False))
        if not np.all(X.data == 1):
            _save(f"{name}.data.npy", X.data)
        self.firsts.append(self.firsts[-1] + X.shape[0])
        self.nnz += X.nnz
        self._waiting, self._n_waiting = [], 0

    def _name(self, number: int) -> str:
        return str(self.folder / f"rows{number}")

    def piece(self, number: int) -> sparse.csr_array:
        """One piece."""
        name = self._name(number)
        indptr, indices = np.load(f"{name}.indptr.npy"), np.load(f"{name}.indices.npy")
        values = Path(f"{name}.data.npy")
        data = np.load(values) if values.exists() else np.ones(indices.size, np.float32)
        return sparse.csr_array((data, indices, indptr), shape=(indptr.size - 1, self.n_columns))

    def pieces(self) -> Iterator[tuple[int, sparse.csr_array]]:
        """Pieces and the number of their first row."""
        self.flush()
        for number, first in enumerate(self.firsts[:-1]):
            yield first, self.piece(number)

    def in_memory(self) -> sparse.csr_array:
        """All rows in memory."""
        return sparse.csr_array(sparse.vstack([piece for _, piece in self.pieces()], format="csr"))


class BatchSpool:
    """Batches of the rows of a spool: dealt when first asked for, read from disk afterwards.

    A part is made of several pieces drawn at random from all, whose rows are shuffled; so about
    ``buffer_rows`` rows are in memory twice: one part in use, one on its way. Each epoch goes through the
    parts, and through the batches of a part, in another order.

    Attributes
    ----------
    n_rows, n_batches : in all parts
    """

    def __init__(self, samples: Samples, batching: Batching, place_on_device: Callable[[Any], Any]):
        self.rows, self.samples, self.batching = samples.X, samples, batching
        self.place_on_device = place_on_device
        self.rows.flush()
        # Weights of mean 1; a copy of all of them might not fit.
        self.to_mean_one = self.rows.shape[0] / samples.weight.sum()
        self.layout = choose_layout(self.rows, batching.fields, batching.units)
        pieces = np.random.default_rng([batching.seed, 4]).permutation(len(self.rows.firsts) - 1)
        n_parts = max(self.rows.shape[0] // self.rows.buffer_rows, 1)
        self.groups = [group for group in np.array_split(pieces, n_parts) if group.size]
        self.sizes = [self._sizes(group) for group in self.groups]
        batch_size = batching.batch_size
        self.n_rows = self.rows.shape[0]
        self.n_batches = sum(n_batches(size, batch_size) for sizes in self.sizes for size in sizes.values())
        self.most_batches = {
            width: max(n_batches(sizes.get(width, 0), batch_size) for sizes in self.sizes)
            for sizes in self.sizes
            for width in sizes
        }
        self.dealt: set[int] = set()
        # All parts are padded to the most different rows of a batch so far: each number is a program.
        self.most_touched: dict[int, int] = {}

    def parts(self, rng: np.random.Generator) -> Generator[tuple[list[Batches], list[int]], None, None]:
        """Batches of rows of each width on the device, and the number of rows, part by part."""
        order = rng.permutation(len(self.groups))
        # Not in the thread: precision is set for this one.
        for blocks, sizes in ahead(map(self._part, order)):
            yield [self.place_on_device(batches) for batches in blocks], sizes

    def _part(self, number: int) -> tuple[list[Batches], list[int]]:
        if number not in self.dealt:
            self._deal(number)
            self.dealt.add(number)
        sizes = self.sizes[number]
        return [self._read(number, width) for width in sizes], list(sizes.values())

    def _lengths(self, group) -> np.ndarray:
        units = self.batching.units
        if units.center is None:
            names = [f"{self.rows._name(piece)}.indptr.npy" for piece in group]
            return np.concatenate([np.diff(np.load(name)) for name in names])
        return np.concatenate([np.diff(units.filled(self.rows.piece(piece)).indptr) for piece in group])

    def _sizes(self, group) -> dict[int, int]:
        """Number of rows of each width that a group has."""
        lengths = self._lengths(group)
        if self.layout.by_field:
            return {0: lengths.size}
        count = np.bincount(np.searchsorted(self.layout.widths, lengths))
        return {width: int(count[width]) for width in np.flatnonzero(count).tolist()}

    def _deal(self, number: int) -> None:
        """Batches of a part to disk."""
        group, batching = self.groups[number], self.batching
        X = sparse.vstack([self.rows.piece(piece) for piece in group], format="csr")
        X = standardized(sparse.csr_array(X), batching.units)
        check_range(X, batching.dtype)
        spans = [np.arange(self.rows.firsts[piece], self.rows.firsts[piece + 1]) for piece in group]
        rows = np.concatenate(spans)
        weight = self.samples.weight[rows] * self.to_mean_one
        samples = Samples(X, self.samples.y[rows], weight)
        options = {"dummy": batching.dummy, "dtype": batching.dtype, "fields": batching.fields}
        packed = pack_rows(samples.X, **options, layout=self.layout)
        rng = np.random.default_rng([batching.seed, 5, number])
        for width, block in zip(self.sizes[number], packed.blocks, strict=True):
            order = compose(block.rows.size, batching.batch_size, rng, self.most_batches[width])
            batches = make_batches(block, order, samples, batching)
            for name, leaf in batches._asdict().items():
                if leaf is not None:
                    _save(self._file(number, width, name), leaf)

    def _file(self, number, width, name) -> Path:
        return self.rows.folder / f"batches{number}.{width}.{name}.npy"

    def _read(self, number: int, width: int) -> Batches:
        files = [self._file(number, width, name) for name in Batches._fields]
        batches = Batches(*(np.load(file) if file.exists() else None for file in files))
        n_touched = batches.touched.shape[1]
        most = self.most_touched[width] = max(self.most_touched.get(width, 0), n_touched)
        if n_touched < most:
            more = (0, 0), (0, most - n_touched)
            touched = np.pad(batches.touched, more, constant_values=self.batching.dummy)
            batches = batches._replace(touched=touched, charge=np.pad(batches.charge, (*more, (0, 0))))
            if batches.starts is not None:
                batches = batches._replace(starts=np.pad(batches.starts, more, mode="edge"))
        return batches
