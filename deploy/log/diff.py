"""What two logs say differently, field by field: a run against a stored reference."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import groupby
from operator import attrgetter
from typing import Any

import numpy as np
from foxglove_schemas_protobuf.Grid_pb2 import Grid
from foxglove_schemas_protobuf.KeyValuePair_pb2 import KeyValuePair
from google.protobuf.message import Message
from numpy.typing import NDArray

from deploy.errors import LogError
from deploy.log import channels
from deploy.log.grids import from_grid
from deploy.log.reader import LogMessage, LogReader

TIMING = f"{channels.TIMING} *"
"""Wall time, which no two runs share: never compared."""

Leaf = float | int | str | bytes | bool | None | NDArray[np.uint8]
_INDEX = re.compile(r"\[[^\]]*\]")


@dataclass
class FieldDifference:
    """One field of one topic's messages, all instants and list entries together.

    `largest` is the largest absolute difference of numbers; for text and bytes it is infinite
    where they differ. `first` tells the first place beyond the tolerance.
    """

    topic: str
    name: str
    tolerance: float
    compared: int = 0
    beyond: int = 0
    largest: float = 0.0
    first: str = ""


@dataclass
class LogDifference:
    """All that was compared. `equal` when nothing lies beyond its tolerance."""

    matched: Counter[str] = field(default_factory=Counter)
    """Messages by topic that both logs have at the same time."""
    only_reference: Counter[str] = field(default_factory=Counter)
    only_log: Counter[str] = field(default_factory=Counter)
    fields: dict[tuple[str, str], FieldDifference] = field(default_factory=dict)

    @property
    def beyond(self) -> list[FieldDifference]:
        """Fields with a difference beyond their tolerance, those with most of them first."""
        return sorted((f for f in self.fields.values() if f.beyond), key=lambda f: -f.beyond)

    @property
    def equal(self) -> bool:
        return not (self.beyond or self.only_reference or self.only_log)


def compare_logs(
    reference: LogReader,
    log: LogReader,
    tolerances: Mapping[str, float] | None = None,
    ignored: Sequence[str] = (),
) -> LogDifference:
    """Compare messages of the same topic and time, in one pass over both logs.

    tolerances: largest allowed absolute difference by pattern; `ignored`: patterns. A pattern is
    a shell pattern of `TOPIC FIELD`, such as `/perception/objects *.position.*`; the last one
    that fits decides. Everything else must be equal. TIMING is always ignored.

    Raises LogError for a message that can't be read.
    """
    comparison = _Comparison(tolerances or {}, (TIMING, *ignored))
    for expected, actual in _at_the_same_time(reference, log):
        comparison.add(expected, actual)
    return comparison.result


class _Comparison:
    def __init__(self, tolerances: Mapping[str, float], ignored: Sequence[str]) -> None:
        self._tolerances, self._ignored = tolerances, ignored
        self._skip: dict[tuple[str, str], bool] = {}
        self.result = LogDifference()

    def add(self, expected: list[LogMessage], actual: list[LogMessage]) -> None:
        """Messages of one instant."""
        for topic in dict.fromkeys(m.topic for m in (*expected, *actual)):
            if self._is_ignored(topic, ""):
                continue
            before = [m for m in expected if m.topic == topic]
            after = [m for m in actual if m.topic == topic]
            for first, second in zip(before, after, strict=False):
                self.result.matched[topic] += 1
                if first.data != second.data:
                    self._add_message(first, second)
            if len(before) > len(after):
                self.result.only_reference[topic] += len(before) - len(after)
            elif len(after) > len(before):
                self.result.only_log[topic] += len(after) - len(before)

    def _add_message(self, expected: LogMessage, actual: LogMessage) -> None:
        first, second = _values(expected), _values(actual)
        for path in dict.fromkeys((*first, *second)):
            name = _INDEX.sub("[]", path)
            if self._is_ignored(expected.topic, name):
                continue
            found = self._field(expected.topic, name)
            found.compared += 1
            if path not in first or path not in second:
                beyond, distance = True, float("inf")
                told = "is missing" if path in first else "is new"
            else:
                distance = _distance(first[path], second[path])
                beyond = not distance <= found.tolerance  # NaN is beyond
                told = f"{_shown(first[path])} became {_shown(second[path])}"
            found.largest = max(found.largest, distance)
            if beyond:
                found.beyond += 1
                found.first = found.first or f"at {expected.stamp_ns} ns {path} {told}"

    def _field(self, topic: str, name: str) -> FieldDifference:
        key = (topic, name)
        if key not in self.result.fields:
            fitting = [v for p, v in self._tolerances.items() if fnmatchcase(f"{topic} {name}", p)]
            tolerance = fitting[-1] if fitting else 0.0
            self.result.fields[key] = FieldDifference(topic, name, tolerance)
        return self.result.fields[key]

    def _is_ignored(self, topic: str, name: str) -> bool:
        key = (topic, name)
        if key not in self._skip:
            self._skip[key] = any(fnmatchcase(f"{topic} {name}", p) for p in self._ignored)
        return self._skip[key]


def leaves(content: Any, path: str = "") -> Iterator[tuple[str, Leaf]]:
    """Every value of a decoded message with the path to it, such as `entities[3].cubes[0].size.x`.

    List entries are told by their `id` where they have one, else by their place; a grid is its
    layers, and metadata that is a number counts as one.
    """
    if isinstance(content, Grid):
        grid = from_grid(content)
        yield from leaves({"x_min": grid.x_min, "y_min": grid.y_min, "cell": grid.cell}, path)
        for name, layer in grid.layers.items():
            yield _join(path, name), layer
    elif isinstance(content, Message):
        for descriptor in content.DESCRIPTOR.fields:  # unset ones too: proto3 leaves zeros out
            absent = descriptor.has_presence and not content.HasField(descriptor.name)
            value = None if absent else getattr(content, descriptor.name)
            yield from leaves(value, _join(path, descriptor.name))
    elif isinstance(content, Mapping):
        for name, value in content.items():
            yield from leaves(value, _join(path, str(name)))
    elif isinstance(content, Sequence) and not isinstance(content, str | bytes):
        for place, entry in enumerate(content):
            if isinstance(entry, KeyValuePair):
                yield f"{path}.{entry.key}", _number(entry.value)
            else:
                yield from leaves(entry, f"{path}[{getattr(entry, 'id', '') or place}]")
    else:
        yield path, content


def _values(message: LogMessage) -> dict[str, Leaf]:
    try:
        return dict(leaves(message.decode()))
    except ValueError as error:  # a grid that does not hold what it says
        raise LogError(
            f"{message.log}: {message.topic} at {message.stamp_ns} ns: {error}"
        ) from error


def _at_the_same_time(
    reference: LogReader, log: LogReader
) -> Iterator[tuple[list[LogMessage], list[LogMessage]]]:
    """Messages of each instant of either log."""
    stamp = attrgetter("stamp_ns")
    left, right = (groupby(reader.messages(), key=stamp) for reader in (reference, log))
    first, second = next(left, None), next(right, None)
    while first or second:
        now = min(group[0] for group in (first, second) if group)
        expected: list[LogMessage] = []
        actual: list[LogMessage] = []
        if first and first[0] == now:
            expected, first = list(first[1]), next(left, None)
        if second and second[0] == now:
            actual, second = list(second[1]), next(right, None)
        yield expected, actual


def _distance(expected: Leaf, actual: Leaf) -> float:
    """Between numbers, and of two layers of a grid the share of cells that differ."""
    if isinstance(expected, np.ndarray) and isinstance(actual, np.ndarray):
        if expected.shape != actual.shape:
            return float("inf")
        return float(np.mean(expected != actual))
    if isinstance(expected, int | float) and isinstance(actual, int | float):
        return abs(float(expected) - float(actual))
    return 0.0 if type(expected) is type(actual) and expected == actual else float("inf")


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _shown(value: Leaf) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.shape[0]}x{value.shape[1]} cells"
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return repr(value)
