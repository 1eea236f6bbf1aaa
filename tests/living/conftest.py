"""Tests do not wait for the disk: ``fsync`` guards against a loss of power, which no test can cause."""

import os

import pytest


@pytest.fixture(autouse=True)
def disk_without_waiting(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)
