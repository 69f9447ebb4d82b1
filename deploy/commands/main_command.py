"""A group whose main command needs no name: `octoview replay LOG` for `octoview replay log LOG`."""

from typing import Any

from typer.core import TyperGroup


def with_main(name: str) -> type[TyperGroup]:
    """The class of a group in which words that name no command are for the command `name`."""

    class WithMain(TyperGroup):
        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            return super().parse_args(
                ctx, args if args and args[0] in self.commands else [name, *args]
            )

    return WithMain
