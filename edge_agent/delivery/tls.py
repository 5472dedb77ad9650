"""The password and the certificates that a connection needs."""

from __future__ import annotations

import ssl

from edge_agent.config import Mqtt, Tls
from edge_agent.errors import ConfigurationError


def check(settings: Mqtt) -> None:
    """Raise ConfigurationError when the password or a TLS file cannot be read; connects to nothing."""
    settings.read_password()
    if settings.tls is not None:
        tls_context(settings.tls)


def tls_context(settings: Tls) -> ssl.SSLContext:
    """A context that checks the server. Raises ConfigurationError for a file it cannot use."""
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
        if settings.certificate_file is not None:
            context.load_cert_chain(settings.certificate_file, settings.key_file)
    except OSError as error:
        raise ConfigurationError(
            f"mqtt.tls: {error.strerror or error}",
            key="mqtt.tls",
            hint="ca_file, certificate_file and key_file are PEM files that this user can read",
        ) from error
    return context
