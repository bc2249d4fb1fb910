"""Impasto as a service: jobs that survive, behind an HTTP API (extra: ``impasto[service]``)."""
