"""Tab completion, written from the parser itself: bash, and zsh through its bashcompinit."""

from __future__ import annotations

import argparse


def script(command: argparse.ArgumentParser) -> str:
    """A bash function that completes every command, long option and fixed argument of the parser."""
    lines = [
        '[ -n "$ZSH_VERSION" ] && autoload -U +X bashcompinit && bashcompinit',
        "_edge_agent() {",
        "  local words",
        '  case "${COMP_WORDS[*]:1:2} " in',
    ]
    cases = _words(command)
    for path, words in sorted(cases.items(), key=lambda item: -len(item[0])):
        lines.append(
            f'    "{path} "*) words="{" ".join(words)}" ;;'
            if path
            else f'    *) words="{" ".join(words)}" ;;'
        )
    lines += [
        "  esac",
        '  COMPREPLY=($(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}"))',
        "}",
        "complete -o default -F _edge_agent edge-agent",
    ]
    return "\n".join(lines)


def _words(command: argparse.ArgumentParser, path: str = "") -> dict[str, list[str]]:
    """'models verify' -> what may follow it, for every command."""
    words: list[str] = []
    below: dict[str, list[str]] = {}
    for action in command._actions:  # noqa: SLF001  # argparse offers no other way to ask
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            words += action.choices
            for name, inner in action.choices.items():
                below |= _words(inner, f"{path} {name}".strip())
        elif not action.option_strings:
            words += action.choices or ()
        else:
            words += [option for option in action.option_strings if option.startswith("--")]
    return {path: words, **below}
