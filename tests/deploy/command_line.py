"""The command line run in this process, through the function that the script calls."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from deploy.cli import main


@dataclass(frozen=True)
class Done:
    """How a run of the command ended."""

    code: int
    out: str
    err: str


Octoview = Callable[..., Done]


def command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *before: str
) -> Octoview:
    """A function that runs `octoview`, the words `before`, and its own arguments."""

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["octoview", *before, *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return Done(int(ended.value.code or 0), captured.out, captured.err)

    return run
