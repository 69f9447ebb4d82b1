"""YAML as files of ours and of others have it is read; what grows, repeats or lies is one line."""

from pathlib import Path

import pytest

from calib.yaml_file import LARGEST_BYTES, YamlError, load_yaml
from tests.fuzz.hostile import YAML

SAID = {
    "aliases that multiply": "over 200000 values with what aliases repeat",
    "merges that multiply": "over 200000 values with what aliases repeat",
    "an alias of itself": "line 2: an alias stands in what it names",
    "a map in itself": "line 1: an alias stands in what it names",
    "deep lists": "nested too deep",
    "a huge number": "line 1: a number of 60002 digits",
    "an empty number": "a value is not what its tag says",
    "an empty fraction": "a value is not what its tag says",
    "a foreign truth": "a value is not what its tag says",
    "a foreign time": "a value is not what its tag says",
    "an object": "could not determine a constructor",
    "megabytes": "over 1 MiB long",
    "no text": "can't decode byte",
}


@pytest.mark.parametrize("name", SAID)
def test_hostile_files_are_refused_in_one_line(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(YAML[name])
    with pytest.raises(YamlError, match=SAID[name]) as error:
        load_yaml(path)
    assert "\n" not in str(error.value) and len(str(error.value)) < 400


def test_aliases_that_programs_write_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("one: &id001 [1, 2.5, 0x10]\ntwo: *id001\nthree: {<<: {a: 1}, b: *id001}\n")
    one = [1, 2.5, 16]
    assert load_yaml(path) == {"one": one, "two": one, "three": {"a": 1, "b": one}}


@pytest.mark.parametrize("key", ["a", "[1, 2]"])
def test_a_key_twice_is_an_error_and_no_key_of_others(key: str, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("- {a: 1, b: 1}\n- {a: 2}\n")
    assert load_yaml(path) == [{"a": 1, "b": 1}, {"a": 2}]
    path.write_text(f"? {key}\n: 1\n? {key}\n: 2\n")
    with pytest.raises(YamlError, match=r"given twice|unhashable"):
        load_yaml(path)


def test_the_longest_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("# " + "x" * (LARGEST_BYTES - 3) + "\n")
    assert load_yaml(path) is None
