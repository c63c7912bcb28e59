"""Time zones that people choose from, by IANA name."""

from zoneinfo import available_timezones

ZONES = [(name, name.replace("_", " ")) for name in sorted(available_timezones()) if "/" in name and "Etc" not in name]
