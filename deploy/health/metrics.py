"""Metrics: the newest health as a text that Prometheus reads, on this machine only.

Format: https://prometheus.io/docs/instrumenting/exposition_formats/, version 0.0.4.
"""

import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from deploy.errors import DeployError
from deploy.health.camera import STATES
from deploy.loop.pipeline import TickResult

HOST = "127.0.0.1"
_LEVELS = {"ok": 0.0, "warn": 1.0, "error": 2.0}


def metrics_text(result: TickResult | None) -> str:
    """Every number of one tick's health."""
    lines = []
    if result is not None:
        lines.append("# TYPE octoview_camera_state gauge")
        for camera, health in result.health.items():
            lines += [
                f'octoview_camera_state{{camera="{_escaped(camera)}",state="{state}"}} '
                f"{int(health.state == state)}"
                for state in STATES
            ]
        lines.append("# TYPE octoview_tick gauge")
        lines.append(f"octoview_tick {result.frames.index}")
        parts = result.system.parts if result.system else ()
        for part in parts:
            name = _word(part.name)
            for key, value in {"level": _LEVELS[part.level], **part.values}.items():
                metric = f"octoview_{name}_{_word(key)}"
                lines += [f"# TYPE {metric} gauge", f"{metric} {value:.10g}"]
    return "\n".join([*lines, ""])


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _word(text: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_]", "_", text)


class MetricsServer:
    """Context manager that serves /metrics on `port` of the loopback interface; 0 takes a free
    one. Raises DeployError when the port is taken."""

    def __init__(self, port: int, newest: Callable[[], TickResult | None]) -> None:
        class Handler(BaseHTTPRequestHandler):
            timeout = 5.0  # a client that says nothing

            def do_GET(self) -> None:
                if self.path.partition("?")[0] != "/metrics":
                    self.send_error(404)
                    return
                body = metrics_text(newest()).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        try:
            self._server = ThreadingHTTPServer((HOST, port), Handler)
        except (OSError, OverflowError) as error:
            raise DeployError(f"port {port}: can't be served on ({error}); choose another") from (
                error
            )
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> "MetricsServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
