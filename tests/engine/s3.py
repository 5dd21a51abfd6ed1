"""A server that speaks S3 over HTTP, with one bucket, in a process of its own: GDAL may ask while it holds
Python's lock.

``python s3.py`` prints its port and serves until its input ends.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
from botocore.client import BaseClient
from moto.server import ThreadedMotoServer

BUCKET = "bucket"


@dataclass(frozen=True)
class S3Server:
    """Where the server is, and what is in its bucket."""

    url: str
    client: BaseClient

    @property
    def environment(self) -> dict[str, str]:
        """Variables by which any client finds the server. One attempt: what it refuses is not waited for."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
        }

    def keys(self, prefix: str = "") -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return [found["Key"] for page in pages for found in page.get("Contents", ())]

    def upload(self, path: Path) -> str:
        """The file's address for GDAL."""
        self.client.upload_file(str(path), BUCKET, path.name)
        return f"s3://{BUCKET}/{path.name}"

    @contextmanager
    def checking_keys(self) -> Iterator[None]:
        """Within the block the server knows nobody's key."""
        self._post("reset-auth", b"0")
        try:
            yield
        finally:
            self._post("reset-auth", b"inf")

    def _post(self, what: str, data: bytes) -> None:
        headers = {"Content-Type": "text/plain"}
        request = urllib.request.Request(f"{self.url}/moto-api/{what}", data=data, headers=headers)
        with urllib.request.urlopen(request):
            pass


@contextmanager
def running_s3_server() -> Iterator[S3Server]:
    server = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="ascii"
    )
    url = f"http://127.0.0.1:{server.stdout.readline().strip()}"
    client = boto3.client(
        "s3",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
    )
    try:
        client.create_bucket(Bucket=BUCKET)
        yield S3Server(url, client)
    finally:
        client.close()
        server.communicate()


def serve() -> None:
    """Print the port and serve until standard input ends, as it does with the parent."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # else a line for each request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    print(server.get_host_and_port()[1], flush=True)
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    serve()
