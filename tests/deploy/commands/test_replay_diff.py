"""Two logs side by side: what is equal stays silent, every kind of difference is named."""

from collections.abc import Callable
from pathlib import Path

import pytest

from calib.rig import Rig
from deploy.log import channels
from deploy.log.diff import compare_logs, leaves
from deploy.log.reader import LogReader
from deploy.log.writer import LogWriter
from deploy.loop.clock import LockstepClock
from deploy.loop.replay import replay
from tests.deploy.command_line import command_line


@pytest.fixture(scope="module")
def reference(log: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("reference")
    replay(log, model, out, clock=LockstepClock(), mosaic=False)
    return out / "perception.mcap"


Edit = Callable[[str, object], object]


def edited(reference: Path, path: Path, edit: Edit) -> Path:
    """`reference` written anew, each decoded message through `edit`; None leaves it out."""
    reader = LogReader(reference)
    with LogWriter(path) as log:
        for message in reader.messages():
            content = edit(message.topic, message.decode())
            if content is None:
                continue
            if message.encoding == "json":
                log.json(message.topic, message.schema, content, message.stamp_ns)
            else:
                log.message(message.topic, content, message.stamp_ns)
    return path


def same(topic: str, content: object) -> object:
    return content


def test_a_copy_is_equal_and_every_message_was_looked_at(reference: Path, tmp_path: Path) -> None:
    found = compare_logs(
        LogReader(reference), LogReader(edited(reference, tmp_path / "a.mcap", same))
    )
    assert found.equal and not found.fields
    assert sum(found.matched.values()) == sum(1 for _ in LogReader(reference).messages())
    assert channels.OBJECTS in found.matched and channels.DRIVABLE in found.matched


def moved(topic: str, content):
    if topic == channels.OBJECTS:
        for entity in content.entities:
            entity.cubes[0].pose.position.x += 0.25
    return content


def test_tolerance_by_field_decides(reference: Path, tmp_path: Path) -> None:
    other = LogReader(edited(reference, tmp_path / "moved.mcap", moved))
    ours = LogReader(reference)
    found = compare_logs(ours, other)
    (field,) = found.beyond
    assert (field.topic, field.name) == (channels.OBJECTS, "entities[].cubes[].pose.position.x")
    assert field.largest == pytest.approx(0.25) and field.beyond == field.compared > 0
    assert " became " in field.first
    assert compare_logs(ours, other, {"/perception/objects *.position.*": 0.3}).equal
    assert not compare_logs(ours, other, {"/perception/objects *.position.*": 0.2}).equal
    assert not compare_logs(ours, other, {"/perception/objects *.size.*": 1.0}).equal
    assert compare_logs(ours, other, ignored=["*position.x"]).equal


def cleared(topic: str, content):
    if topic == channels.DRIVABLE:
        stride = content.cell_stride
        content.data = content.data[:-stride] + bytes(255 - b for b in content.data[-stride:])
    return content


def shortened(topic: str, content):
    if topic == channels.DRIVABLE:
        content.data = content.data[:-1]
    return content


def renamed(topic: str, content):
    return content | {"tick": -1} if topic == channels.HEALTH else content


def without_objects(topic: str, content):
    return None if topic == channels.OBJECTS else content


def one_thing_less(topic: str, content):
    if topic == channels.OBJECTS and content.entities:
        del content.entities[0]
    return content


@pytest.mark.parametrize(
    ("edit", "name"),
    [(cleared, "drivable"), (renamed, "tick"), (one_thing_less, "entities[].id")],
)
def test_every_kind_of_difference_is_named(
    reference: Path, tmp_path: Path, edit: Edit, name: str
) -> None:
    other = edited(reference, tmp_path / "other.mcap", edit)
    found = compare_logs(LogReader(reference), LogReader(other))
    assert name in [field.name for field in found.beyond]


def test_missing_messages_are_counted_on_their_side(reference: Path, tmp_path: Path) -> None:
    other = LogReader(edited(reference, tmp_path / "fewer.mcap", without_objects))
    found = compare_logs(LogReader(reference), other)
    assert not found.equal and not found.only_log
    assert list(found.only_reference) == [channels.OBJECTS]
    assert compare_logs(other, LogReader(reference)).only_log == found.only_reference


def test_wall_time_is_never_compared(rig: Rig, tmp_path: Path) -> None:
    paths = [tmp_path / "a.mcap", tmp_path / "b.mcap"]
    for milliseconds, path in enumerate(paths):
        with LogWriter(path) as log:
            log.rig(rig, 0)
            content = {"tick": 0, "milliseconds": {"engine": milliseconds}}
            log.json(channels.TIMING, "octoview.Timing", content, 5)
    assert compare_logs(*map(LogReader, paths)).equal


def test_unset_fields_and_numbers_in_metadata_are_values(reference: Path) -> None:
    update = next(LogReader(reference).messages([channels.OBJECTS])).decode()
    found = dict(leaves(update))
    identity = update.entities[0].id
    assert isinstance(found[f"entities[{identity}].metadata.score"], float)
    assert found[f"entities[{identity}].cubes[0].pose.orientation.x"] == 0


def test_command(
    reference: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    octoview = command_line(monkeypatch, capsys, "replay", "diff")
    other = edited(reference, tmp_path / "moved.mcap", moved)
    done = octoview(reference, reference)
    assert done.code == 0 and "equal within tolerance" in done.out
    assert "ignored: /perception/timing" in done.out
    done = octoview(reference, other, "--json", tmp_path / "d.json")
    assert done.code == 1 and "different: " in done.out and (tmp_path / "d.json").is_file()
    done = octoview(reference, other, "--tolerance", "*position*=0.3", "--long")
    assert done.code == 0 and "position.x" in done.out
    for words, message in (
        ((reference, tmp_path / "absent.mcap"), "absent.mcap"),
        ((reference, other, "--tolerance", "0.3"), "is not PATTERN=NUMBER"),
        ((reference, other, "--tolerance", "*=-1"), "is not PATTERN=NUMBER"),
    ):
        done = octoview(*words)
        assert done.code == 2 and message in done.err
    broken = edited(reference, tmp_path / "broken.mcap", shortened)
    done = octoview(reference, broken)
    assert done.code == 2 and f"broken.mcap: {channels.DRIVABLE} at " in done.err
    assert len(done.err.splitlines()) == 1
    cut = tmp_path / "cut.mcap"
    cut.write_bytes(reference.read_bytes()[: reference.stat().st_size // 2])
    done = octoview(reference, cut)
    assert done.code == 1 and "cut.mcap is cut off" in done.out
