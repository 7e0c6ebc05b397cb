"""Commands -> entries: what a person's command comes to. Deterministic; ports only."""

from collections.abc import Callable
from typing import Any, Final

from graph.answer import Answer
from graph.findable import keep_findable
from graph.linking import verdict, withdraw
from graph.merging import erase, merge, promote, quarantine, unmerge
from graph.moving import force, move, unforce
from graph.refusal import AlreadySoError, RefusedError
from graph.world import World
from neardup.commands import (
    Command,
    CommandBody,
    Erase,
    Force,
    Merge,
    Move,
    Promote,
    Quarantine,
    Unforce,
    Unmerge,
    Verdict,
    Withdraw,
)
from neardup.entries import Entry

__all__ = ["answer_command"]


def answer_command(command: Command, world: World, *, seq: int, offset: int) -> list[Entry]:
    """The entries that answer a command, the first with this seq; at least one. Raises UnavailableError."""
    answer = Answer(command, seq=seq, offset=offset)
    try:
        _ANSWERS[type(command.body)](answer, world, command.body)
        keep_findable(answer, world)
    except RefusedError as refused:
        answer.refuse(str(refused))
    except AlreadySoError as already:
        answer.unchanged(str(already))
    return answer.entries


_ANSWERS: Final[dict[type[CommandBody], Callable[[Answer, World, Any], None]]] = {
    Force: force,
    Unforce: unforce,
    Verdict: verdict,
    Withdraw: withdraw,
    Merge: merge,
    Unmerge: unmerge,
    Promote: promote,
    Move: move,
    Erase: erase,
    Quarantine: quarantine,
}
