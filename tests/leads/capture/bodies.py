"""Real bodies of providers, where the shared data lie beside the repository, and ways to sign and break them."""

import base64
import hashlib
import hmac
import json
import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("CRM_SHARED", Path(__file__).resolve().parents[4] / "shared")) / "real" / "webhooks"
FORM, JSON = "application/x-www-form-urlencoded", "application/json"


def body_of(*path):
    file = SHARED.joinpath(*path)
    if not file.exists():
        pytest.skip(f"NO SHARED DATA: {file} is not there")
    return file.read_bytes().strip()


def json_of(*path):
    return json.loads(body_of(*path))


def packed(value):
    """A JSON value as providers in PHP write it: ASCII alone."""
    return json.dumps(value).encode()


def signature(secret, raw, *, algorithm="sha256", encoding="hex", prefix=""):
    digest = hmac.new(secret.encode(), raw, getattr(hashlib, algorithm)).digest()
    return prefix + (digest.hex() if encoding == "hex" else base64.b64encode(digest).decode())
