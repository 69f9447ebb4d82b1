"""`octoview-device`: slots, updates and engines on the device. See docs/jetson.md.

Exit codes as `octoview` has them: 0 done, 1 refused by a check, 2 bad usage or input.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from deploy.device import backoff, durable, engines, health, power
from deploy.device.report import report
from deploy.device.seal import check_all
from deploy.device.slots import Slots
from deploy.device.update import self_test, update
from deploy.errors import DeployError


def main(words: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if words is None else words)
    split = words.index("--") if "--" in words else len(words)
    arguments, rest = _parser().parse_args(words[:split]), words[split + 1 :]
    slots = Slots(arguments.state, arguments.factory)
    try:
        return _do(arguments, rest, slots)
    except DeployError as error:
        print(f"octoview-device: {' '.join(str(error).splitlines())}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"octoview-device: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2


def _do(arguments: argparse.Namespace, rest: list[str], slots: Slots) -> int:
    verb = arguments.verb
    if verb == "run":
        _become(slots.current(), rest)
    elif verb == "choose":
        arguments.run.mkdir(parents=True, exist_ok=True)
        slot = slots.choose()
        durable.point(arguments.run / "slot", slot)
        row = backoff.failures_in_a_row(arguments.run / "failures", time.monotonic())
        model = engines.options(slot, slots.state / "engines", row)
        durable.write_text(arguments.run / "environment", f"OCTOVIEW_MODEL={model}\n")
    elif verb == "stopped":
        # systemd tells how the service ended: a stop on request is no failed start.
        if os.environ.get("SERVICE_RESULT") == "success":
            slots.uncount()
        else:
            backoff.sleep_after_failure(arguments.run / "failures")
    elif verb == "update":
        slot = update(slots, arguments.package, arguments.allow_downgrade)
        print(f"{slot.name} is on trial from the next start: systemctl restart octoview")
    elif verb == "activate":
        # What dpkg just unpacked; its signature was apt's business.
        with slots.locked():
            slot = slots.factory / arguments.version
            check_all(slot)
            if arguments.self_test:
                self_test(slots, slot)
            slots.begin_trial(slot)
    elif verb == "take-out":
        with slots.locked():
            slots.take_out_of_factory()
    elif verb == "keep":
        with slots.locked():
            print(f"{slots.keep().name} is kept")
    elif verb == "keep-if-healthy":
        trial = slots.on_trial()
        if trial and health.is_healthy(trial, arguments.run / "slot"):
            with slots.locked():
                print(f"{slots.keep().name} is kept")
    elif verb == "back":
        with slots.locked():
            print(f"{slots.go_back().name} runs from the next start: systemctl restart octoview")
    elif verb == "engines":
        built = engines.build(slots.current(), slots.state / "engines")
        print("engine built" if built else "engine is up to date")
    elif verb == "power":
        choice = power.CHOICE.read_text().strip() if power.CHOICE.is_file() else "keep"
        print(f"power mode: {power.set_power_mode(choice)}")
    else:
        content = report(slots)
        print(json.dumps(content, indent=2))
        return 1 if content["running"]["error"] else 0
    return 0


def _become(slot: Path, arguments: list[str]) -> None:
    """Replace this process: systemd goes on watching the same one."""
    command = [str(slot / "bin/octoview"), *arguments]
    sys.stdout.flush()
    os.execv(command[0], command)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="octoview-device", description=__doc__)
    parser.add_argument("--state", type=Path, default=Path("/var/lib/octoview"))
    parser.add_argument("--factory", type=Path, default=Path("/opt/octoview"))
    parser.add_argument("--run", type=Path, default=Path("/run/octoview-device"))
    verbs = parser.add_subparsers(dest="verb", required=True)
    add = verbs.add_parser
    add("run", help="octoview ARGS of the current version: run -- ARGS")
    add("choose", help="link RUN/slot to the version to start; a start on trial is counted")
    add("stopped", help="the service ended: SERVICE_RESULT tells how")
    one = add("update", help="install a signed package as a version on trial")
    one.add_argument("package", type=Path)
    one.add_argument("--allow-downgrade", action="store_true")
    one = add("activate", help="take what dpkg unpacked into use (the package's own scripts)")
    one.add_argument("version")
    one.add_argument("--self-test", action="store_true")
    add("take-out", help="keep what dpkg is about to replace (the package's own scripts)")
    add("keep", help="keep the version on trial, whatever its health")
    add("keep-if-healthy", help="keep it if its service has been up for a minute")
    add("back", help="return to the version before")
    add("engines", help="build TensorRT engines that are missing or out of date")
    add("power", help="set the power mode of /etc/octoview/power-mode")
    add("report", help="versions, engine and Jetson as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
