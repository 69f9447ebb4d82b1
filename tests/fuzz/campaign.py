"""Coverage-guided fuzzing of every parser of the table, by atheris (libFuzzer).

    python -m tests.fuzz.campaign --seconds 60 [NAME ...]

What breaks a parser is kept in OUT/NAME/crash-*, beside the log with its traceback; to see it
again: python -m tests.fuzz.campaign --again OUT/NAME/crash-... NAME
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

WATCHED = ("calib", "perception", "export", "deploy", "yaml", "mcap", "rosbags")
"""Packages whose branches are followed."""


class Outcome(NamedTuple):
    """How long and how far one parser was fuzzed. `problem`: what broke it, or ""."""

    runs: int
    branches: int
    inputs: int
    problem: str


def fuzz(name: str, seconds: int, out: Path) -> Outcome:
    """In a process of its own: what crashes the interpreter is a finding, too."""
    folder = out / re.sub(r"[^a-z0-9]+", "-", name)
    (folder / "corpus").mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tests.fuzz.campaign", "--child", str(folder / "corpus"), name]
    options = [
        *(f"-max_total_time={seconds}", "-timeout=300", "-rss_limit_mb=4000"),
        *("-print_final_stats=1", f"-artifact_prefix={folder}/"),
    ]
    done = subprocess.run([*command, "--", *options], capture_output=True, check=False)
    text = (done.stdout + done.stderr).decode(errors="replace")
    (folder / "log.txt").write_text(text, encoding="utf-8")
    progress = re.findall(r"cov: (\d+) .*?corp: (\d+)", text) or [("0", "0")]
    runs = re.findall(r"^(?:#|Done |stat::number_of_executed_units: )(\d+)", text, re.MULTILINE)
    problem = ""
    if done.returncode:
        found = re.search(r"=== Uncaught Python exception: ===\n(.*)", text)
        found = found or re.search(r"==\d+== ?(ERROR.*)", text)
        problem = found[1] if found else f"ended with {done.returncode}"
    return Outcome(max(map(int, runs or ["0"])), *map(int, progress[-1]), problem)


def child(name: str, corpus: Path | None, arguments: list[str]) -> None:
    """Runs libFuzzer, which ends the process."""
    import atheris

    with atheris.instrument_imports(include=list(WATCHED)):
        from tests.fuzz.guard import Broken
        from tests.fuzz.parser import Bench
        from tests.fuzz.table import PARSERS
    bench = Bench(PARSERS[name], Path(tempfile.mkdtemp(prefix="fuzz-")))

    def one_input(data: bytes) -> None:
        try:
            bench.attempt(data)
        except Broken as error:
            raise AssertionError(str(error)) from error

    if corpus is not None:
        longest = max(4096, 2 * max(map(len, bench.inputs())))
        hostile = [bytes([0]) + content for content in PARSERS[name].hostile.values()]
        for number, data in enumerate([*bench.inputs(), *hostile]):
            if len(data) <= longest:
                (corpus / f"seed-{number:03}").write_bytes(data)
        arguments = [str(corpus), f"-max_len={longest}", *arguments]
    atheris.Setup([sys.argv[0], *arguments], one_input)
    atheris.Fuzz()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="parsers of the table; all without")
    parser.add_argument("--seconds", type=int, default=60, help="for each parser")
    parser.add_argument("--out", type=Path, default=Path("out/fuzz"))
    parser.add_argument("--again", type=Path, help="one input, tried once")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    words = sys.argv[1:]
    at = words.index("--") if "--" in words else len(words)
    asked, rest = parser.parse_args(words[:at]), words[at + 1 :]
    if asked.child or asked.again:
        child(asked.names[0], asked.child, rest or [str(asked.again)])
        return
    from tests.fuzz.table import PARSERS

    unknown = set(asked.names) - set(PARSERS)
    if unknown:
        parser.error(f"no parser {', '.join(sorted(unknown))}, only {', '.join(PARSERS)}")
    print("| parser | inputs tried | branches | corpus | |\n|---|---|---|---|---|")
    broken = False
    for name in asked.names or PARSERS:
        found = fuzz(name, asked.seconds, asked.out)
        broken |= bool(found.problem)
        cells = (name, found.runs, found.branches, found.inputs, found.problem[:200])
        print("|", " | ".join(map(str, cells)), "|", flush=True)
    sys.exit(broken)


if __name__ == "__main__":
    main()
