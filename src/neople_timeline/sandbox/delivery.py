"""Putting a reply on the wire, or breaking the connection instead, in the middle or afterwards."""

import asyncio
import socket
import struct

from aiohttp import web

from neople_timeline.sandbox.answers import Reply

NO_LINGER = struct.pack("ii", 1, 0)
"""Closing such a socket sends a reset instead of a farewell."""


async def deliver(request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
    """Send a reply in the way it says."""
    response = web.Response(
        body=reply.body, status=reply.status, headers=reply.headers, content_type=reply.content_type, charset="utf-8"
    )
    if reply.breaks is None:
        return response
    if reply.breaks == "timeout":
        await asyncio.sleep(reply.seconds)
    elif reply.breaks == "reset_in_body":
        await _send_half(request, reply)
    elif reply.breaks == "reset_after":
        await response.prepare(request)
        await response.write_eof()
        await asyncio.sleep(0.02)
    reset(request)
    return response


async def _send_half(request: web.BaseRequest, reply: Reply) -> None:
    half = web.StreamResponse(headers={"Content-Type": reply.content_type, "Content-Length": str(len(reply.body))})
    await half.prepare(request)
    await half.write(reply.body[: len(reply.body) // 2])
    await asyncio.sleep(0.02)


def reset(request: web.BaseRequest) -> None:
    """End the connection with a TCP reset."""
    transport = request.transport
    if transport is None:
        return
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
    transport.abort()
