"""YAML files, read strictly: nothing in them may cost more than it is long."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

LARGEST_BYTES = 1 << 20
"""No file that people write by hand comes near."""
_MOST_VALUES = 200_000
"""Values of a file, those that an alias repeats counted each time."""
_LONGEST_NUMBER = 64  # characters


class YamlError(Exception):
    """The file is not YAML; the message is one line and says where."""


def load_yaml(path: Path) -> Any:
    """Content of a YAML file. Raises OSError, and YamlError for anything that is not YAML, and for
    what is long, or made to grow: a key twice, an alias in itself, aliases that multiply."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_BYTES + 1)
        if len(content) > LARGEST_BYTES:
            raise ValueError(f"is over {LARGEST_BYTES >> 20} MiB long")
        return yaml.load(content.decode("utf-8"), _StrictLoader)
    # The last four: what PyYAML raises for a tag with a text that is none, such as !!float "".
    except (
        *(yaml.YAMLError, ValueError, RecursionError),
        *(LookupError, AttributeError, TypeError, OverflowError),
    ) as error:
        raise YamlError(_problem(error)) from error


def _problem(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"line {error.problem_mark.line + 1}: {error.problem}"[:300]
    if isinstance(error, LookupError | AttributeError | TypeError | OverflowError):
        return f"a value is not what its tag says ({str(error)[:60]})"
    if isinstance(error, RecursionError):
        return "is nested too deep"
    return str(error).splitlines()[0][:300]


class _StrictLoader(yaml.SafeLoader):
    """YAML forbids a key twice in one mapping, PyYAML keeps the last: here it is an error. So are
    aliases that multiply, which take no memory until somebody goes through what they name."""

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        if node is not None:
            self._count(node, {})
        return node

    def _count(self, node: yaml.Node, counted: dict[int, int | None]) -> int:
        """Values in `node` as they are written out. `counted` by node, None while it is counted."""
        known = counted.get(id(node), 0)
        if known is None:
            raise _error("an alias stands in what it names", node)
        if known:
            return known
        counted[id(node)] = None
        total = 1
        for part in node.value if isinstance(node, yaml.CollectionNode) else ():
            total += sum(self._count(one, counted) for one in _nodes(part))
        if total > _MOST_VALUES:
            raise _error(f"over {_MOST_VALUES} values with what aliases repeat", node)
        counted[id(node)] = total
        return total

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        if len(node.value) > _LONGEST_NUMBER:
            raise _error(f"a number of {len(node.value)} digits", node)
        return int(super().construct_yaml_int(node))

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key, _ in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else id(key)
            if name in seen:
                raise _error(f"key {key.value!r} is given twice", key)
            seen.add(name)
        return super().construct_mapping(node, deep)


_StrictLoader.add_constructor("tag:yaml.org,2002:int", _StrictLoader.construct_yaml_int)


def _nodes(part: Any) -> tuple[yaml.Node, ...]:
    """The nodes of one entry of a list or a mapping."""
    return part if isinstance(part, tuple) else (part,)


def _error(problem: str, node: yaml.Node) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(problem=problem, problem_mark=node.start_mark)
