"""A file server on loopback that misbehaves on request: the demo and the tests fetch from it.

It speaks HTTP/1.1 with ranges, validators and HEAD, answers late or slowly if told to, and can fail
in every way that was seen on the web. Other servers of the sandbox add their paths with `route`.
"""

from saco_data.sandbox.http_server.faults import Fault, Faults
from saco_data.sandbox.http_server.server import Answer, FileServer, Query, Route

__all__ = ["Answer", "Fault", "Faults", "FileServer", "Query", "Route"]
