"""Only superusers give access at the desk, whatever permissions other staff have and send."""

from typing import Any

import pytest
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.management import create_contenttypes
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from access.credentials import Scope
from access.models import ApiToken
from tests.support.staff_login import new_authenticator

USERS = "/admin/auth/user/"
GROUPS = "/admin/auth/group/"
TOKENS = "/admin/access/apitoken/"
ABOUT_ACCESS = ("auth", "access", "otp_totp", "otp_static", "contenttypes", "sessions", "admin")
OLD = "correct horse battery"
HASH = PBKDF2PasswordHasher().encode(OLD, "salt", iterations=1)
"""Faster to compute than production's hashes, and accepted too."""
NEW = "a quite different staple"
NEW_PASSWORD = {"password1": NEW, "password2": NEW, "usable_password": "true"}

Rows = dict[str, list[str]]


@pytest.fixture
def content_types(db: None) -> None:
    """Clear the cache. These tests roll back, which is faster than flushing the tables."""
    ContentType.objects.clear_cache()


@pytest.fixture(autouse=True)
def known_permissions(content_types: None) -> None:
    """Create the rows that migrations create; the flush after other tests deletes them."""
    for label in (*ABOUT_ACCESS, "orders"):
        create_contenttypes(apps.get_app_config(label), verbosity=0)
        create_permissions(apps.get_app_config(label), verbosity=0)


@pytest.fixture
def boss(grace: User) -> Group:
    """A role with all permissions; grace, a superuser, has a second factor."""
    new_authenticator(grace)
    group = Group.objects.create(name="boss")
    group.permissions.set(Permission.objects.all())
    return group


@pytest.fixture
def bob(boss: Group) -> User:
    """Staff with one permission."""
    bob = User.objects.create(
        username="bob", email="bob@shop.example", password=HASH, is_staff=True
    )
    bob.user_permissions.add(permission("orders.view_order"))
    return bob


@pytest.fixture
def carol(bob: User) -> User:
    """A customer whose account is deactivated."""
    return User.objects.create(username="carol", password=HASH, is_active=False)


@pytest.fixture
def paul(carol: User) -> User:
    """Staff with every permission on users, groups, tokens and second factors."""
    paul = User.objects.create(username="paul", password=HASH, is_staff=True)
    paul.user_permissions.set(Permission.objects.filter(content_type__app_label__in=ABOUT_ACCESS))
    return paul


@pytest.fixture
def pauls(paul: User) -> Client:
    client = Client()
    client.force_login(paul, "django.contrib.auth.backends.ModelBackend")
    assert client.get(USERS).status_code == 200
    return client


def permission(name: str) -> Permission:
    app, _, codename = name.partition(".")
    return Permission.objects.get(content_type__app_label=app, codename=codename)


def everything() -> Rows:
    """Return every row of every table except sessions, with the members of groups."""
    models = apps.get_models(include_auto_created=True)
    return {
        model._meta.label: list(model._default_manager.order_by("pk").values_list())
        for model in models
        if model is not Session
    }


def page(user: User) -> str:
    return f"{USERS}{user.pk}/change/"


def escalated(user: User) -> dict[str, Any]:
    """Return the whole form of a superuser, with values that would give access."""
    return {
        "username": "mallory",
        "password": "pbkdf2_sha256$1$a$b",
        "first_name": user.first_name,
        "last_name": user.last_name,
        "email": user.email,
        **({"is_active": "on"} if user.is_active else {}),
        "is_staff": "on",
        "is_superuser": "on",
        "groups": [group.pk for group in Group.objects.all()],
        "user_permissions": list(Permission.objects.values_list("pk", flat=True)),
        "last_login_0": "2020-01-01",
        "last_login_1": "00:00:00",
        "date_joined_0": "2020-01-01",
        "date_joined_1": "00:00:00",
        "_save": "Save",
    }


@pytest.mark.parametrize("name", ["paul", "bob", "carol"])
def test_staff_give_no_user_more_rights(pauls: Client, name: str) -> None:
    user = User.objects.get(username=name)
    before = everything()

    answer = pauls.post(page(user), escalated(user))

    assert answer.status_code == 302
    assert without_log(everything()) == without_log(before)


def test_staff_change_nothing_of_a_superuser(pauls: Client, grace: User) -> None:
    before = everything()

    harmless = {"first_name": "Mallory", "last_name": "M", "email": "m@shop.example"}
    answers = [
        pauls.post(page(grace), {**escalated(grace), "is_active": ""}).status_code,
        pauls.post(page(grace), harmless).status_code,
        pauls.post(f"{USERS}{grace.pk}/password/", NEW_PASSWORD).status_code,
        pauls.post(f"{USERS}{grace.pk}/delete/", {"post": "yes"}).status_code,
    ]

    assert answers == [403] * 4
    assert everything() == before


def test_staff_set_no_password(pauls: Client) -> None:
    before = everything()

    answers = [
        pauls.post(f"{USERS}{user.pk}/password/", sent).status_code
        for user in User.objects.all()
        for sent in (
            NEW_PASSWORD,
            {**NEW_PASSWORD, "set-password": "Set"},
            {"usable_password": "false", "unset-password": "Unset"},
        )
    ]
    forms = [pauls.get(f"{USERS}{user.pk}/password/").status_code for user in User.objects.all()]

    assert (answers, forms) == ([403] * 12, [403] * 4)
    assert everything() == before


def test_staff_add_and_delete_no_user(pauls: Client, bob: User, paul: User) -> None:
    before = everything()

    added = {**escalated(paul), **NEW_PASSWORD, "username": "mallory"}
    answers = [
        pauls.post(f"{USERS}add/", added).status_code,
        pauls.post(f"{USERS}add/?_popup=1", added).status_code,
        pauls.post(page(bob), {**escalated(bob), "_saveasnew": "Save as new"}).status_code,
        pauls.post(f"{USERS}{bob.pk}/delete/", {"post": "yes"}).status_code,
    ]

    assert answers == [403] * 4
    assert everything() == before


def test_staff_change_no_role(pauls: Client, paul: User, boss: Group) -> None:
    mine = Group.objects.create(name="mine")
    paul.groups.add(mine)
    before = everything()

    all_of_them = list(Permission.objects.values_list("pk", flat=True))
    answers = [
        pauls.post(f"{GROUPS}{mine.pk}/change/", {"name": "mine", "permissions": all_of_them}),
        pauls.post(f"{GROUPS}{mine.pk}/change/", {"name": "ours", "permissions": []}),
        pauls.post(f"{GROUPS}add/", {"name": "new", "permissions": all_of_them}),
        pauls.post(f"{GROUPS}{boss.pk}/delete/", {"post": "yes"}),
    ]

    assert [answer.status_code for answer in answers] == [403] * 4
    assert everything() == before


@pytest.mark.parametrize("address", [USERS, GROUPS])
def test_staff_do_nothing_in_bulk(pauls: Client, address: str) -> None:
    pks = [*User.objects.values_list("pk", flat=True), *Group.objects.values_list("pk", flat=True)]
    before = everything()

    for action in ("delete_selected", "reset_second_factor", "make_superuser", "change", ""):
        ticked = {"action": action, "_selected_action": pks, "post": "yes", "select_across": "1"}
        pauls.post(address, ticked)
        assert everything() == before, action
    rows = {"form-TOTAL_FORMS": "1", "form-INITIAL_FORMS": "1", "form-0-id": pks[0]}
    pauls.post(address, {**rows, "form-0-is_superuser": "on", "_save": "Save"})

    assert everything() == before
    assert TOTPDevice.objects.count() == 1


def test_the_desk_has_no_pages_for_second_factors_permissions_and_sessions(
    pauls: Client, paul: User
) -> None:
    device = TOTPDevice.objects.get()
    recovery = StaticDevice.objects.create(user=paul, name="Recovery codes")
    before = everything()

    rows = {
        "otp_totp/totpdevice": device.pk,
        "otp_static/staticdevice": recovery.pk,
        "auth/permission": Permission.objects.earliest("pk").pk,
        "contenttypes/contenttype": ContentType.objects.earliest("pk").pk,
        "sessions/session": "x",
        "knox/authtoken": "x",
    }
    sent = {"user": paul.pk, "name": "mine", "key": "00" * 20, "confirmed": "on", "post": "yes"}
    for name, pk in rows.items():
        for path in ("", "add/", f"{pk}/change/", f"{pk}/delete/"):
            assert pauls.post(f"/admin/{name}/{path}", sent).status_code == 404, (name, path)

    assert everything() == before


def test_staff_issue_no_token_and_may_revoke_one(pauls: Client, grace: User, bob: User) -> None:
    token, _ = ApiToken.objects.issue(bob, scopes=[Scope.READ])
    before = everything()

    asked = {"name": "x", "scopes": [Scope.SHOP.value, Scope.READ.value], "days": 30}
    answers = [
        pauls.post(f"{TOKENS}add/", {**asked, "user": user.pk}).status_code for user in (grace, bob)
    ]
    untouched = everything() == before
    revoked = {**asked, "user": grace.pk, "revoked_reason": "lost", "expiry_0": "2099-01-01"}
    pauls.post(f"{TOKENS}{token.pk}/change/", revoked)

    assert (answers, untouched) == ([403, 403], True)
    found = ApiToken.objects.get()
    assert (found.user, found.scopes, found.expiry) == (bob, [Scope.READ], token.expiry)
    assert (found.revoked_by, found.revoked_reason) == ("paul", "lost")


def test_staff_see_no_forms_that_they_may_not_send(
    pauls: Client, grace: User, bob: User, boss: Group
) -> None:
    change = pauls.get(page(bob))
    view = pauls.get(page(grace))
    group = pauls.get(f"{GROUPS}{boss.pk}/change/")

    fields = {"first_name", "last_name", "email", "is_active"}
    assert set(change.context["adminform"].form.fields) == fields
    assert set(view.context["adminform"].form.fields) == set()
    assert set(group.context["adminform"].form.fields) == set()
    for answer in (change, view):
        assert "/password/" not in answer.content.decode()
        assert "pbkdf2" not in answer.content.decode()
    for address in (USERS, GROUPS, TOKENS):
        assert f"{address}add/" not in pauls.get(address).content.decode()


def test_staff_change_names_and_addresses_and_deactivate(pauls: Client, bob: User) -> None:
    signed_in = Client()
    signed_in.force_login(bob, "django.contrib.auth.backends.ModelBackend")
    was_in = signed_in.get("/admin/").status_code
    changed = {"first_name": "Robert", "last_name": "B", "email": "robert@shop.example"}

    answer = pauls.post(page(bob), changed)  # a checkbox that is not ticked is not sent

    assert answer.status_code == 302
    found = User.objects.get(pk=bob.pk)
    assert (found.first_name, found.last_name, found.email) == tuple(changed.values())
    assert (found.is_active, found.is_staff, found.password) == (False, True, bob.password)
    assert (was_in, signed_in.get("/admin/").status_code) == (200, 302)
    assert LogEntry.objects.get().user.get_username() == "paul"


def test_staff_do_not_activate_again(pauls: Client, carol: User) -> None:
    changed = {"first_name": "Carol", "last_name": "", "email": "", "is_active": "on"}

    answer = pauls.post(page(carol), changed)

    carol.refresh_from_db()
    assert answer.status_code == 302
    assert (carol.first_name, carol.is_active) == ("Carol", False)


def test_staff_write_only_the_columns_that_they_changed(pauls: Client, bob: User) -> None:
    """A superuser may take bob's rights away between the read and the write of this request."""
    changed = {"first_name": "", "last_name": "", "email": "b@shop.example", "is_active": "on"}

    with CaptureQueriesContext(connection) as queries:
        pauls.post(page(bob), changed)

    writes = [query["sql"] for query in queries if query["sql"].startswith('UPDATE "auth_user"')]
    assert len(writes) == 1
    assert writes[0].startswith('UPDATE "auth_user" SET "email" = ')
    assert writes[0].count('" = ') == 2  # the other one is the key


def test_staff_who_may_only_look_change_nothing(pauls: Client, paul: User, bob: User) -> None:
    paul.user_permissions.set([permission("auth.view_user"), permission("auth.view_group")])
    before = everything()

    answers = [pauls.post(page(user), escalated(user)).status_code for user in (paul, bob)]

    assert answers == [403, 403]
    assert pauls.get(page(bob)).status_code == 200
    assert everything() == before


def test_staff_change_their_own_password_with_the_old_one(pauls: Client, paul: User) -> None:
    changed = {"new_password1": NEW, "new_password2": NEW}

    refused = pauls.post("/admin/password_change/", {**changed, "old_password": "a guess"})
    was = User.objects.get(pk=paul.pk).password
    taken = pauls.post("/admin/password_change/", {**changed, "old_password": OLD})

    assert (refused.status_code, was, taken.status_code) == (200, paul.password, 302)
    assert User.objects.get(pk=paul.pk).check_password(NEW)


def test_a_superuser_may_do_all_of_this(desk: Client, bob: User, boss: Group) -> None:
    made = desk.post(f"{USERS}add/", {"username": "dora", **NEW_PASSWORD})
    dora = User.objects.get(username="dora")
    raised = desk.post(page(dora), {**escalated(dora), "username": "dora", "is_superuser": ""})
    set_ = desk.post(f"{USERS}{bob.pk}/password/", {**NEW_PASSWORD, "set-password": "Set"})
    changed = desk.post(f"{GROUPS}{boss.pk}/change/", {"name": "chief", "permissions": []})
    deleted = desk.post(f"{GROUPS}{boss.pk}/delete/", {"post": "yes"})
    issued = desk.post(
        f"{TOKENS}add/", {"user": bob.pk, "name": "x", "scopes": [Scope.READ.value], "days": 1}
    )

    answers = [made, raised, set_, changed, deleted, issued]
    assert [answer.status_code for answer in answers] == [302] * len(answers)
    dora.refresh_from_db()
    assert (dora.is_staff, dora.is_superuser, dora.user_permissions.exists()) == (True, False, True)
    assert User.objects.get(pk=bob.pk).check_password(NEW)
    assert not Group.objects.exists()
    assert ApiToken.objects.get().user == bob


def without_log(rows: Rows) -> Rows:
    """Return the rows without the change log: it also records forms that changed nothing."""
    return {label: found for label, found in rows.items() if label != LogEntry._meta.label}
