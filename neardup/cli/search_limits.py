"""`neardup search-limits`."""

import click

from neardup.cli.output import json_option, print_json, print_table

__all__ = ["search_limits"]


@click.command("search-limits")
@json_option
def search_limits(as_json: bool) -> None:
    """How much of the search limit is in use.

    For each lane: its limit in searches a second over all processes, how many were permitted in the last second, and
    what each process has while Redis is away.
    """
    from neardup.cli.wiring import opened

    with opened() as wiring:
        lanes = wiring.search_limiter.state()
    if as_json:
        print_json(
            {
                "shared": all(lane.shared for lane in lanes),
                "lanes": [
                    {
                        "lane": lane.lane,
                        "limit_per_second": lane.limit,
                        "used_last_second": lane.used,
                        "share_without_redis": lane.share,
                    }
                    for lane in lanes
                ],
            }
        )
        return
    print_table(
        ("lane", "limit", "used", "share without Redis"),
        [(lane.lane, lane.limit, "?" if lane.used is None else lane.used, lane.share) for lane in lanes],
    )
    if not all(lane.shared for lane in lanes):
        click.echo("Redis is away: each process keeps its static share", err=True)
