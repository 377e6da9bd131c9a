"""Power cuts: `safe` keeps every promise, and what is counted as synced is what was synced."""

import shutil
from pathlib import Path

import pytest

from tests.faults.power_loss import power_loss, rounds
from tests.faults.synced import Disk


@pytest.fixture
def strace() -> str:
    """Give the path of strace."""
    found = shutil.which("strace")
    if found is None:
        pytest.skip("strace is not installed: apt-get install strace")
    return found


async def test_safe_loses_nothing_that_was_acknowledged(strace: str) -> None:
    """Whenever the power is cut, each transition that was promised is there afterwards."""
    for cut in await rounds("safe", 3, strace=strace, seed=7):
        assert cut.acknowledged > 0
        assert cut.syncs > 0
        assert (cut.lost, cut.broken) == (0, 0)


async def test_dev_loses_what_was_not_synced(strace: str, tmp_path: Path) -> None:
    """The same cut takes the newest transitions along: so the cut is one, and `dev` is honest."""
    cut = await power_loss(tmp_path, "dev", strace=strace, seconds=0.4)
    assert cut.lost > 0
    assert cut.gone_bytes > 0
    assert 0 < cut.loss_window_seconds < 120


def test_what_was_written_after_the_last_sync_is_cut(tmp_path: Path) -> None:
    """Bytes beyond it are gone, bytes before it stay; a file that was never synced is empty."""
    one, two, three = (tmp_path / name for name in ("one", "two", "three"))
    disk = Disk(tmp_path)
    disk.read(
        [
            f'7 openat(AT_FDCWD, "{one}", O_RDWR|O_CREAT|O_CLOEXEC, 0644) = 5<{one}>',
            f'7 pwrite64(5<{one}>, ""..., 10, 0) = 10',
            f"7 fsync(5<{one}>) = 0",
            f'8 pwrite64(5<{one}>, ""..., 6, 10) = 6',
            f'7 openat(AT_FDCWD, "{two}", O_RDWR|O_CREAT, 0644) = 6<{two}>',
            f'7 write(6<{two}>, ""..., 4) = 4',
            f'7 openat(AT_FDCWD, "{three}", O_WRONLY|O_CREAT|O_SYNC, 0644) = 9<{three}>',
            f'7 write(9<{three}>, ""..., 3) = 3',
        ]
    )
    for path, length in ((one, 16), (two, 4), (three, 3)):
        path.write_bytes(b"x" * length)
    assert disk.cut() == 10
    assert [path.stat().st_size for path in (one, two, three)] == [10, 0, 3]
    assert disk.overwritten == 0


def test_what_is_written_while_a_sync_runs_does_not_count(tmp_path: Path) -> None:
    """A sync promises nothing of what is written after it began, or before it ended."""
    one, two = tmp_path / "one", tmp_path / "two"
    disk = Disk(tmp_path)
    disk.read(
        [
            f'7 openat(AT_FDCWD, "{one}", O_RDWR|O_CREAT, 0644) = 5<{one}>',
            f'7 openat(AT_FDCWD, "{two}", O_RDWR|O_CREAT, 0644) = 6<{two}>',
            f'7 pwrite64(5<{one}>, ""..., 10, 0) = 10',
            f'7 pwrite64(6<{two}>, ""..., 10, 0) = 10',
            f"8 fsync(5<{one}> <unfinished ...>",
            f"9 fsync(6<{two}> <unfinished ...>",
            f'7 pwrite64(5<{one}>, ""..., 5, 10) = 5',
            "8 <... fsync resumed>) = 0",
        ]
    )
    one.write_bytes(b"x" * 15)
    two.write_bytes(b"x" * 10)
    disk.cut()
    assert [path.stat().st_size for path in (one, two)] == [10, 0]


def test_a_renamed_file_keeps_what_was_synced(tmp_path: Path) -> None:
    """Names are taken to be on the disk at once; what is written over in place is counted."""
    before, after = tmp_path / "new", tmp_path / "old"
    disk = Disk(tmp_path)
    disk.read(
        [
            f'7 openat(AT_FDCWD, "{before}", O_RDWR|O_CREAT, 0644) = 5<{before}>',
            f'7 pwrite64(5<{before}>, ""..., 10, 0) = 10',
            f"7 fdatasync(5<{before}>) = 0",
            f'7 renameat(AT_FDCWD, "{before}", AT_FDCWD, "{after}") = 0',
            f'7 pwrite64(5<{after}>, ""..., 2, 3) = 2',
        ]
    )
    after.write_bytes(b"x" * 12)
    assert disk.cut() == 2
    assert after.stat().st_size == 10
    assert disk.overwritten == 1
