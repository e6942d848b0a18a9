"""Statements: a closed schema for each kind, where every fault is refused by name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proofroom.domain.canonical import encode
from proofroom.domain.errors import BadField, BadNumber, NotCanonical, UnknownKind
from proofroom.domain.statements import GRANT_WIRE, KINDS, LedgerStatement, parse, payload_type_of
from proofroom.testing.statements import statement_values, statements
from strategies.statements import example, example_statement
from vectors import schemas

TYPES = sorted(KINDS)
NAMES = {payload_type: statement.kind for payload_type, statement in KINDS.items()}
few = settings(  # of each kind
    max_examples=settings().max_examples // 5,
    suppress_health_check=[HealthCheck.filter_too_much],  # large bodies run out of what an example may draw
)
every_kind = pytest.mark.parametrize("payload_type", TYPES, ids=NAMES.get)

ANY_CLUSTER = {"withdrawal", "listing"}
"""Kinds that need not name a cluster."""

Place = tuple[str | int, ...]


def places(value: Any, at: Place = ()) -> Iterator[Place]:
    """Every place in a JSON value, the whole included."""
    yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*at, key))


def look(value: Any, at: Place) -> Any:
    """What stands at a place."""
    for key in at:
        value = value[key]
    return value


def put(value: Any, at: Place, new: Any) -> Any:
    """The value with something else at a place."""
    look(value, at[:-1])[at[-1]] = new
    return value


def dotted(at: Place) -> str:
    """A place as our errors name it."""
    return ".".join(map(str, at))


def refusal(payload_type: str, value: dict[str, Any]) -> BadField:
    """The fault that is found in a statement."""
    with pytest.raises(BadField) as caught:
        parse(payload_type, encode(value))
    assert caught.value.kind == KINDS[payload_type].kind
    return caught.value


def names(field: str, at: Place) -> bool:
    """An error names this place, or a branch of it where the schema has alternatives; these are told apart by ``what``."""
    plain = WHAT.sub("change", field)
    if at[-1] == "what" and plain == "change":
        return True
    return plain == dotted(at) or plain.startswith(dotted(at) + ".")


WHAT = re.compile(r"^change\.(parameters|admit-node|validate-node|orchestrators|manager)(?=\.|$)")


# --- every kind ------------------------------------------------------------------------------------------------------


@every_kind
@few
@given(data=st.data())
def test_round_trip(payload_type: str, data: st.DataObject) -> None:
    """What is built here is printed to canonical bytes, which parse to an equal statement and print to themselves."""
    statement = data.draw(statements(payload_type))
    payload = statement.payload()
    parsed = parse(payload_type, payload)
    assert parsed == statement
    assert type(parsed) is type(statement)
    assert parsed.payload() == payload


@every_kind
@few
@given(data=st.data())
def test_given_fields_are_kept(payload_type: str, data: st.DataObject) -> None:
    """The plain value of a statement is the value that was signed: nothing is added, left out or put in another form."""
    value = data.draw(statement_values(payload_type))
    assert json.loads(KINDS[payload_type].model_validate(value).payload()) == value


@every_kind
@few
@given(data=st.data())
def test_unknown_key_is_refused(payload_type: str, data: st.DataObject) -> None:
    """A key that no schema has is refused wherever it stands, and named."""
    value = data.draw(statement_values(payload_type))
    objects = [at for at in places(value) if isinstance(look(value, at), dict)]
    at = data.draw(st.sampled_from(objects))
    look(value, at)["surplus"] = data.draw(st.sampled_from([1, "x", None, {}]))
    assert names(refusal(payload_type, value).field, (*at, "surplus"))


@every_kind
@few
@given(data=st.data())
def test_missing_key_is_refused(payload_type: str, data: st.DataObject) -> None:
    """A statement without one of its required fields is refused, and the field named."""
    value = data.draw(statement_values(payload_type))
    fields = KINDS[payload_type].model_fields.items()
    key = data.draw(st.sampled_from([f.alias or n for n, f in fields if f.is_required()]))
    del value[key]
    fault = refusal(payload_type, value)
    assert fault.field == key
    assert "required" in fault.why


@every_kind
@few
@given(data=st.data())
def test_other_type_is_refused(payload_type: str, data: st.DataObject) -> None:
    """No value stands in for one of another type: no text for a number, no number for a truth, nothing for an object."""
    value = data.draw(statement_values(payload_type))
    ats = [at for at in places(value) if at and "set" not in at[:-1]]  # a parameter is a text or a number
    at = data.draw(st.sampled_from(ats))
    others: dict[type, list[Any]] = {
        str: [5, True, [], {}],
        int: ["5", True, [], {}],
        float: ["0.5", False, [], {}],
        bool: [1, 0, "true", []],
        list: [{}, "", 0, True],
        dict: [[], "", 0, True],
        type(None): [0, False, [], ""],
    }
    fault = refusal(payload_type, put(value, at, data.draw(st.sampled_from(others[type(look(value, at))]))))
    assert names(fault.field, at)


@every_kind
@few
@given(data=st.data())
def test_null_stands_only_where_the_schema_says(payload_type: str, data: st.DataObject) -> None:
    """A field that may be left out is never null: absent is the one way to say nothing."""
    value = data.draw(statement_values(payload_type))
    nullable = {"expires_at", "listing", "note", "lapsed", "parameters"} | (
        {"cluster"} if NAMES[payload_type] in ANY_CLUSTER else set()
    )
    ats = [at for at in places(value) if at and at[-1] not in nullable and look(value, at) is not None]
    at = data.draw(st.sampled_from(ats))
    assert names(refusal(payload_type, put(value, at, None)).field, at)


@every_kind
def test_not_canonical_payload_is_refused(payload_type: str) -> None:
    """Only the wallet's own form may have blanks."""
    with pytest.raises(BadField if payload_type == GRANT_WIRE else NotCanonical):
        parse(payload_type, b'{"a": 1}')


@every_kind
def test_kind_names_its_ledger(payload_type: str) -> None:
    """Every kind but genesis and the wallet's grant names the ledger it was made for (protocol 1.6)."""
    statement = KINDS[payload_type]
    assert payload_type == payload_type_of(statement.kind) == f"application/vnd.proofroom.{statement.kind}.v1+json"
    assert issubclass(statement, LedgerStatement) == (statement.kind not in {"genesis", "grant-wire"})


@every_kind
def test_fields_are_told_to_a_reader(payload_type: str) -> None:
    """Each kind says in a sentence what it is."""
    assert re.match(r"[A-Z`].*\.", KINDS[payload_type].__doc__ or "", re.DOTALL)


def test_schemas_have_not_drifted() -> None:
    """Published schemas are final.

    A new kind adds a schema; then print the file again with ``PYTHONPATH=tests python -m vectors.schemas`` and read the difference.
    """
    published = json.loads(schemas.FILE.read_text(encoding="utf-8"))
    current = json.loads(schemas.schemas())
    for payload_type in TYPES:
        assert current[payload_type] == published.get(payload_type)
    assert current.keys() == published.keys()


@pytest.mark.parametrize(
    "payload_type",
    ["", "application/json", payload_type_of("grant").upper(), payload_type_of("grants"), "application/vnd.proofroom.grant.v2+json",
     payload_type_of("grant") + " ", "x" * 10_000],
)  # fmt: skip
def test_unknown_kind(payload_type: str) -> None:
    """A payload type that is not known to the letter is refused before its payload is read."""
    with pytest.raises(UnknownKind) as caught:
        parse(payload_type, b"not even JSON")
    assert caught.value.payload_type == payload_type[:200]


# --- a few fields, by hand -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "field", "bad"),
    [
        ("grant", "created_at", "2026-02-31T00:00:00Z"),
        ("grant", "created_at", "2026-01-01T24:00:00Z"),
        ("grant", "created_at", "2026-06-30T23:59:60Z"),
        ("grant", "created_at", "2026-01-01T00:00:00"),
        ("grant", "created_at", "2026-01-01T00:00:00+00:00"),
        ("grant", "created_at", "2026-01-01t00:00:00z"),
        ("grant", "created_at", "2026-01-01 00:00:00Z"),
        ("grant", "created_at", "2026-01-01T00:00:00.Z"),
        ("grant", "created_at", "2026-01-01T00:00:00.0001Z"),
        ("grant", "created_at", "2026-01-01T00:00:00,5Z"),
        ("grant", "created_at", "2026-W01-1T00:00:00Z"),
        ("grant", "created_at", "0000-01-01T00:00:00Z"),
        ("grant", "created_at", "٢٠٢٦-01-01T00:00:00Z"),
        ("grant", "created_at", "2026-01-01T00:00:00Z\n"),
        ("grant", "expires_at", "never"),
        ("grant", "revoked", 0),
        ("grant", "ledger", "blake2:" + "11" * 32),
        ("grant", "ledger", "blake3:" + "11" * 31),
        ("grant", "ledger", "blake3:" + "AA" * 32),
        ("grant", "user_pub_key", "ed25519:" + "AA" * 32),
        ("grant", "user_pub_key", "ed25519:" + "aa" * 32 + "\n"),
        ("grant", "user_pub_key", "aa" * 32),
        ("grant", "metadata.scopes.0.context.scopeId", "a/b"),
        ("grant", "metadata.scopes.0.context.scopeId", "a b"),
        ("grant", "metadata.scopes.0.context.scopeId", ""),
        ("grant", "metadata.scopes.0.context.scopeId", "é"),
        ("grant", "metadata.scopes.0.context.vaultId", "v\n"),
        ("grant", "metadata.scopes.0.context.vaultId", "v" * 129),
        ("grant", "metadata.limits", None),
        ("grant", "metadata.limits.per", "month"),
        ("grant", "metadata.limits.operations", []),
        ("grant", "metadata.limits.cpu_ms", -1),
        ("grant", "metadata.limits.cpu_ms", True),
        ("grant", "metadata.limits.gpu_units", True),
        ("grant", "metadata.limits.gpu_units", "1"),
        ("grant", "metadata.limits.gpu_units", 10**9 + 1),
        ("activity", "record_id", "dac-019b7a3c-0000-4000-8000-000000000001"),
        ("activity", "record_id", "dac-019b7a3c-0000-7000-c000-000000000001"),
        ("activity", "record_id", "019b7a3c-0000-7000-8000-000000000001"),
        ("activity", "record_id", "dac-019B7A3C-0000-7000-8000-000000000001"),
        ("activity", "vault_scope", "vault-7/calendar"),
        ("activity", "vault_scope", "vault-7 / calendar / x"),
        ("activity", "vault_scope", "vault-7  / calendar"),
        ("activity", "operation", ""),
        ("activity", "operation", "x" * 257),
        ("activity", "result_hash", "sha256:" + "33" * 32),
        ("activity", "input_commitment", "blake2:" + "33" * 32),
        ("activity", "cluster", "berlin\n"),
        ("activity", "cluster", "Berlin"),
        ("activity", "cluster", ""),
        ("activity", "cluster", "-berlin"),
        ("activity", "cluster", "b" * 65),
        ("activity", "node", "a/b"),
        ("activity", "era", -1),
        ("activity", "compute.cpu_ms", -1),
        ("activity", "compute.gpu_units", -1),
        ("activity", "signers.agent-derived-key", "x"),
        ("vote-revealed", "salt", "55" * 31),
        ("vote-revealed", "salt", "5G" * 32),
        ("vote-revealed", "vote.agree", "/w=="[:-1]),
        ("vote-revealed", "vote.agree", "/x=="),
        ("vote-revealed", "vote.agree", "_w=="),
        ("vote-revealed", "vote.agree", "/w==\n"),
        ("vote-revealed", "vote.agree", "A" * 1672),
        ("vote-revealed", "vote.reasons.unobserved", "x"),
        ("deposit", "amount", "-1"),
        ("deposit", "amount", "01"),
        ("deposit", "amount", "1.0"),
        ("deposit", "amount", ""),
        ("deposit", "amount", "1\n"),
        ("deposit", "amount", 1),
        ("deposit", "amount", "1" + "0" * 36),
        ("deposit", "account", "treasury"),
        ("payout", "role", "bank"),
        ("payout", "basis.customer", None),
        ("payout", "basis.records", None),
        ("genesis", "rules", 0),
        ("genesis", "rules", True),
        ("genesis", "unit", "cere"),
        ("genesis", "unit", "CERE\n"),
        ("genesis", "origin", "a+b"),
        ("genesis", "origin", "a b"),
        ("genesis", "origin", "example.org/room\n"),
        ("genesis", "bank_keys", []),
        ("tick", "index", -1),
        ("tick", "index", "7"),
        ("tick", "index", None),
    ],
)  # fmt: skip
def test_invalid_field(kind: str, field: str, bad: Any) -> None:
    """Each of these is refused, and the error names the field."""
    at = tuple(int(part) if part.isdigit() else part for part in field.split("."))
    assert names(refusal(payload_type_of(kind), put(example(kind), at, bad)).field, at)


@pytest.mark.parametrize("text", ["1.0", "0.0000001", "1e2", "-0.5", "-0.0", "9007199254740992", "1e400", "1.1234567"])
def test_invalid_gpu_units(text: str) -> None:
    """GPU units have one text: no exponent, no empty or seventh decimal, no sign."""
    payload = example_statement("activity").payload()
    changed = payload.replace(b'"gpu_units":0.000001', b'"gpu_units":' + text.encode())
    assert changed != payload
    with pytest.raises((BadField, BadNumber, NotCanonical)):
        parse(payload_type_of("activity"), changed)


@pytest.mark.parametrize(
    ("number", "micro"), [(0, 0), (0.000001, 1), (0.25, 250_000), (12, 12_000_000), (4095.999999, 4_095_999_999)]
)
def test_gpu_units_in_millionths(number: float, micro: int) -> None:
    """Every rule takes GPU units as an integer of millionths."""
    value = example("activity")
    value["compute"]["gpu_units"] = number
    parsed = parse(payload_type_of("activity"), encode(value))
    assert parsed.compute.gpu_micro == micro  # type: ignore[attr-defined]  # an activity


def test_roles_have_the_spelling_of_the_page() -> None:
    """The three roles of a record are signed under the names that the page gives them."""
    payload = example_statement("activity").payload()
    assert b'"agent-derived-key":"ed25519:' in payload
    assert b'"agent-runtime":"ed25519:' in payload
    value = example("activity")
    value["signers"]["agent_runtime"] = value["signers"].pop("agent-runtime")
    with pytest.raises(BadField):
        parse(payload_type_of("activity"), encode(value))


def test_examples_are_canonical() -> None:
    """The examples that a reader sees here are printed and read back."""
    for kind in ("genesis", "tick", "grant", "activity", "vote-revealed", "deposit", "payout"):
        payload = example_statement(kind).payload()
        assert json.loads(payload) == example(kind)
        assert parse(payload_type_of(kind), payload) == example_statement(kind)


def test_error_is_short() -> None:
    """A fault in a huge field is told in a line, without the field's content."""
    value = example("activity") | {"x" * 5000: "secret"}
    fault = refusal(payload_type_of("activity"), value)
    assert len(str(fault)) < 400
    value = example("activity") | {"operation": "secret" * 1000}
    assert "secret" not in str(refusal(payload_type_of("activity"), value))
