"""The offline audit finds what an advisory names, and nothing beside it."""

from pathlib import Path

import pytest

from tests.audit.offline import known

ADVISORY = """\
id: PYSEC-2024-1
affected:
- package: {name: left-pad, ecosystem: PyPI}
  ranges:
  - type: ECOSYSTEM
    events: [{introduced: "0"}, {fixed: 1.2.0}, {introduced: "2.0"}, {last_affected: 2.3.1}]
  versions: [9.9.post1]
"""


@pytest.mark.parametrize(
    ("version", "named"),
    [
        *(("1.1.9", True), ("1.2.0", False), ("1.10", False), ("2.0", True), ("2.3.1", True)),
        *(("2.3.2", False), ("9.9.post1", True)),
    ],
)
def test_versions_between_the_events(version: str, named: bool, tmp_path: Path) -> None:
    folder = tmp_path / "vulns" / "left-pad"
    folder.mkdir(parents=True)
    (folder / "PYSEC-2024-1.yaml").write_text(ADVISORY)
    assert [*known("Left_Pad", version, tmp_path)] == (["PYSEC-2024-1"] if named else [])
    assert not [*known("other", version, tmp_path)]
    (folder / "PYSEC-2024-1.yaml").write_text(ADVISORY + "withdrawn: '2024-02-02T00:00:00Z'\n")
    assert not [*known("left-pad", version, tmp_path)]
