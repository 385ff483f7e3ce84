"""Times calls of the official client: for each number on stdin, does so many and prints their nanoseconds."""

import sys
import time

from sikkerkey import SikkerKey

identity, what = sys.argv[1:]
client = SikkerKey(identity)


def warm():
    """A read by a client that has read before."""
    client.get_secret("sk_0")


def ten():
    """Ten distinct secrets by a new client."""
    new = SikkerKey(identity)
    for n in range(10):
        new.get_secret(f"sk_{n}")


call = {"warm": warm, "ten": ten}[what]
for line in sys.stdin:
    calls = range(int(line))
    start = time.perf_counter_ns()
    for _ in calls:
        call()
    print(time.perf_counter_ns() - start, flush=True)
