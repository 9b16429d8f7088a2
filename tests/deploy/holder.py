"""The process that keeps a network of machines alive, inside namespaces of its own.

It is PID 1 there: when it ends, the kernel ends every process of every machine, and with the last
process the namespaces go. It ends when its standard input, a socket to the test, is closed, so a
test that is killed leaves nothing behind either. On that socket it is asked for sockets
(``family type protocol`` in decimal), which it makes inside and passes out.
"""

import signal
import socket
import subprocess

REQUEST_BYTES_MAX = 64


def hold() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # orphans of the machines are reaped unseen
    with socket.socket(fileno=0) as asker:
        asker.sendall(b"ready")
        while request := asker.recv(REQUEST_BYTES_MAX):
            family, kind, protocol = (int(word) for word in request.split())
            with socket.socket(family, kind, protocol) as made:
                socket.send_fds(asker, [b"socket"], [made.fileno()])


if __name__ == "__main__":
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
    hold()
