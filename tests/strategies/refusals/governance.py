"""What is refused of how a cluster changes."""

from __future__ import annotations

from proofroom.domain import errors, proposals
from proofroom.domain.envelope import Envelope
from proofroom.testing.histories import HOUR_MS, History, resign
from proofroom.testing.keys import key
from strategies.governing import (
    admission,
    leave,
    new_manager,
    next_era,
    pass_all,
    propose,
    settings,
    validation,
    vote,
)
from strategies.refusals.cases import refused


@refused(errors.Unregistered, what="cluster", key="nowhere")
def _proposal_in_no_cluster(h: History) -> Envelope:
    return propose(h.cast, 0, settings(era_seconds=1), cluster="nowhere")


@refused(errors.NoSeat, keyid=key("stranger").keyid, cluster="dragon-1")
def _proposal_of_a_stranger(h: History) -> Envelope:
    return propose(h.cast, 0, settings(era_seconds=1), by=key("stranger"))


@refused(errors.NoSeat, keyid=key("provider-9").keyid, cluster="dragon-1")
def _proposal_of_a_provider_whose_node_is_not_validated(h: History) -> Envelope:
    admitted(h)
    return propose(h.cast, 1, validation("node-9"), by=key("provider-9"))


@refused(errors.WrongNumber, what="the proposal", number=1, expected=0)
def _proposal_that_skips_a_number(h: History) -> Envelope:
    return propose(h.cast, 1, settings(era_seconds=1))


@refused(errors.TooManyProposals, keyid=key("manager").keyid, cluster="dragon-1", limit=proposals.MAX_PROPOSALS)
def _proposal_too_many(h: History) -> Envelope:
    h.write(propose(h.cast, 0, settings(era_seconds=1), by=h.cast.providers[0]))
    for number in range(1, proposals.MAX_PROPOSALS + 1):
        h.write(propose(h.cast, number, settings(era_seconds=1)))
    return propose(h.cast, proposals.MAX_PROPOSALS + 1, settings(era_seconds=1))


@refused(errors.TimesOutOfOrder, what="the deadline 2026-03-01T09:00:02Z has passed, or is more than 28 days away")
def _proposal_without_time_to_vote(h: History) -> Envelope:
    return propose(h.cast, 0, settings(era_seconds=1), ahead_ms=0)


@refused(errors.TimesOutOfOrder, what="the deadline 2026-03-29T09:00:02.001Z has passed, or is more than 28 days away")
def _proposal_for_next_month(h: History) -> Envelope:
    return propose(h.cast, 0, settings(era_seconds=1), ahead_ms=28 * 24 * HOUR_MS + 1)


@refused(errors.BadParameters, why="the proposal would change nothing")
def _proposal_of_what_is(h: History) -> Envelope:
    return propose(h.cast, 0, new_manager(h.cast.manager))


@refused(errors.BadParameters, why="the shares sum to more than the whole")
def _proposal_that_does_not_fit_the_other_shares(h: History) -> Envelope:
    return propose(h.cast, 0, settings(shares__treasury=str(95 * 10**16 + 1)))


@refused(errors.BadParameters, why="parameters: field prices.put: Input should be a valid string")
def _proposal_of_a_price_that_is_a_number(h: History) -> Envelope:
    return propose(h.cast, 0, settings(prices__put=7))


@refused(errors.AlreadyRecorded, what="node", key="node-0")
def _proposal_of_a_node_by_a_name_that_is_taken(h: History) -> Envelope:
    return propose(h.cast, 0, admission("node-0", h.cast.manager, key("runtime-9")), key("runtime-9"))


@refused(errors.AlreadyRecorded, what="runtime key", key=key("runtime-0").keyid)
def _proposal_of_a_node_by_a_runtime_that_left(h: History) -> Envelope:
    h.write(leave(h.cast, "node-0", h.cast.providers[0]))
    return propose(h.cast, 0, admission("node-9", h.cast.manager, h.cast.runtimes[0]), h.cast.runtimes[0])


@refused(errors.Unregistered, what="node", key="node-9")
def _validation_of_no_node(h: History) -> Envelope:
    return propose(h.cast, 0, validation("node-9"))


@refused(errors.NodeStatus, cluster="dragon-1", node="node-0", status="validated")
def _validation_once_more(h: History) -> Envelope:
    return propose(h.cast, 0, validation("node-0"))


@refused(errors.MissingRole, kind="proposal", role="runtime", keyid=key("runtime-9").keyid)
def _admission_without_the_runtime(h: History) -> Envelope:
    return propose(h.cast, 0, admission("node-9", h.cast.providers[0], key("runtime-9")), by=h.cast.providers[0])


def admitted(h: History) -> None:
    """A node that is admitted and not validated, in an era 1 that is open."""
    provider, runtime = key("provider-9"), key("runtime-9")
    pass_all(h, (admission("node-9", provider, runtime), provider, runtime))
    next_era(h)


@refused(errors.NodeStatus, cluster="dragon-1", node="node-9", status="admitted")
def _record_on_a_node_that_is_not_validated(h: History) -> Envelope:
    admitted(h)
    h.cast.runtimes.append(key("runtime-9"))
    return resign(h.cast.activity(h.grant, 1, node=3), node="node-9")


@refused(errors.NodeStatus, cluster="dragon-1", node="node-0", status="left")
def _record_on_a_node_that_left(h: History) -> Envelope:
    h.write(leave(h.cast, "node-0", h.cast.providers[0]))
    return h.cast.activity(h.grant, 0)


@refused(errors.NodeStatus, cluster="dragon-1", node="node-0", status="left")
def _node_that_leaves_twice(h: History) -> Envelope:
    h.write(leave(h.cast, "node-0", h.cast.providers[0]))
    h.sleep(1)
    return leave(h.cast, "node-0", h.cast.providers[0])


@refused(errors.Unregistered, what="node", key="node-9 of dragon-1")
def _node_that_was_never_there(h: History) -> Envelope:
    return leave(h.cast, "node-9", h.cast.providers[0])


def proposed(h: History) -> None:
    """A proposal to vote on."""
    h.write(propose(h.cast, 0, settings(era_seconds=1)))


@refused(errors.Unregistered, what="proposal", key="1 of dragon-1")
def _vote_on_nothing(h: History) -> Envelope:
    proposed(h)
    return vote(h.cast, 1, h.cast.manager)


@refused(errors.NoSeat, keyid=key("stranger").keyid, cluster="dragon-1")
def _vote_of_a_stranger(h: History) -> Envelope:
    proposed(h)
    return vote(h.cast, 0, key("stranger"))


@refused(errors.StaleVersion, what="the vote", created_at="2026-03-01T09:00:02Z", newest="2026-03-01T09:00:02Z")
def _vote_of_the_same_moment(h: History) -> Envelope:
    proposed(h)
    h.write(vote(h.cast, 0, h.cast.manager))
    return vote(h.cast, 0, h.cast.manager, aye=False)


@refused(errors.DueFirst, due="proposal-decided", kind="proposal-vote")
def _vote_at_the_deadline(h: History) -> Envelope:
    proposed(h)
    h.sleep(HOUR_MS)
    return vote(h.cast, 0, h.cast.manager)


@refused(errors.ProposalClosed, cluster="dragon-1", proposal=0, status="decided")
def _vote_after_a_refusal(h: History) -> Envelope:
    proposed(h)
    h.tick(HOUR_MS)
    return vote(h.cast, 0, h.cast.manager)


@refused(errors.ProposalClosed, cluster="dragon-1", proposal=0, status="passed")
def _vote_after_it_passed(h: History) -> Envelope:
    pass_all(h, (settings(era_seconds=1),))
    return vote(h.cast, 0, h.cast.manager, aye=False)
