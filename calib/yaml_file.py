"""YAML files, read strictly."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml


class YamlError(Exception):
    """The file is not YAML; the message is one line and says where."""


def load_yaml(path: Path) -> Any:
    """Content of a YAML file. Raises OSError, and YamlError for anything that is not YAML."""
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _UniqueKeyLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise YamlError(_problem(error)) from error


def _problem(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return str(error).splitlines()[0]


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML forbids a key twice in one mapping, PyYAML keeps the last: here it is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: list[Any] = []
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    problem=f"key {key.value!r} is given twice", problem_mark=key.start_mark
                )
            seen.append(key.value)
        return super().construct_mapping(node, deep)
