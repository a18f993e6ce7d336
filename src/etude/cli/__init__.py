"""The command line: `etude COMMAND …`. One function per command; the flags of `train` are the fields of the recipe.

A command's file has its page and its flags. Its work is in a `show_…` file, which it imports when it is called. Only
that file imports PyTorch, so `--help` is quick.
"""

import sys
from collections.abc import Callable, Sequence

from etude.cli import (
    check,
    classify,
    data,
    export,
    figure,
    inspect,
    latents,
    measure,
    outcome,
    report,
    runs,
    solve,
    studio,
    study,
    sweep,
    train,
    translate,
    verify,
)
from etude.cli.parse import parse_call
from etude.errors import UsageError, unknown

Command = Callable[..., object]

COMMANDS: dict[str, dict[str, Command | dict[str, Command]]] = {
    "Train": {"recipes": runs.recipes, "train": train.train, "sweep": sweep.sweep, "resume": train.resume},
    "Look": {
        "runs": runs.runs,
        "show": runs.show,
        "sample": runs.sample,
        "translate": translate.translate,
        "classify": classify.classify,
        "figure": figure.figure,
        "export": export.export,
        "report": report.report,
        "studio": studio.studio,
    },
    "Measure": {"measure": measure.measure, "latents": latents.latents, "compare": sweep.compare},
    "Inspect": {"inspect": inspect.inspect, "solve": {"conv": solve.solve_conv}, "derive": solve.derive},
    "Settle": {"study": study.study},
    "Data": {"data": {"": data.list_data, "fetch": data.fetch, "show": data.show}},
    "Check": {"check": check.check, "verify": verify.verify},
}
"""Every command by its heading in `etude --help`; a nested table is a group of commands."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 2 for a person's mistake, 130 when interrupted."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    return outcome.exit_code(lambda: _run(words))


def _run(words: list[str]) -> None:
    if not words or words[0] in ("-h", "--help", "help"):
        print(_help())
        return
    if words[0] == "--version":
        from importlib.metadata import version

        print(f"etude {version('etude')}")
        return
    commands = {name: command for group in COMMANDS.values() for name, command in group.items()}
    name, *rest = words
    if name not in commands:
        raise unknown("command", name, commands, hint="`etude --help` describes them")
    command, prog = commands[name], f"etude {name}"
    if isinstance(command, dict):
        verb = rest[0] if rest and not rest[0].startswith("-") else ""
        if not verb and "" not in command:
            raise UsageError(f"`{prog}` needs a command after it: {', '.join(command)}; `etude --help` describes them.")
        if verb not in command:
            raise unknown(
                f"{name} command", verb, filter(None, command), hint=f"or `{prog}` alone" if "" in command else ""
            )
        command, prog, rest = command[verb], f"{prog} {verb}".rstrip(), rest[1:] if verb else rest
    if command in (train.train, sweep.sweep, study.study):  # these build their flags from what their first word names
        command(rest)
    else:
        arguments = solve.expressions_apart(rest) if command is solve.derive else rest
        parse_call(command, prog=prog, arguments=arguments)()


def _help() -> str:
    lines = ["usage: etude COMMAND …", "", "A laboratory for small neural networks.", ""]
    for heading, group in COMMANDS.items():
        lines.append(heading)
        for name, command in group.items():
            verbs = command.items() if isinstance(command, dict) else [("", command)]
            lines += [f"  {f'{name} {verb}'.rstrip():<14}{_first_line(each)}" for verb, each in verbs]
        lines.append("")
    return "\n".join([*lines, "`etude COMMAND --help` explains one of them."])


def _first_line(command: Command) -> str:
    return (command.__doc__ or "").partition("\n")[0].rstrip(".")  # `python -OO` has no docstrings
