"""Whether a file lies on a network file system, where SQLite's locks can't be trusted.

Its write-ahead log needs memory that all writers share, which two machines never do
(https://sqlite.org/wal.html), and many network file systems take locks that nobody keeps.
"""

import re
from pathlib import Path

NETWORK_FILE_SYSTEMS = frozenset(
    (
        *("afs", "beegfs", "ceph", "cifs", "coda", "gfs2", "glusterfs", "lustre", "ncpfs"),
        *("nfs", "nfs4", "ocfs2", "orangefs", "pvfs2", "smb3", "smbfs"),
        *("fuse.ceph", "fuse.davfs", "fuse.gcsfuse", "fuse.glusterfs", "fuse.juicefs"),
        *("fuse.mfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs"),
    )
)
"""As Linux names them. Those that a virtual machine shares with its host (9p, virtiofs) aren't
among them: they are how a single machine's files commonly reach a container."""

MOUNTS = Path("/proc/self/mountinfo")
_OCTAL = re.compile(r"\\([0-7]{3})")


def network_file_system(path: Path, mounts: Path = MOUNTS) -> str | None:
    """The name of the network file system that a file lies on, or would if it existed.

    None for any other, and where the mounts can't be read (other systems than Linux).
    """
    try:
        lines = mounts.read_text(errors="replace").splitlines()
    except OSError:
        return None
    real = path.resolve()
    found, depth = None, -1
    for line in lines:
        before, _, after = line.partition(" - ")
        fields, kinds = before.split(" "), after.split(" ")
        if len(fields) < 5:
            continue
        point = Path(_OCTAL.sub(lambda code: chr(int(code[1], 8)), fields[4]))
        # Of two mounts at one point the later one is seen.
        if real.is_relative_to(point) and len(point.parts) >= depth:
            found, depth = kinds[0], len(point.parts)
    return found if found in NETWORK_FILE_SYSTEMS else None
