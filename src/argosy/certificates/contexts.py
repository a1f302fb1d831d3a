"""TLS contexts from a join file: TLS 1.3, the cluster's own authority and no other, the host name checked."""

from __future__ import annotations

import os
import ssl

from argosy.certificates.join_file import JoinFile
from argosy.errors import CertificateError


def client_context(join: JoinFile) -> ssl.SSLContext:
    """The context of a connection to the master, for ``nats.connect(tls=…, tls_handshake_first=True)``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(cadata=join.authority.decode("ascii"))
    # The library loads keys from paths alone: this one names memory, so what was checked is what is used, a file that
    # has gone meanwhile does no harm, and no copy reaches a disk.
    fd = os.memfd_create("argosy-certificate", os.MFD_CLOEXEC)
    with open(fd, "wb") as memory:
        memory.write(join.pair.certificate + join.pair.key)
        memory.flush()
        try:
            context.load_cert_chain(f"/proc/self/fd/{fd}")
        except ssl.SSLError as error:
            raise CertificateError(
                f"the certificate of {join.name} cannot be used: {error.reason}",
                hint=f"`argosy cluster renew {join.name}` makes another.",
            ) from error
    return context
