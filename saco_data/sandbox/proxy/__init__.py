"""A CONNECT proxy on loopback that answers for any HTTPS host: real clients run unmodified.

The proxy ends the TLS connection itself, with a certificate of a temporary authority, and hands
each request to the handler of its host name. A host without a handler is refused with 502 and
logged: nothing leaves the machine.

    with ConnectProxy({"api.nga.gov": forward("http://127.0.0.1:1234")}) as proxy:
        subprocess.run([...], env={**os.environ, **proxy.environment})
"""

from saco_data.sandbox.proxy.forward import forward
from saco_data.sandbox.proxy.messages import Handler, Request, Reset, Response
from saco_data.sandbox.proxy.proxy import ConnectProxy

__all__ = ["ConnectProxy", "Handler", "Request", "Reset", "Response", "forward"]
