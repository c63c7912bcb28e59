"""Bodies that providers really sent, from the shared data beside the repository; tests of them skip aloud without."""

import json
import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("CRM_SHARED", Path(__file__).resolve().parents[4] / "shared")) / "real" / "webhooks"


def bodies(provider):
    """{name: bytes} of a provider; a file of several named bodies gives each as file/name."""
    folder = SHARED / provider
    if not folder.is_dir():
        pytest.skip(f"NO SHARED DATA: {folder} is not there", allow_module_level=True)
    return {path.stem: path.read_bytes() for path in sorted(folder.glob("*.json"))}


def cases(provider):
    """{file/case: body as JSON bytes} of files that hold one object a case."""
    found = {}
    for name, raw in bodies(provider).items():
        for case, value in json.loads(raw).items():
            found[f"{name}/{case}"] = json.dumps(value).encode()
    return found
