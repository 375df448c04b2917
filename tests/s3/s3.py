#!/usr/bin/env python3
"""s3.py METHOD TARGET [HEADER: VALUE ...]: one signed request to $S3_ENDPOINT, the body from standard
input where there is one; prints the status, then the answer's body.  An independent signer, for
tests: what our own client must not be asked to do (make buckets, overwrite, delete by force).
s3.py --make BUCKET [lock]: a new bucket.
s3.py --retain BUCKET DAYS: lock all that is put from now on (default retention, COMPLIANCE).
s3.py --force BUCKET PREFIX: delete every version by its id; print how many went and how many stayed.
s3.py --size BUCKET PREFIX: print the bytes of all objects below it.
s3.py --destroy BUCKET [PREFIX]: overwrite every key with rubbish, then delete every key, by name."""
import base64
import hashlib
import hmac
import http.client
import os
import sys
import time
import urllib.parse
import xml.etree.ElementTree as ET

ENDPOINT = urllib.parse.urlsplit(os.environ["S3_ENDPOINT"])
ACCESS, SECRET = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
REGION = os.environ.get("AWS_REGION", "us-east-1")
NS = "{http://s3.amazonaws.com/doc/2006-03-01/}"


def mac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def quote(text, safe=""):
    return urllib.parse.quote(text, safe="-_.~" + safe)


def request(method, path, query=(), body=b"", headers=()):
    """PATH and the pairs of QUERY are plain text.  Return status, headers, body."""
    date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    payload = hashlib.sha256(body).hexdigest()
    signed = {"host": ENDPOINT.netloc, "x-amz-date": date, "x-amz-content-sha256": payload}
    signed.update({k.lower(): v.strip() for k, v in headers})
    path = quote(path, "/")
    encoded = "&".join(f"{k}={v}" for k, v in sorted((quote(k), quote(v)) for k, v in query))
    names = ";".join(sorted(signed))
    canonical = "\n".join([method, path, encoded,
                           *(f"{k}:{signed[k]}" for k in sorted(signed)), "", names, payload])
    scope = f"{date[:8]}/{REGION}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", date, scope,
                      hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + SECRET).encode()
    for part in scope.split("/"):
        key = mac(key, part)
    signed["authorization"] = (f"AWS4-HMAC-SHA256 Credential={ACCESS}/{scope},"
                               f"SignedHeaders={names},Signature={mac(key, text).hex()}")
    connection = http.client.HTTPConnection(ENDPOINT.hostname, ENDPOINT.port, timeout=60)
    connection.request(method, path + ("?" + encoded if encoded else ""), body, signed)
    answer = connection.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read()


def must(answer, *statuses):
    if answer[0] not in statuses:
        sys.exit(f"s3.py: {answer[0]} {answer[2].decode(errors='replace')}")
    return answer


def contents_of(bucket, prefix):
    token = None
    while True:
        query = [("list-type", "2"), ("prefix", prefix)]
        if token:
            query.append(("continuation-token", token))
        root = ET.fromstring(must(request("GET", f"/{bucket}/", query), 200)[2])
        yield from root.iter(NS + "Contents")
        token = root.findtext(NS + "NextContinuationToken")
        if root.findtext(NS + "IsTruncated") != "true":
            return


def keys_of(bucket, prefix):
    return (c.findtext(NS + "Key") for c in contents_of(bucket, prefix))


def destroy(bucket, prefix):
    keys = list(keys_of(bucket, prefix))
    for key in keys:
        must(request("PUT", f"/{bucket}/{key}", body=b"your files are encrypted"), 200)
    for key in keys:
        must(request("DELETE", f"/{bucket}/{key}"), 204)
    print(f"{len(keys)} keys overwritten and deleted")


def retain(bucket, days):
    body = ("<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule>"
            f"<DefaultRetention><Mode>COMPLIANCE</Mode><Days>{days}</Days></DefaultRetention>"
            "</Rule></ObjectLockConfiguration>").encode()
    md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
    must(request("PUT", f"/{bucket}", [("object-lock", "")], body, [("content-md5", md5)]), 200)


def force(bucket, prefix):
    answer = must(request("GET", f"/{bucket}/", [("versions", ""), ("prefix", prefix)]), 200)[2]
    root = ET.fromstring(answer)
    if root.findtext(NS + "IsTruncated") == "true":
        sys.exit("s3.py: more versions than one page")
    gone = 0
    versions = list(root.iter(NS + "Version"))
    for version in versions:
        status = must(request("DELETE", f"/{bucket}/{version.findtext(NS + 'Key')}",
                              [("versionId", version.findtext(NS + "VersionId"))]), 204, 403)[0]
        gone += status == 204
    print(f"{gone} versions gone, {len(versions) - gone} kept")


def main():
    if sys.argv[1] == "--make":
        lock = [("x-amz-bucket-object-lock-enabled", "true")] if "lock" in sys.argv[3:] else []
        must(request("PUT", f"/{sys.argv[2]}", headers=lock), 200, 409)
    elif sys.argv[1] == "--retain":
        retain(sys.argv[2], sys.argv[3])
    elif sys.argv[1] == "--force":
        force(sys.argv[2], sys.argv[3])
    elif sys.argv[1] == "--size":
        print(sum(int(c.findtext(NS + "Size")) for c in contents_of(*sys.argv[2:4])))
    elif sys.argv[1] == "--destroy":
        destroy(sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else "")
    else:
        target = urllib.parse.urlsplit(sys.argv[2])
        body = b"" if sys.stdin.isatty() else sys.stdin.buffer.read()
        status, _, answer = request(sys.argv[1], urllib.parse.unquote(target.path),
                                    urllib.parse.parse_qsl(target.query, True), body,
                                    [h.split(":", 1) for h in sys.argv[3:]])
        print(status)
        sys.stdout.buffer.write(answer)


main()
