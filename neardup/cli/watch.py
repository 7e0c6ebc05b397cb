"""`neardup watch`: new members and leavers of one cluster, as they come and go."""

import json
import time
from dataclasses import asdict

import click

from neardup.cli.history import moment
from neardup.cli.lookup import file_or_id
from neardup.cli.output import json_option
from neardup.cli.sentences import said_by
from neardup.cli.wiring import opened
from neardup.errors import SearchUnavailableError

__all__ = ["watch"]

_SIGNS = {"joined": "+", "left": "-", "erased": "x", "head": "*"}


@click.command()
@click.argument("head_id", metavar="HEAD")
@click.option("--from-start", is_flag=True, help="First tell all that has happened to the cluster since it was made.")
@click.option("--every", type=click.FloatRange(0.05, 60), default=0.5, show_default=True, help="Seconds between looks.")
@json_option
def watch(head_id: str, from_start: bool, every: float, as_json: bool) -> None:
    """Follow the cluster of HEAD (any member's id will do): who joins it, who leaves it, who is its head.

    Goes on through merges and promotions until Ctrl-C. + joined, - left, x erased, * is the head now. With --json each
    line is a JSON object.
    """
    from query.past import PastImages
    from query.watch import ClusterEvent, ClusterWatch

    def show(event: ClusterEvent) -> None:
        if as_json:
            click.echo(json.dumps(asdict(event), ensure_ascii=False))
            return
        other = f"{' from ' if event.kind == 'joined' else ' to '}{event.other}" if event.other else ""
        who = said_by(event.actor, event.reason)
        click.echo(f"{moment(event.at_ms)}  {_SIGNS[event.kind]} {event.image_id}{other} ({event.why}){who}")

    with opened() as wiring:
        now = PastImages(wiring.history, wiring.history.position().seq)
        cluster_id = now.cluster(file_or_id(wiring.similar_images, head_id)).cluster_id
        if from_start:
            following = ClusterWatch.from_start(wiring.history, cluster_id)
        else:
            following = ClusterWatch(wiring.history, cluster_id, root=cluster_id, after=now.seq)
            click.echo(f"watching cluster {cluster_id} from seq {now.seq} on", err=True)
        try:
            while True:
                try:
                    for event in following.poll():
                        show(event)
                except SearchUnavailableError as exc:
                    click.echo(f"waiting: {exc}", err=True)
                time.sleep(every)
        except KeyboardInterrupt:
            return
