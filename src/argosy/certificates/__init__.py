"""Who may take part in a cluster: a private authority, certificates with a role each, and what a role may do.

Terms: the *authority* signs all certificates of one cluster and nothing else. The *cluster directory* lies on the
master: the authority, the master's own files and the *register*, which lists every certificate ever issued. A *join
file* holds all that one member or user needs. A *role* is what a certificate is for; ``rights`` says what it may do.

1. ``cluster_directory.init`` makes the authority, the server's certificate and the join files of the master's host.
2. ``add`` issues a certificate, writes its join file and enters it into the register.
3. The master renders the register's valid certificates as users of nats-server (``nats_configuration``); whoever is
   not among them has no rights, whatever the authority signed.
4. ``revoke`` marks a name's certificates in the register; rendered again and reloaded, nats-server cuts them off.
5. Each certificate carries a serial number in its subject, and the user is that subject: a renewed certificate is
   another user, and the old one may be revoked alone.

Not guaranteed: whoever can read the cluster directory controls the cluster. Certificates are no secret, keys and join
files are; they are written with mode 0600 and refused where others can read them.
"""
