"""`octoview replay fleet`: many logs, one table."""

from glob import iglob
from pathlib import Path
from typing import Annotated, Any

import typer

from deploy.commands.engine_name import EngineName
from deploy.commands.progress import Ticker
from deploy.fleet.fleet import run_fleet
from deploy.loop.engine import AUTO, shipped_model
from deploy.loop.machine import physical_cores


def replay_fleet(
    patterns: Annotated[
        list[str],
        typer.Argument(metavar="GLOB...", help="Logs, or patterns: 'd/**/*.mcap'."),
    ],
    out: Annotated[Path, typer.Option(help="Folder for rows and table.")] = Path("out/fleet"),
    model: Annotated[
        Path | None, typer.Option(help="ONNX file; the shipped nano.onnx by default.")
    ] = None,
    engine: EngineName = AUTO,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Logs at a time, a process each; a core each by default."),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="Of each engine; by default the workers share the cores out."),
    ] = None,
    ray: Annotated[
        str | None, typer.Option(help="Address of a Ray cluster, instead of processes here.")
    ] = None,
) -> None:
    """Replay many logs and put their reports into one Parquet table; exit 1 if one failed.

    Run it again after it was ended: it goes on where it was.

    Example: octoview replay fleet 'drives/**/*.mcap' --out out/fleet
    """
    logs = [Path(name) for one in patterns for name in iglob(one, recursive=True)]  # noqa: PTH207 may be absolute
    failed: list[dict[str, Any]] = []
    done = 0
    with Ticker("replaying", len(logs), "log") as ticker:

        def progress(row: dict[str, Any]) -> None:
            nonlocal done
            done += 1
            ticker.advance(Path(row["log"]).name)
            if row["error"]:
                failed.append(row)

        table = run_fleet(
            logs,
            out,
            model or shipped_model(),
            engine=engine,
            workers=workers or physical_cores(),
            threads=threads,
            ray_address=ray,
            progress=progress,
        )
    for row in failed:
        print(f"failed: {row['log']}: {row['error']}")
    print(f"wrote {table}: {done} logs, {len(failed)} failed")
    if failed:
        raise typer.Exit(1)
