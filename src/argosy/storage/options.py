"""How to reach a store: what a user configures, and what the master hands to a proxy."""

from __future__ import annotations

import msgspec

# Under way at a time from one process. restic's default for object stores is 5.
DEFAULT_CONNECTIONS = 5

# How long a request is repeated once the store has answered before. A worker's write lease ends 7.5 minutes
# before others may take the lock for stale (DESIGN.md R3): a small object that is checked against the lease,
# then repeated this long, still lands inside.
DEFAULT_RETRY_SECONDS = 300


class StorageOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of a store; plain values, so that msgpack can carry them to a worker or a proxy.

    ``credentials`` has the keys of the environment variables that restic and the clouds' own tools use:

    - S3: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_REGION or AWS_DEFAULT_REGION
    - GCS: GOOGLE_ACCESS_TOKEN, GOOGLE_SERVICE_ACCOUNT_KEY (the JSON itself), GOOGLE_APPLICATION_CREDENTIALS
      (its path, on the machine that opens the store), GOOGLE_BASE_URL
    - Azure: AZURE_ACCOUNT_NAME, AZURE_ACCOUNT_KEY, AZURE_ACCOUNT_SAS, AZURE_ENDPOINT_SUFFIX, AZURE_CLIENT_ID,
      AZURE_CLIENT_SECRET, AZURE_TENANT_ID, AZURE_FORCE_CLI_CREDENTIAL, AZURE_STORAGE_ENDPOINT (the whole URL)

    Other keys are ignored, so a caller may pass a whole environment filtered by prefix. Without any, the
    cloud's own chain is tried (an instance's or a pod's role); ``anonymous`` sends unsigned requests.

    ``cacert_pem`` is the certificate itself, not a path: it travels. Rates hold for one process, 0 is no
    limit. ``connections`` is the most requests under way at a time from one process. ``retry_seconds``
    bounds how long a failing request is repeated.
    """

    credentials: dict[str, str] = msgspec.field(default_factory=dict)
    anonymous: bool = False
    cacert_pem: bytes = b""
    insecure_tls: bool = False
    limit_upload_bytes_per_second: int = 0
    limit_download_bytes_per_second: int = 0
    connections: int = DEFAULT_CONNECTIONS
    retry_seconds: int = DEFAULT_RETRY_SECONDS

    def shared_by(self, workers: int) -> StorageOptions:
        """One worker's share of the rates (at least a byte a second: 0 would mean no limit)."""
        upload, download = self.limit_upload_bytes_per_second, self.limit_download_bytes_per_second
        return msgspec.structs.replace(
            self,
            limit_upload_bytes_per_second=max(1, upload // workers) if upload else 0,
            limit_download_bytes_per_second=max(1, download // workers) if download else 0,
        )

    def __repr__(self) -> str:
        """Names of the credentials, never their values: this ends in tracebacks and logs."""
        return f"StorageOptions(credentials of {sorted(self.credentials)}, connections={self.connections})"
