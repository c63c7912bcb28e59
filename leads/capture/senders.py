"""Whose pages may post to a source. Pure."""

from urllib.parse import urlsplit


def origin_allowed(source, origin):
    """Whether a page of this origin may post: its host is listed (a list, or words) or below a listed ``*.host``."""
    allowed = source.settings.get("origins") or []
    allowed = allowed.replace(",", " ").split() if isinstance(allowed, str) else allowed
    host = (urlsplit(origin).hostname or "").lower()
    hosts = {(urlsplit(a).hostname if "//" in a else a.partition(":")[0]) or "" for a in map(str.lower, allowed)}
    return bool(host) and (host in hosts or any(h.startswith("*.") and host.endswith(h[1:]) for h in hosts))
