"""Parts of kafka-python 3.0 with their mistakes mended."""

import threading
from typing import Any

from kafka.coordinator.base import MemberState
from kafka.coordinator.consumer import ConsumerCoordinator
from kafka.errors import KafkaTimeoutError
from kafka.net.compat import KafkaNetClient
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector

__all__ = ["BoundedSelector", "PatientConnections", "PatientCoordinator", "client"]

_LONGEST_CALL_SECONDS = 30.0


class BoundedSelector(NetworkSelector):  # type: ignore[misc]
    """The client's event loop, whose callers wait at most `longest_call_seconds` for it.

    kafka-python 3.0 waits without end for its own event loop, whatever time-out a call was given (its issue 3121); a
    loop that lost a task then hangs the caller for good. Raises KafkaTimeoutError; the client may be of no more use.
    """

    longest_call_seconds = _LONGEST_CALL_SECONDS

    def run(self, coro: Any, *args: Any) -> Any:
        """The result of a coroutine of the event loop."""
        if self._io_thread is None or self._io_thread is threading.current_thread():
            return super().run(coro, *args)
        done = threading.Event()
        future = self.call_soon_with_future(coro, *args)
        future.add_both(lambda _: done.set())
        if not done.wait(self.longest_call_seconds):
            raise KafkaTimeoutError(f"the Kafka client did not answer within {self.longest_call_seconds:.0f} s")
        if future.exception is not None:
            raise future.exception
        return future.value


class PatientConnections(KafkaConnectionManager):  # type: ignore[misc]
    """The client's connections, that back off also from a broker which takes connections and breaks them.

    kafka-python 3.0 forgets how often connecting failed as soon as the socket is open, although nobody has answered
    yet: it then tries again at once, without end.
    """

    def reset_backoff(self, node_id: Any) -> None:
        """Called when a node was connected."""
        connection = self._conns.get(node_id)
        if connection is None or connection.init_future.succeeded():
            super().reset_backoff(node_id)
        else:
            self.update_backoff(node_id)


class PatientCoordinator(ConsumerCoordinator):  # type: ignore[misc]
    """The client's membership in a group, that keeps what it has joined.

    A poll that ends before the group has come together leaves the joining to the event loop. kafka-python 3.0 throws
    its result away when it is there before the next poll, and joins anew. From a leader the group then comes together
    anew; members that do something between their polls may never come to an end.
    """

    async def join_group_async(self, timeout_ms: float | None = None) -> bool:
        """Join, or go on with what was joined since the last poll: True when this is a member."""
        joined = self._join_task  # type: ignore[has-type]
        if joined is None or not joined.succeeded() or not self.need_rejoin():
            result: bool = await super().join_group_async(timeout_ms)
            return result
        self._join_task = None
        with self._lock:
            self.rejoining = self.rejoin_needed = False
            self.state = MemberState.STABLE
            self._enable_heartbeat()
        generation = self._generation
        await self._on_join_complete_async(
            generation.generation_id, generation.member_id, generation.protocol, joined.value
        )
        return True


def client(**config: Any) -> KafkaNetClient:
    """The client's network, mended."""
    net = BoundedSelector(**config)
    return KafkaNetClient(net=net, manager=PatientConnections(net, **config))
