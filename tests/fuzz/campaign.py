"""Coverage-guided fuzzing of every parser of the table, by atheris (libFuzzer).

    python -m tests.fuzz.campaign --seconds 60 [NAME ...]

What breaks a parser is kept in OUT/NAME/crash-*, beside the log with its traceback; to see it
again: python -m tests.fuzz.campaign --again OUT/NAME/crash-... NAME
"""

import argparse
import os
import re
import signal
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import atheris

WATCHED = ("calib", "perception", "export", "deploy", "yaml", "mcap", "rosbags")
"""Packages whose branches are followed."""

with atheris.instrument_imports(include=list(WATCHED)):
    from tests.fuzz.guard import Broken
    from tests.fuzz.parser import Bench
    from tests.fuzz.table import PARSERS

HUNG_S = 300
"""Real time; the guard counts the processor's."""


class Outcome(NamedTuple):
    """How often and how far one parser was tried. `problem`: what broke it, or ""."""

    inputs: int
    branches: int
    kept: int
    problem: str


def fuzz(name: str, seconds: int, out: Path) -> Outcome:
    """In a process of its own: what crashes the interpreter is a finding, too."""
    folder = out / re.sub(r"[^a-z0-9]+", "-", name)
    corpus, log = folder / "corpus", folder / "log.txt"
    corpus.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        options = [f"-max_total_time={seconds}", f"-artifact_prefix={folder}/"]
        run(name, [str(corpus), *options, *_seed(name, corpus)])
    _, status = os.waitpid(pid, 0)
    return _outcome(log.read_text(errors="replace"), os.waitstatus_to_exitcode(status))


def run(name: str, arguments: list[str]) -> None:
    """Hand over to libFuzzer, which ends the process."""
    bench = Bench(PARSERS[name], Path(tempfile.mkdtemp(prefix="fuzz-")))

    def one_input(data: bytes) -> None:
        try:
            bench.attempt(data)
        except Broken as error:
            raise AssertionError(str(error)) from error

    common = [f"-timeout={HUNG_S}", "-rss_limit_mb=4000"]
    atheris.Setup([sys.argv[0], *common, *arguments], one_input)
    atheris.Fuzz()


def _seed(name: str, corpus: Path) -> list[str]:
    """Begin the corpus; returns what libFuzzer must know of it."""
    with tempfile.TemporaryDirectory() as folder:
        valid = Bench(PARSERS[name], Path(folder)).inputs()
    longest = max(4096, 2 * max(map(len, valid)))
    hostile = [bytes([0]) + content for content in PARSERS[name].hostile.values()]
    for number, data in enumerate([*valid, *hostile]):
        if len(data) <= longest:
            (corpus / f"seed-{number:03}").write_bytes(data)
    return [f"-max_len={longest}"]


def _outcome(log: str, code: int) -> Outcome:
    progress = re.findall(r"cov: (\d+) .*?corp: (\d+)", log) or [("0", "0")]
    inputs = re.findall(r"^(?:#|Done )(\d+)", log, re.MULTILINE) or ["0"]
    problem = ""
    if code:
        found = re.search(r"=== Uncaught Python exception: ===\n(.*)", log)
        found = found or re.search(r"==\d+== ?(ERROR.*)", log)
        name = signal.Signals(-code).name if code < 0 else str(code)
        problem = found[1] if found else f"ended with {name}"
    return Outcome(max(map(int, inputs)), *map(int, progress[-1]), problem)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="parsers of the table; all without")
    parser.add_argument("--seconds", type=int, default=60, help="for each parser")
    parser.add_argument("--out", type=Path, default=Path("out/fuzz"))
    parser.add_argument("--again", type=Path, help="one input, tried once")
    asked = parser.parse_args()
    unknown = set(asked.names) - set(PARSERS)
    if unknown:
        parser.error(f"no parser {', '.join(sorted(unknown))}, only {', '.join(PARSERS)}")
    if asked.again:
        run(asked.names[0], [str(asked.again)])
    print("| parser | inputs tried | branches | corpus | |\n|---|---|---|---|---|", flush=True)
    broken = False
    for name in asked.names or PARSERS:
        found = fuzz(name, asked.seconds, asked.out)
        broken |= bool(found.problem)
        cells = (name, found.inputs, found.branches, found.kept, found.problem[:200])
        print("|", " | ".join(map(str, cells)), "|", flush=True)
    sys.exit(broken)


if __name__ == "__main__":
    main()
