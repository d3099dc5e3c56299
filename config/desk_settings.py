"""Settings of the desk: login, sessions, cookies, appearance."""

from datetime import timedelta
from typing import Any

from config.env import Section
from config.web_settings import HTTPS

SECTION = Section("Operations desk")
DESK_REQUIRES_MFA = SECTION.flag(
    "DESK_REQUIRES_MFA",
    "Staff log in with a second factor. 0 on a laptop.",
    default=True,
)
STOREFRONT_URL = SECTION.address(
    "STOREFRONT_URL",
    "The storefront's address, such as https://shop.example. The desk links to the API's "
    "documentation there. If it is empty, the desk has the link only with SERVE=both.",
    "",
)
FLOWER_URL = SECTION.address(
    "FLOWER_URL", "The address of Flower, for the desk's link; empty for none.", ""
)

# The page after a login without a ``next`` parameter.
LOGIN_REDIRECT_URL = "admin:index"
CSRF_FAILURE_VIEW = "orders.api.http.error_pages.csrf_failure"

# Browsers accept __Host- cookies only over TLS, for this host and all its paths.
SESSION_COOKIE_NAME = "__Host-session" if HTTPS else "session"
CSRF_COOKIE_NAME = "__Host-csrf" if HTTPS else "csrf"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
# The longest that a session can last; desk.sessions ends it earlier.
SESSION_COOKIE_AGE = 12 * 60 * 60
SESSION_EXPIRE_AT_BROWSER_CLOSE = True

# The first hashes new passwords. The second reads older hashes, which a login replaces.
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS: list[dict[str, Any]] = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]

OTP_TOTP_ISSUER = "Holdfast"

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
# Five wrong passwords or codes for one username from one address lock that pair for 15 minutes: the
# user can still log in from elsewhere. desk.login_throttle adds two more limits.
AXES_HANDLER = "desk.login_throttle.LoginLimiter"
AXES_FAILURE_LIMIT = 5
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
# A correct password does not reset the count of wrong codes: desk.second_factor does, after both.
AXES_RESET_ON_SUCCESS = False
AXES_CLIENT_IP_CALLABLE = "access.client_ip.client_key_address"
AXES_LOCKOUT_TEMPLATE = "desk/locked_out.html"
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False

UNFOLD = {
    "SITE_TITLE": "Holdfast",
    "SITE_HEADER": "Holdfast",
    "SITE_SUBHEADER": "Operations desk",
    "SITE_SYMBOL": "anchor",
    "SITE_URL": None,
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": "desk.navigation.icon"}],
    "SHOW_VIEW_ON_SITE": False,
    "STYLES": ["desk.navigation.shared_styles", "desk.navigation.desk_styles"],
    "SIDEBAR": {"show_search": False, "navigation": "desk.navigation.sidebar"},
}
