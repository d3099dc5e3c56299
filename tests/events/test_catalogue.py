"""The contract of events: readers survive every change that the build lets through."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pydantic import BaseModel, ConfigDict, create_model

from events import registry
from events.catalogue import breaking_changes, catalogue_of, other_changes, schema_of
from events.event_types import Payload
from tests.support.source_files import ROOT

CATALOGUE = ROOT / "config" / "event_catalogue.json"


class Item(BaseModel):
    """One item."""

    model_config = ConfigDict(extra="forbid")

    sku: str


class Sent(Payload, name="parcel.sent", version=1):
    """A parcel has left."""

    number: str
    weight: int | None = None
    items: list[Item]


def changes(**fields: Any) -> list[str]:
    """Return what a reader of Sent may not survive if these fields replace Sent's of the same name."""
    declared: dict[str, Any] = {"number": str, "weight": int | None, "items": list[Item]}
    declared |= fields
    columns: dict[str, Any] = {
        name: (kind, None if kind == int | None or name == "colour" else ...)
        for name, kind in declared.items()
        if kind is not None
    }
    kwargs = {"name": "parcel.sent", "version": 1}
    changed = create_model("Sent", __base__=Payload, __cls_kwargs__=kwargs, **columns)
    return list(breaking_changes(catalogue_of([Sent]), catalogue_of([changed])))


def test_an_unchanged_type_breaks_nobody() -> None:
    assert changes() == []


def test_a_new_optional_field_breaks_nobody() -> None:
    assert changes(colour=str | None) == []


class Coloured(BaseModel):
    model_config = ConfigDict(extra="forbid")

    sku: str
    colour: str


class Numbered(BaseModel):
    model_config = ConfigDict(extra="forbid")

    sku: int


@pytest.mark.parametrize(
    ("fields", "change"),
    [
        ({"number": None}, "field number is gone"),
        ({"number": int}, "field number was"),
        ({"number": str | None}, "field number was"),
        ({"weight": int}, "field weight"),
        ({"size": int}, "field size is new, and must be optional"),
        ({"items": list[str]}, "field items.[] was"),
        ({"items": list[Numbered]}, "field items.[].sku was"),
        ({"items": list[Coloured]}, "field items.[].colour is new, and must be optional"),
    ],
)
def test_a_change_that_breaks_a_reader_is_found(fields: dict[str, Any], change: str) -> None:
    found = changes(**fields)

    assert found
    assert any(sentence.startswith(f"parcel.sent 1: {change}") for sentence in found), found


def test_a_type_that_is_no_longer_declared_is_found() -> None:
    assert len(list(breaking_changes(catalogue_of([Sent]), {}))) == 1


def test_new_types_and_other_words_are_recorded_but_break_nobody() -> None:
    recorded = catalogue_of([Sent])
    other_words = {"parcel.sent 1": {**recorded["parcel.sent 1"], "description": "Gone."}}

    assert list(breaking_changes(recorded, other_words)) == []
    assert list(other_changes(recorded, other_words)) == ["parcel.sent 1: differs from the record"]
    assert list(other_changes({}, recorded)) == ["parcel.sent 1: not recorded yet"]


def test_readers_may_not_refuse_fields_that_they_do_not_know() -> None:
    assert "additionalProperties" not in json.dumps(schema_of(Sent))


def test_the_committed_catalogue_agrees_with_the_code(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("events", "catalogue", "--check", str(CATALOGUE))


@pytest.mark.parametrize(
    ("command", "file"), [("page", "events.md"), ("asyncapi", "asyncapi.yaml")]
)
def test_the_committed_documents_agree_with_the_code(
    command: str, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("events", command)

    assert capsys.readouterr().out == (ROOT / "docs" / file).read_text()


def test_a_breaking_change_is_not_recorded(tmp_path: Path) -> None:
    file = tmp_path / "catalogue.json"
    recorded = json.loads(CATALOGUE.read_text())
    recorded["order.lost 1"] = {"properties": {}, "type": "object"}
    file.write_text(json.dumps(recorded))

    for action in ("--check", "--record"):
        with pytest.raises(CommandError, match=r"order\.lost 1: recorded, but not declared"):
            call_command("events", "catalogue", action, str(file))
    assert json.loads(file.read_text()) == recorded


def test_every_event_of_the_apps_is_registered() -> None:
    assert registry.names() == [
        "approval.decided",
        "approval.extended",
        "approval.opened",
        "order.cancelled",
        "order.confirmation_withdrawn",
        "order.confirmed",
        "order.placed",
        "payment.authorized",
        "payment.captured",
        "payment.refunded",
        "payment.voided",
        "stock.released",
        "stock.reserved",
    ]


def test_every_event_type_says_what_happened() -> None:
    for payload in registry.payloads():
        assert (payload.__doc__ or "").strip().endswith("."), payload
        assert payload.event_type.aggregate in ("approval", "order", "payment", "stock")
