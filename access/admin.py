"""Tokens at the desk: who has which, and what for; never by what they could be found out."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from access.grants import Scope
from access.models import LONGEST_TOKEN_DAYS, ApiToken
from lists.admin import Listed, is_superuser
from lists.cells import code, moment, state
from lists.search import exactly, through


class NewToken(forms.ModelForm[ApiToken]):
    """What a token is to be good for."""

    scopes = forms.MultipleChoiceField(choices=Scope, widget=forms.CheckboxSelectMultiple)
    days = forms.IntegerField(min_value=1, max_value=LONGEST_TOKEN_DAYS, initial=90)

    class Meta:
        model = ApiToken
        fields = ("user", "name", "scopes")


class Revocation(forms.ModelForm[ApiToken]):
    """Why a token is to end now."""

    revoked_reason = forms.CharField(label="Revoke it, because", max_length=255)

    class Meta:
        model = ApiToken
        fields = ("revoked_reason",)


def people_called(name: str) -> QuerySet[User, Any]:
    return User.objects.filter(username=name).values_list("pk", flat=True)


@admin.register(ApiToken)
class ApiTokenAdmin(Listed[ApiToken]):
    """A token is added, shown once, and revoked by saving a reason; nothing else of it changes."""

    list_display = ("token", "name", "user", "may", "issued", "stands", "revoked_reason")
    list_select_related = ("user",)
    readings = (exactly("token_key"), through("user_id", people_called))
    search_help_text = "How a token begins, as the list shows it, or whose it is"
    when_empty = "Storefronts send a token with each request. Nobody was given one yet."
    raw_id_fields = ("user",)

    def get_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> Any:
        if obj is None:
            return ("user", "name", "scopes", "days")
        return (*self.get_readonly_fields(request, obj), "revoked_reason")

    def get_readonly_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> Any:  # noqa: ARG002
        if obj is None:
            return ()
        return ("token", "name", "user", "may", "issued", "stands", "revoked_by")

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
        """Issue the token and show it this once; or end one that lives."""
        said = form.cleaned_data
        if change:
            living = ApiToken.objects.filter(pk=obj.pk)
            actor = request.user.get_username()
            ApiToken.objects.revoke(living, reason=said["revoked_reason"], actor=actor)
            return
        issued, secret = ApiToken.objects.issue(
            obj.user, name=obj.name, scopes=map(Scope, said["scopes"]), days=said["days"]
        )
        obj.pk, obj.token_key = issued.pk, issued.token_key
        self.message_user(
            request, f"Copy it now, it is not shown again: {secret}", messages.WARNING
        )

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Only superusers issue tokens: a token acts as its user, or as the shop."""
        return is_superuser(request)

    def has_change_permission(self, request: HttpRequest, obj: ApiToken | None = None) -> bool:
        """What is revoked stays as it is."""
        return super().has_change_permission(request, obj) and not (obj and obj.revoked_at)

    def has_delete_permission(self, *_: Any, **__: Any) -> bool:
        return False

    @admin.display(description="token")
    def token(self, each: ApiToken) -> SafeString | None:
        return code(f"{each.token_key}…")

    @admin.display(description="good for")
    def may(self, each: ApiToken) -> str:
        return ", ".join(each.scopes)

    @admin.display(description="issued (UTC)")
    def issued(self, each: ApiToken) -> SafeString | None:
        return moment(each.created)

    @admin.display(description="state")
    def stands(self, each: ApiToken) -> SafeString:
        word, _, rest = each.standing.partition(" ")
        return state(word, rest)
