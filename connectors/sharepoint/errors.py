"""What the refusals of Microsoft Graph and of Microsoft's sign-in mean.

Graph: https://learn.microsoft.com/en-us/graph/errors, https://learn.microsoft.com/en-us/onedrive/developer/rest-api/concepts/errors
Sign-in: https://learn.microsoft.com/en-us/entra/identity-platform/reference-error-codes

status and code                              error
401                                          FatalError sign-in-refused
403 accessDenied                             ItemError permission-denied
404, 410 itemNotFound                        ItemError not-found
409 nameAlreadyExists, 412 resourceModified  PreconditionFailed destination-changed
413                                          ItemError file-too-large
423 resourceLocked                           RetryableError locked
507 quotaLimitReached                        FatalError disk-full
400 invalidRequest about a name              ItemError name-refused
anything else                                ItemError refused
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from connectors.shared.calls import Refusal
from migration.errors import FatalError, ItemError, PreconditionFailed, RetryableError, SiteHaulError

CONFLICT = "destination-changed"
"""The code after which whoever asked knows what has changed."""
_TEXT_LENGTH_MAX = 200
_RIGHTS = (
    "Give the app Sites.ReadWrite.All (to read only: Sites.Read.All) in Microsoft Entra and let an administrator "
    "consent; an app with Sites.Selected needs the role write on this very site. A person needs the right to edit."
)
_Row = tuple[type[SiteHaulError], str, str, str]

_MEANINGS: Mapping[str, _Row] = MappingProxyType(
    {
        "signed-out": (
            FatalError, "sign-in-refused", "Microsoft does not accept the sign-in",
            "Check that an administrator has consented to what the app may do, and tenant and cloud of the connection: "
            "a token of another of Microsoft's clouds is refused like that.",
        ),
        "denied": (ItemError, "permission-denied", "the app or the person may not do that there", _RIGHTS),
        "missing": (ItemError, "not-found", "it is not there", "Run again; the next analysis sees what is there now."),
        "conflict": (
            PreconditionFailed, CONFLICT, "what is there has changed", "Run again; the next plan decides anew.",
        ),
        "large": (
            ItemError, "file-too-large", "it is larger than SharePoint takes (250 GB)", "Leave it out of the job.",
        ),
        "locked": (
            RetryableError, "locked", "somebody has it open or checked out, or the site is locked",
            "Close it in Office, check it in, or unlock the site; it is tried again.",
        ),
        "full": (
            FatalError, "disk-full", "the storage of the site or person is used up",
            "Raise the site's storage limit in the SharePoint admin center, buy storage or make room, and run again.",
        ),
        "name": (
            ItemError, "name-refused", "it does not take the name",
            "Rename it at the source, or let the job rename what the destination refuses.",
        ),
        "other": (ItemError, "refused", "it does not say more", "Look the words up in Microsoft's documentation."),
    }
)  # fmt: skip
_BY_STATUS: Mapping[int, str] = MappingProxyType(
    {401: "signed-out", 403: "denied", 404: "missing", 409: "conflict", 410: "missing", 412: "conflict", 413: "large",
     423: "locked", 507: "full"}
)  # fmt: skip
_BY_CODE: Mapping[str, str] = MappingProxyType(
    {
        "accessdenied": "denied", "itemnotfound": "missing", "namealreadyexists": "conflict",
        "resourcemodified": "conflict", "resourcelocked": "locked", "quotalimitreached": "full",
        "insufficientstorage": "full", "unauthenticated": "signed-out", "invalidauthenticationtoken": "signed-out",
    }
)  # fmt: skip
_ABOUT_A_NAME = re.compile(r"\bname\b", re.IGNORECASE)


def meaning_of(refusal: Refusal) -> SiteHaulError:
    """The error of a refusal; what Microsoft says goes into its message."""
    code, text = _said(refusal)
    kind = _BY_CODE.get(code.lower()) or _BY_STATUS.get(refusal.status) or "other"
    if kind == "other" and refusal.status == 400 and _ABOUT_A_NAME.search(text):
        kind = "name"
    error, own_code, reason, fix = _MEANINGS[kind]
    said = ", ".join(part for part in (f"HTTP {refusal.status}", code, text) if part)
    return error(own_code, f"Microsoft refused to {refusal.what}: {reason} ({said}).", fix=fix)


def _said(refusal: Refusal) -> tuple[str, str]:
    values = refusal.json()
    said = values.get("error") if isinstance(values, dict) else None
    if not isinstance(said, dict):
        return "", ""
    return str(said.get("code") or ""), _plain(str(said.get("message") or ""))


def _plain(text: str) -> str:
    return re.sub(r"[^\x20-\x7e]+", " ", text)[:_TEXT_LENGTH_MAX].strip().rstrip(".")


_SIGN_IN: Mapping[int, tuple[str, str]] = MappingProxyType(
    {
        7000215: (
            "the client secret is wrong",
            "Give the secret's value, not its ID; if it is lost, make a new secret under Certificates & secrets.",
        ),
        7000222: (
            "the client secret has expired",
            "Make a new secret under Certificates & secrets of the app registration and connect again with it.",
        ),
        700027: (
            "the certificate is not one of the app, or has expired",
            "Upload the certificate under Certificates & secrets of the app registration, and check its dates.",
        ),
        700016: (
            "the tenant has no app with this client ID",
            "Check the client ID and the tenant ID; they are on the overview page of the app registration.",
        ),
        65001: (
            "nobody has consented to what the app may do",
            "Let an administrator press Grant admin consent under API permissions of the app registration.",
        ),
        90002: (
            "there is no such tenant in this cloud",
            "Check the tenant ID, and the cloud if the tenant is one of a government or in China.",
        ),
        900023: (
            "the tenant ID is neither an ID nor a domain",
            "Give the directory (tenant) ID that the overview page of the app registration shows.",
        ),
        7000218: (
            "the app does not allow people to sign in with a code",
            "Set Allow public client flows to Yes under Authentication of the app registration.",
        ),
        50105: (
            "the person is not assigned to the app",
            "Assign the person under Enterprise applications, Users and groups, or turn the assignment off.",
        ),
        53003: (
            "a Conditional Access rule forbids it",
            "Ask the administrator which rule it was (sign-in logs in Entra), and for an exception for this app.",
        ),
        50076: (
            "a second factor is wanted",
            "Connect again with `sitehaul connect` and complete the second factor in the browser.",
        ),
        70018: ("the person declined", "Connect it again with `sitehaul connect` and agree in the browser."),
        70020: ("nobody has entered the code in time", "Connect it again with `sitehaul connect` and be quicker."),
        50034: ("there is no such person in the tenant", "Check the user name and the tenant ID."),
    }
)
_TO_SIGN_IN_ANEW = frozenset({700082, 50173, 70008, 50078, 54005, 70043, 50089})
"""The refresh token is too old, was revoked or used up."""
_OTHER = (
    "Microsoft refuses it",
    "Look the number up at https://login.microsoftonline.com/error, and check tenant ID, client ID and secret.",
)


def sign_in_refusal(values: Mapping[str, Any], *, for_a_person: bool) -> SiteHaulError:
    """The error of a refused sign-in, given the token address's answer: FatalError `sign-in-refused`, or
    `sign-in-expired` when a person has to sign in anew."""
    text = _plain(str(values.get("error_description") or values.get("error") or ""))
    numbers = [int(number) for number in re.findall(r"AADSTS(\d+)", text)]
    known = next((number for number in numbers if number in _SIGN_IN), None)
    said = f" ({text})" if text else ""
    if for_a_person and known is None and (_TO_SIGN_IN_ANEW & set(numbers) or values.get("error") == "invalid_grant"):
        return FatalError(
            "sign-in-expired",
            f"The person's sign-in is no longer valid{said}.",
            fix="Connect it again with `sitehaul connect`; it says where to sign in.",
        )
    reason, fix = _OTHER if known is None else _SIGN_IN[known]
    return FatalError("sign-in-refused", f"Microsoft refused the sign-in: {reason}{said}.", fix=fix)
