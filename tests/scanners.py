"""A virus scanner for tests: a stand-in that speaks clamd's INSTREAM, and the real clamd with a signature of our own."""

import contextlib
import hashlib
import shutil
import socketserver
import struct
import subprocess
import threading
import time
from pathlib import Path

# The test string of EICAR, taken apart so that no scanner takes this file for it.
EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-" + b"TEST-FILE!$H+H*"
NAME = "Eicar-Signature"


class _Clamd(socketserver.StreamRequestHandler):
    def handle(self):
        assert self.rfile.read(10) == b"zINSTREAM\0"
        content = b""
        while size := struct.unpack("!L", self.rfile.read(4))[0]:
            content += self.rfile.read(size)
            if len(content) > self.server.most:
                self.wfile.write(b"INSTREAM size limit exceeded. ERROR\0")
                return
        self.server.seen.append(content)
        self.wfile.write(f"stream: {NAME} FOUND\0".encode() if EICAR in content else b"stream: OK\0")


@contextlib.contextmanager
def stand_in(most=10**9):
    """(address, list of the contents seen) of a stand-in that takes at most so many bytes."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Clamd) as server:
        server.daemon_threads, server.seen, server.most = True, [], most
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"tcp://127.0.0.1:{server.server_address[1]}", server.seen
        finally:
            server.shutdown()


def installed():
    return shutil.which("clamd") or (Path("/usr/sbin/clamd").exists() and "/usr/sbin/clamd")


@contextlib.contextmanager
def real(folder):
    """The address of Debian's clamd, which knows the test string alone: signatures cannot be fetched everywhere."""
    folder.chmod(0o755)
    signature = f"{hashlib.md5(EICAR, usedforsecurity=False).hexdigest()}:{len(EICAR)}:{NAME}\n"
    (folder / "own.hdb").write_text(signature)
    link, config = folder / "c.sock", folder / "clamd.conf"
    config.write_text(
        f"LocalSocket {link}\nDatabaseDirectory {folder}\nForeground yes\nUser root\nLogFile {folder}/log\n"
    )
    process = subprocess.Popen([installed(), "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _attempt in range(200):
            if link.exists() or process.poll() is not None:
                break
            time.sleep(0.1)
        assert link.exists(), (folder / "log").read_text() if (folder / "log").exists() else "clamd did not start"
        yield f"unix:{link}"
    finally:
        process.terminate()
        process.wait(20)
