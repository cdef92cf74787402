"""The HTTP API of editors: docs/api.md."""
