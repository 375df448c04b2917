#!/usr/bin/env python3
"""s3.py METHOD TARGET [HEADER: VALUE ...]: one signed request to $S3_ENDPOINT, the body from standard
input where there is one; prints the status, then the answer's body.  An independent signer, for
tests: what our own client must not be asked to do (make buckets, overwrite, delete by force).
s3.py --make BUCKET [lock]: a new bucket.
s3.py --retain BUCKET DAYS: lock all that is put from now on (default retention, COMPLIANCE).
s3.py --force BUCKET PREFIX: delete every version by its id; print how many went and how many stayed.
s3.py --ordinary BUCKET: from now on nobody may delete versions in it (a bucket policy).
s3.py --bypass BUCKET PREFIX: the same, claiming the right to end GOVERNANCE.
s3.py --shorten BUCKET PREFIX: let every lock end in a minute; print how many do.
s3.py --locks BUCKET PREFIX: print how many keys are locked, in which modes, and how many not.
s3.py --versions BUCKET PREFIX: print how many versions there are, and how many of them are hidden.
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


def keys_of(bucket, prefix):
    token = None
    while True:
        query = [("list-type", "2"), ("prefix", prefix)]
        if token:
            query.append(("continuation-token", token))
        root = ET.fromstring(must(request("GET", f"/{bucket}/", query), 200)[2])
        yield from (c.findtext(NS + "Key") for c in root.iter(NS + "Contents"))
        token = root.findtext(NS + "NextContinuationToken")
        if root.findtext(NS + "IsTruncated") != "true":
            return


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


def versions_of(bucket, prefix, markers=False):
    """Key, id and whether it is a marker and the newest one of every version, in order."""
    query = [("versions", ""), ("prefix", prefix)]
    while True:
        root = ET.fromstring(must(request("GET", f"/{bucket}/", query), 200)[2])
        for child in root:
            is_marker = child.tag == NS + "DeleteMarker"
            if child.tag == NS + "Version" or (markers and is_marker):
                yield (child.findtext(NS + "Key"), child.findtext(NS + "VersionId"), is_marker,
                       child.findtext(NS + "IsLatest") == "true")
        if root.findtext(NS + "IsTruncated") != "true":
            return
        query = [("versions", ""), ("prefix", prefix),
                 ("key-marker", root.findtext(NS + "NextKeyMarker")),
                 ("version-id-marker", root.findtext(NS + "NextVersionIdMarker"))]


def force(bucket, prefix, headers=()):
    gone = kept = 0
    for key, version, _, _ in list(versions_of(bucket, prefix)):
        status = must(request("DELETE", f"/{bucket}/{key}", [("versionId", version)],
                              headers=headers), 204, 403)[0]
        gone += status == 204
        kept += status != 204
    print(f"{gone} versions gone, {kept} kept")


def make_ordinary(bucket):
    body = ('{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", '
            '"Action": ["s3:DeleteObjectVersion"], '
            f'"Resource": ["arn:aws:s3:::{bucket}/*"]}}]}}').encode()
    must(request("PUT", f"/{bucket}", [("policy", "")], body), 200, 204)


def shorten(bucket, prefix):
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 60))
    done = 0
    for mode in "GOVERNANCE", "COMPLIANCE":
        body = (f"<Retention><Mode>{mode}</Mode><RetainUntilDate>{until}</RetainUntilDate>"
                "</Retention>").encode()
        md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
        for key, version, _, _ in list(versions_of(bucket, prefix)):
            done += must(request("PUT", f"/{bucket}/{key}",
                                 [("retention", ""), ("versionId", version)], body,
                                 [("content-md5", md5),
                                  ("x-amz-bypass-governance-retention", "true")]),
                         200, 403)[0] == 200
    print(f"{done} shortened")


def locks(bucket, prefix):
    modes = []
    for key in keys_of(bucket, prefix):
        headers = must(request("GET", f"/{bucket}/{key}"), 200)[1]
        headers = {name.lower(): value for name, value in headers.items()}
        modes.append(headers.get("x-amz-object-lock-mode"))
    locked = [mode for mode in modes if mode]
    print(f"{len(locked)} locked {' '.join(sorted(set(locked)))}, {len(modes) - len(locked)} not")


def count_versions(bucket, prefix):
    own = f"{prefix}tmp/"
    all_of = [v for v in versions_of(bucket, prefix, True) if not v[0].startswith(own)]
    print(f"{len(all_of)} versions, {sum(not v[3] or v[2] for v in all_of)} hidden")


def main():
    if sys.argv[1] == "--make":
        lock = [("x-amz-bucket-object-lock-enabled", "true")] if "lock" in sys.argv[3:] else []
        must(request("PUT", f"/{sys.argv[2]}", headers=lock), 200, 409)
    elif sys.argv[1] == "--retain":
        retain(sys.argv[2], sys.argv[3])
    elif sys.argv[1] == "--force":
        force(sys.argv[2], sys.argv[3])
    elif sys.argv[1] == "--ordinary":
        make_ordinary(sys.argv[2])
    elif sys.argv[1] == "--bypass":
        force(sys.argv[2], sys.argv[3], [("x-amz-bypass-governance-retention", "true")])
    elif sys.argv[1] == "--shorten":
        shorten(sys.argv[2], sys.argv[3])
    elif sys.argv[1] == "--locks":
        locks(sys.argv[2], sys.argv[3])
    elif sys.argv[1] == "--versions":
        count_versions(sys.argv[2], sys.argv[3])
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
