#!/usr/bin/env python3
"""fault_proxy.py LISTEN-PORT TARGET-PORT FILE: passes HTTP on 127.0.0.1 through and breaks it as the
JSON object in FILE says, which is read again for every request:
  p503, p500     answer so (SlowDown, InternalError) without asking the target
  p_lose         the target does the work, the reply is lost: reset
  p_reset        reset before anything
  p_hang         say nothing until the client gives up
  reset_get_at   reset each answer to a GET after so many bytes of it
  p_cut          close in the middle of an answer's body
  part           only requests whose head holds this text are broken
Every request has a connection of its own, so that each rolls the dice.  SEED in the environment."""
import asyncio
import json
import os
import random
import socket
import struct
import sys

LISTEN, TARGET, FILE = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
DICE = random.Random(int(os.environ.get("SEED", "1")))


def rules():
    try:
        with open(FILE, encoding="utf-8") as f:
            return json.load(f)
    except (OSError, ValueError):
        return {}


def reset(writer):
    writer.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def refuse(writer, status, code):
    body = f'<?xml version="1.0"?><Error><Code>{code}</Code></Error>'
    writer.write((f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nConnection: close\r\n"
                  f"Content-Length: {len(body)}\r\n\r\n{body}").encode())
    await writer.drain()


async def pump(reader, writer, limit=None):
    """Pass bytes on; True when ${limit} was reached."""
    done = 0
    while data := await reader.read(65536):
        if limit is not None and done + len(data) >= limit:
            writer.write(data[:limit - done])
            await writer.drain()
            return True
        writer.write(data)
        await writer.drain()
        done += len(data)
    return False


async def serve(reader, writer):
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        rule = rules()
        is_meant = rule.get("part", "").encode() in head
        hit = {k for k, p in rule.items() if k.startswith("p") and k != "part" and is_meant and
               DICE.random() < p}
        if "p_reset" in hit:
            return reset(writer)
        if "p_hang" in hit:
            await reader.read(1 << 30)
            return None
        for key, status, code in (("p503", "503 Slow Down", "SlowDown"),
                                  ("p500", "500 Internal Server Error", "InternalError")):
            if key in hit:
                return await refuse(writer, status, code)
        from_target, to_target = await asyncio.open_connection("127.0.0.1", TARGET)
        line, _, rest = head.partition(b"\r\n")
        to_target.write(line + b"\r\nConnection: close\r\n" + rest)
        up = asyncio.create_task(pump(reader, to_target))
        limit = None
        if is_meant and line.startswith(b"GET ") and "reset_get_at" in rule:
            limit = rule["reset_get_at"]
        elif "p_cut" in hit:
            limit = 1000
        if "p_lose" in hit:
            while await from_target.read(65536):
                pass
            reset(writer)
        elif await pump(from_target, writer, limit) and "p_cut" not in hit:
            await asyncio.sleep(0.02)  # so that the bytes before arrive
            reset(writer)
        up.cancel()
        to_target.close()
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", LISTEN)
    async with server:
        await server.serve_forever()


asyncio.run(main())
