"""Observations on their way from a meter to the validators: signed by the source, handed out by the record they are about."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Literal, Protocol

from proofroom.adapters.files import open_regular, unavailable, write_atomically
from proofroom.domain import hashing
from proofroom.domain.canonical import MILLIONTHS, number_text
from proofroom.domain.crosscheck import Observation
from proofroom.domain.envelope import MAX_ENVELOPE, Envelope, parse_envelope, sign, statement_id
from proofroom.domain.errors import Malformed
from proofroom.domain.ids import Digest, from_ms
from proofroom.domain.signing import Signer
from proofroom.domain.statements.observation import Observed

MAX_OBSERVATIONS = 16
"""Observations of one record that a validator looks at."""


class ObservationPort(Protocol):
    """Where a validator gets observations: a folder, an HTTP service, a message bus. Nothing it gives is believed before it verifies."""

    def fetch(self, record: bytes) -> Iterable[Envelope]:
        """The observations of a record, given by its statement id.

        Raises:
            Unavailable: they cannot be had now; the validator asks again.
        """
        ...


def sign_observation(
    ledger: Digest,
    record: bytes,
    seen: Observation,
    source: Signer,
    *,
    at_ms: int,
    meter: Literal["gateway", "node", "storage"] = "gateway",
) -> Envelope:
    """What a source saw of a record, given by its statement id, as the source signs it."""
    gpu = seen.gpu_micro
    return sign(
        Observed(
            ledger=ledger,
            record=hashing.tagged(record),
            source=source.keyid,
            meter=meter,
            cpu_ms=seen.cpu_ms,
            gpu_units=None
            if gpu is None
            else (gpu // MILLIONTHS if gpu % MILLIONTHS == 0 else float(number_text(gpu))),
            byte_seconds=seen.byte_seconds,
            bytes_streamed=seen.bytes_streamed,
            puts=seen.puts,
            gets=seen.gets,
            scopes=seen.scopes,
            result_hash=seen.result_hash,
            created_at=from_ms(at_ms),
        ),
        source,
    )


class ObservationFolder:
    """Observations as files: ``<statement id of the record>/<statement id of the observation>.json``, one DSSE envelope each."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def put(self, record: bytes, observation: Envelope) -> None:
        """Hand out an observation of a record. The same again changes nothing.

        Raises:
            StoreUnavailable: it cannot be written.
        """
        name = statement_id(observation.payload_type, observation.payload).hex()
        write_atomically(self.path / record.hex() / f"{name}.json", observation.to_json())

    def fetch(self, record: bytes) -> list[Envelope]:
        """The observations of a record, in the order of their names; a file that is no envelope is passed over.

        Raises:
            StoreUnavailable: the folder cannot be read, which is not to say that nobody saw anything.
        """
        found, folder = [], self.path / record.hex()
        try:
            paths = sorted(path for path in folder.iterdir() if path.suffix == ".json")
        except FileNotFoundError:
            return []
        except OSError as e:
            raise unavailable(folder, e) from None
        for path in paths[:MAX_OBSERVATIONS]:
            try:
                with open_regular(path) as file:
                    found.append(parse_envelope(file.read(MAX_ENVELOPE + 1)))
            except (OSError, Malformed):
                continue
        return found
