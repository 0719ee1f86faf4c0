"""On which kind of file system a directory is, and whether a database may live there."""

from collections.abc import Iterable

# Their locks are known to fail, and what one machine writes another sees late. Not 9p and:
# the own disks of some containers and virtual machines call themselves so.
SHARED = frozenset(
    "afs beegfs ceph cifs coda davfs davfs2 fuse.ceph fuse.curlftpfs fuse.davfs fuse.glusterfs "
    "fuse.gvfsd-fuse fuse.rclone fuse.s3fs fuse.sshfs gfs2 glusterfs lustre ncpfs nfs nfs4 ocfs2 "
    "prl_fs smb2 smb3 smbfs vboxsf virtiofs vmhgfs fuse.vmhgfs-fuse".split()
)


def kind_of(path: str, mountinfo: Iterable[str]) -> str:
    """The file system's name, `ext4` or so, by the lines of /proc/self/mountinfo; "" if unknown.

    `path` is absolute, with all links followed. The latest mount of the longest
    directory counts.
    """
    found, longest = "", -1
    for line in mountinfo:
        before, _, after = line.partition(" - ")
        fields, kinds = before.split(), after.split()
        if len(fields) < 5 or not kinds:
            continue
        place = _plain(fields[4]).rstrip("/")
        if len(place) >= longest and (path == place or path.startswith(f"{place}/")):
            found, longest = kinds[0], len(place)
    return found


def is_shared(kind: str) -> bool:
    """Whether other machines may have it, too, so that SQLite could lose data there."""
    return kind in SHARED


def _plain(place: str) -> str:
    """A blank stands there as an octal number."""
    return place.encode("latin-1", "replace").decode("unicode_escape")
