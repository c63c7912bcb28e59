"""Whose pages may post to a source. Pure."""

from urllib.parse import urlsplit


def host_of(address):
    """The host of a web address in lower case; "" for what is none: senders write anything."""
    try:
        parts = urlsplit(address)
        return (parts.hostname or "").lower() if parts.scheme in {"http", "https"} else ""
    except ValueError:
        return ""


def origin_allowed(source, origin):
    """Whether a page of this origin may post: its host is listed (a list, or words) or below a listed ``*.host``."""
    allowed = source.settings.get("origins") or []
    allowed = allowed.replace(",", " ").split() if isinstance(allowed, str) else allowed
    host = host_of(origin)
    hosts = {host_of(a) if "//" in a else a.partition(":")[0] for a in map(str.lower, allowed)}
    return bool(host) and (host in hosts or any(h.startswith("*.") and host.endswith(h[1:]) for h in hosts))
