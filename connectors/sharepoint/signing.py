"""Signing in at Microsoft Entra with MSAL, Microsoft's own library.

* As the app itself, by secret or certificate:
  https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-client-creds-grant-flow
* As a person, who enters a code in a browser anywhere; a refresh token goes on from there:
  https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-device-code

MSAL blocks, so it works in a thread; it speaks through a client of this connection's trust and timeouts.
"""

import asyncio
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msal  # type: ignore[import-untyped]
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from connectors.shared.bearer import Renewing, sign_in_needed
from connectors.shared.services import Ask, Services, Tell
from connectors.sharepoint.errors import sign_in_refusal
from connectors.sharepoint.settings import SharePointSettings
from connectors.tokens import Tokens
from migration.errors import ConfigurationError, FatalError, RetryableError, SiteHaulError

_PEM = re.compile(r"-----BEGIN ([A-Z ]+)-----.+?-----END \1-----", re.DOTALL)
_PENDING = frozenset({"authorization_pending", "slow_down"})
_SLOWER_SECONDS = 5
"""How much longer to wait after `slow_down` (RFC 8628, section 3.5)."""


class SignIn(Renewing):
    """Gives access tokens to the calls of one connection."""

    def __init__(self, settings: SharePointSettings, services: Services, tls: ssl.SSLContext | None) -> None:
        super().__init__(client_id=settings.client_id, store=services.tokens, clock=services.clock)
        self._settings = settings
        self._tls = tls

    async def obtain(self, stored: Tokens | None) -> Tokens:
        settings = self._settings
        if not settings.acts_for_a_person:
            values = await self.asked(lambda app: app.acquire_token_for_client([settings.scope]))
            return self.understood(values, None)
        if stored is None or stored.refresh_token is None:
            raise sign_in_needed(settings.display_name)
        token = stored.refresh_token
        values = await self.asked(lambda app: app.acquire_token_by_refresh_token(token, [settings.scope]))
        return self.understood(values, stored)

    async def asked(self, ask: Callable[[Any], Any], *, accept: frozenset[str] = frozenset()) -> dict[str, Any]:
        """What an application of MSAL answers, unless it is an error that is not accepted."""
        values = dict(await asyncio.to_thread(self._ask, ask))
        if "error" in values and values["error"] not in accept:
            raise sign_in_refusal(values, for_a_person=self._settings.acts_for_a_person)
        return values

    def _ask(self, ask: Callable[[Any], Any]) -> Any:
        settings = self._settings
        credential = None if settings.acts_for_a_person else _credential(settings)
        made = msal.PublicClientApplication if settings.acts_for_a_person else msal.ConfidentialClientApplication
        with _translated(settings), self._client() as client:
            app = made(
                settings.client_id, authority=settings.authority, validate_authority=False, instance_discovery=False,
                http_client=client, client_credential=credential,
            )  # fmt: skip
            return ask(app)

    def _client(self) -> "_Client":
        timeouts = self._settings.timeouts
        return _Client(
            verify=self._tls or ssl.create_default_context(),
            timeout=httpx.Timeout(timeouts.read_seconds, connect=timeouts.connect_seconds),
            trust_env=False,
        )


class _Client(httpx.Client):
    """What MSAL speaks through. It gives some values of forms as bytes, as `requests` takes them."""

    def post(self, url: Any, *, data: Any = None, **how: Any) -> httpx.Response:
        form = {name: value.decode() if isinstance(value, bytes) else value for name, value in (data or {}).items()}
        return super().post(url, data=form, **how)


async def sign_in(settings: SharePointSettings, services: Services, *, tell: Tell, ask: Ask) -> None:  # noqa: ARG001
    """Let a person sign in with a code, which Microsoft gives and the person enters in any browser.

    FatalError `sign-in-refused` when the person declines or the code expires.
    """
    signing, clock = SignIn(settings, services, settings.tls()), services.clock
    flow = await signing.asked(lambda app: app.initiate_device_flow([settings.scope]))
    tell("Open this address in a browser, on any machine, and sign in:")
    tell(str(flow["verification_uri"]))
    tell(f"Enter this code there: {flow['user_code']}")
    seconds, ends_at = float(flow.get("interval", 5)), clock.monotonic() + float(flow.get("expires_in", 900))
    # MSAL waits between its questions by itself, in its thread, unless the flow seems to be over.
    once = {**flow, "expires_at": 0, "interval": 1}
    while True:
        await clock.sleep(seconds)
        values = await signing.asked(lambda app: app.acquire_token_by_device_flow(once), accept=_PENDING)
        if "error" not in values:
            break
        if clock.monotonic() >= ends_at:
            raise FatalError(
                "sign-in-refused",
                "Nobody has entered the code in time.",
                fix="Connect it again with `sitehaul connect` and enter the new code within a quarter of an hour.",
            )
        seconds += _SLOWER_SECONDS if values["error"] == "slow_down" else 0
    async with services.tokens.exclusive():
        await services.tokens.save(signing.understood(values, None))


def _credential(settings: SharePointSettings) -> str | dict[str, str]:
    """As MSAL wants it. ConfigurationError `certificate-unreadable`."""
    if settings.client_secret is not None:
        return settings.client_secret.get_secret_value()
    assert settings.certificate_file is not None
    certificate = _blocks(settings.certificate_file, "CERTIFICATE", settings)
    key = _blocks(settings.private_key_file or settings.certificate_file, "PRIVATE KEY", settings)
    password = settings.private_key_password.get_secret_value() if settings.private_key_password else None
    try:
        load_pem_private_key(key.encode(), None if password is None else password.encode())
    except (ValueError, TypeError) as error:
        raise _unreadable(settings, f"the private key cannot be opened ({error})") from None
    credential = {"private_key": key, "public_certificate": certificate}
    return credential if password is None else credential | {"passphrase": password}


def _blocks(path: Path, kind: str, settings: SharePointSettings) -> str:
    try:
        text = path.read_text("ascii")
    except (OSError, ValueError) as error:
        raise _unreadable(settings, f"{path} cannot be read ({error})") from error
    blocks = [block.group(0) for block in _PEM.finditer(text) if block.group(1).endswith(kind)]
    if not blocks:
        raise _unreadable(settings, f"{path} holds no {kind.lower()} in PEM form")
    return "\n".join(blocks)


def _unreadable(settings: SharePointSettings, what: str) -> ConfigurationError:
    return ConfigurationError(
        "certificate-unreadable",
        f"The certificate of {settings.display_name} cannot be used: {what}.",
        fix="Give certificate and private key in PEM form as --certificate-file and --private-key-file.",
    )


@contextmanager
def _translated(settings: SharePointSettings) -> Iterator[None]:
    try:
        yield
    except (msal.exceptions.MsalServiceError, httpx.HTTPStatusError) as error:
        raise RetryableError(
            "unreachable",
            f"Microsoft's sign-in does not work at the moment ({error}).".replace("\n", " "),
            fix="Look at Microsoft's service health, and run again later.",
        ) from error
    except httpx.TransportError as error:
        raise _lost(settings, error) from error
    except ValueError as error:
        raise _refused_before(error, settings) from error


def _lost(settings: SharePointSettings, error: httpx.TransportError) -> SiteHaulError:
    if any("CERTIFICATE_VERIFY_FAILED" in str(cause) for cause in _causes(error)):
        return FatalError(
            "untrusted-host",
            "Microsoft's sign-in cannot prove who it is: its certificate is not trusted.",
            fix="If a proxy with an authority of its own stands in between, give its certificate with --ca-file.",
        )
    return RetryableError(
        "unreachable",
        f"Microsoft's sign-in cannot be reached ({type(error).__name__}).",
        fix=f"Check that this machine may reach {settings.authority.rsplit('/', 1)[0]}, and name server and firewall.",
    )


def _refused_before(error: ValueError, settings: SharePointSettings) -> SiteHaulError:
    """MSAL gives up without an answer of the token address, above all when the tenant is not there."""
    values: Mapping[str, Any] = {"error_description": " ".join(_codes(str(cause)) for cause in _causes(error))}
    return sign_in_refusal(values, for_a_person=settings.acts_for_a_person)


def _codes(text: str) -> str:
    return " ".join(re.findall(r"AADSTS\d+", text))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
