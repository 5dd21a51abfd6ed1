"""Web addresses as they may be said: without what gives access to a file."""

from __future__ import annotations

import re

_ADDRESS = re.compile(
    r"""(?P<start> [\w+.-]:// | /vsi\w+/? (?=\?))  # https:// and the like; /vsicurl?url=…
        (?P<user> [^\s/?#]*@)?                    # user and password
        (?P<place> [^\s?#]*)
        (?P<query> [?#]\S*)?                      # signatures and tokens""",
    re.VERBOSE,
)

_OF_THE_SENTENCE = "])'\">:;,."
"""What may stand between an address and the space behind it."""


def without_secrets(text: str) -> str:
    """A message whose addresses keep no user and password, and nothing that a server is asked.

    >>> without_secrets("https://me:word@host/field.tif?X-Amz-Signature=1: is damaged")
    'https://…@host/field.tif?…: is damaged'
    >>> without_secrets("what? a/b.tif, s3://bucket/field.tif (no such key)")
    'what? a/b.tif, s3://bucket/field.tif (no such key)'
    """
    return _ADDRESS.sub(_said, text)


def _said(found: re.Match[str]) -> str:
    user = "…@" if found["user"] else ""
    query = found["query"] or ""
    if query:
        query = f"{query[0]}…{query[len(query[0] + query[1:].rstrip(_OF_THE_SENTENCE)) :]}"
    return f"{found['start']}{user}{found['place']}{query}"
