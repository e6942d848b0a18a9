"""What opens the commitments of records: kept off the ledger by whoever ran the agent, or by the wallet, and destroyed when it wants so."""

from __future__ import annotations

from pathlib import Path

from proofroom.adapters.blobs import Blobs, FolderBlobs
from proofroom.domain import hashing
from proofroom.domain.commitment import Opening
from proofroom.domain.errors import Malformed, VaultUnavailable
from proofroom.domain.ids import Digest


class Openings:
    """Openings by their commitments.

    Args:
        place: where they live; a folder is for its owner alone.
    """

    def __init__(self, place: Blobs | Path) -> None:
        self._blobs: Blobs = FolderBlobs(place) if isinstance(place, Path) else place

    def keep(self, opening: Opening) -> Digest:
        """Keep an opening: the commitment that it opens.

        Raises:
            VaultUnavailable: it cannot be written.
        """
        commitment = opening.commitment()
        try:
            self._blobs.write([opening.to_bytes()], lambda: _name(commitment))
        except OSError as e:
            raise VaultUnavailable(what=commitment, why=e.strerror or "it cannot be written") from None
        return commitment

    def load(self, commitment: Digest) -> Opening:
        """The opening of a record's ``input_commitment``.

        Raises:
            VaultUnavailable: it is not here, or is not of this commitment.
        """
        try:
            opening = Opening.from_bytes(b"".join(self._blobs.read(_name(commitment))))
        except OSError:
            raise VaultUnavailable(what=commitment, why="its opening is not here, or was erased") from None
        except Malformed:
            raise VaultUnavailable(what=commitment, why="its opening was altered") from None
        if opening.commitment() != commitment:
            raise VaultUnavailable(what=commitment, why="its opening was altered")
        return opening

    def erase(self, commitment: Digest) -> None:
        """Destroy an opening, its salt included. Doing it again changes nothing.

        Raises:
            VaultUnavailable: it cannot be removed.
        """
        try:
            self._blobs.remove(_name(commitment))
        except OSError as e:
            raise VaultUnavailable(what=commitment, why=e.strerror or "it cannot be removed") from None


def _name(commitment: Digest) -> str:
    return hashing.untagged(commitment).hex()
