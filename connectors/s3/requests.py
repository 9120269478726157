"""What requests to S3 are made of."""

from collections.abc import Mapping
from urllib.parse import quote

from connectors.shared.objects import Condition

_UNRESERVED = "-._~"


def escaped_key(key: str) -> str:
    """A key in an address."""
    return quote(key, safe=f"/{_UNRESERVED}")


def query_of(values: Mapping[str, str]) -> str:
    """A query, escaped and sorted as the signature wants it."""
    return "&".join(
        f"{quote(name, safe=_UNRESERVED)}={quote(values[name], safe=_UNRESERVED)}" for name in sorted(values)
    )


def condition_headers(condition: Condition) -> dict[str, str]:
    """What the service is to check before it publishes.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
    """
    if condition.always:
        return {}
    return {"If-None-Match": "*"} if condition.version_id is None else {"If-Match": f'"{condition.version_id}"'}
