"""What importers share: events go into the log one by one, and no name leads out of a folder."""

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.rig import load_rig
from deploy.errors import LogError
from deploy.importers.recording import Picture, write_recording
from deploy.importers.source_folder import inside, read_bytes

MIB = 1 << 20


def test_a_long_recording_needs_no_more_memory_than_a_short_one(tmp_path: Path) -> None:
    content = bytes(MIB)

    def pictures(count: int) -> Iterator[Picture]:
        for i in range(count):
            yield Picture("main", i, bytes(content), "jpeg")

    peaks = []
    for count in (10, 200):
        tracemalloc.start()
        out = tmp_path / f"{count}.mcap"
        images = write_recording(out, load_rig("hw2"), 0, pictures(count), 0, lambda *_: None)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert images == {"main": count}
    assert peaks[1] < peaks[0] + 2 * MIB < 60 * MIB


def test_nothing_imported_is_no_log(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="no image to put into it"):
        write_recording(tmp_path / "o.mcap", load_rig("hw2"), 0, (), 0, lambda *_: None)
    assert not list(tmp_path.iterdir())


def test_links_and_pipes(tmp_path: Path) -> None:
    folder, secret = tmp_path / "set", tmp_path / "secret"
    folder.mkdir()
    secret.write_text("x")
    (folder / "out").symlink_to(secret)
    (folder / "up").symlink_to(tmp_path)
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "real").write_text("y")
    (folder / "alias").symlink_to(folder / "real")
    for name in ("out", "up/secret", "../secret", str(secret), "a/../../secret"):
        with pytest.raises(LogError, match="leads out of the folder"):
            inside(folder, name)
    assert read_bytes(inside(folder, "alias")) == b"y"
    with pytest.raises(LogError):
        read_bytes(inside(folder, "loop"))
    linked = tmp_path / "linked"  # the folder itself may be one
    linked.symlink_to(folder)
    assert read_bytes(inside(linked, "real")) == b"y"
    with pytest.raises(LogError, match="is no file"):
        read_bytes(folder)


@given(st.lists(st.sampled_from(["..", ".", "a", "", "/", "\0", "b\n"]), max_size=8))
def test_whatever_a_table_says_stays_inside(parts: list[str]) -> None:
    folder = Path("/nowhere/set")
    try:
        path = inside(folder, "/".join(parts))
    except LogError as error:
        assert "\n" not in str(error)
    else:
        assert path.resolve().is_relative_to(folder)
