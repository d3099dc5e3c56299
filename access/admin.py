"""API tokens at the desk. A token's secret is shown once, its digest never."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest
from django.utils.safestring import SafeString

from access.credentials import Scope
from access.models import MAX_TOKEN_DAYS, ApiToken
from adminkit.admin import PagedAdmin, is_superuser
from adminkit.cells import code, state, timestamp
from adminkit.search import search_exact, search_username


class NewToken(forms.ModelForm[ApiToken]):
    """The form for a new token."""

    scopes = forms.MultipleChoiceField(choices=Scope, widget=forms.CheckboxSelectMultiple)
    days = forms.IntegerField(min_value=1, max_value=MAX_TOKEN_DAYS, initial=90)

    class Meta:
        model = ApiToken
        fields = ("user", "name", "scopes")


class Revocation(forms.ModelForm[ApiToken]):
    """The form that revokes a token."""

    revoked_reason = forms.CharField(label="Reason for revoking", max_length=255)

    class Meta:
        model = ApiToken
        fields = ("revoked_reason",)


@admin.register(ApiToken)
class ApiTokenAdmin(PagedAdmin[ApiToken]):
    """A token is added and shown once; saving a reason revokes it. No other change is possible."""

    list_display = ("token", "name", "user", "scope_list", "issued", "status", "revoked_reason")
    list_select_related = ("user",)
    searches = (search_exact("token_key"), search_username("user_id"))
    search_help_text = "The beginning of a token, as the list shows it, or a whole username"
    empty_text = "A storefront sends a token with each request. There is no token yet."
    raw_id_fields = ("user",)

    def get_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> Any:
        if obj is None:
            return ("user", "name", "scopes", "days")
        return (*self.get_readonly_fields(request, obj), "revoked_reason")

    def get_readonly_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> Any:  # noqa: ARG002
        if obj is None:
            return ()
        return ("token", "name", "user", "scope_list", "issued", "status", "revoked_by")

    def get_form(
        self,
        request: HttpRequest,
        obj: ApiToken | None = None,
        change: bool = False,  # noqa: FBT001, FBT002 - Django's signature
        **kwargs: Any,
    ) -> Any:
        kwargs["form"] = NewToken if obj is None else Revocation
        return super().get_form(request, obj, change, **kwargs)

    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: bool) -> None:  # noqa: FBT001
        """Issue a token and show its secret once, or revoke an existing token."""
        data = form.cleaned_data
        if change:
            tokens = ApiToken.objects.filter(pk=obj.pk)
            actor = request.user.get_username()
            ApiToken.objects.revoke(tokens, reason=data["revoked_reason"], actor=actor)
            return
        issued, secret = ApiToken.objects.issue(
            obj.user, name=obj.name, scopes=map(Scope, data["scopes"]), days=data["days"]
        )
        obj.pk, obj.token_key = issued.pk, issued.token_key
        self.message_user(
            request, f"Copy the token now. It is not shown again: {secret}", messages.WARNING
        )

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Only superusers issue tokens: a token acts as its user, or as the shop."""
        return is_superuser(request)

    def has_change_permission(self, request: HttpRequest, obj: ApiToken | None = None) -> bool:
        """A revoked token is read-only."""
        return super().has_change_permission(request, obj) and not (obj and obj.revoked_at)

    def has_delete_permission(self, *_: Any, **__: Any) -> bool:
        return False

    @admin.display(description="token")
    def token(self, token: ApiToken) -> SafeString | None:
        return code(f"{token.token_key}…")

    @admin.display(description="scopes")
    def scope_list(self, token: ApiToken) -> str:
        return ", ".join(token.scopes)

    @admin.display(description="issued (UTC)")
    def issued(self, token: ApiToken) -> SafeString | None:
        return timestamp(token.created)

    @admin.display(description="state")
    def status(self, token: ApiToken) -> SafeString:
        word, _, rest = token.status_text.partition(" ")
        return state(word, rest)
