"""Asking servers elsewhere over HTTP, and all the ways in which there is no answer."""

from __future__ import annotations

from http.client import HTTPException

NO_ANSWER = (OSError, ValueError, HTTPException)
"""What :func:`urllib.request.urlopen` and reading from it raise: not reached or hung up, no address, bytes that are no HTTP."""
