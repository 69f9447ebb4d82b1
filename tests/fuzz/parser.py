"""One parser under test: its valid files, and a try with one of them changed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from calib.errors import CalibError
from deploy.errors import DeployError
from export.errors import ExportError
from perception.errors import PerceptionError
from tests.fuzz.guard import Broken, guarded

ERRORS = (CalibError, PerceptionError, ExportError, DeployError)
"""What the command line turns into one line. Anything else is a traceback."""
LONGEST = 1500
"""Letters of a message; whole files don't belong into it."""
OUT = "out.mcap"
"""What a parser may make beside the folder that it reads."""


@dataclass(frozen=True)
class Parser:
    """`write` makes valid files in an empty folder; `read` is the public entry point, called with
    that folder. What it makes goes beside the folder. `changed`: patterns of the files that are
    fuzzed. `hostile`: contents that are tried in each of them. `needs`: an optional module."""

    write: Callable[[Path], object]
    read: Callable[[Path], object]
    changed: tuple[str, ...] = ("**/*",)
    hostile: Mapping[str, bytes] = field(default_factory=dict)
    needs: str | None = None


class Bench:
    """The valid files of one parser in `root`, of which one at a time is replaced."""

    def __init__(self, parser: Parser, root: Path) -> None:
        self._read, self._root = parser.read, root
        self._folder = root / "valid"
        self._folder.mkdir()
        parser.write(self._folder)
        found = {path for pattern in parser.changed for path in self._folder.glob(pattern)}
        self.files = {path: path.read_bytes() for path in sorted(found) if path.is_file()}
        self._paths = list(self.files)
        self.problem = ""
        """Why the newest attempt was refused; empty where it ended in a result."""

    def inputs(self) -> list[bytes]:
        """The valid files as `attempt` takes them."""
        return [bytes([index]) + content for index, content in enumerate(self.files.values())]

    def attempt(self, data: bytes) -> None:
        """Replace the file that the first byte names by the rest, and read. Raises Broken."""
        path = self._paths[data[0] % len(self._paths)] if data else self._paths[0]
        path.write_bytes(data[1:])
        try:
            self._once()
        finally:
            path.write_bytes(self.files[path])

    def _once(self) -> None:
        try:
            self.problem = ""
            with guarded():
                self._read(self._folder)
        except ERRORS as error:
            self.problem = str(error)
            if len(str(error)) > LONGEST or not str(error).strip():
                raise Broken(f"a message of {len(str(error))} letters: {error!s:.200}") from error
        for path in self._root.iterdir():
            if path.name == OUT:
                path.unlink()
            elif path != self._folder:
                raise Broken(f"left {path.name} behind")
