"""The simulator's switches. What Procore's documentation leaves open is a switch here, with the harsher default."""

from dataclasses import asdict, dataclass, replace
from typing import Any, get_type_hints


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How this Procore behaves. Changeable while it runs (control host, PUT /settings)."""

    hourly_calls: int = 3600
    spike_calls: int = 100
    hourly_window_seconds: float = 3600.0
    spike_window_seconds: float = 10.0
    fixed_windows: bool = False
    """False: sliding windows. True: windows that begin at multiples of their length."""
    rate_limit_per_company: bool = False
    retry_after_on_429: bool = False
    count_storage: bool = False
    """Whether downloads from the storage host count as calls (they then carry the rate headers)."""
    access_token_seconds: int = 5400
    per_page_default: int = 100
    per_page_max: int = 0
    """Clamp of the v1.0 index; 0 = none."""
    v2_per_page_error: bool = False
    """True: a per_page over 100 is a 400 instead of clamped."""
    version_bumps_updated_at: bool = False
    link_seconds: float = 0.0
    """Lifetime of a download link; 0 = for ever."""
    blob_seconds: float = 300.0
    """Lifetime of the signed address a link redirects to."""
    direct_bytes: bool = False
    """The storage host serves the bytes itself instead of redirecting."""
    extra_hop: bool = False
    """The storage host redirects once to itself before it redirects to the blob host."""
    ranges: bool = True
    latency_ms: float = 0.0
    bytes_per_second: float = 0.0
    """Cap of one body's rate; 0 = none."""
    error_shape: str = "documented"
    """How v1 errors look: each as API.md shows it, or all as string, list, object, message, text or html."""
    clean_names: bool = True
    case_insensitive_names: bool = True
    move_bumps_descendants: bool = False
    """Whether moving a folder changes the `updated_at` of what is in it."""
    company_header_strict: bool = True
    """False: a company_id parameter may stand in for the header; a service account needs none on /me and /companies."""
    oauth_on_api_host: bool = False
    """Whether the API host answers /oauth/… too, as the old common host app.procore.com does."""
    random_version_order: bool = True
    null_references: bool = False
    """What stands for no private or tracked folder above, no check-out, no children: nothing (the only form the OpenAPI
    subset's schemas allow), or null."""
    installed: bool = True
    """Whether the app is connected to the company."""
    index_v1: bool = True
    """Whether the v1.0 index still exists (else 404)."""
    upload_seconds: float = 3600.0
    upload_keep_seconds: float = 7 * 86400.0

    def changed(self, values: dict[str, Any]) -> "Settings":
        """These settings with some changed. Raises ValueError naming an unknown switch or a value of the wrong type."""
        kinds = get_type_hints(Settings)
        for name, value in values.items():
            if name not in kinds:
                raise ValueError(f"there is no switch '{name}'; there are: {', '.join(sorted(kinds))}")
            accepted = (int, float) if kinds[name] is float else kinds[name]
            if not isinstance(value, accepted):
                raise ValueError(f"the switch '{name}' takes a {kinds[name].__name__}, not {value!r}")
        return replace(self, **values)

    def described(self) -> dict[str, Any]:
        """Every switch and its value."""
        return asdict(self)

    def parsed(self, assignments: list[str]) -> "Settings":
        """These settings changed by `name=value` texts. Raises ValueError as `changed` does."""
        kinds = get_type_hints(Settings)
        values: dict[str, Any] = {}
        for assignment in assignments:
            name, separator, text = assignment.partition("=")
            if not separator:
                raise ValueError(f"'{assignment}' is not of the form name=value")
            kind = kinds.get(name, str)
            values[name] = text.lower() in ("1", "true", "yes", "on") if kind is bool else kind(text)
        return self.changed(values)
