"""Every parser of the table, with valid files damaged and with hostile ones: a result or one of
the packages' own errors. `make fuzz` looks longer and follows the branches (campaign.py)."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.guard import Broken, guarded
from tests.fuzz.parser import Bench
from tests.fuzz.table import PARSERS

PIECES = [
    *(b"", b"\0", b"-1", b"nan", b"1e999", b"9" * 400, b"null", b"{}", b"[]", b'"', b"../../x"),
    *(b"\xff\xff\xff\x7f", b"\xff" * 8, b"\n", b": ", b"\xff"),
]


@pytest.fixture(scope="module")
def benches(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Bench]:
    made: dict[str, Bench] = {}

    def bench(name: str) -> Bench:
        if needs := PARSERS[name].needs:
            pytest.importorskip(needs)
        if name not in made:
            made[name] = Bench(PARSERS[name], tmp_path_factory.mktemp("bench"))
        return made[name]

    return bench


def attempt(bench: Bench, data: bytes) -> None:
    try:
        bench.attempt(data)
    except Broken as error:
        raise AssertionError(str(error)) from error


@pytest.mark.parametrize("name", PARSERS)
def test_valid_files_are_accepted(name: str, benches: Callable[[str], Bench]) -> None:
    bench = benches(name)
    for data in bench.inputs():
        attempt(bench, data)
        assert bench.problem == ""


@pytest.mark.parametrize("name", PARSERS)
def test_hostile_files(name: str, benches: Callable[[str], Bench]) -> None:
    bench = benches(name)
    for content in PARSERS[name].hostile.values():
        for index in range(len(bench.files)):
            attempt(bench, bytes([index]) + content)


@pytest.mark.parametrize("name", PARSERS)
@settings(
    max_examples=20, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damaged_files(name: str, benches: Callable[[str], Bench], data: st.DataObject) -> None:
    bench = benches(name)
    content = data.draw(st.sampled_from(bench.inputs()))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(1, len(content)), "place")
        length = data.draw(st.sampled_from((0, 1, 3, 40, 10**6)), "length")
        piece = data.draw(st.sampled_from(PIECES) | st.binary(max_size=6), "piece")
        content = content[:at] + piece + content[at + length :]
    attempt(bench, content)


# --- the guard itself ---------------------------------------------------------------------------


def test_memory_is_noticed() -> None:
    with pytest.raises(Broken, match="MB"), guarded(megabytes=50):
        bytearray(100 << 20)


def test_a_hang_is_noticed() -> None:
    with pytest.raises(Broken, match="no end"), guarded(seconds=1):
        while True:
            pass


def test_sockets_processes_and_pickles_are_noticed() -> None:
    import pickle
    import socket
    import subprocess

    for act in (
        lambda: socket.socket().bind(("127.0.0.1", 0)),
        lambda: subprocess.run(["true"], check=True),
        lambda: pickle.loads(pickle.dumps(Path)),
    ):
        with pytest.raises(Broken), guarded():
            act()
