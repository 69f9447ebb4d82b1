"""Policy files: what is read is what was written, and what is wrong is said in one line."""

from pathlib import Path

import pytest

from perception.data.policy import BUILT_IN, Policy, PolicyError, load_policy, save_policy

GOOD = "scale: [0.5, 2]\nmirror: 0.5\nblur: {probability: 0.2, sigma: [0.4, 1.4]}\n"


def _load(tmp_path: Path, text: str) -> Policy:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return load_policy(path)


@pytest.mark.parametrize("name", ["none", "hand", "strong"])
def test_built_in_policies_load_and_survive_saving(name: str, tmp_path: Path) -> None:
    policy = load_policy(name)
    path = tmp_path / "copy.yaml"
    save_policy(policy, path, comment="first line\nsecond line")
    assert path.read_text().startswith("# first line\n# second line\n")
    assert load_policy(path) == policy


def test_built_in_policies_differ() -> None:
    policies = [load_policy(name) for name in BUILT_IN]
    assert all(policies.count(policy) == 1 for policy in policies)


def test_absent_operations_never_happen(tmp_path: Path) -> None:
    policy = _load(tmp_path, GOOD)
    assert policy.blur is not None and policy.blur.sigma == (0.4, 1.4)
    assert policy.scale == (0.5, 2.0) and policy.tone is None


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("mirror: 0.5\n", "", "mirror is missing"),
        ("mirror: 0.5", "mirror: 1.5", "mirror is 1.5; input should be less than or equal to 1"),
        ("mirror: 0.5", "mirror: yes", "mirror is True; input should be a valid number"),
        ("mirror: 0.5", "mirror: .nan", "mirror is nan"),
        ("mirror: 0.5", "mirror: 0.5\nmirror: 0.1", "'mirror' is given twice"),
        ("mirror: 0.5", "flip: 0.5", "mirror is missing"),
        ("blur:", "blurr:", "blurr is an unknown key with value {'probability': 0.2"),
        ("[0.5, 2]", "[2, 0.5]", "scale: the range [2.0, 0.5] is upside down"),
        ("[0.5, 2]", "[0.1, 2]", "scale[0] is 0.1; input should be greater than or equal to 0.25"),
        ("[0.5, 2]", "[0.5]", "scale[1] is missing"),
        ("sigma: [0.4, 1.4]", "sigma: wide", "blur.sigma is 'wide'"),
        ("sigma: [0.4, 1.4]", "sigma: [0.4, 9]", "blur.sigma[1] is 9"),
        ("{probability: 0.2, sigma: [0.4, 1.4]}", "0.2", "blur is 0.2; write it as keys"),
        ("blur: {", "blur: [", "not valid YAML: line 3"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    old: str, new: str, problem: str, tmp_path: Path
) -> None:
    assert old in GOOD
    with pytest.raises(PolicyError) as raised:
        _load(tmp_path, GOOD.replace(old, new))
    message = str(raised.value)
    assert "mine.yaml" in message and problem in message
    assert "\n" not in message and len(message) < 250


def test_hue_that_could_turn_a_red_light_amber_is_refused(tmp_path: Path) -> None:
    colour = "colour: {probability: 1, hue: %s, saturation: 0}\n"
    assert _load(tmp_path, GOOD + colour % 20).colour is not None
    with pytest.raises(PolicyError, match=r"colour\.hue is 45"):
        _load(tmp_path, GOOD + colour % 45)


@pytest.mark.parametrize("text", ["", "- 1\n", "words\n"])
def test_a_file_that_is_no_mapping(text: str, tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"the file is .*; write it as keys and values"):
        _load(tmp_path, text)


def test_missing_file_names_the_built_in_ones(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"hnad: no such file; .*hand, none"):
        load_policy("hnad")
    with pytest.raises(PolicyError, match="can't be read"):
        load_policy(tmp_path)


def test_scaling_multiplies_magnitudes_and_keeps_the_probability() -> None:
    tone = load_policy("hand").tone
    assert tone is not None
    half = type(tone)(**tone.scaled(0.5))
    assert half.probability == tone.probability == 0.9
    assert (half.exposure, half.contrast) == (0.15, 0.15)
