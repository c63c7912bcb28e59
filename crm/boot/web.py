"""``python -m crm.boot.web (--fd N | --host H --port P [--processes N])``: uvicorn with the product's options.

``manage.py up`` opens the port itself and hands the listening socket to single processes, each of which dies with it;
in a container uvicorn opens the port and keeps its own processes.
"""

import argparse
import socket

import uvicorn

OPTIONS = {
    "lifespan": "off",  # Django has none
    "access_log": False,
    "log_level": "warning",
    "server_header": False,
    "proxy_headers": False,  # X-Forwarded-* are judged in one place: TRUSTED_PROXIES in the settings
    "timeout_keep_alive": 30,  # seconds
    "timeout_graceful_shutdown": 3,  # seconds; a live stream never ends by itself
    "backlog": 1024,
}
APPLICATION = "crm.asgi:application"


def serve_socket(fd):
    listening = socket.socket(fileno=fd)
    uvicorn.Server(uvicorn.Config(APPLICATION, **OPTIONS)).run(sockets=[listening])


def main():
    parser = argparse.ArgumentParser(prog="python -m crm.boot.web")
    parser.add_argument("--fd", type=int)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args()
    if given.fd is not None:
        serve_socket(given.fd)
    else:
        uvicorn.run(APPLICATION, host=given.host, port=given.port, workers=given.processes, **OPTIONS)


if __name__ == "__main__":
    main()
