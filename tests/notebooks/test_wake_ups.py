"""An answer whose wake-up another send has swallowed is found within seconds (tools/wake_ups.py)."""

import asyncio
import time
from queue import Empty

import pytest
import zmq
import zmq.asyncio
from jupyter_client.channels import AsyncZMQSocketChannel
from jupyter_client.session import Session

import wake_ups


async def answer_behind_a_send(get_msg, timeout):
    """Seconds until `get_msg` hands out a message that arrived just before a send on the awaited socket."""
    session = Session(key=b"a key")
    with zmq.Context() as kernel, zmq.asyncio.Context() as client:
        server, socket = kernel.socket(zmq.ROUTER), client.socket(zmq.DEALER)
        with server, socket:
            socket.connect(f"tcp://127.0.0.1:{server.bind_to_random_port('tcp://127.0.0.1')}")
            channel = AsyncZMQSocketChannel(socket, session)
            channel.send(session.msg("execute_request"))
            identity, *_ = server.recv_multipart()
            waiting = asyncio.ensure_future(get_msg(channel, timeout=timeout))
            await asyncio.sleep(0.2)  # it waits now
            session.send(server, "execute_reply", ident=identity)
            time.sleep(0.2)  # the reply arrives while the loop is busy ...
            channel.send(session.msg("comm_msg"))  # ... and this takes the signal of its arrival
            start = time.perf_counter()
            message = await waiting
            assert message["msg_type"] == "execute_reply"
            return time.perf_counter() - start


def test_a_lost_wake_up_costs_a_second_at_most():
    assert (
        asyncio.run(answer_behind_a_send(wake_ups._get_msg, timeout=3)) > 2
    )  # this is why the module is needed
    assert asyncio.run(answer_behind_a_send(AsyncZMQSocketChannel.get_msg, timeout=30)) < 3


def test_nothing_to_be_had_is_empty():
    async def wait():
        with zmq.asyncio.Context() as context, context.socket(zmq.PAIR) as socket:
            await AsyncZMQSocketChannel(socket, Session(key=b"a key")).get_msg(timeout=1.2)

    start = time.perf_counter()
    with pytest.raises(Empty):
        asyncio.run(wait())
    assert time.perf_counter() - start > 1.1
