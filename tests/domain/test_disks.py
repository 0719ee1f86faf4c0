"""Which disks a database may live on."""

import pytest

from sync_ui.domain.disks import is_shared, kind_of

MOUNTS = """\
21 28 0:19 / /proc rw,nosuid - proc proc rw
28 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro
40 28 0:35 / /srv rw,relatime shared:20 master:3 - nfs4 nas.home.arpa:/srv rw,vers=4.2
41 40 254:2 / /srv/local rw,relatime - xfs /dev/vdb1 rw
42 28 0:36 / /mnt/My\\040Share rw - cifs //nas/share rw
43 28 0:37 / /data rw - ext4 /dev/vdc1 rw
44 43 0:38 / /data rw - fuse.sshfs anna@nas:/ rw
broken line
"""


@pytest.mark.bar("D4")
@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/var/lib/sync-calendar", "ext4"),
        ("/srv", "nfs4"),
        ("/srv/practice", "nfs4"),
        ("/srvice", "ext4"),
        ("/srv/local/practice", "xfs"),
        ("/mnt/My Share/practice", "cifs"),
        ("/data/practice", "fuse.sshfs"),
    ],
)
def test_a_directory_is_on_the_latest_mount_of_the_longest_path(path: str, kind: str) -> None:
    assert kind_of(path, MOUNTS.splitlines()) == kind


def test_without_mounts_nothing_is_known() -> None:
    assert kind_of("/srv", []) == ""


@pytest.mark.bar("D4")
@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "fuse.sshfs"])
def test_disks_that_other_machines_write_to_are_refused(kind: str) -> None:
    assert is_shared(kind)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "9p", ""])
def test_disks_of_ones_own_are_fine(kind: str) -> None:
    assert not is_shared(kind)
