#!/usr/bin/env python3
"""at_prompt.py PREFIX PROMPT ANSWER COMMAND...: run the command with a terminal for its input.  When
its standard error shows PROMPT the file PREFIX.asked is made; when there is PREFIX.go, ANSWER is
typed.  What the command says goes through; its status is ours."""
import os
import pty
import subprocess
import sys
import time

prefix, prompt, answer = sys.argv[1:4]
terminal, inside = pty.openpty()
p = subprocess.Popen(sys.argv[4:], stdin=inside, stderr=subprocess.PIPE)
os.close(inside)
said = b""
while prompt.encode() not in said:
    part = os.read(p.stderr.fileno(), 4096)
    if not part:
        break
    said += part
open(prefix + ".asked", "w").close()
while p.poll() is None and not os.path.exists(prefix + ".go"):
    time.sleep(0.02)
if p.poll() is None:
    os.write(terminal, answer.encode() + b"\n")
said += p.stderr.read()
sys.stderr.buffer.write(said)
sys.exit(p.wait())
