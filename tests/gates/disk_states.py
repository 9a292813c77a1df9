"""What a disk may hold after a power cut, from what was done to a folder (the log of the shim).

The model promises as little as POSIX does. A file has the bytes that it had at its last fsync; of each later write
any sectors are there or not, the length may be that of any later moment, and where the length is there and the
bytes are not, there are zeros. A name means what it meant at the last fsync of its folder, or anything it meant later;
the two halves of a rename are two such changes.
"""

import os

SECTOR = 512

# How much of what was not synced is there: of bytes, of names. "some" is drawn anew for each sector, each name;
# "most": a few sectors are missing, and the length is right.
KINDS = {"lost": ("none", "some"), "renamed first": ("none", "all"), "torn": ("torn", "all"),
         "reordered": ("some", "some"), "holes": ("most", "all"), "nothing": ("none", "none"),
         "late names": ("all", "some")}
MOST = 0.98


class File:
    """Of writes (place, bytes) and lengths (int), the first `synced` are safe."""

    def __init__(self):
        self.changes, self.synced = [], 0

    def content(self, rnd=None, kind="all"):
        """What is there of it."""
        data, length = bytearray(), 0
        torn = rnd.randrange(self.synced, len(self.changes) + 1) if rnd else 0
        for i, change in enumerate(self.changes):
            place = "all" if i < self.synced or (kind == "torn" and i < torn) else kind
            if place == "torn":
                place = "first" if i == torn else "none"
            if isinstance(change, int):
                if place != "none" and (place == "all" or rnd.random() < 0.5):
                    del data[change:]
                    length = change
                continue
            at, piece = change
            for begin, end in sectors(at, len(piece), place, rnd):
                if len(data) < end:
                    data += bytes(end - len(data))
                data[begin:end] = piece[begin - at:end - at]
            length = max(length, len(data))
            if place == "most":
                length = max(length, at + len(piece))
            elif rnd and place != "all" and rnd.random() < 0.5:
                length = max(length, at + rnd.choice((len(piece), rnd.randrange(len(piece) + 1))))
        return bytes(data) + bytes(length - len(data))


def sectors(at, size, kind, rnd):
    """Which ranges of a write are there."""
    if kind == "all":
        yield at, at + size
        return
    if kind == "none" or not size:
        return
    first, last = at // SECTOR, (at + size - 1) // SECTOR
    cut, likely = rnd.randint(first, last), MOST if kind == "most" else rnd.random()
    for i in range(first, last + 1):
        if i < cut if kind == "first" else rnd.random() < likely:
            yield max(at, i * SECTOR), min(at + size, (i + 1) * SECTOR)


class Disk:
    """One folder, as far as a list of calls has come. lies_from: the number of the call from which on the disk says
    that it has synced and has not; None: it never lies."""

    def __init__(self, folder, data, lies_from=None):
        self.folder, self.data, self.lies_from = folder, data, lies_from
        self.names = {}  # [what it means and is safe, what it meant later ...]
        self.open = {}  # by descriptor: [file or None (the folder), place]
        self.written = {}  # by name: all whole contents it had
        self.late = []  # entries that were not safe when the next one began
        self.n = 0

    def mean(self, path, file):
        self.names.setdefault(os.path.relpath(path, self.folder), [None]).append(file)

    def now(self, path):
        return self.names.get(os.path.relpath(path, self.folder), [None])[-1]

    def sync(self, what):
        if self.lies_from is not None and self.n >= self.lies_from:
            return
        if what is not None:
            what.synced = len(what.changes)
            return
        for name, meant in self.names.items():
            self.names[name] = meant[-1:]

    def do(self, call):
        if call.result < 0:
            pass
        elif call.name == "open":
            self.do_open(call)
        elif call.name == "write":
            file = self.open[call.fd]
            file[0].changes.append((file[1], self.data[call.arg:call.arg + call.result]))
            file[1] += call.result
        elif call.name == "ftruncate":
            self.open[call.fd][0].changes.append(call.arg)
        elif call.name == "fsync":
            self.sync(self.open[call.fd][0])
        elif call.name == "rename":
            file = self.now(call.path)
            self.mean(call.path, None)
            self.mean(call.to, file)
            self.written.setdefault(os.path.basename(call.to), set()).add(file.content())
        elif call.name == "unlink":
            self.mean(call.path, None)
        self.n += 1

    def do_open(self, call):
        if call.arg & os.O_DIRECTORY:
            self.open[call.fd] = [None, 0]
            return
        file = self.now(call.path)
        if call.path.endswith(".part"):
            self.late += [name for name, meant in self.names.items() if name.endswith(".prefix")
                          and len(meant) > 1 and meant[-1]]
        if file is None:
            assert call.arg & os.O_CREAT, call.path
            file = File()
            self.mean(call.path, file)
        self.open[call.fd] = [file, 0]

    def safe(self, ending):
        """Names that no power cut takes away."""
        return [name for name, meant in self.names.items() if name.endswith(ending) and
                len(meant) == 1 and meant[0] and meant[0].synced == len(meant[0].changes)]

    def leave(self, folder, kind, rnd):
        """Makes a folder of what may be there."""
        of_bytes, of_names = KINDS[kind]
        made = {}
        os.mkdir(folder, 0o700)
        for name, meant in self.names.items():
            file = meant[{"none": 0, "all": -1, "some": rnd.randrange(len(meant))}[of_names]]
            path = os.path.join(folder, name)
            if file in made:
                os.link(made[file], path)
            elif file:
                with open(path, "wb", opener=lambda p, f: os.open(p, f, 0o600)) as out:
                    out.write(file.content(rnd, of_bytes))
                made[file] = path
