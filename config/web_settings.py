"""Settings of a web process: pages, host names, TLS, security headers."""

from typing import Any

from config import headers, serving
from config.env import Section
from config.serving import Serve

SECTION = Section("Web")

SERVE = serving.parse_serve(
    SECTION.text(
        "SERVE",
        "What a web process serves: `storefront` (the API), `desk`, or `both`. The Procfile sets it for "
        "`desk`. Without it `manage.py` takes `both`.",
        Serve.STOREFRONT.value,
    )
)
DEBUG = SECTION.flag(
    "DEBUG",
    "Shows errors with their source code. Never set it where others have access.",
    default=False,
)
SECRET_KEY = SECTION.text(
    "SECRET_KEY", "Signs sessions, guest links and decision links.", is_secret=True
)
SECRET_KEY_FALLBACKS = SECTION.list_of_text(
    "SECRET_KEY_FALLBACKS", "Former keys: their signatures are still accepted.", []
)
_storefront_hosts = SECTION.list_of_text(
    "ALLOWED_HOSTS",
    "Host names of the storefront. Without `DESK_HOSTS` they are the desk's too.",
    ["localhost", "127.0.0.1"],
)
_desk_hosts = SECTION.list_of_text(
    "DESK_HOSTS",
    "Host names of the desk. A process that serves both answers under all names, so host names "
    "do not hide the desk.",
    [],
)
ALLOWED_HOSTS = serving.allowed_hosts(SERVE, _storefront_hosts, _desk_hosts)
CSRF_TRUSTED_ORIGINS = SECTION.list_of_text(
    "CSRF_TRUSTED_ORIGINS",
    "Origins that may send the desk's forms, such as https://desk.example. The storefront has none.",
    [],
)

HTTPS = SECTION.flag(
    "HTTPS",
    "Clients use TLS only: cookies are secure, HTTP is redirected, browsers remember it (HSTS). "
    "0 on a laptop.",
    default=True,
)
PROXIES = SECTION.number(
    "PROXIES",
    "How many proxies are in front. The last one adds to X-Forwarded-For. All of them drop an "
    "X-Forwarded-Proto that a client sent. With 0, both headers are ignored.",
    1,
)
CLIENT_TIMEOUT_SECONDS = SECTION.number(
    "CLIENT_TIMEOUT_SECONDS",
    "How long a client may send nothing in the middle of a request, or not read its answer. Then "
    "its connection is closed, within two seconds. Until then it holds a thread. Keep this below "
    "the 12 seconds in which web and desk stop.",
    10,
    at_least=1,
)

MIDDLEWARE = serving.MIDDLEWARE[SERVE]
ROOT_URLCONF = serving.URLCONF[SERVE]
SILENCED_SYSTEM_CHECKS = serving.SILENCED_CHECKS[SERVE]
WSGI_APPLICATION = "config.wsgi.application"
STATIC_URL = "static/"
# WhiteNoise serves static files from the packages: no collectstatic to forget.
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

CONTENT_SECURITY_POLICY: dict[str, Any] = headers.CONTENT_SECURITY_POLICY
SECURE_SSL_REDIRECT = HTTPS
# Health checks and Prometheus ask the process itself, by HTTP.
SECURE_REDIRECT_EXEMPT = [r"^health/", r"^metrics$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if PROXIES else None
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
