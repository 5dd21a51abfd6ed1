"""Rasters in object stores that speak S3: one set of variables for GDAL and for everybody else.

Amazon's tools and fsspec's s3fs take the server from ``AWS_ENDPOINT_URL``; GDAL has its own variables for it.
Source: https://gdal.org/user/virtual_file_systems.html (/vsis3/), and
https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import urlsplit


def endpoint_options(path: str, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """GDAL's options for the server in ``AWS_ENDPOINT_URL_S3`` or ``AWS_ENDPOINT_URL``.

    None for other paths, and none where GDAL's own variable names the server.

    >>> endpoint_options("s3://bucket/a.tif", {"AWS_ENDPOINT_URL": "http://store:9000"})
    {'AWS_S3_ENDPOINT': 'store:9000', 'AWS_HTTPS': 'NO', 'AWS_VIRTUAL_HOSTING': 'FALSE'}
    >>> endpoint_options("a.tif", {"AWS_ENDPOINT_URL": "http://store:9000"})
    {}
    """
    url = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
    if not url or "AWS_S3_ENDPOINT" in environment or not path.startswith(("s3://", "/vsis3/")):
        return {}
    parts = urlsplit(url)
    return {
        "AWS_S3_ENDPOINT": f"{parts.netloc}{parts.path}".rstrip("/"),
        "AWS_HTTPS": "NO" if parts.scheme == "http" else "YES",
        # Servers of one's own seldom have a name for each bucket.
        "AWS_VIRTUAL_HOSTING": "FALSE",
    }
