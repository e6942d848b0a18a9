"""The toolkit with which our own tests attack the ledger, for hosts to turn on their integration (``pip install 'proofroom[testing]'``).

===================  ==================================================================================================
:mod:`.keys`         keys that follow from a name, and chance that follows from a seed
:mod:`.clocks`       a clock that a test moves; the orders in which parties may speak
:mod:`.statements`   statements of every kind and their envelopes, valid by their schema
:mod:`.bytes`        bytes that are JSON, nearly JSON, or one change away from what they were
:mod:`.histories`    a ledger in memory that a test writes line by line
:mod:`.worlds`       random histories over several eras
:mod:`.neighbours`   invalid neighbours of valid statements, each labelled with the error that must name it
:mod:`.tampering`    stored logs with one change, which an audit must find
:mod:`.hosting`      a state machine that holds a host application against a plain model of the rules
===================  ==================================================================================================

The pytest plugin (:mod:`proofroom.pytest_plugin`) is found by itself: fixtures ``proofroom_clock``, ``proofroom_ledger`` and
``proofroom_cast``. ``docs/testing.md`` begins with five lines. Nothing here is for production: its keys are known to everybody.
"""

from importlib.util import find_spec

from proofroom.domain.errors import MissingExtra

for _package in ("hypothesis", "pytest"):
    if find_spec(_package) is None:
        raise MissingExtra(extra="testing", package=_package)
