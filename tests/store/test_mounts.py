"""A SQLite file on a network file system is found before it is opened."""

from pathlib import Path

import pytest

from store.mounts import network_file_system

LINES = """\
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
30 22 0:27 / /srv rw,relatime shared:9 - nfs4 files:/srv rw,vers=4.2
31 30 254:2 / /srv/local rw,relatime - xfs /dev/vdb rw
32 22 0:28 / /mnt/two\\040words rw - fuse.sshfs someone@host: rw
33 22 0:29 / /twice rw - cifs //host/share rw
34 33 254:3 / /twice rw - ext4 /dev/vdc rw
not a line of mountinfo
"""


@pytest.fixture
def mounts(tmp_path: Path) -> Path:
    path = tmp_path / "mountinfo"
    path.write_text(LINES)
    return path


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/var/lib/grapevine/authority.db", None),
        ("/srv/grapevine/authority.db", "nfs4"),
        ("/srv/local/authority.db", None),
        ("/srvlocal/authority.db", None),
        ("/mnt/two words/authority.db", "fuse.sshfs"),
        ("/twice/authority.db", None),
    ],
)
def test_the_nearest_mount_decides(mounts: Path, path: str, found: str | None) -> None:
    assert network_file_system(Path(path), mounts) == found


def test_a_link_is_followed(mounts: Path, tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to("/srv/authority.db")
    assert network_file_system(tmp_path / "link.db", mounts) == "nfs4"


def test_without_a_list_of_mounts_nothing_is_said(tmp_path: Path) -> None:
    assert network_file_system(tmp_path, tmp_path / "nothing here") is None


def test_this_machines_own_mounts_are_read(tmp_path: Path) -> None:
    assert network_file_system(tmp_path / "authority.db") is None
