"""How a request to S3 proves who it comes from: Signature Version 4.

https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
"""

import asyncio
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from connectors.s3.settings import S3Settings
from migration.errors import ConfigurationError, FatalError

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key with its secret."""

    access_key_id: str
    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


class CredentialSource:
    """Where the credentials come from: the settings, or what this machine has."""

    def __init__(self, settings: S3Settings) -> None:
        self._profile = settings.profile
        self._fixed: Credentials | None = None
        self._machine: Any = None
        self._asking = asyncio.Lock()
        if settings.access_key_id is not None and settings.secret_access_key is not None:
            token = settings.session_token
            self._fixed = Credentials(
                settings.access_key_id,
                settings.secret_access_key.get_secret_value(),
                None if token is None else token.get_secret_value(),
            )

    async def current(self) -> Credentials:
        """Valid now, renewed if need be. ConfigurationError `no-credentials`, FatalError `sign-in-refused`."""
        if self._fixed is not None:
            return self._fixed
        async with self._asking:
            frozen = await asyncio.to_thread(self._of_this_machine)
        return Credentials(frozen.access_key, frozen.secret_key, frozen.token)

    def _of_this_machine(self) -> Any:
        import botocore.session  # type: ignore[import-untyped]
        from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]

        try:
            if self._machine is None:
                self._machine = botocore.session.Session(profile=self._profile).get_credentials()
            if self._machine is None:
                raise ConfigurationError(
                    "no-credentials",
                    "This machine has no AWS credentials: no role, no profile and nothing in the environment.",
                    fix="Give the connection an access key with --access-key-id, or give this machine a role.",
                )
            return self._machine.get_frozen_credentials()
        except BotoCoreError as error:
            raise FatalError(
                "sign-in-refused",
                f"The AWS credentials of this machine cannot be used ({type(error).__name__}).",
                fix="Check the role or profile of this machine, for example with `aws sts get-caller-identity`.",
            ) from error


class Signature:
    """Signs requests for one region."""

    def __init__(self, region: str) -> None:
        self._region = region
        self._kept: tuple[str, str, bytes] | None = None

    def signed(
        self,
        credentials: Credentials,
        at: datetime,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content_sha256: str,
    ) -> dict[str, str]:
        """The headers, their names in small letters, with those that sign the request.

        `url` is escaped already, its query sorted. `headers` values have no outer spaces.
        """
        parts = urlsplit(url)
        moment = at.strftime("%Y%m%dT%H%M%SZ")
        whole = {name.lower(): value for name, value in headers.items()}
        whole |= {"host": parts.netloc, "x-amz-content-sha256": content_sha256, "x-amz-date": moment}
        if credentials.token is not None:
            whole["x-amz-security-token"] = credentials.token
        names = sorted(whole)
        lines = "".join(f"{name}:{whole[name]}\n" for name in names)
        asked = f"{method}\n{parts.path or '/'}\n{parts.query}\n{lines}\n{';'.join(names)}\n{content_sha256}"
        scope = f"{moment[:8]}/{self._region}/s3/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(asked.encode()).hexdigest()}"
        signature = hmac.digest(self._key(credentials, moment[:8]), text.encode(), "sha256").hex()
        whole["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={credentials.access_key_id}/{scope}, "
            f"SignedHeaders={';'.join(names)}, Signature={signature}"
        )
        return whole

    def _key(self, credentials: Credentials, day: str) -> bytes:
        if self._kept is not None and self._kept[:2] == (day, credentials.secret):
            return self._kept[2]
        key = f"AWS4{credentials.secret}".encode()
        for word in (day, self._region, "s3", "aws4_request"):
            key = hmac.digest(key, word.encode(), "sha256")
        self._kept = (day, credentials.secret, key)
        return key
