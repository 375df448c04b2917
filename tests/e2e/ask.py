#!/usr/bin/env python3
"""ask.py METHOD PATH [BODY]: one request to the people's port that HOLDFAST_SERVER names, with the
token and the CA of HOLDFAST_TOKEN_FILE and HOLDFAST_CA; prints the answer, fails unless it is 2xx."""
import http.client
import os
import ssl
import sys

context = ssl.create_default_context(cafile=os.environ["HOLDFAST_CA"])
host, port = os.environ["HOLDFAST_SERVER"].rsplit(":", 1)
token = open(os.environ["HOLDFAST_TOKEN_FILE"]).read().strip()
c = http.client.HTTPSConnection(host, int(port), context=context, timeout=20)
c.request(sys.argv[1], sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None,
          {"Authorization": "Bearer " + token, "Content-Type": "application/json"})
a = c.getresponse()
print(a.read().decode())
sys.exit(0 if a.status // 100 == 2 else 1)
