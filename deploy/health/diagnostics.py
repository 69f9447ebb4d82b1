"""Diagnostics: health as ROS's diagnostic_msgs/DiagnosticArray, which Foxglove has a panel for."""

from typing import Any

from deploy.health.camera import CameraHealth
from deploy.health.system import Level, Part
from deploy.loop.pipeline import TickResult

SCHEMA = "diagnostic_msgs/DiagnosticArray"

_OK, _WARN, _ERROR, _STALE = range(4)
_LEVELS: dict[Level, int] = {"ok": _OK, "warn": _WARN, "error": _ERROR}


def diagnostics(result: TickResult) -> dict[str, Any]:
    """One status for each camera and each part of the system, as JSON."""
    seconds, nanoseconds = divmod(result.frames.stamp_ns, 1_000_000_000)
    statuses = [
        _status(f"camera: {name}", _level(health), _message(health), name, _values(result, name))
        for name, health in result.health.items()
    ]
    if result.system is not None:
        statuses += [_part(part) for part in result.system.parts]
    return {
        "header": {"stamp": {"sec": seconds, "nsec": nanoseconds}, "frame_id": ""},
        "status": statuses,
    }


def _level(health: CameraHealth) -> int:
    if health.state == "ok":
        return _OK
    if health.state == "late":
        return _WARN
    return _STALE if health.state == "disconnected" else _ERROR


def _message(health: CameraHealth) -> str:
    return f"{health.state}: {health.note}" if health.note else health.state


def _values(result: TickResult, camera: str) -> dict[str, object]:
    frame = result.frames.frames[camera]
    values: dict[str, object] = {"frame": frame.status}
    if frame.stamp_ns is not None:
        values["offset_ms"] = round((frame.stamp_ns - result.frames.stamp_ns) / 1e6, 3)
    if camera in result.failed:
        values["network"] = result.failed[camera]
    return values


def _part(part: Part) -> dict[str, Any]:
    return _status(f"system: {part.name}", _LEVELS[part.level], part.message, "", dict(part.values))


def _status(
    name: str, level: int, message: str, hardware: str, values: dict[str, object]
) -> dict[str, Any]:
    pairs = [{"key": key, "value": str(value)} for key, value in values.items()]
    return {
        "level": level,
        "name": name,
        "message": message,
        "hardware_id": hardware,
        "values": pairs,
    }
