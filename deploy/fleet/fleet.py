"""All logs of a fleet: what is done is kept, the rest goes to workers, one table comes out."""

import logging
import socket
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Any

from deploy.errors import DeployError, LogError
from deploy.fleet.job import ATTEMPTS, Job
from deploy.loop.machine import physical_cores

Row = dict[str, Any]
TABLE = "fleet.parquet"
_ANSWER_S = 5.0


def run_fleet(
    logs: Sequence[Path],
    out: Path,
    model: Path,
    *,
    engine: str,
    workers: int,
    threads: int | None = None,
    ray_address: str | None = None,
    progress: Callable[[Row], None] = lambda row: None,
) -> Path:
    """Replay all `logs` and write `out`/fleet.parquet, a row for each. Returns its path.

    Started again after an end of any kind it goes on: logs that have a row are not run again,
    unless they, the model or the engine have changed. With `ray_address` the work goes to that
    Ray cluster ("local" starts one here); its machines must see `logs` and `out` under the same
    paths. `threads`: of the engine for each log; without, processes here share the cores out, and
    a log takes one processor of the cluster.

    Raises LogError without logs, DeployError for a package or folder that is missing.
    """
    if not logs:
        raise LogError("no log matches; quote the pattern, such as 'drives/**/*.mcap'")
    parquet = _pyarrow()
    if threads is None:
        threads = max(1, physical_cores() // workers) if ray_address is None else 1
    jobs = [Job(p, out.resolve(), model.resolve(), engine, threads) for p in _distinct(logs)]
    rows: dict[Path, Row] = {}
    source = _on_processes(jobs, workers) if ray_address is None else _on_ray(jobs, ray_address)
    with closing(source):  # at once, also when Control-C comes in `progress`
        for job, row in source:
            rows[job.log] = row
            progress(row)
    return _write_table(parquet, [rows[job.log] for job in jobs], out / TABLE)


def _distinct(logs: Sequence[Path]) -> list[Path]:
    """Each log once, however it was named."""
    return sorted({path.resolve() for path in logs})


def _on_processes(jobs: Sequence[Job], workers: int) -> Generator[tuple[Job, Row], None, None]:
    """Each log in a process of its own, `workers` at a time; threads only wait for them."""
    ended = Event()
    with ThreadPoolExecutor(workers) as pool:
        running = {pool.submit(job.run, ended): job for job in jobs}
        try:
            for done in as_completed(running):
                yield running[done], done.result()
        finally:  # Control-C: no new ones
            ended.set()
            pool.shutdown(wait=False, cancel_futures=True)


def _on_ray(jobs: Sequence[Job], address: str) -> Generator[tuple[Job, Row], None, None]:
    try:
        import ray
    except ImportError as error:
        raise DeployError("--ray needs the package ray; install octoview[ray]") from error
    try:
        _knock(address)
        # Its dashboard listens on a port, and nobody asked for one.
        started: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **started)
    except (OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DeployError(f"--ray {address}: no cluster there ({reason})") from error
    try:
        run = ray.remote(max_retries=ATTEMPTS - 1)(Job.run)
        waiting = {run.options(num_cpus=job.threads).remote(job): job for job in jobs}
        while waiting:
            done, _ = ray.wait(list(waiting))
            for one in done:
                job = waiting.pop(one)
                try:
                    yield job, ray.get(one)
                except ray.exceptions.RayTaskError as error:
                    yield job, job.failed(f"{type(error.cause).__name__}: {error.cause}")
                except ray.exceptions.RayError as error:
                    reason = str(error).strip().splitlines()[0]
                    yield job, job.failed(f"its Ray worker was lost, {ATTEMPTS} times ({reason})")
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Raises OSError when nobody answers at HOST:PORT, which Ray would try for minutes."""
    host, colon, port = address.rpartition("//")[2].rpartition(":")
    if colon:
        socket.create_connection((host, int(port)), timeout=_ANSWER_S).close()


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise DeployError("the table is Parquet; install octoview[fleet]") from error
    return pyarrow


def _write_table(pyarrow: Any, rows: Sequence[Row], path: Path) -> Path:
    columns = dict.fromkeys(name for row in rows for name in row if name != "key")
    table = pyarrow.table({name: [row.get(name) for row in rows] for name in columns})
    part = path.with_name(path.name + ".part")
    try:
        pyarrow.parquet.write_table(table, part)
        part.replace(path)
    except OSError as error:
        raise DeployError(f"{path}: can't be written ({error}); choose --out") from error
    finally:
        part.unlink(missing_ok=True)
    return path
