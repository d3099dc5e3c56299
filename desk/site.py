"""The desk's admin site: login with two factors, dashboard, content security policy."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

from csp.constants import UNSAFE_EVAL, UNSAFE_INLINE
from csp.decorators import csp_update
from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils.decorators import method_decorator
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from unfold.sites import UnfoldAdminSite

from desk import dashboard, login_throttle, second_factor, sessions

# Exceptions for django-unfold; our own pages need none. Alpine compiles the expressions in its
# attributes. A few elements have sizes in a style attribute. The hash is that of the one style sheet
# that unfold writes into a page.
DESK_POLICY: Final = {
    "script-src": [UNSAFE_EVAL],
    "style-src-attr": [UNSAFE_INLINE],
    "style-src": ["'sha256-+MEQ/O07HiRf96s+FyiSQj7xKrHjGPZWCed2MyGUBF4='"],
}


class DeskSite(UnfoldAdminSite):
    """The admin site at ``/admin/``."""

    enable_nav_sidebar = True
    index_title = "Dashboard"
    index_template = "desk/dashboard.html"

    def has_permission(self, request: HttpRequest) -> bool:
        """Allow staff only, with a second factor if DESK_REQUIRES_MFA."""
        return super().has_permission(request) and not self.lacks_second_factor(request)

    def lacks_second_factor(self, request: HttpRequest) -> bool:
        """Return whether the user is staff and has not yet shown a second factor."""
        return (
            bool(settings.DESK_REQUIRES_MFA)
            and super().has_permission(request)
            and not second_factor.is_verified(request)
        )

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:  # noqa: FBT001, FBT002 - Django's
        return csp_update(DESK_POLICY)(super().admin_view(view, cacheable))

    @method_decorator(csp_update(DESK_POLICY))
    @method_decorator(never_cache)
    def login(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if self.lacks_second_factor(request):
            parameters = urlencode({"next": request.GET.get("next", "")})
            return HttpResponseRedirect(f"{reverse('admin:second_factor')}?{parameters}")
        response = super().login(request, extra_context)
        if request.method == "POST" and response.status_code == HTTPStatus.FOUND:
            sessions.start(request)
            if isinstance(request.user, User) and self.has_permission(request):
                login_throttle.trust_browser(response, request.user)
        return response

    def index(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        figures = dashboard.figures() if dashboard.may_see_dashboard(request) else {}
        return super().index(request, {**figures, **(extra_context or {})})

    def get_urls(self) -> list[URLResolver | URLPattern]:
        """Add the pages that staff reach before their second factor: verify, enrol, log out.

        Django's redirect to an object's page on the public site is left out. No object has such a
        page, and the redirect answers 500 to an id that is not a UUID.
        """
        before_second_factor: list[URLResolver | URLPattern] = [
            path(
                "second-factor/", self._after_password(second_factor.verify), name="second_factor"
            ),
            path("second-factor/enrol/", self._after_password(second_factor.enrol), name="enrol"),
            path("logout/", self.logout, name="logout"),
        ]
        figures = path("figures/", self.admin_view(dashboard.figures_fragment), name="figures")
        django_urls = [
            url for url in super().get_urls() if getattr(url, "name", "") != "view_on_site"
        ]
        return [*before_second_factor, figures, *django_urls]

    def _after_password(self, view: Callable[..., HttpResponse]) -> Any:
        """Open a view to staff who have shown a password; redirect others to the login."""

        @never_cache
        @csp_update(DESK_POLICY)
        def guarded_view(request: HttpRequest) -> HttpResponse:
            if not UnfoldAdminSite.has_permission(self, request):
                return HttpResponseRedirect(reverse("admin:login"))
            return view(request, self.each_context(request))

        return guarded_view

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        """Return the context without the colours that unfold writes into each page (see adminkit.css)."""
        return super().each_context(request) | {"colors": None}
