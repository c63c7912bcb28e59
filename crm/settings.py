"""Settings. Two modes, chosen by ``CRM_MODE``: ``local`` (what ``make up`` runs) and ``production``."""

import contextlib
import os
import secrets
from pathlib import Path

import dj_database_url
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from crm.boot.embedded import database_url, redis_url

BASE_DIR = Path(__file__).resolve().parent.parent
STATE_DIR = Path(os.environ.get("CRM_STATE_DIR", BASE_DIR / ".local"))  # servers' data, sockets, mail, uploads

MODE = os.environ.get("CRM_MODE", "local")
if MODE not in {"local", "production"}:
    raise ImproperlyConfigured(f"CRM_MODE is {MODE!r}; it must be 'local' or 'production'")
LOCAL = MODE == "local"
DEBUG = False  # in both modes: a traceback is never a page


def _words(name, default=""):
    return [w for w in os.environ.get(name, default).replace(",", " ").split() if w]


def _secret_key():
    """From the environment; in local mode made once and kept in the state folder."""
    if key := os.environ.get("SECRET_KEY"):
        return key
    if not LOCAL:
        raise ImproperlyConfigured("SECRET_KEY must be set in production mode")
    path = STATE_DIR / "secret_key"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.write_text(secrets.token_urlsafe(64))
        fresh.chmod(0o600)
        with contextlib.suppress(FileExistsError):
            os.link(fresh, path)  # atomic: of two first starts one wins and both read the same key
        fresh.unlink()
    return path.read_text()


SECRET_KEY = _secret_key()
ALLOWED_HOSTS = _words("ALLOWED_HOSTS", "127.0.0.1 localhost [::1]" if LOCAL else "")
CSRF_TRUSTED_ORIGINS = _words("CSRF_TRUSTED_ORIGINS")


def _public_url():
    """Where clients reach us: as set, else the address of the `make up` that runs on this state folder."""
    if url := os.environ.get("PUBLIC_URL"):
        return url.rstrip("/")
    if port := os.environ.get("PORT"):
        return f"http://127.0.0.1:{port}"
    running = STATE_DIR / "up.lock"
    words = running.read_text().split() if running.exists() else []
    return words[-1].rstrip("/") if words else "http://127.0.0.1:8000"


PUBLIC_URL = _public_url()

INSTALLED_APPS = [
    "crm",
    "crm.core",
    "crm.automation",
    "leads",
    "deals",
    "scoring",
    "routing",
    "nurturing",
    "analytics",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "crm.core.apps.SignInsConfig",
    "csp",
    "crispy_forms",
    "django_filters",
    "django_htmx",
    "ninja",
]
MIDDLEWARE = [
    "crm.core.middleware.DatabaseDown",  # outermost: no database → 503 with Retry-After, never 500
    "django.middleware.security.SecurityMiddleware",
    "crm.core.middleware.StaticFiles",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "crm.core.middleware.Fragments",  # Vary, no-store; answers a fragment without a session before the next one redirects
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "crm.core.middleware.UserPreferences",  # language and time zone of the signed-in user
    "crm.core.middleware.Refusals",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",
]
BENCH = LOCAL and os.environ.get("CRM_BENCH") == "1"
if BENCH:
    MIDDLEWARE.insert(0, "crm.core.counting.CountQueries")
ROOT_URLCONF = "crm.urls"
ASGI_APPLICATION = "crm.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "crm.core.context.shell",
            ],
            "loaders": [
                (
                    "django.template.loaders.cached.Loader",
                    ["django.template.loaders.filesystem.Loader", "django.template.loaders.app_directories.Loader"],
                )
            ],
            "builtins": ["crm.core.templatetags.ui"],
        },
    }
]
FORM_RENDERER = "crm.core.renderer.Renderer"
INSTALLED_APPS.append("django.forms")
CRISPY_ALLOWED_TEMPLATE_PACKS = ("crm",)
CRISPY_TEMPLATE_PACK = "crm"

# --- Database -------------------------------------------------------------------------------------------------------
DATABASES = {"default": dj_database_url.parse(os.environ.get("DATABASE_URL") or database_url(STATE_DIR))}
if os.environ.get("DATABASE_REPLICA_URL"):
    DATABASES["replica"] = dj_database_url.parse(os.environ["DATABASE_REPLICA_URL"])
    DATABASES["replica"]["TEST"] = {"MIRROR": "default"}
REPORTS_DATABASE = "replica" if "replica" in DATABASES else "default"  # reports read from here, nothing else does
for _db in DATABASES.values():
    _db["DISABLE_SERVER_SIDE_CURSORS"] = False
    _db["OPTIONS"] = {
        "connect_timeout": 3,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 2,
        "tcp_user_timeout": 15000,
        "options": f"-c statement_timeout={os.environ.get('STATEMENT_TIMEOUT_MS', '30000')} -c lock_timeout=10000",
        "server_side_binding": True,
    }
    if os.environ.get("DB_POOL"):  # the web server: threads share a pool; workers hold one connection each
        _db["OPTIONS"]["pool"] = {"min_size": 2, "max_size": int(os.environ["DB_POOL"]), "timeout": 2.5}
    else:
        # The same few statements all day: planned once a connection, which spares a worker a third of its time.
        _db["OPTIONS"]["prepare_threshold"] = 3
        _db["CONN_MAX_AGE"] = None
        _db["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# Seconds for which a process trusts the rules, people and calendars it has read (crm.core.recent); 0: never.
CONFIG_TTL = 0 if "CRM_TESTING" in os.environ else 2
BROKER_URL = os.environ.get("REDIS_URL") or redis_url(STATE_DIR)

# --- Sign-in --------------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "core.User"
AUTHENTICATION_BACKENDS = ["crm.core.sign_in.Guard", "django.contrib.auth.backends.ModelBackend"]
LOGIN_URL = "core:login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "core:login"
if "CRM_TESTING" in os.environ:  # a real hash costs half a second a user: most of the suite would be hashing
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
PASSWORD_RESET_TIMEOUT = 24 * 3600  # seconds
SESSION_ENGINE = "django.contrib.sessions.backends.db"
SESSION_COOKIE_AGE = 14 * 24 * 3600  # seconds
SESSION_COOKIE_NAME = "crm_session" if LOCAL else "__Host-crm_session"
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = not LOCAL
CSRF_COOKIE_NAME = "crm_csrf" if LOCAL else "__Host-crm_csrf"
CSRF_COOKIE_SECURE = not LOCAL
CSRF_COOKIE_HTTPONLY = False  # htmx reads the token from the page, forms carry it themselves
CSRF_FAILURE_VIEW = "crm.core.views.csrf_failure"
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_CLIENT_IP_CALLABLE = "crm.core.proxies.client_address"  # else all who come by a proxy are locked out together
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_TEMPLATE = "registration/locked.html"
AXES_HTTP_RESPONSE_CODE = 429
AXES_ENABLE_ACCESS_FAILURE_LOG = True
AXES_ENABLE_ADMIN = False  # its tables are shown by crm.core.admin_sign_ins

# --- Transport and headers -------------------------------------------------------------------------------------------
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
if not LOCAL:
    SECURE_SSL_REDIRECT = True
    SECURE_REDIRECT_EXEMPT = [r"^healthz$"]
    SECURE_HSTS_SECONDS = 365 * 24 * 3600
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "frame-src": [SELF],
        "media-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "manifest-src": [SELF],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1000
DATA_UPLOAD_MAX_NUMBER_FILES = 20
FILE_UPLOAD_PERMISSIONS = 0o640
TRUSTED_PROXIES = int(os.environ.get("TRUSTED_PROXIES", "0"))  # hops whose X-Forwarded-For is believed

# --- Language, time, files -------------------------------------------------------------------------------------------
LANGUAGE_CODE = os.environ.get("LANGUAGE_CODE", "ru")
LANGUAGES = [("ru", _("Russian")), ("en", _("English"))]
USE_I18N = True
USE_TZ = True
TIME_ZONE = os.environ.get("TIME_ZONE", "Europe/Moscow")
LOCALE_PATHS = [BASE_DIR / "crm" / "locale"]
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = Path(os.environ.get("STATIC_ROOT", STATE_DIR / "static"))
MEDIA_ROOT = STATE_DIR / "media"
WHITENOISE_USE_FINDERS = LOCAL
STORAGES = {
    "default": {"BACKEND": "crm.core.storage.WholeFiles"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"
        if LOCAL
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}
if os.environ.get("S3_BUCKET"):
    STORAGES["default"] = {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": os.environ["S3_BUCKET"],
            "endpoint_url": os.environ.get("S3_ENDPOINT") or None,
            "default_acl": "private",
            "querystring_auth": True,
        },
    }

CLAMD = os.environ.get("CLAMD", "")  # address of a virus scanner: unix:/run/clamav/clamd.ctl or tcp://host:3310

# --- Mail: in local mode nothing leaves the machine --------------------------------------------------------------------
MAIL_DIR = STATE_DIR / "mail"
EMAIL_HOST = os.environ.get("EMAIL_HOST", "")
EMAIL_PORT = int(os.environ.get("EMAIL_PORT", "587"))
EMAIL_HOST_USER = os.environ.get("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = os.environ.get("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS = os.environ.get("EMAIL_USE_TLS", "0" if LOCAL else "1") == "1"
EMAIL_TIMEOUT = 20  # seconds
EMAIL_BACKEND = "leads.smtp.Backend" if EMAIL_HOST else "django.core.mail.backends.filebased.EmailBackend"
EMAIL_FILE_PATH = MAIL_DIR
DEFAULT_FROM_EMAIL = os.environ.get("DEFAULT_FROM_EMAIL", "crm@localhost")

# --- Logging: one line a record, no personal data, control characters escaped ------------------------------------------
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"()": "crm.core.logs.OneLine", "format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": os.environ.get("LOG_LEVEL", "WARNING")},
}
