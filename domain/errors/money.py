"""What the rules refuse: money."""

from __future__ import annotations

from proofroom.domain.errors.base import Refused


class NotFree(
    Refused,
    code="not-free",
    message="{account} has {free} that is free, {asked} is asked for",
    advice="ask for less; what is being unlocked cannot be asked for again",
):
    """A withdrawal asks for more than is on the account and not being unlocked already."""

    account: str
    free: str
    asked: str


class TooManyChunks(
    Refused,
    code="too-many-chunks",
    message="{account} has {limit} withdrawals open, as many as an account may",
    advice="wait until the oldest is unlocked",
):
    """Too many withdrawals of one account are being unlocked."""

    account: str
    limit: int


class BankShort(
    Refused,
    code="bank-short",
    message="{bank} brought in {held} that has not left again, {asked} is asked for",
    advice="name the bank through which the money came",
):
    """A withdrawal names a bank that brought in less."""

    bank: str
    held: str
    asked: str


class InDebt(
    Refused,
    code="in-debt",
    message="{customer} owes {debt} in {cluster}",
    advice="deposit what is owed first",
):
    """A customer that owes something cannot withdraw."""

    customer: str
    cluster: str
    debt: str


class BadListing(
    Refused,
    code="bad-listing",
    message="listing {listing} cannot be: {why}",
    advice="name a registered marketplace, its share in force, and each creator once",
):
    """A listing contradicts itself or its marketplace."""

    listing: str
    why: str


class NotListed(
    Refused,
    code="not-listed",
    message="{listing} is no listing that this record can be sold under",
    advice="name the newest version of a listing of this agent service, for this cluster; none of its creators judges there",
):
    """A record names a listing that is not in force, or not for it."""

    listing: str
