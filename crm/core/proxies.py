"""Who asks, where proxies of ours stand before us."""

from ipaddress import ip_address

from django.conf import settings


def client_address(request):
    """The sender's address: as many X-Forwarded-For hops are believed as there are trusted proxies."""
    hops = [hop.strip() for hop in request.headers.get("X-Forwarded-For", "").split(",") if hop.strip()]
    trusted = settings.TRUSTED_PROXIES
    told = _plain(hops[-trusted]) if trusted and len(hops) >= trusted else ""
    return told or request.META.get("REMOTE_ADDR") or ""


def _plain(hop):
    """A hop as an address without brackets; "" for what is none."""
    try:
        return str(ip_address(hop.strip("[]")))
    except ValueError:
        return ""
